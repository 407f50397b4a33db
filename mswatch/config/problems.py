"""Everything that is wrong with one file, gathered so that a person is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from mswatch.errors import ConfigError
from mswatch.showing import show


class Problems:
    """The problems found so far, each a complete line: FILE:LINE: what is wrong."""

    def __init__(self, source: Path) -> None:
        self._source = show(str(source))
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, message: str) -> None:
        """Take down one problem; line 0 means that no line can be blamed."""
        place = f"{self._source}:{line}" if line else self._source
        self._found.append((line, f"{place}: {message}"))

    def raise_if_any(self) -> None:
        """Raise ConfigError with all problems in the order of their lines, if there are any."""
        if self._found:
            raise ConfigError([message for _, message in sorted(self._found, key=lambda found: found[0])])


def nearest(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean "WORD"?' for the known word most like this one, or nothing."""
    close = difflib.get_close_matches(word[:100], list(known), n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
