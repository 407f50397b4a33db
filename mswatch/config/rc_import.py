"""``mswatch import``: an old mswatchrc as the TOML file that does the same.

The old delays are written out, comments move with what they were written at, and nothing is guessed:
where today's form would say more directly what an old command line says, that is a doubt for the user to
settle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mswatch.account import Account
from mswatch.config.files import file_account_name, read_old_text
from mswatch.config.problems import Problems
from mswatch.config.rc_account import DELAYS, read_parsed, store_names
from mswatch.config.rcfile import RcText, Statement
from mswatch.config.settings import TOP, default_text, settings_of
from mswatch.config.values import delay_text
from mswatch.showing import show

Doubt = tuple[int, str]  # line, what to look at


def import_rc(text: str, path: Path) -> tuple[str, list[str]]:
    """Translate an old rc file.

    Returns:
        The text of the TOML file, and what its owner should look at, as complete lines.  Without doubts the
        two files mean the same.

    Raises:
        ConfigError: The old file has errors, or holds words that TOML cannot (bytes that are no UTF-8).
    """
    parsed, account = read_parsed(text, file_account_name(path), path)
    _refuse_raw_bytes(parsed, path)
    doubts = [f"{line}: {doubt}" for line, doubt in sorted(_doubts(parsed, account))]
    toml = "\n".join(_lines(parsed, account, doubts)) + "\n"
    return toml, [f"{show(str(path))}:{doubt}" for doubt in doubts]


def import_file(file: str | Path) -> tuple[str, list[str]]:
    """Read an old rc file and translate it; see ``import_rc``.

    Raises:
        ConfigError: It cannot be read or translated.
    """
    path = Path(file)
    return import_rc(read_old_text(path), path)


def _refuse_raw_bytes(parsed: RcText, path: Path) -> None:
    problems = Problems(path)
    for statement in parsed.statements:
        for word in statement.words:
            if any("\ud800" <= character <= "\udfff" for character in word):
                problems.add(statement.line, f'"{show(word)}" is no UTF-8, and TOML holds nothing else')
    problems.raise_if_any()


def _lines(parsed: RcText, account: Account, doubts: list[str]) -> Iterator[str]:
    yield from _comments(parsed.header)
    for doubt in doubts:
        yield from _comments((f"Look at line {doubt}",))
    yield from _delays(parsed, account)
    yield from _ignore(parsed, account)
    yield from _inter_delays(parsed, account)
    yield from _sync(parsed, account)
    yield from _stores(parsed, account)
    yield from _comments(parsed.footer)


def _comments(comments: Iterable[str]) -> Iterator[str]:
    for comment in comments:
        text = "".join(" " if character == "\t" else _comment_character(character) for character in comment)
        yield f"# {text}".rstrip()


def _comment_character(character: str) -> str:
    forbidden = character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff"
    return "?" if forbidden else character


def _of(parsed: RcText, keyword: str, named: bool = False) -> list[Statement]:
    """Return the statements of a keyword; inter_delay is two of them, with and without mailbox names."""
    return [
        statement
        for statement in parsed.statements
        if statement.keyword == keyword and (keyword != "inter_delay" or (len(statement.words) > 1) == named)
    ]


def _above(statements: list[Statement]) -> Iterator[str]:
    for statement in statements:
        yield from _comments(statement.comments)


def _delays(parsed: RcText, account: Account) -> Iterator[str]:
    today = ", ".join(f"{key} = {default_text(settings_of(TOP)[key])}" for key in DELAYS)
    yield "# The delays are those of the old file and its defaults. Today's defaults:"
    yield f"# {today}"
    for key in DELAYS:
        yield from _above(_of(parsed, key))
        yield f"{key} = {toml_string(delay_text(getattr(account.policy, key)))}"


def _ignore(parsed: RcText, account: Account) -> Iterator[str]:
    statements = _of(parsed, "ignore")
    if statements:
        yield from _above(statements)
        yield f"ignore = {_list(pattern.text for pattern in account.policy.ignore)}"


def _inter_delays(parsed: RcText, account: Account) -> Iterator[str]:
    statements = _of(parsed, "inter_delay", named=True)
    if statements:
        yield ""
        yield from _above(statements)
        yield "[inter_delays]"
        for pattern, delay in account.policy.inter_delays:
            yield f"{toml_string(pattern.text)} = {toml_string(delay_text(delay))}"


def _sync(parsed: RcText, account: Account) -> Iterator[str]:
    yield ""
    yield "[sync]"
    yield 'with = "command"'
    yield from _above(_of(parsed, "sync"))
    yield f"command = {_list(account.sync.command)}"
    yield from _above(_of(parsed, "mailbox_prefix"))
    if account.sync.mailbox_prefix is not None:
        yield f"mailbox_prefix = {_list(account.sync.mailbox_prefix)}"


def _stores(parsed: RcText, account: Account) -> Iterator[str]:
    for statement, store in zip(_of(parsed, "store"), account.stores, strict=True):
        yield ""
        yield from _comments(statement.comments)
        yield f"[store.{toml_key(store.name)}]"
        yield f"command = {_list(store.command)}"


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(toml_string(text) for text in texts) + "]"


def toml_key(text: str) -> str:
    """Return a text as a key of TOML."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else toml_string(text)


