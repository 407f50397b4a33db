"""mailsync, the built-in synchroniser: ``mailsync [OPTION]... --config FILE -- MAILBOX...``.

Without names it syncs all mailboxes.  Names are canonical, one word each; nothing in them means anything
to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mswatch.account import Sync
from mswatch.syncers.words import words


def refusal(sync: Sync, own_name: str) -> str | None:
    """Return None: every mailbox can be named."""
    return None


def call_for_all(sync: Sync) -> tuple[bytes, ...]:
    """Return the call for all mailboxes."""
    return words((*sync.command, "--config", sync.target))


def call_for(sync: Sync, mailboxes: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the call for these mailboxes."""
    return (*call_for_all(sync), b"--", *mailboxes)


def probe(sync: Sync) -> tuple[str, ...]:
    """Return the call that looks at both stores and changes nothing."""
    return (*sync.command, "--config", sync.target, "--dry-run", "--quiet")
