"""Messages of several mailboxes that are on their way, and arrive together.

What bringing messages to the disk costs hardly depends on how many they are.  So where a store can do it in
two steps (``Mailbox.prepare``, ``Store.deliver``), the batches of small mailboxes wait for each other, until
they are as many messages as one large batch.  What is true of each of them stays true: its intention is
written down before the first of its messages is, its rows after the store reported them.  A batch that waits
looks like one that was cut off while it was written, and is resumed like that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from mswatch.errors import TemporaryError
from mswatch.mailsync import pairing
from mswatch.mailsync.boxes import Boxes
from mswatch.mailsync.content import Digesting
from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.flags import Flags
from mswatch.mailsync.options import Listener
from mswatch.mailsync.state import CARRIED, MailboxRow, NewRow, State, seen_on
from mswatch.mailsync.stores.contract import Added, Key, Message, NotAdded, NotRead, Prepared, Stamp

BATCH = 4096  # messages that are under way at once: bounds memory, and what a crash has to do again


@dataclass
class Batch:
    """Messages of one mailbox on their way to a side, and what has to be remembered when they have arrived.

    Attributes:
        stamp_of: What stands for a message's flags where it comes from, if it still has these flags.
        answered: Who is told what the store says of each.
        on_the_way: By key where they come from: flags, digest of the header, stamp, and what passes by.
        came: Of which messages anything was heard where they come from.
        unseen: How rows say that a store only claims to have them: nobody has looked (``UNSEEN``).
    """

    row: MailboxRow
    to: Side
    intended: dict[Key, Key]
    stamp_of: Callable[[Key, Flags], Stamp | None]
    answered: Callable[[Side, Added | NotAdded], None]
    listener: Listener
    unseen: int = 0
    on_the_way: dict[Key, tuple[Flags, bytes, Stamp | None, Digesting]] = field(default_factory=dict)
    came: set[Key] = field(default_factory=set)
    not_read: list[NotRead] = field(default_factory=list)
    rows: list[NewRow] = field(default_factory=list)
    prepared: Prepared | None = None

    def messages(self, read: Iterator[Message | NotRead]) -> Iterator[Message]:
        """Give the messages that were read, taking note of each."""
        for each in read:
            self.listener.advance()  # not only when a batch has arrived: that may take minutes
            self.came.add(each.key)
            if isinstance(each, NotRead):
                self.not_read.append(each)
                continue
            first = next(each.chunks, b"")
            digest = pairing.header_digest(pairing.header_of(first))
            passing = Digesting(chain((first,), each.chunks))
            stamp = self.stamp_of(each.key, each.flags)
            self.on_the_way[each.key] = (each.flags, digest, stamp, passing)
            yield Message(
                *(each.key, each.flags, each.date_ns, each.size, iter(passing), each.exact),
                self.intended.get(each.key),
            )

    def take(self, answer: Added | NotAdded) -> None:
        """Take note of what the store says of a message."""
        self.listener.advance(0)
        if isinstance(answer, Added):
            flags, digest, stamp, passed = self.on_the_way.pop(answer.source)
            keys, held, stamps = (answer.source, answer.key), (flags, answer.flags), (stamp, answer.stamp)
            if self.to == "near":
                keys, held, stamps = keys[::-1], held[::-1], stamps[::-1]
            seen = CARRIED | seen_on(other(self.to)) | self.unseen
            row = NewRow(*keys, *held, digest, *stamps, passed.digest, seen)
            self.rows.append(row)
        self.answered(self.to, answer)


class Arrivals:
    """The batches that are written, and wait."""

    def __init__(self, boxes: Boxes, state: State, failed: Callable[[Exception, list[str]], None]) -> None:
        self._boxes = boxes
        self._state = state
        self._failed = failed
        self._waiting: list[Batch] = []

    def wait(self, batch: Batch) -> None:
        """Have a batch wait; deliver all that wait if they are many."""
        self._waiting.append(batch)
        if sum(len(each.on_the_way) for each in self._waiting) >= BATCH:
            failure = self.deliver()
            if failure is not None:
                raise failure

    def deliver(self) -> Exception | None:
        """Deliver all that wait; mailboxes of which something failed keep their intentions.

        Returns:
            The last failure, which was told already.
        """
        waiting, self._waiting = self._waiting, []
        failure: Exception | None = None
        failed: set[tuple[int, Side]] = set()
        for side in SIDES:
            group = [batch for batch in waiting if batch.to == side]
            try:
                self._deliver(side, group)
            except (TemporaryError, OSError) as error:
                failure = error
                failed |= {(batch.row.id, side) for batch in group}
                self._failed(error, [batch.row.name for batch in group])
        if waiting:
            with self._state.transaction():
                for batch in waiting:
                    self._state.add_rows(batch.row, batch.rows)
                    is_part = batch.prepared is not None and batch.prepared.is_part
                    if not is_part and (batch.row.id, batch.to) not in failed:
                        self._state.drop_intentions(batch.row, batch.to)
        return failure

    def _deliver(self, side: Side, group: list[Batch]) -> None:
        prepared = [batch.prepared for batch in group if batch.prepared is not None]
        for number, answer in self._boxes.store(side).deliver(prepared) if prepared else ():
            group[number].take(answer)
