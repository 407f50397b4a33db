r"""The old configuration file, ``~/.mailsync``: text in, stores and channels out.  Pure.

Words are separated by white space, a line's end is no more than that; ``#`` at the start of a word begins a
comment; a backslash takes the next character as it is.  There are no quotes.  A brace is a word of
its own, because mailbox names may hold braces.  A field that is given twice has its last value.  All of this
is as it was; what is wrong is told with its own line and name, all at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mswatch.config.problems import Problems, nearest
from mswatch.imap.secret import Secret
from mswatch.showing import show

STORE_FIELDS = ("server", "ref", "pat", "prefix", "passwd")
CHANNEL_FIELDS = ("msinfo", "passwd", "sizelimit")


@dataclass(frozen=True)
class OldStore:
    """A set of mailboxes.  ``server`` is ``{host/flags}``; empty: here."""

    name: str
    line: int
    server: str = ""
    ref: str = ""
    pat: str = ""
    prefix: str = ""
    password: Secret | None = None


@dataclass(frozen=True)
class Channel:
    """Two stores, and where the old program remembered what both had; ``password`` is that mailbox's."""

    name: str
    line: int
    stores: tuple[OldStore, OldStore]
    msinfo: str = ""
    password: Secret | None = None
    size_limit: int | None = None  # bytes


@dataclass(frozen=True)
class OldConfiguration:
    """A whole file."""

    source: Path
    stores: Mapping[str, OldStore]
    channels: Mapping[str, Channel]


def read(text: str, source: Path) -> OldConfiguration:
    """Read an old configuration file.

    Raises:
        ConfigError: With everything that is wrong with it.
    """
    problems = Problems(source)
    found = _Reader(list(_words(text, problems)), problems).read(source)
    problems.raise_if_any()
    return found


@dataclass(frozen=True)
class _Word:
    text: str
    line: int
    is_brace: bool


_PIECE = re.compile(r"(?P<blank>\s+)|(?P<comment>#[^\n]*)|(?P<word>(?:\\.|[^\s\\])+)|\\", re.DOTALL)


def _words(text: str, problems: Problems) -> Iterator[_Word]:
    line = 1
    for piece in _PIECE.finditer(text):
        if piece["word"] is not None:
            word = re.sub(r"\\(.)", r"\1", piece["word"], flags=re.DOTALL)
            if "\0" in word:
                problems.add(line, f'"{show(word)}" holds a NUL, which no name can')
            yield _Word(word, line, piece["word"] in ("{", "}"))
        elif piece["blank"] is None and piece["comment"] is None:
            problems.add(line, "a backslash at the end of the file; it takes the next character as it is")
        line += piece[0].count("\n")


@dataclass(frozen=True)
class _Block:
    """``store`` or ``channel``: the words before the braces, and the last value of each field within."""

    line: int
    names: tuple[str, ...]
    fields: Mapping[str, _Word]


