"""What a command line of ``mailsync`` asks for.  Pure.

Most command lines name an account and no more.  They are read here; what has options is read by
``mailsync_parser``, which knows them all and explains them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """What is asked for, as the options of mailsync(1) have it; ``names``: of an account and of mailboxes."""

    names: Sequence[str] = ()
    config: str | None = None
    dry_run: bool = False
    quiet: bool = False
    verbose: bool = False
    json: bool = False
    list: str | None = None
    diff: str | None = None
    accept_deletions: bool = False
    undo_deletions: bool = False
    dedupe: bool = False
    verify: bool = False
    written: Sequence[str] = ()  # store, mailbox, and file in it that somebody wrote into, with tabs between


def simply_asked(words: Sequence[str]) -> Asked | None:
    """Read names, perhaps behind ``--config FILE``, ``--quiet`` and ``--``; None if there is more."""
    rest = list(words)
    config, quiet = None, False
    while rest and rest[0] in ("--config", "--quiet"):
        if rest.pop(0) == "--quiet":
            quiet = True
        elif config is None and rest and not rest[0].startswith("-"):
            config = rest.pop(0)
        else:
            return None
    if rest[:1] == ["--"]:  # as the service writes it before names
        rest = rest[1:]
    if any(word.startswith("-") for word in rest):
        return None
    return Asked(rest, config=config, quiet=quiet)
