"""Lists and differences: which mailboxes a store has, and what is different in them since both sides agreed.

Nothing is changed by looking, and only one store is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mswatch.errors import TemporaryError
from mswatch.mailsync import uses
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.flags import from_text
from mswatch.mailsync.options import Options
from mswatch.mailsync.state import MailboxRow, State
from mswatch.mailsync.stores.contract import Scan, Store


@dataclass(frozen=True)
class Difference:
    """How a mailbox differs from what is remembered of it; ``count`` messages are there."""

    count: int
    new: int = 0
    deleted: int = 0
    flags: int = 0  # messages whose flags are others


def listed(store: Store, options: Options, only: Collection[str] = ()) -> list[str]:
    """Return the mailboxes of an open store that are synced, as far as this store tells."""
    there = store.mailboxes()
    left_out = uses.told_now({}, there, options.skip_uses)
    return sorted(
        name for name in there if (not only or name in only) and options.wants(name) and name not in left_out
    )


def differences(
    store: Store, state: State, side: Side, options: Options, only: Collection[str] = ()
) -> Iterator[tuple[str, Difference | Exception]]:
    """Give each mailbox that is synced, there or remembered, by name; or why it cannot be looked at.

    The store is open.  A mailbox without a row is one that both sides never had.
    """
    there = store.mailboxes()
    rows = state.mailboxes()
    left_out: set[str] = set()
    for each in SIDES:
        told = uses.from_bytes(state.about(f"{each}_uses"))
        left_out.update(uses.told_now(told, there if each == side else {}, options.skip_uses))
    for name in sorted({*there, *rows}):
        if (only and name not in only) or not options.wants(name) or name in left_out:
            continue
        try:
            scan = _scan(store, name) if name in there else Scan(b"", None, True, {})
            yield name, difference(scan, state, rows.get(name), side)
        except (OSError, TemporaryError) as error:
            yield name, error


def _scan(store: Store, name: str) -> Scan:
    mailbox = store.open_mailbox(name)
    try:
        return mailbox.scan(None)
    finally:
        mailbox.close()


def difference(scan: Scan, state: State, row: MailboxRow | None, side: Side) -> Difference:
    """Compare what a mailbox holds with what is remembered of it."""
    present = dict(scan.present)
    deleted = changed = 0
    known = state.raw_rows(row) if row is not None and row.epoch(side) in (None, scan.epoch) else []
    for _, near, far, near_flags, far_flags in known:
        key, was = (near, near_flags) if side == "near" else (far, far_flags)
        if key is None:
            continue
        if key not in present:
            deleted += 1
        elif present.pop(key) != from_text(was or ""):
            changed += 1
    return Difference(len(scan.present), len(present), deleted, changed)
