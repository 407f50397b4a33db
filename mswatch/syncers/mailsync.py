"""mailsync, the built-in synchroniser: ``mailsync [OPTION]... --config FILE -- MAILBOX...``.

Without names it syncs all mailboxes.  Names are canonical, one word each; nothing in them means anything
to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from mswatch.account import Sync
from mswatch.syncers.words import Written, words

WRITTEN_LIMIT_BYTES = 64 << 10  # of more only the mailboxes are told


def refusal(sync: Sync, own_name: str) -> str | None:
    """Return None: every mailbox can be named."""
    return None


def call_for_all(sync: Sync) -> tuple[bytes, ...]:
    """Return the call for all mailboxes."""
    return words((*sync.command, "--config", sync.target))


def call_for(sync: Sync, mailboxes: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the call for these mailboxes."""
    return (*call_for_all(sync), b"--", *mailboxes)


def with_written(sync: Sync, call: Sequence[bytes], written: Sequence[Written]) -> tuple[bytes, ...]:
    """Return one of these calls that also tells of files which somebody wrote into (``--written``)."""
    told = [
        b"--written=" + b"\t".join(words((store, mailbox, file if _is_field(file) else "")))
        for store, mailbox, file in written
        if _is_field(mailbox)
    ]
    if sum(map(len, told)) > WRITTEN_LIMIT_BYTES:
        mailboxes = tuple(dict.fromkeys((store, mailbox, "") for store, mailbox, _ in written))
        return with_written(sync, call, mailboxes if len(mailboxes) < len(written) else ())
    begin = call_for_all(sync)
    return (*begin, *told, *call[len(begin) :])


def _is_field(text: str) -> bool:
    return "\t" not in text and "\0" not in text


def probe(sync: Sync) -> tuple[str, ...]:
    """Return the call that looks at both stores and changes nothing."""
    return (*sync.command, "--config", sync.target, "--dry-run", "--quiet")
