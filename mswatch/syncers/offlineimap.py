"""OfflineIMAP: ``offlineimap -o -u quiet [OPTION]... -a ACCOUNT -f FOLDER,FOLDER``, or without ``-f``.

offlineimap(1), and tried with 8.0.0: ``-o`` ends after one pass, ``-u quiet`` prints errors only and asks
nothing; an ``-u`` among the configured options comes later and wins.  ``-a`` may list several accounts,
and each of them gets the same folders.  A folder that the server does not have is skipped in silence, or
an error if there is no other.

``-f`` is split at commas and pasted into a setting: ``%`` is an interpolation there and ends in a
traceback.  A name with ``"`` or a backslash is quoted wrongly towards the server, so that another mailbox
may be selected.
"""

from __future__ import annotations

from collections.abc import Sequence

from mswatch.account import Sync
from mswatch.syncers.words import words

_UNUSABLE = {
    ",": "a comma, which OfflineIMAP takes for the end of a name",
    "%": "%, which ends OfflineIMAP in a traceback",
    '"': 'a ", which OfflineIMAP does not quote',
    "\\": "a backslash, which OfflineIMAP does not quote",
}


def refusal(sync: Sync, own_name: str) -> str | None:
    """Tell why a folder cannot be named in a call, if so."""
    for character, why in _UNUSABLE.items():
        if character in own_name:
            return f"holds {why}"
    if any("\ud800" <= character <= "\udfff" for character in own_name):
        return "holds a byte that is no UTF-8, which OfflineIMAP finds in no name"
    return None


def call_for_all(sync: Sync) -> tuple[bytes, ...]:
    """Return the call for all folders of the account or accounts."""
    program, *options = sync.command
    return words((program, "-o", "-u", "quiet", *options, "-a", sync.target))


def call_for(sync: Sync, folders: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the call for these folders."""
    return (*call_for_all(sync), b"-f", b",".join(folders))


def probe(sync: Sync) -> tuple[str, ...]:
    """Return the call that logs in and lists the folders of both sides.

    It wants a ``remotehost`` even where a ``preauthtunnel`` makes that superfluous.  A dry run would be no
    better trial: it fails as long as a folder is missing on this side.
    """
    program, *options = sync.command
    return (program, "--info", "-u", "quiet", *options, "-a", sync.target)
