"""The grammar of an old mswatchrc: text in, statements with their lines and comments out.

Words are separated by blanks, may be double-quoted, and a backslash takes the next character as it is;
``#`` starts a comment anywhere outside of quotes; the end of a line ends a statement, but not a store.
What the old program accepted is accepted; so are CR LF, ``""`` and a comment without a newline at the end
of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mswatch.config.problems import Problems, nearest
from mswatch.showing import show

KEYWORDS = (
    "base_delay",
    "inter_delay",
    "max_delay",
    "poll_period",
    "ignore",
    "sync",
    "mailbox_prefix",
    "store",
    "watch",
)


@dataclass(frozen=True)
class Statement:
    """One statement.  A store is the statement of its ``watch``, with the store's name."""

    keyword: str
    words: tuple[str, ...]
    line: int
    comments: tuple[str, ...] = ()  # those on lines of their own above it, then those beside it
    store: str = ""


@dataclass(frozen=True)
class RcText:
    """A whole file: the comments set off by an empty line at its start, its statements, what follows them."""

    header: tuple[str, ...]
    statements: tuple[Statement, ...]
    footer: tuple[str, ...]


@dataclass(frozen=True)
class _Token:
    kind: str  # word, quoted, {, }, comment, newline, end
    text: str
    line: int


_PIECE = re.compile(
    r"""
      (?P<blank> [ \t]+ )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<word> (?: \\[^\n] | "(?: \\[^\n] | [^"\\\n] )*" | [^ \t\n"\\\#] )+ )
    | (?P<broken> ["\\][^\n]* )
    """,
    re.VERBOSE,
)
_IN_WORD = re.compile(r'\\(.)|"((?:\\.|[^"\\])*)"|([^"\\]+)', re.DOTALL)


def _tokens(text: str, problems: Problems) -> list[_Token]:
    tokens, line = [], 1
    for piece in _PIECE.finditer(text.replace("\r\n", "\n")):
        kind, part = str(piece.lastgroup), piece[0]
        if kind == "broken":
            what = (
                "a quote that does not end on its line"
                if part[0] == '"'
                else "a backslash before the line's end"
            )
            problems.add(line, what)
        elif kind == "word":
            tokens.append(_word(part, line, problems))
        elif kind != "blank":
            tokens.append(_Token(kind, part, line))
        line += kind == "newline"
    return [*tokens, _Token("end", "", line)]


def _word(part: str, line: int, problems: Problems) -> _Token:
    if part in ("{", "}"):
        return _Token(part, part, line)
    text = "".join(
        escaped or re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) or plain
        for escaped, quoted, plain in _IN_WORD.findall(part)
    )
    if "\0" in text:
        problems.add(line, f'"{show(text)}" holds a NUL, which no program can be given')
    return _Token("quoted" if '"' in part or "\\" in part else "word", text, line)


def parse(text: str, problems: Problems) -> RcText:
    """Split a file into its statements; what is none is told to ``problems`` and skipped."""
    return _Parser(_tokens(text, problems), problems).parse()


class _Parser:
    """A reader of tokens with one token of look-ahead."""

    def __init__(self, tokens: list[_Token], problems: Problems) -> None:
        self._tokens = tokens
        self._problems = problems
        self._next = 0
        self._comments: list[str] = []
        self._header: tuple[str, ...] = ()
        self._statements: list[Statement] = []

    def parse(self) -> RcText:
        while self._peek().kind != "end":
            self._one()
        return RcText(self._header, tuple(self._statements), tuple(self._comments))

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek()
        self._next += token.kind != "end"
        return token

    def _one(self) -> None:
        token = self._take()
        if token.kind == "newline":
            self._end_header()
        elif token.kind == "comment":
            self._comments.append(token.text[1:].strip())
            if self._peek().kind == "newline":
                self._take()
        elif token.kind == "word" and token.text == "store":
            self._store(token)
        elif token.kind == "word" and token.text in KEYWORDS and token.text != "watch":
            self._add(token.text, token.line, self._words())
        else:
            self._refuse(token)

    def _end_header(self) -> None:
        if not self._statements and not self._header:
            self._header, self._comments = tuple(self._comments), []

    def _refuse(self, token: _Token) -> None:
        if token.kind in "{}":
            message = f'"{token.text}" belongs to no store'
        elif token.text == "watch":
            message = "watch: only within store NAME { }"
        else:
            hint = nearest(token.text, KEYWORDS) or f"; known are {', '.join(KEYWORDS)}"
            message = f"{show(token.text)}: no such statement{hint}"
        self._problems.add(token.line, message)
        while self._peek().kind not in ("newline", "end"):
            self._take()

    def _words(self) -> tuple[str, ...]:
        """Take the words up to the end of the statement, and a comment beside them."""
        words: list[str] = []
        while self._peek().kind in ("word", "quoted", "{"):
            token = self._take()
            if token.kind == "{" or (token.kind == "word" and token.text in KEYWORDS):
                self._problems.add(
                    token.line, f"{token.text}: not allowed among arguments; write it in double quotes"
                )
            words.append(token.text)
        if self._peek().kind == "comment":
            self._comments.append(self._take().text[1:].strip())
        return tuple(words)

    def _add(self, keyword: str, line: int, words: tuple[str, ...], store: str = "") -> None:
        self._statements.append(Statement(keyword, words, line, tuple(self._comments), store))
        self._comments = []

    def _skip_lines(self) -> None:
        while self._peek().kind in ("newline", "comment"):
            token = self._take()
            if token.kind == "comment":
                self._comments.append(token.text[1:].strip())

    def _store(self, start: _Token) -> None:
        name = self._take() if self._peek().kind in ("word", "quoted") else None
        if name is None:
            self._problems.add(start.line, "store: the name is missing; write store NAME { watch PROGRAM }")
        self._skip_lines()
        if self._peek().kind != "{":
            self._problems.add(start.line, 'store: "{" is missing; write store NAME { watch PROGRAM }')
            return
        self._take()
        self._watches(start, name.text if name else "")

    def _watches(self, start: _Token, name: str) -> None:
        watches = 0
        while True:
            self._skip_lines()
            token = self._take()
            if token.kind == "}" or token.kind == "end":
                break
            if token.kind != "word" or token.text != "watch":
                self._refuse_in_store(token)
                continue
            watches += 1
            self._add("store", start.line, self._words(), name)
        if token.kind == "end":
            self._problems.add(start.line, f'store "{show(name)}": "}}" is missing')
        if watches != 1:
            self._problems.add(start.line, f'store "{show(name)}": {watches} watch statements; allowed: one')

    def _refuse_in_store(self, token: _Token) -> None:
        self._problems.add(token.line, f"{show(token.text)}: only watch is allowed within a store")
        while self._peek().kind not in ("newline", "}", "end"):
            self._take()
