"""Reading what has to be compared: which new messages are one, and which pairs are what they seem.

What is not certain is not acted on.  Certain is what was read: both messages of a pair have the same bytes,
or we made one from the other.  Reading costs a transfer where a store is remote, so a run reads no more than
``Options.compare_limit`` bytes there: candidates that are alone with their header, and have the same size,
are then taken for one, and remembered as not compared.  Nothing is removed, moved or marked as deleted for
the sake of such a pair before its bytes were compared; what then turns out to be two messages is carried as
two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mswatch.mailsync import pairing
from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.options import Listener
from mswatch.mailsync.pairing import Candidates
from mswatch.mailsync.state import NOT_COMPARED, Compared, seen_on
from mswatch.mailsync.stores.contract import Content, Key, Mailbox, NotRead

T = TypeVar("T")

PORTION = (
    1000  # messages of a side that are compared together: bounds memory, and what a crash has to do again
)


@dataclass
class Budget:
    """How many bytes a run may still transfer to compare them."""

    left: int

    def take(self, size: int) -> bool:
        """Take so many bytes, if they are left."""
        if size > self.left:
            return False
        self.left -= size
        return True


@dataclass(frozen=True, slots=True)
class Pair:
    """Two messages that are one, and what was seen of their bytes."""

    near: Key
    far: Key
    compared: Compared


@dataclass(frozen=True, slots=True)
class KnownPair:
    """A pair that is remembered, by the number of its row, and what is known of its bytes."""

    number: int
    near: Key
    far: Key
    compared: Compared

    def key(self, side: Side) -> Key:
        """Return the key on a side."""
        return self.near if side == "near" else self.far


class Comparer:
    """Compares the messages of one mailbox in two stores, of which those on the sides ``remote`` are remote.

    ``unread`` are the messages that could not be read until now, by side.
    """

    def __init__(
        self, box: Callable[[Side], Mailbox], remote: Collection[Side], budget: Budget, listener: Listener
    ) -> None:
        self.unread: dict[Side, list[NotRead]] = {"near": [], "far": []}
        self._box = box
        self._remote = remote
        self._budget = budget
        self._listener = listener

    # New messages

    def meet(self, groups: Sequence[Candidates]) -> Iterator[tuple[list[Pair], list[Candidates]]]:
        """Give pairs, a portion at a time, and candidates that could not be decided (``unread``)."""
        for some in _portions(groups):
            yield self._meet(some)

    def _meet(self, groups: Sequence[Candidates]) -> tuple[list[Pair], list[Candidates]]:
        read: dict[Side, dict[Key, Content]] = {side: {} for side in SIDES}
        for side in SIDES:
            if side not in self._remote:
                read[side] = self.contents(side, _keys(groups, side))
        pairs = self._accepted(groups, read)
        taken = {pair.near for pair in pairs}
        doubtful = [group for group in groups if group.near[0] not in taken]
        for side in self._remote:
            read[side] = self.contents(side, _keys(doubtful, side))
        undecided = [
            group
            for group in doubtful
            if any(key not in read["near"] for key in group.near)
            or any(key not in read["far"] for key in group.far)
        ]
        for group in undecided:
            for side in SIDES:
                for key in group.on(side):
                    read[side].pop(key, None)
        digests = [
            {key: each.digest for key, each in read[side].items() if key not in taken} for side in SIDES
        ]
        for near, far in pairing.pair_by_content(*digests):
            pairs.append(Pair(near, far, Compared(digests[0][near], seen_on(*SIDES))))
        return pairs, undecided

    def _accepted(
        self, groups: Sequence[Candidates], read: Mapping[Side, Mapping[Key, Content]]
    ) -> list[Pair]:
        """Return the pairs that are taken for one by header and size, where reading them costs too much."""
        if not self._remote:
            return []
        sizes: dict[Side, Mapping[Key, int]] = {
            side: {key: each.size for key, each in read[side].items()}
            if side not in self._remote
            else self._box(side).sizes(_keys(groups, side))
            for side in SIDES
        }
        if self._budget.take(sum(sum(sizes[side].values()) for side in self._remote)):
            return []
        pairs = []
        for group in groups:
            near, far = group.near[0], group.far[0]
            if group.is_single and near in sizes["near"] and sizes["near"][near] == sizes["far"].get(far):
                compared = NOT_COMPARED
                for side in SIDES:
                    content = read[side].get(group.on(side)[0])
                    if content is not None:
                        compared = Compared(content.digest, seen_on(side))
                pairs.append(Pair(near, far, compared))
        return pairs

    # Known pairs

    def certain(self, pairs: Iterable[KnownPair], gone: Side) -> dict[int, Compared]:
        """Return those of these pairs, of which one message is gone, that are one message for certain."""
        found = {}
        to_read: dict[Key, KnownPair] = {}
        for pair in pairs:
            if pair.compared.is_certain:
                found[pair.number] = pair.compared
            elif pair.compared.is_of(gone) and not pair.compared.is_unseen:
                to_read[pair.key(other(gone))] = pair
        contents = self.contents(other(gone), list(to_read)) if to_read else {}
        for key, pair in to_read.items():
            if key in contents and contents[key].digest == pair.compared.content:
                found[pair.number] = Compared(pair.compared.content, seen_on(*SIDES))
        return found

    def compared(
        self, pairs: Sequence[KnownPair], sides: Collection[Side] = SIDES
    ) -> dict[int, Compared | None]:
        """Read what was not seen yet of pairs, on these sides; None for one that is two messages.

        Those that cannot be read are left out.
        """
        found: dict[int, Compared | None] = {}
        for some in _portions(pairs):
            read = {
                side: self.contents(side, [each.key(side) for each in some if not each.compared.is_of(side)])
                for side in sides
            }
            for pair in some:
                compared = self._seen(pair, read)
                if compared is None or compared != pair.compared:
                    found[pair.number] = compared
        return found

    def _seen(self, pair: KnownPair, read: Mapping[Side, Mapping[Key, Content]]) -> Compared | None:
        """Return what is known of a pair after some of its bytes were read; None: it is two messages."""
        compared = pair.compared
        for side, contents in read.items():
            content = contents.get(pair.key(side))
            if content is None:
                continue
            if compared.content not in (None, content.digest):
                return None
            compared = Compared(content.digest, compared.seen | seen_on(side))
        return compared

    def contents(self, side: Side, keys: Sequence[Key]) -> dict[Key, Content]:
        """Read messages of a side; what is gone is left out, and what cannot be read (``unread``)."""
        found = {}
        self._listener.expect(len(keys))
        for each in self._box(side).contents(keys) if keys else ():
            self._listener.advance()
            if isinstance(each, NotRead):
                self.unread[side].append(each)
            else:
                found[each.key] = each
        return found


def _keys(groups: Iterable[Candidates], side: Side) -> list[Key]:
    return [key for group in groups for key in group.on(side)]


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), PORTION):
        yield items[begin : begin + PORTION]
