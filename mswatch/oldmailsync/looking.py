"""Lists and differences: what is in a mailbox, and what of it is new since both sides last agreed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mswatch.mailsync.decide import Side
from mswatch.mailsync.state import State
from mswatch.mailsync.stores.contract import Key, NotRead, Store
from mswatch.oldmailsync import msinfo
from mswatch.oldmailsync.msinfo import Memory
from mswatch.oldmailsync.options import Method
from mswatch.oldmailsync.report import Difference, Entry, columns


@dataclass(frozen=True)
class Known:
    """What is remembered of a mailbox: keys by this program, ids by the old one."""

    keys: Collection[Key] = ()
    ids: Collection[str] = ()


def remembered(state: State, side: Side) -> dict[str, Known]:
    """Return what a state has of the mailboxes of a side."""
    found = {}
    for name, row in state.mailboxes().items():
        keys = (
            each.near if side == "near" else each.far for each in state.rows(row) if each.near and each.far
        )
        found[name] = Known(keys=frozenset(key for key in keys if key is not None))
    return found


def remembered_by_the_old(memory: Memory) -> dict[str, Known]:
    """Return what the old program had."""
    return {name: Known(ids=ids) for name, ids in memory.items()}


def entries(store: Store, name: str, method: Method) -> list[Entry]:
    """Return the messages of a mailbox; a double has an id that was there before."""
    seen = set()
    found = []
    for _, header in _headers(store, name):
        its_id = _id(header, method)
        found.append(Entry(its_id.removeprefix("md5:"), columns(header), bool(its_id) and its_id in seen))
        seen.add(its_id)
    return found


def difference(store: Store, name: str, known: Known, method: Method) -> Difference:
    """Return how a mailbox that is there differs from what is remembered."""
    by_id: dict[object, list[Key]] = {}
    all_ids: set[str] = set()
    old: set[object] = set()
    doubles = 0
    for key, header in _headers(store, name):
        ids = set(filter(None, msinfo.ids(header)))
        which = _id(header, method) or key
        doubles += which in by_id
        by_id.setdefault(which, []).append(key)
        if key in known.keys or not ids.isdisjoint(known.ids):
            old.add(which)
        all_ids |= ids
    keys = {key for each in by_id.values() for key in each}
    gone = len(set(known.keys) - keys) + len(set(known.ids) - all_ids)
    return Difference(len(by_id), doubles, len(by_id) - len(old), gone)


def _headers(store: Store, name: str) -> list[tuple[Key, bytes]]:
    mailbox = store.open_mailbox(name)
    try:
        keys = list(mailbox.scan(None).present)
        headers = dict(each for each in mailbox.headers(keys) if not isinstance(each, NotRead))
        return [(key, headers[key]) for key in keys if key in headers]
    finally:
        mailbox.close()


def _id(header: bytes, method: Method) -> str:
    return msinfo.ids(header)[0 if method == "msgid" else 1]