def toml_string(text: str) -> str:
    """Return a text as a basic string of TOML: JSON's, with DEL escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _doubts(parsed: RcText, account: Account) -> Iterator[Doubt]:
    for statement in parsed.statements:
        yield from _word_doubts(statement)
    yield from _wildcard_doubts(parsed)
    for statement in _of(parsed, "sync"):
        yield from _sync_doubts(statement, account)
    names = [statement.store for statement in _of(parsed, "store")]
    for statement, name in zip(_of(parsed, "store"), store_names(names), strict=True):
        if statement.store != name:
            yield statement.line, f'the store "{show(statement.store)}" is called "{name}" now'
        yield from _watch_doubts(statement)


def _word_doubts(statement: Statement) -> Iterator[Doubt]:
    for word in statement.words if statement.keyword in ("sync", "store") else ():
        if word.startswith("~/"):
            yield statement.line, f'"{show(word)}" was passed on as it is; now ~ becomes the home directory'


def _wildcard_doubts(parsed: RcText) -> Iterator[Doubt]:
    for statement in [*_of(parsed, "ignore"), *_of(parsed, "inter_delay", named=True)]:
        names = statement.words if statement.keyword == "ignore" else statement.words[1:]
        for name in names:
            if "*" in name or "%" in name:
                yield statement.line, f'in "{show(name)}" * and % were letters; now they are wildcards'


def _sync_doubts(statement: Statement, account: Account) -> Iterator[Doubt]:
    programs = [Path(word).name for word in statement.words]
    prefix = account.sync.mailbox_prefix
    if "mbsync" in programs[:2]:
        channel = prefix[0] if prefix and prefix[1] == ":" else "CHANNEL"
        form = f'with = "mbsync", channel = {toml_string(channel)}, options in arguments'
    elif programs[0] in ("offlineimap", "mailsync_offlineimap", "mailsync_offlineimap_local"):
        account_there = prefix[0] if prefix and prefix[1] == ":" else "ACCOUNT"
        form = f'with = "offlineimap", account = {toml_string(account_there)}, options in arguments'
    else:
        return
    yield statement.line, f"[sync] has a more direct form: {form}"


def _watch_doubts(statement: Statement) -> Iterator[Doubt]:
    if Path(statement.words[0]).name != "watch_maildirs":
        return
    directory = _maildir_option(statement.words[1:]) or "~/Maildir"
    yield (
        statement.line,
        f'the store "{show(statement.store)}" has a more direct form: maildir = {toml_string(directory)}',
    )


def _maildir_option(arguments: tuple[str, ...]) -> str:
    for number, argument in enumerate(arguments):
        if argument in ("-m", "--maildir"):
            return "".join(arguments[number + 1 : number + 2])
        if argument.startswith("--maildir="):
            return argument.partition("=")[2]
    return ""
