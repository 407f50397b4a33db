"""From mailboxes to calls of the syncer; its kinds differ in a table of functions.

Whatever cannot be said exactly makes the whole run one for all mailboxes: that is slower but never wrong,
and a note says which mailbox was the cause.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mswatch import names
from mswatch.account import Sync, SyncKind
from mswatch.showing import show
from mswatch.syncers import command, mailsync, mbsync, offlineimap
from mswatch.syncers.words import Written

Call = tuple[bytes, ...]

WORD_LIMIT_BYTES = 128 * 1024  # MAX_ARG_STRLEN of Linux, with the NUL at the end; see execve(2)
CALL_LIMIT_BYTES = (
    512 * 1024
)  # all words; below a quarter of the usual stack limit, with room for the environment
POINTER_BYTES = 8
CALLS_LIMIT = 8  # more calls than this cost more than one for all mailboxes


@dataclass(frozen=True)
class Plan:
    """What to start, one after the other.  ``everything``: the calls are for all mailboxes."""

    calls: tuple[Call, ...]
    everything: bool
    notes: tuple[str, ...] = ()  # why it became everything, one line each, fit for printing


@dataclass(frozen=True)
class Kind:
    """One kind of syncer."""

    refusal: Callable[[Sync, str], str | None]  # why this own name cannot be passed on
    call_for_all: Callable[[Sync], Call]
    call_for: Callable[[Sync, Sequence[bytes]], Call]
    probe: Callable[[Sync], tuple[str, ...] | None]
    with_written: Callable[[Sync, Call, Sequence[Written]], Call] | None = None  # who wants to hear of it


KINDS: dict[SyncKind, Kind] = {
    "mailsync": Kind(
        *(mailsync.refusal, mailsync.call_for_all, mailsync.call_for, mailsync.probe),
        with_written=mailsync.with_written,
    ),
    "mbsync": Kind(mbsync.refusal, mbsync.call_for_all, mbsync.call_for, mbsync.probe),
    "offlineimap": Kind(
        offlineimap.refusal, offlineimap.call_for_all, offlineimap.call_for, offlineimap.probe
    ),
    "command": Kind(command.refusal, command.call_for_all, command.call_for, command.probe),
}


def plan(
    sync: Sync,
    mailboxes: Sequence[str] | None,
    limit_bytes: int = CALL_LIMIT_BYTES,
    written: Sequence[Written] = (),
) -> Plan:
    """Decide how the syncer is called.

    Args:
        sync: What is configured.
        mailboxes: Canonical names; None for all mailboxes.
        limit_bytes: How long all words of one call may be together, as the kernel counts.
        written: Files that somebody wrote into, for a syncer that wants to hear of them.
    """
    kind = KINDS[sync.kind]
    planned = _plan(kind, sync, mailboxes, limit_bytes)
    tell = kind.with_written
    if not written or tell is None:
        return planned
    return replace(planned, calls=tuple(tell(sync, call, written) for call in planned.calls))


def _plan(kind: Kind, sync: Sync, mailboxes: Sequence[str] | None, limit_bytes: int) -> Plan:
    if mailboxes is None or not sync.by_mailbox:
        return _everything(kind, sync)
    named = {mailbox: _argument(kind, sync, mailbox) for mailbox in mailboxes}
    notes = tuple(f'mailbox "{show(mailbox)}": {why}' for mailbox, (_, why) in named.items() if why)
    if notes:
        return _everything(kind, sync, notes)
    arguments = sorted({argument for argument, _ in named.values()})
    calls = _calls(kind, sync, arguments, limit_bytes)
    if calls is None:
        return _everything(kind, sync, (f"the names of {len(arguments)} mailboxes are too long for a call",))
    if len(calls) > CALLS_LIMIT:
        return _everything(kind, sync, (f"{len(arguments)} mailboxes would take {len(calls)} calls",))
    return Plan(tuple(calls), everything=False)


def probe(sync: Sync) -> tuple[str, ...] | None:
    """Return a call that succeeds if the syncer works and changes no mail; None if none is known."""
    return KINDS[sync.kind].probe(sync)


def _everything(kind: Kind, sync: Sync, notes: tuple[str, ...] = ()) -> Plan:
    return Plan((kind.call_for_all(sync),), everything=True, notes=notes)


def _argument(kind: Kind, sync: Sync, mailbox: str) -> tuple[bytes, str | None]:
    """Return a mailbox as the syncer is told it, or why that cannot be."""
    own_name = names.own(mailbox, sync.names)
    if own_name is None:
        return b"", f'has no name where "{sync.names.separator}" separates levels'
    if own_name == "":
        return b"", "the empty name would mean another mailbox or all"
    if any(unicodedata.category(character) == "Cc" for character in own_name):
        return b"", "holds a control character"
    why = kind.refusal(sync, own_name)
    if why:
        return b"", why
    try:
        return own_name.encode("utf-8", "surrogateescape"), None
    except UnicodeEncodeError:
        return b"", "holds half a character"


def _calls(kind: Kind, sync: Sync, arguments: Sequence[bytes], limit_bytes: int) -> list[Call] | None:
    """Halve the list until each call fits; None if a single mailbox does not."""
    if not arguments:
        return []
    call = kind.call_for(sync, arguments)
    if _fits(call, limit_bytes):
        return [call]
    if len(arguments) == 1:
        return None
    middle = len(arguments) // 2
    first = _calls(kind, sync, arguments[:middle], limit_bytes)
    second = _calls(kind, sync, arguments[middle:], limit_bytes)
    return None if first is None or second is None else first + second


def _fits(call: Call, limit_bytes: int) -> bool:
    sizes = [len(word) + 1 for word in call]
    return max(sizes) <= WORD_LIMIT_BYTES and sum(sizes) + POINTER_BYTES * len(sizes) <= limit_bytes
