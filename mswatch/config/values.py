"""What a setting may hold: each Kind checks one value of a TOML file and returns what we work with.

A kind is pure, knows nothing of files, and says in ``allowed`` what it would have taken.  A check that
fails raises UnfitError with everything that is wrong in the value, not only the first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mswatch.imap_session.settings import BY_PASSWORD, BY_TOKEN
from mswatch.names import USES, Pattern, as_use
from mswatch.showing import show

Keys = tuple[str, ...]  # the way to a value: ("store", "local", "maildir")


class UnfitError(ValueError):
    """A value that cannot be used: (keys below the setting, what was found and why not) for each fault."""

    def __init__(self, faults: Iterable[tuple[Keys, str]]) -> None:
        super().__init__("unfit value")
        self.faults = list(faults)


@dataclass(frozen=True)
class Kind:
    """A type of value: ``name`` as manuals call it, ``allowed`` as error messages say it."""

    name: str
    allowed: str
    check: Callable[[object, Path | None], Any]  # (value, home directory); None: HOME is not set


def unfit(reason: str) -> UnfitError:
    """Return the error for a value with one fault."""
    return UnfitError([((), reason)])


def found(value: object) -> str:
    """Return how a value is named in a message; bounded and printable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{show(value)}"'
    if isinstance(value, int) and abs(value) > 10**18:
        return "a huge number"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return f"a {type(value).__name__}"


LONGEST_DELAY_S = 10 * 366 * 86400
SHORTEST_LIMIT_S, LONGEST_LIMIT_S = 0.1, 86400
_HOST = re.compile(r"[A-Za-z0-9._@%+:-]+")
_UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DELAY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) *(ms|s|m|h|d)")


def delay_text(seconds: float) -> str:
    """Return the shortest way to write a delay: "1h", "1.5s", "300ms"."""
    for unit, unit_s in _UNITS_S.items():
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:.0f}{unit}"
    milliseconds = seconds * 1000
    whole = seconds == 0 or seconds > 1 or milliseconds != round(milliseconds)
    return f"{seconds!r}s" if whole else f"{milliseconds:.0f}ms"


def _delay(value: object, home: Path | None) -> float:
    seconds = _seconds(value)
    if not 0 <= seconds <= LONGEST_DELAY_S:  # nan fails as well
        raise unfit(f"{found(value)} is out of range")
    return seconds


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) <= LONGEST_DELAY_S else math.inf
    match = _DELAY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise unfit(f"{found(value)} is no delay")
    number = float(match[1])
    return number / 1000 if match[2] == "ms" else number * _UNITS_S[match[2]]


def _limit(value: object, home: Path | None) -> float:
    seconds = _seconds(value)
    if not SHORTEST_LIMIT_S <= seconds <= LONGEST_LIMIT_S:
        raise unfit(f"{found(value)} is out of range")
    return seconds


def _number_up_to(most: int, what: str) -> Callable[[object, Path | None], int]:
    def read(value: object, home: Path | None) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise unfit(f"{found(value)} is {what}")
        return value

    return read


_port = _number_up_to(65535, "no port")
_connections = _number_up_to(10, "out of range")


def _host(value: object, home: Path | None) -> str:
    text = _text(value, home)
    # What ssh would read as an option, or hand to a shell of its configuration, is no host.
    if not _HOST.fullmatch(text) or any(part.startswith("-") for part in text.split("@")):
        raise unfit(f"{found(value)} is no host")
    return text


_SERVER = re.compile(
    r"(?:\[(?P<digits>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s/:\[\]-][^\s/:\[\]]*))"
    r"(?::(?P<port>[0-9]+))?"
)
_LONGEST_HOST = 253


def _server(value: object, home: Path | None) -> tuple[str, int]:
    text = _text(value, home)
    if "@" in text:  # perhaps with a password, so it is not shown
        raise unfit("there is a user in it, who belongs into user")
    match = _SERVER.fullmatch(text)
    if match is None or not text.isprintable() or len(text) > _LONGEST_HOST:
        raise unfit(f"{found(value)} is no server")
    port = match["port"]
    return match["digits"] or match["name"], 0 if port is None else _port(int(port[:6]), home)


def _person(value: object, home: Path | None) -> str:
    text = _text(value, home)
    if not text or not text.isprintable():
        raise unfit(f"{found(value)} cannot be logged in as")
    return text


_FINGERPRINT = re.compile(r"[0-9a-fA-F]{64}")


