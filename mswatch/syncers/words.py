"""Words of a command line as bytes, whatever the locale: the kernel passes bytes, and names may hold any."""

from __future__ import annotations

from collections.abc import Iterable

Written = tuple[str, str, str]  # store, mailbox and file that somebody wrote into; an empty file: any


def words(texts: Iterable[str]) -> tuple[bytes, ...]:
    """Return configured words as they are passed to a program."""
    return tuple(text.encode("utf-8", "surrogateescape") for text in texts)
