"""mbsync: ``mbsync [OPTION]... CHANNEL:BOX,BOX`` or ``mbsync [OPTION]... CHANNEL``.

mbsync(1), SYNOPSIS, and tried with 1.4.4: the first colon ends the channel, a comma or a newline ends a
box, an empty box is INBOX, and nothing can be escaped.  Everything else is literal, blanks, ``*``, ``{``
and ``"`` too.  A box is joined to the Path of a Maildir store as it is, so ``../x`` would be another
directory.
"""

from __future__ import annotations

from collections.abc import Sequence

from mswatch.account import Sync
from mswatch.syncers.words import words


def refusal(sync: Sync, own_name: str) -> str | None:
    """Tell why a box cannot be named in a call, if so."""
    if "," in own_name:  # the comma may also come from modified UTF-7: 台北 is &U,BTFw-
        return "holds a comma, which mbsync takes for the end of a name"
    levels = own_name.split("/")
    if any(level in ("", ".", "..") for level in levels):
        return "has a level that is a path and no name"
    if levels[0] != "INBOX" and levels[0].upper() == "INBOX":
        return "is INBOX in other letters, which mbsync refuses"
    return None


def call_for_all(sync: Sync) -> tuple[bytes, ...]:
    """Return the call for all mailboxes of the channel."""
    return words((*sync.command, sync.target))


def call_for(sync: Sync, boxes: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the call for these boxes."""
    (target,) = words([sync.target])
    return (*words(sync.command), target + b":" + b",".join(boxes))


def probe(sync: Sync) -> tuple[str, ...]:
    """Return the call that logs in and lists the mailboxes of the channel."""
    return (*sync.command, "--list", sync.target)