class _Reader:
    """A reader of words with one word of look-ahead."""

    def __init__(self, words: list[_Word], problems: Problems) -> None:
        self._words = words
        self._problems = problems
        self._next = 0

    def read(self, source: Path) -> OldConfiguration:
        stores: dict[str, OldStore] = {}
        channels: dict[str, _Block] = {}
        lines: dict[str, int] = {}
        while (word := self._take()) is not None:
            if word.is_brace or word.text not in ("store", "channel"):
                hint = "" if word.is_brace else nearest(word.text, ("store", "channel"))
                self._problems.add(word.line, f'"{show(word.text)}": not expected here{hint}; {_ALLOWED}')
                self._skip_block()
                continue
            is_store = word.text == "store"
            block = self._block(word, 1 if is_store else 3, STORE_FIELDS if is_store else CHANNEL_FIELDS)
            if block is None:
                continue
            name = block.names[0]
            if name in lines:
                self._problems.add(
                    block.line,
                    f'"{show(name)}" is the name of something in line {lines[name]}; use another one',
                )
                continue
            lines[name] = block.line
            if is_store:
                stores[name] = self._store(block)
            else:
                channels[name] = block
        found = {name: self._channel(block, stores) for name, block in channels.items()}
        return OldConfiguration(
            source, stores, {name: channel for name, channel in found.items() if channel is not None}
        )

    def _take(self) -> _Word | None:
        if self._next == len(self._words):
            return None
        self._next += 1
        return self._words[self._next - 1]

    def _skip_block(self) -> None:
        """Go on behind the next brace that closes, or before the next block."""
        while self._next < len(self._words):
            word = self._words[self._next]
            if not word.is_brace and word.text in ("store", "channel"):
                return
            self._next += 1
            if word.is_brace and word.text == "}":
                return

    def _block(self, start: _Word, count: int, fields: tuple[str, ...]) -> _Block | None:
        names: list[str] = []
        while (word := self._take()) is not None and not word.is_brace and len(names) < count:
            names.append(word.text)
        if len(names) < count or word is None or not word.is_brace or word.text != "{":
            seen = "the end of the file" if word is None else f'"{show(word.text)}" in line {word.line}'
            called = f' "{show(names[0])}"' if names else ""
            self._problems.add(
                start.line,
                f"{start.text}{called}: found {seen}; write {_FORMS[start.text]}, with blanks around braces",
            )
            if word is not None and not (word.is_brace and word.text == "}"):
                self._skip_block()
            return None
        return _Block(
            start.line, tuple(names), self._fields(f'{start.text} "{show(names[0])}"', start.line, fields)
        )

    def _fields(self, where: str, line: int, allowed: tuple[str, ...]) -> Mapping[str, _Word]:
        fields: dict[str, _Word] = {}
        while True:
            key = self._take()
            if key is None:
                self._problems.add(line, f'{where}: its "}}" is missing')
                return fields
            if key.is_brace and key.text == "}":
                return fields
            if key.is_brace or key.text not in allowed:
                hint = nearest(key.text, allowed) or f"; known here: {', '.join(allowed)}"
                if "{" in key.text or "}" in key.text:
                    hint = "; write blanks around braces"
                self._problems.add(key.line, f'{where}: no such field: "{show(key.text)}"{hint}')
                self._skip_block()
                return fields
            value = self._take()
            if value is None or value.is_brace:
                self._problems.add(key.line, f"{where}: {key.text} has no value; leave it out if it is empty")
                return fields
            fields[key.text] = value

    def _store(self, block: _Block) -> OldStore:
        values = {key: word.text for key, word in block.fields.items()}
        password = values.pop("passwd", None)
        if values.get("ref", "").startswith("{") and "server" not in values:
            self._problems.add(
                block.fields["ref"].line,
                f'store "{show(block.names[0])}": ref names a server; say server {{host}} as well',
            )
        return OldStore(
            block.names[0], block.line, **values, password=None if password is None else Secret(password)
        )

    def _channel(self, block: _Block, stores: Mapping[str, OldStore]) -> Channel | None:
        name, *ends = block.names
        missing = [end for end in ends if end not in stores]
        for end in missing:
            hint = nearest(end, stores) or "; there is no such store"
            self._problems.add(block.line, f'channel "{show(name)}": "{show(end)}" is no store{hint}')
        if not missing and ends[0] == ends[1]:
            self._problems.add(block.line, f'channel "{show(name)}": both its stores are "{show(ends[0])}"')
        size = block.fields.get("sizelimit")
        if size is not None and not re.fullmatch(r"[0-9]{1,18}", size.text):
            self._problems.add(
                size.line, f'channel "{show(name)}": sizelimit "{show(size.text)}" is no number of bytes'
            )
            return None
        if missing:
            return None
        password = block.fields.get("passwd")
        return Channel(
            name,
            block.line,
            (stores[ends[0]], stores[ends[1]]),
            msinfo=block.fields["msinfo"].text if "msinfo" in block.fields else "",
            password=None if password is None else Secret(password.text),
            size_limit=(int(size.text) or None) if size is not None else None,
        )


_FORMS = {"store": "store NAME { ... }", "channel": "channel NAME STORE STORE { ... }"}
_ALLOWED = f"allowed: {_FORMS['store']} and {_FORMS['channel']}"