def _mechanisms(value: object, home: Path | None) -> tuple[str, ...]:
    words: tuple[str, ...] = _list(value, _text, home)
    for word in words:
        if word not in (*BY_PASSWORD, *BY_TOKEN):
            raise unfit(f"{found(word)} is not known")
    if not words:
        raise unfit("an empty list")
    return words


def _fingerprints(value: object, home: Path | None) -> tuple[str, ...]:
    words: tuple[str, ...] = _list(value, _text, home)
    for word in words:
        if not _FINGERPRINT.fullmatch(word.replace(":", "")):
            raise unfit(f"{found(word)} is no SHA-256 fingerprint")
    if not words:
        raise unfit("an empty list")
    return words


def _flag(value: object, home: Path | None) -> bool:
    if not isinstance(value, bool):
        raise unfit(f"{found(value)} is neither true nor false")
    return value


def _text(value: object, home: Path | None) -> str:
    if not isinstance(value, str):
        raise unfit(f"{found(value)} is no string")
    if "\0" in value:
        raise unfit(f"{found(value)} holds a NUL, which no program can be given")
    return value


def _target(value: object, home: Path | None) -> str:
    text = _text(value, home)
    if not text or text.startswith("-") or not text.isprintable():
        raise unfit(f"{found(value)} cannot be passed on as a name")
    return text


def _channel(value: object, home: Path | None) -> str:
    text = _target(value, home)
    if ":" in text:
        raise unfit(f'{found(value)} holds a ":"')
    return text


def _list(value: object, one: Callable[[object, Path | None], Any], home: Path | None) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise unfit(f"{found(value)} is no list")
    return tuple(one(each, home) for each in value)


def _patterns(value: object, home: Path | None) -> tuple[Pattern, ...]:
    return tuple(Pattern(text) for text in _list(value, _text, home))


@dataclass(frozen=True)
class Mailboxes:
    """Mailboxes by name, and by what a server says they are for (one of ``names.USES``)."""

    patterns: tuple[Pattern, ...] = ()
    uses: frozenset[str] = frozenset()


def _mailboxes(value: object, home: Path | None) -> Mailboxes:
    found = [_name_or_use(text) for text in _list(value, _text, home)]
    names = tuple(Pattern(name) for name, use in found if not use)
    return Mailboxes(names, frozenset(use for _, use in found if use))


def _mailbox(value: object, home: Path | None) -> tuple[str, str]:
    return _name_or_use(_target(value, home))


def _name_or_use(text: str) -> tuple[str, str]:
    r"""Return a name or, behind one backslash, a use; a name that begins with one is written with two."""
    if not text.startswith("\\"):
        return text, ""
    use = as_use(text)
    if use is None and not text.startswith("\\\\"):
        raise unfit(f"{found(text)} is nothing that a mailbox is for")
    return ("", use) if use is not None else (text[1:], "")


def _arguments(value: object, home: Path | None) -> tuple[str, ...]:
    return tuple(_at_home(text, home) for text in _list(value, _text, home))


def _command(value: object, home: Path | None) -> tuple[str, ...]:
    words = _arguments(value, home)
    if not words or not words[0]:
        raise unfit("the program is missing")
    return words


def _at_home(word: str, home: Path | None) -> str:
    if not word.startswith("~/"):
        return word
    if home is None:
        raise unfit(f"{found(word)} needs HOME, which is not set")
    return f"{home}/{word[2:]}"


def _path(value: object, home: Path | None) -> Path:
    text = _text(value, home)
    if not text:
        raise unfit('"" is no path')
    if text.startswith("~") and text != "~" and not text.startswith("~/"):
        raise unfit(f"{found(text)} names another user's home, which is not looked up; write the whole path")
    if text.startswith("/"):
        return Path(text)
    return Path(_at_home(text if text.startswith("~/") else f"~/{'' if text == '~' else text}", home))


_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_SIZE = re.compile(r"([0-9]{1,12})([kMG]?)")


