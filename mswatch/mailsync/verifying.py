"""Both sides compared by content: whether each pair is one message, whatever is remembered of it.

Nothing is changed in either store.  What was compared is remembered after each portion, so that a
verification which is broken off goes on where it was; it is over when all mailboxes that were asked for are
through.

    seen                                        remembered           then
    the same bytes                              compared             -
    other bytes, and never compared             two messages         the next run carries both
    other bytes, and they were one message      as before            told: one of them was changed since
    one of them is gone or cannot be read       as before            the next run sees to it
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mswatch.errors import TemporaryError, UnavailableError
from mswatch.mailsync.boxes import Boxes
from mswatch.mailsync.comparing import Budget, Comparer, KnownPair
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.looking import Difference, difference
from mswatch.mailsync.options import Listener, Options
from mswatch.mailsync.state import CARRIED, Compared, MailboxRow, State, seen_on
from mswatch.mailsync.stores.contract import Key, NotRead, Seen, Store

PORTION = 500  # pairs: what a broken verification does again
DIFFERING_SHOWN = 1000  # of a mailbox; more are counted


@dataclass(frozen=True)
class Differing:
    """A pair whose messages have other bytes.

    ``changed`` are the sides where a message is not what both once were; empty: they are two messages.
    """

    near: Key
    far: Key
    changed: tuple[Side, ...]
    subject: str


@dataclass
class Verified:
    """What was found out about a mailbox."""

    pairs: int = 0
    differing: list[Differing] = field(default_factory=list)
    more_differing: int = 0
    not_read: list[str] = field(default_factory=list)
    sides: dict[Side, Difference] = field(default_factory=dict)  # beside what both have

    @property
    def is_equal(self) -> bool:
        """Whether all of it was compared, and nothing differs but flags."""
        alone = any(side.new or side.deleted for side in self.sides.values())
        return not (self.differing or self.not_read or alone)


class Verification:
    """Compares two stores."""

    def __init__(self, near: Store, far: Store, state: State, options: Options, listener: Listener) -> None:
        self._stores: dict[Side, Store] = {"near": near, "far": far}
        self._boxes = Boxes(near, far)
        self._state = state
        self._options = options
        self._listener = listener

    def run(self, only: Collection[str] = ()) -> Iterator[tuple[str, Verified | Exception]]:
        """Give each mailbox that both sides have, when it is through, or why it cannot be compared.

        Raises:
            UnavailableError: A store is not there.
            TemporaryError: It cannot be reached any more.
        """
        try:
            yield from self._run(only)
        finally:
            self._boxes.close()
            for store in self._stores.values():
                store.close()

    def _run(self, only: Collection[str]) -> Iterator[tuple[str, Verified | Exception]]:
        for side, store in self._stores.items():
            store.recall(self._state.about(f"{side}_remark"))
            if not store.open():
                raise UnavailableError(f"store {store.name} is not there", "make it, or mount it")
        listed = {side: store.mailboxes(only or None) for side, store in self._stores.items()}
        rows = [
            row
            for name, row in self._state.mailboxes().items()
            if all(name in listed[side] for side in SIDES)
            and (not only or name in only)
            and self._options.wants(name)
        ]
        through = []
        for row in rows:
            if self._state.verified_to(row) is None:
                through.append(row)
                continue
            try:
                yield row.name, self._verify(row, {side: listed[side][row.name] for side in SIDES})
                through.append(row)
            except (OSError, TemporaryError) as error:
                yield row.name, error
                self._boxes.close()
                for store in self._stores.values():
                    store.mend()
        if len(through) == len(rows):
            with self._state.transaction():
                for row in rows:
                    self._state.note_verified(row, 0)

    def _verify(self, row: MailboxRow, seen: dict[Side, Seen]) -> Verified:
        verified = Verified()
        for side in SIDES:
            scan = self._boxes.get(side, row.name).scan(None)
            if row.epoch(side) not in (None, scan.epoch):
                raise TemporaryError("it was made anew since the last run", "sync it first")
            verified.sides[side] = difference(scan, self._state, row, side)
        after = self._state.verified_to(row) or 0
        is_torn = False
        while pairs := [KnownPair(*each) for each in self._state.pairs(row, after=after, most=PORTION)]:
            found = self._compare(row, pairs, verified)
            torn = [number for number, compared in found.items() if compared is None]
            after = pairs[-1].number
            with self._state.transaction():
                self._state.note_compared({n: each for n, each in found.items() if each is not None})
                self._state.drop_rows(torn)
                if torn and not is_torn:  # at once: the verification may be broken off
                    self._state.save_mailbox(replace(row, near_mark=None, far_mark=None))
                self._state.note_verified(row, after)
            is_torn = is_torn or bool(torn)
        with self._state.transaction():
            self._state.note_verified(row, None)
        return verified

    def _compare(
        self, row: MailboxRow, pairs: Sequence[KnownPair], verified: Verified
    ) -> dict[int, Compared | None]:
        """Read pairs; return what is known of them now, None for two messages; note what differs."""
        comparer = Comparer(lambda side: self._boxes.get(side, row.name), SIDES, Budget(0), self._listener)
        read = {side: comparer.contents(side, [pair.key(side) for pair in pairs]) for side in SIDES}
        verified.not_read += [
            each.reason for side in SIDES for each in comparer.unread[side] if not each.lasting
        ]
        found: dict[int, Compared | None] = {}
        differing = []
        for pair in pairs:
            now = {side: read[side].get(pair.key(side)) for side in SIDES}
            near, far, was = now["near"], now["far"], pair.compared
            if near is None or far is None:
                continue
            verified.pairs += 1
            if near.digest == far.digest:
                found[pair.number] = Compared(near.digest, (was.seen & CARRIED) | seen_on(*SIDES))
                continue
            changed = tuple(side for side in SIDES if (near if side == "near" else far).digest != was.content)
            if not was.is_certain:
                found[pair.number] = None
            differing.append((pair, changed if was.is_certain else ()))
        self._note_differing(row, differing, verified)
        return found

    def _note_differing(
        self, row: MailboxRow, differing: Sequence[tuple[KnownPair, tuple[Side, ...]]], verified: Verified
    ) -> None:
        room = max(0, DIFFERING_SHOWN - len(verified.differing))
        verified.more_differing += len(differing[room:])
        shown = differing[:room]
        headers = dict(
            each
            for each in (
                self._boxes.get("near", row.name).headers([p.near for p, _ in shown]) if shown else ()
            )
            if not isinstance(each, NotRead)
        )
        for pair, changed in shown:
            subject = _subject(headers.get(pair.near, b""))
            verified.differing.append(Differing(pair.near, pair.far, changed, subject))


def _subject(header: bytes) -> str:
    """Return the subject in a header as it stands there, for a person to find the message by."""
    for line in header.split(b"\n"):
        if line[:8].lower() == b"subject:":
            return line[8:].decode("utf-8", "replace").strip()
    return ""
