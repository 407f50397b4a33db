"""TOML text with line numbers, which the standard parser does not keep.

The parser judges the text; the scanner below reads only what it accepted, so it may be small: it knows
strings, comments and brackets, and takes down the line of each key and header that stands outside of
them.  Keys within inline tables have the line of the key that the table belongs to.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file: its data, and the line of each key that has one."""

    data: dict[str, Any]
    lines: dict[Keys, int]

    def line(self, keys: Keys) -> int:
        """Return the line of a key, or of the nearest thing around it; 0 if there is none."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 0)


class NoTomlError(ValueError):
    """The text is no TOML; ``line`` is where, or 0."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str) -> Document:
    """Parse a file.

    Raises:
        NoTomlError: The text is no TOML.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise NoTomlError("tables or lists are nested too deeply", 0) from None
    except tomllib.TOMLDecodeError as error:
        raise _explained(str(error), text) from None
    except ValueError:  # from int(), see sys.set_int_max_str_digits
        raise NoTomlError("a number has thousands of digits", 0) from None
    lines: dict[Keys, int] = {}
    for keys, line in _key_lines(text):
        for length in range(
            1, len(keys) + 1
        ):  # [store.local] is also the place of "store", unless it has one
            lines.setdefault(keys[:length], line)
    return Document(data, lines)


def _explained(message: str, text: str) -> NoTomlError:
    at_line = re.search(r" \(at line ([0-9]+), column [0-9]+\)$", message)
    if at_line:
        return NoTomlError(message[: at_line.start()], int(at_line[1]))
    at_end = message.removesuffix(" (at end of document)")
    return NoTomlError(at_end, 0 if at_end == message else text.rstrip("\n").count("\n") + 1)


_TOKEN = re.compile(
    r"""
      (?P<comment> \#[^\n]* )
    | (?P<string> \"{3} (?: \\. | [^\\] )*? \"{3,5} | '{3} .*? '{3,5} | "(?: \\. | [^"\\\n] )*" | '[^'\n]*' )
    | (?P<opening> [\[{] )
    | (?P<closing> [\]}] )
    | (?P<equals> = )
    | (?P<newline> \n )
    | (?P<other> [^\#"'\[\]{}=\n]+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def _key_lines(text: str) -> Iterator[tuple[Keys, int]]:
    table: Keys = ()
    for statement, line, is_header in _statements(text):
        if is_header:
            table = keys = _path(statement.strip("[] \t\r"))
        else:
            keys = table + _path(statement)
        yield keys, line


def _statements(text: str) -> Iterator[tuple[str, int, bool]]:
    """Give the text before each ``=``, and each header with its brackets, with its line."""
    depth, line, start, in_value = 0, 1, 0, False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "opening":
            depth += 1
        elif kind == "closing":
            depth -= 1
        elif kind == "equals" and depth == 0 and not in_value:
            yield text[start : token.start()], line, False
            in_value = True
        elif kind in ("newline", "comment") and depth == 0:
            if not in_value and text[start : token.start()].strip():
                yield text[start : token.start()], line, True
            start, in_value = token.end(), kind == "comment"
            if kind == "newline":
                in_value = False
        line += token[0].count("\n")
    if not in_value and text[start:].strip():
        yield text[start:], line, True


def _path(keys: str) -> Keys:
    path: list[str] = []
    value: Any = tomllib.loads(f"{keys} = 0")
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path.append(key)
    return tuple(path)
