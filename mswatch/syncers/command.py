"""Any command, by the interface of the old mswatch: one argument for each mailbox.

Without ``mailbox_prefix`` a mailbox is its name, and all mailboxes are one empty argument; with the
prefix P and the separator S a mailbox is PSM in one word, and all mailboxes are P alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from mswatch.account import Sync
from mswatch.syncers.words import words


def _prefix(sync: Sync) -> str:
    return "".join(sync.mailbox_prefix or ())


def refusal(sync: Sync, own_name: str) -> str | None:
    """Tell why a mailbox cannot be named in a call, if so."""
    if not _prefix(sync) and own_name.startswith("-"):
        return 'starts with "-", which the command may take for an option'
    return None


def call_for_all(sync: Sync) -> tuple[bytes, ...]:
    """Return the call for all mailboxes."""
    everything = sync.mailbox_prefix[0] if sync.mailbox_prefix else ""
    return words((*sync.command, everything))


def call_for(sync: Sync, mailboxes: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the call for these mailboxes."""
    (prefix,) = words([_prefix(sync)])
    return (*words(sync.command), *(prefix + mailbox for mailbox in mailboxes))


def probe(sync: Sync) -> None:
    """Return no call: what a command does when it is called without purpose is unknown."""