def _size(value: object, home: Path | None) -> int:
    match = (
        _SIZE.fullmatch(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    )
    if match is None or int(match[1]) == 0:
        raise unfit(f"{found(value)} is no size")
    return int(match[1]) * _SIZES[match[2]]


def _share(value: object, home: Path | None) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise unfit(f"{found(value)} is no share")
    return float(value)


def _separator(value: object, home: Path | None) -> str:
    text = _text(value, home)
    # A letter or digit, or what modified UTF-7 is made of, would make names ambiguous.
    if len(text) != 1 or not "!" <= text <= "~" or text.isalnum() or text in "&+,-":
        raise unfit(f"{found(value)} cannot separate levels")
    return text


def _prefix(value: object, home: Path | None) -> tuple[str, str]:
    texts = _list(value, _text, home)
    if len(texts) != 2:
        raise unfit(f"a list of {len(texts)}")
    return texts[0], texts[1]


def _delays(value: object, home: Path | None) -> tuple[tuple[Pattern, float], ...]:
    return tuple((Pattern(key), delay) for key, delay in _table(value, _delay, home))


def _own_names(value: object, home: Path | None) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = _table(value, _text, home)
    owners: dict[str, str] = {}
    faults: list[tuple[Keys, str]] = []
    for own_name, name in pairs:
        if not own_name or not name:
            faults.append(((own_name,), "an empty name"))
        elif name in owners:
            faults.append(((own_name,), f"{found(name)} is the name of {found(owners[name])} already"))
        owners.setdefault(name, own_name)
    if faults:
        raise UnfitError(faults)
    return tuple(pairs)


def _table(
    value: object, one: Callable[[object, Path | None], Any], home: Path | None
) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise unfit(f"{found(value)} is no table")
    pairs, faults = [], []
    for key, each in value.items():
        try:
            pairs.append((key, one(each, home)))
        except UnfitError as error:
            faults += [((key, *keys), reason) for keys, reason in error.faults]
    if faults:
        raise UnfitError(faults)
    return pairs


def choice(*words: str) -> Kind:
    """Return the kind that takes one of these words."""

    def check(value: object, home: Path | None) -> str:
        if not isinstance(value, str) or value not in words:
            raise unfit(f"{found(value)} is not known")
        return value

    return Kind("word", "one of " + ", ".join(f'"{word}"' for word in words), check)


_DELAYS_ALLOWED = '"300ms", "1.5s", "5m", "1h", "1d" or a number of seconds, from 0 to ten years'

DELAY = Kind("delay", _DELAYS_ALLOWED, _delay)
DELAYS = Kind("table of delays", "mailbox pattern = delay, where a delay is " + _DELAYS_ALLOWED, _delays)
FLAG = Kind("flag", "true or false", _flag)
PATTERNS = Kind("list of patterns", 'a list of strings, as ["lists/*", "Junk"]', _patterns)
_USES_ALLOWED = "a use is one of " + ", ".join(USES)
MAILBOXES = Kind(
    "list of patterns and uses",
    f"""a list of strings, as ["lists/*", '{USES[0]}']; {_USES_ALLOWED}""",
    _mailboxes,
)
MAILBOX = Kind(
    "name or use", f'a printable name that does not start with "-", or a use; {_USES_ALLOWED}', _mailbox
)
CHANNEL = Kind("name", 'a printable name without ":" that does not start with "-"', _channel)
TARGET = Kind("name", 'a printable name that does not start with "-"', _target)
COMMAND = Kind("list of words", 'a program and its arguments, as ["prog", "--option"]', _command)
ARGUMENTS = Kind("list of words", 'a list of strings, as ["-c", "~/.mbsyncrc-work"]', _arguments)
MAILDIR = Kind("directory", 'a path, as "~/Mail" or "/srv/mail"', _path)
FILE = Kind("file", 'a path, as "~/.ssh/mail"', _path)
LIMIT = Kind("delay", '"300ms", "1.5s", "5m", "1h" or a number of seconds, from 100 ms to a day', _limit)
PORT = Kind("number", "a number from 1 to 65535", _port)
CONNECTIONS = Kind("number", "a number from 1 to 10", _connections)
HOST = Kind("host", 'a host as ssh takes it, as "example.org" or "me@example.org"', _host)
SERVER = Kind("server", 'a host, with a port if need be, as "imap.example.org" or "[::1]:1143"', _server)
PERSON = Kind("name", 'the name of a user, as "me@example.org"', _person)
MECHANISMS = Kind(
    "list of words",
    "a list of some of " + ", ".join(f'"{name}"' for name in (*BY_PASSWORD, *BY_TOKEN)),
    _mechanisms,
)
FINGERPRINTS = Kind(
    "list of fingerprints",
    "a list of strings of 64 hexadecimal digits, with or without : between",
    _fingerprints,
)
SEPARATOR = Kind("character", "one ASCII punctuation mark other than & + , -", _separator)
PREFIX = Kind("two strings", 'a prefix and a separator, as ["work", ":"]', _prefix)
SIZE = Kind("size", 'bytes, as 20000000, "20M", "300k" or "1G"', _size)
SHARE = Kind("share", "a number from 0 to 1", _share)
OWN_NAMES = Kind("table of names", 'own name = canonical name, as { "Gesendet" = "Sent" }', _own_names)
