"""What the old program remembered becomes what this one remembers; once, before the first run.

An id that ``msinfo`` has, and that both sides have, is a pair that is known; one that only one side has was
deleted on the other one since, and is remembered under a key that no message has, so that the engine finds it
deleted, with all its care for large deletions.  So nothing comes back, and nothing is lost.  Everything else
meets as for the first time.  Until a run has come to its end and believed what it saw, the next one forgets
all of this and does it anew: what is missing may come back under its own key.

``msinfo`` itself is left as it is: after each run of this program both sides agree, and then an old memory
does no harm to who goes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from mswatch.mailsync import pairing
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.flags import NONE, Flags
from mswatch.mailsync.state import CARRIED, NOT_COMPARED, Compared, NewRow, State
from mswatch.mailsync.stores.contract import Key, Mailbox, Message, NotRead, Store
from mswatch.oldmailsync import msinfo
from mswatch.oldmailsync.msinfo import Memory

# What was deleted before the switch is gone, and cannot be compared any more: that both were one message is
# what the old program went by, and whoever switches has it take effect.
ON_ITS_WORD = Compared(b"", CARRIED)
LARGEST = 64 << 20  # bytes of a message of msinfo; an id has less than a hundred
MARK, BEGUN, DONE = "taken_over", b"begun", b"done"  # in the state
_HIGHEST = 2**32 - 1  # no server gets so far with its UIDs, and no file is called so


def read_memory(store: Store, channel: str) -> Memory | None:
    """Return what the old program remembers of a channel in the only mailbox of a store; None: nothing.

    Raises:
        MailboxError, UnavailableError, OSError: It cannot be read.
    """
    for name in store.mailboxes() if store.open() else ():
        opened = store.open_mailbox(name)
        try:
            body = msinfo.of_channel(_messages(opened), channel)
        finally:
            opened.close()
        return None if body is None else msinfo.memory(body)
    return None


def _messages(mailbox: Mailbox) -> Iterator[tuple[bytes, bytes]]:
    for each in mailbox.read(list(mailbox.scan(None).present), LARGEST):
        if isinstance(each, Message):
            text = b"".join(each.chunks).replace(b"\r\n", b"\n")
            header, _, body = text.partition(b"\n\n")
            yield header + b"\n", body


@dataclass(frozen=True)
class _Known:
    key: Key
    flags: Flags
    digest: bytes


@dataclass(frozen=True)
class _Box:
    epoch: bytes = b""
    by_id: dict[str, _Known] = field(default_factory=dict)


def take_over(stores: Mapping[Side, Store], state: State, memory: Memory) -> int:
    """Write what the old program remembered into an empty state; return how many messages that were."""
    listed = {side: store.mailboxes() if store.open() else {} for side, store in stores.items()}
    absent = count(_HIGHEST, -1)
    taken = 0
    with state.transaction():
        state.set_about(MARK, BEGUN)
        for name, remembered in sorted(memory.items()):
            near, far = (_look(stores[side], name) if name in listed[side] else _Box() for side in SIDES)
            rows = list(_rows(near, far, sorted(remembered), absent))
            row = state.add_mailbox(name)
            state.save_mailbox(replace(row, near_epoch=near.epoch, far_epoch=far.epoch))
            state.add_rows(row, rows)
            taken += len(rows)
    return taken


def is_due(state: State) -> bool:
    """Tell whether there was no run yet that came to its end; what one that did not has left is forgotten."""
    if state.about(MARK) == BEGUN:
        pair = state.about("pair")
        state.forget_everything()
        state.set_about("pair", pair)
    return not state.about(MARK) and not state.mailboxes()


def finish(state: State) -> None:
    """Take note that what the old program remembered is of no more use."""
    if state.about(MARK) != DONE:
        with state.transaction():
            state.set_about(MARK, DONE)


def _rows(near: _Box, far: _Box, remembered: Sequence[str], absent: Iterator[int]) -> Iterator[NewRow]:
    taken: set[tuple[Side, Key]] = set()  # a message may be remembered by both its ids
    for each in remembered:
        here, there = near.by_id.get(each), far.by_id.get(each)
        known = here or there
        keys: set[tuple[Side, Key]] = set()
        if here is not None:
            keys.add(("near", here.key))
        if there is not None:
            keys.add(("far", there.key))
        if known is None or keys & taken:
            continue
        taken |= keys
        compared = NOT_COMPARED if here is not None and there is not None else ON_ITS_WORD
        gone = _Known(b"%d" % next(absent), known.flags, known.digest)
        here, there = here or gone, there or gone
        row = NewRow(here.key, there.key, here.flags, there.flags, known.digest)
        yield replace(row, content=compared.content, seen=compared.seen)


def _look(store: Store, name: str) -> _Box:
    """Return what a mailbox holds, by both ids; of doubles the first."""
    mailbox = store.open_mailbox(name)
    try:
        scan = mailbox.scan(None)
        box = _Box(scan.epoch)
        for each in mailbox.headers(sorted(scan.present)):
            if not isinstance(each, NotRead):
                known = _Known(each[0], scan.present[each[0]] or NONE, pairing.header_digest(each[1]))
                for its_id in filter(None, msinfo.ids(each[1])):
                    box.by_id.setdefault(its_id, known)
        return box
    finally:
        mailbox.close()
