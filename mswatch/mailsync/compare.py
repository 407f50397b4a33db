"""What is different in a mailbox: two scans against the rows of the state.  Pure.

The loop over all rows is the one place whose cost grows with the size of a mailbox rather than with what
changed, so it does little for a row without a change: two look-ups and two comparisons.  And all flags of a
large mailbox may change at once: of a message that both sides still have only the number of its row is kept,
and it is seen again when its turn comes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.flags import NONE, Flags, from_text
from mswatch.mailsync.state import DamagedError, RawRow, Row
from mswatch.mailsync.stores.contract import Key, Scan


@dataclass(slots=True)
class Seen:
    """One side of a row: the flags now (None: gone) and whether that is news."""

    row: Row
    near: Flags | None
    far: Flags | None


class New(Mapping[Key, Flags]):
    """The messages of a scan without those of rows.  Of them those that found a partner are taken out."""

    def __init__(self, present: Mapping[Key, Flags | None], known: set[Key]) -> None:
        # Most often all of them are new, or next to none.
        self._present = {key: present[key] for key in present if key not in known} if known else present
        self._out: set[Key] = set()

    def __getitem__(self, key: Key) -> Flags:
        if key in self._out:
            raise KeyError(key)
        return self._present[key] or NONE

    def __contains__(self, key: object) -> bool:
        return key in self._present and key not in self._out

    def __iter__(self) -> Iterator[Key]:
        return iter(self._present) if not self._out else (k for k in self._present if k not in self._out)

    def __len__(self) -> int:
        return len(self._present) - len(self._out)

    def take_out(self, key: Key) -> None:
        """Have it be new no more; nothing if it is not."""
        if key in self._present:
            self._out.add(key)


def _numbers() -> array[int]:
    return array("q")


@dataclass
class Difference:
    """What is different: rows that a side has no more by number, and messages without a row by side.

    ``flagged`` are the numbers of other rows, whose flags are news; ``told`` those of rows without news that
    a scan told of all the same, with what stands for their flags now.
    """

    rows: dict[int, Seen] = field(default_factory=dict)
    new: dict[Side, New] = field(default_factory=dict)
    flagged: array[int] = field(default_factory=_numbers)
    told: array[int] = field(default_factory=_numbers)

    def gone(self, side: Side) -> list[Key]:
        """Return the keys that a side had and a scan did not find."""
        return list(self.gone_rows(side).values())

    def gone_rows(self, side: Side) -> dict[int, Key]:
        """Return them by the number of their row."""
        found = {}
        for number, seen in self.rows.items():
            key, now = (seen.row.near, seen.near) if side == "near" else (seen.row.far, seen.far)
            if key is not None and now is None:
                found[number] = key
        return found

    def keep(self, side: Side, keys: set[Key]) -> None:
        """Take back that these messages are gone: nothing is certain about them."""
        for seen in self.rows.values():
            if side == "near" and seen.row.near in keys:
                seen.near = seen.row.near_flags
            elif side == "far" and seen.row.far in keys:
                seen.far = seen.row.far_flags


def compare(raw_rows: Iterable[RawRow], scans: dict[Side, Scan]) -> Difference:
    """Compare what both sides hold with what they agreed on."""
    difference = Difference()
    near, far = (_Side(scans[side]) for side in SIDES)
    learns = near.learns or far.learns
    for raw in raw_rows:
        number, near_key, far_key, near_text, far_text = raw
        near_was = None if near_text is None else from_text(near_text)
        far_was = None if far_text is None else from_text(far_text)
        near_now = near_was if near_key is None or near.quiet else near.take(near_key, near_was)
        far_now = far_was if far_key is None or far.quiet else far.take(far_key, far_was)
        if None in (near_key, far_key, near_now, far_now):
            row = Row(number, near_key, far_key, near_was, far_was)
            difference.rows[number] = Seen(row, near_now, far_now)
        elif near_now != near_was or far_now != far_was:
            difference.flagged.append(number)
        elif learns and (near_key in near.stamps or far_key in far.stamps):
            difference.told.append(number)
    difference.new = {"near": near.rest(), "far": far.rest()}
    return difference


def seen_again(row: Row, scans: Mapping[Side, Scan]) -> Seen:
    """See a row that both sides still have as ``compare`` saw it."""
    near = row.near_flags if row.near is None else scans["near"].present.get(row.near)
    far = row.far_flags if row.far is None else scans["far"].present.get(row.far)
    return Seen(row, row.near_flags if near is None else near, row.far_flags if far is None else far)


class _Side:
    """The messages of one scan, each taken once; what is left is new."""

    def __init__(self, scan: Scan) -> None:
        self._present = scan.present
        self._taken: set[Key] = set()
        self._vanished = set(scan.vanished)
        self._complete = scan.complete
        self.stamps = scan.stamps
        self.learns = bool(scan.stamps) and not scan.complete
        self.quiet = not (scan.complete or scan.present or scan.vanished)

    def take(self, key: Key, was: Flags | None) -> Flags | None:
        """Return the flags of a known message now; None if it is gone.

        Raises:
            DamagedError: It is known twice.  One of both would look gone, and be removed on the other side.
        """
        if key in self._taken:
            raise DamagedError(f"two messages are known as {key!r}")
        if key in self._present:
            self._taken.add(key)
            now = self._present[key]
            return was if now is None else now
        return None if self._complete or key in self._vanished else was

    def rest(self) -> New:
        """Return the messages that nobody asked for."""
        return New(self._present, self._taken)
