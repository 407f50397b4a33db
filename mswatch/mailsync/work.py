"""One mailbox in one run: look, bring over what is new, agree on flags, remove, remember.

The engine calls the steps in this order, for all mailboxes what adds before anything that removes, so
that a message on its way from one mailbox to another one is in two rather than in none.

What is written down when (see ``state`` for the reason):

    intention         before a message is added, with the key it shall have
    row               after the store reported the message, its intention goes in the same transaction
    flags in a row    after the store reported which it has
    no row any more   after the store reported the removal
    marks             when nothing of the mailbox is left to do
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

from mswatch.errors import TemporaryError
from mswatch.mailsync import copies, pairing
from mswatch.mailsync.arriving import BATCH, Arrivals, Batch
from mswatch.mailsync.boxes import Boxes
from mswatch.mailsync.compare import Difference, New, Seen, compare, seen_again
from mswatch.mailsync.comparing import Budget, Comparer, KnownPair, Pair
from mswatch.mailsync.copies import Held
from mswatch.mailsync.decide import (
    SIDES,
    Action,
    Agree,
    Base,
    Bury,
    Copy,
    Forget,
    Remove,
    Side,
    decide,
    is_copied,
    other,
)
from mswatch.mailsync.flags import DELETED, NONE, FlagChange, Flags, united
from mswatch.mailsync.options import (
    COPIED,
    FLAGGED,
    LEFT,
    MADE,
    MARKED,
    REMOVED,
    TRASHED,
    Done,
    Listener,
    Options,
    Outcome,
)
from mswatch.mailsync.safety import judge_mailbox
from mswatch.mailsync.state import (
    CARRIED,
    Agreed,
    Compared,
    DamagedError,
    HeldBy,
    Intention,
    MailboxRow,
    NewRow,
    RawRow,
    Row,
    State,
    seen_on,
    unseen_on,
)
from mswatch.mailsync.stores import contract
from mswatch.mailsync.stores.contract import (
    Added,
    Content,
    Expected,
    Key,
    Mailbox,
    MailboxError,
    Message,
    NotAdded,
    NotRead,
    Prepared,
    Scan,
    Stamp,
)
from mswatch.showing import show

T = TypeVar("T")

NOTHING = Scan(b"", None, True, {})
EDITED = (
    b"/edited"  # of the key of what a message was before somebody wrote into its file; no file is called so
)


@dataclass(frozen=True)
class Context:
    """What all mailboxes of a run share; ``trash`` returns the name of a side's trash, empty for none."""

    boxes: Boxes
    arrivals: Arrivals
    state: State
    options: Options
    listener: Listener
    outcome: Outcome
    trash: Callable[[Side], str]
    budget: Budget
    now: float  # when the run began, in seconds since 1970


class Work:
    """One mailbox, in both stores."""

    def __init__(self, context: Context, row: MailboxRow, there: dict[Side, contract.Seen | None]) -> None:
        self.row = self._saved = row
        self.name = row.name
        self.there = there
        self.difference = Difference()
        self.unsettled = False  # something is left to do: look again next time
        self.edited: Mapping[Side, Collection[str]] = {}  # files that somebody wrote into; "": any of them
        self._context = context
        self._state = context.state
        self._rules = context.options.rules
        self._had_new = False
        self._touched: set[Side] = set()
        self._marks: dict[Side, bytes | None] = {}
        self._scans: dict[Side, Scan] = {}
        self._unread: dict[Side, list[NotRead]] = {"near": [], "far": []}
        self._broken: dict[Side, set[Key]] = {"near": set(), "far": set()}  # by where they were to go
        self._removals: dict[Side, list[tuple[Seen, Remove | Bury]]] = {"near": [], "far": []}

    # Looking

    def unchanged(self) -> bool:
        """Tell whether both stores say by their marks that nothing is different."""
        return not self.edited and all(
            seen is not None and seen.mark is not None and seen.mark == self.row.mark(side)
            for side, seen in self.there.items()
        )

    def expected_looks(self, side: Side) -> Iterator[Expected]:
        """Tell what ``look`` is going to ask."""
        seen, mark = self.there[side], self.row.mark(side)
        if self._is_to_be_made(side):
            yield Expected(self.name, True, makes=True)
        elif seen is not None and (mark is None or mark != seen.mark):
            yield Expected(self.name, True, mark)

    def expected_all(self, side: Side) -> Iterator[Expected]:
        """Tell what ``look`` is going to ask, and ``bring_over`` behind it where it reads everything."""
        may_copy = self._rules.of(other(side)).create and self._context.options.size_limit is None
        is_new = self.there[other(side)] is None and self.row.epoch(other(side)) is None
        is_new = is_new and not self._state.intentions(self.row)  # or it broke off, and is read by halves
        for each in self.expected_looks(side):
            yield replace(each, keys=None) if may_copy and is_new and not each.makes else each

    def expected_reads(self, side: Side) -> Iterator[Expected]:
        """Tell which messages ``bring_over`` is going to read first, where that is known."""
        new, options = self.difference.new, self._context.options
        if self._broken[other(side)] or self._state.bad(self.row, other(side)):
            return  # a message that is asked for ahead may be the one that ends the connection
        if new[side] and not new[other(side)] and options.size_limit is None:
            keys = list(islice(self._copied(new[side], other(side)), BATCH))
            if keys:
                yield Expected(self.name, False, None, keys)

    def look(self) -> None:
        """Find out what is different."""
        for side in SIDES:
            if self._is_to_be_made(side):
                self.ensure(side)
        intentions = self._state.intentions(self.row)
        self._note_edited()
        afresh = bool(intentions)
        scans = {side: self._scan(side, afresh=afresh or side in self.edited) for side in SIDES}
        if any(self._is_another(side, scans[side]) for side in SIDES):
            # Keys are worth nothing any more: begin anew, and find the messages again by their headers.
            with self._state.transaction():
                self._state.forget_messages(self.row)
            scans = {side: self._scan(side, afresh=True) for side in SIDES}
            intentions = []
        self._marks = {side: scans[side].mark for side in SIDES}
        epochs = {
            side: scans[side].epoch if self.there[side] is not None else self.row.epoch(side)
            for side in SIDES
        }
        self.row = replace(self.row, near_epoch=epochs["near"], far_epoch=epochs["far"])
        self._scans = scans
        self._note_seen(scans)
        self.difference = compare(self._rows_for(scans), scans)
        self._check_gone()
        self._learn()
        self._let_go()
        self._make_certain()
        if intentions:
            self._resume(intentions)

    def _note_seen(self, scans: Mapping[Side, Scan]) -> None:
        """Take note of what was there, of all that a server only said it had taken."""
        for side in SIDES:
            if self._is_remote(side) and scans[side] is not NOTHING:
                unseen = self._state.unseen(self.row, side)
                there = scans[side].present.keys() | set(self._box(side).given(unseen) if unseen else ())
                seen = [number for key, number in unseen.items() if key in there]
                if seen:
                    with self._state.transaction():
                        self._state.note_seen(side, seen)

    def _is_remote(self, side: Side) -> bool:
        return self._context.boxes.store(side).is_remote

    def _note_edited(self) -> None:
        """Take a message that somebody wrote into for another one, and for the one it was as gone.

        Then the new one is carried and the old one removed, in this order, like any two messages.
        """
        for side, files in self.edited.items():
            if self.there[side] is not None and self.there[other(side)] is not None:
                for rows in _batches(self._rows_of_files(side, files)):
                    self._forget_edited(side, rows)

    def _rows_of_files(self, side: Side, files: Collection[str]) -> Sequence[Row]:
        if "" in files:
            return list(self._state.rows(self.row))
        store = self._context.boxes.store(side)
        keys = [key for key in map(store.key_of_file, files) if key is not None]
        raw = self._state.raw_rows_of(self.row, *((keys, ()) if side == "near" else ((), keys)))
        return list(self._state.rows_numbered(number for number, *_ in raw))

    def _forget_edited(self, side: Side, rows: Sequence[Row]) -> None:
        compared = self._state.compared(row.id for row in rows)
        known = {
            key: row for row in rows if (key := _key_or_none(row, side)) and compared[row.id].is_of(side)
        }
        comparer = self._comparer()
        now = comparer.contents(side, list(known))
        self._tell_unread(comparer)
        changed = [
            (key + EDITED, row)
            for key, row in known.items()
            if key in now and now[key].digest != compared[row.id].content
        ]
        with self._state.transaction():
            self._state.save_rows(
                [replace(row, near=was) if side == "near" else replace(row, far=was) for was, row in changed],
                self.row,
            )

    def _check_gone(self) -> None:
        """Make sure that what looks gone was there under this key, before anything is removed for it.

        Keys are stored twice, in the table and in its indexes: a damaged one is seen where both differ.
        """
        for side in SIDES:
            gone = self.difference.gone_rows(side)
            if gone and not self._state.has_rows(self.row, side, gone):
                raise DamagedError(f"{show(self.name)}: a message is known under two keys")

    def _is_to_be_made(self, side: Side) -> bool:
        never = self.row.epoch(side) is None
        return self.there[side] is None and (never or self._rules.restore) and self._rules.of(side).create

    def _rows_for(self, scans: dict[Side, Scan]) -> Iterable[RawRow]:
        """Return the rows that scans have to be compared with: few, if they tell only what is different."""
        told = sum(len(scan.present) + len(scan.vanished) for scan in scans.values())
        if told > BATCH or any(scan.complete for scan in scans.values()):
            return self._state.raw_rows(self.row)
        near, far = ({*scans[side].present, *scans[side].vanished} for side in SIDES)
        return self._state.raw_rows_of(self.row, near, far)

    def _scan(self, side: Side, *, afresh: bool) -> Scan:
        seen = self.there[side]
        if seen is None:
            return NOTHING
        mark = None if afresh else self.row.mark(side)
        if mark is not None and mark == seen.mark:
            return Scan(self.row.epoch(side) or b"", mark, False, {})
        if afresh:
            return self._box(side).scan(None)
        return self._box(side).scan_known(mark)

    def _learn(self) -> None:
        """Remember what stands for the flags of messages of which nothing is different."""
        for numbers in _batches(self.difference.told):
            rows = list(self._state.rows_numbered(numbers))
            with self._state.transaction():
                for side in SIDES:
                    if not self._scans[side].complete:
                        stamps = self._scans[side].stamps
                        keys = [key for row in rows if (key := _key(row, side)) in stamps]
                        self._state.learn(self.row, side, {key: stamps[key] for key in keys})

    def _let_go(self) -> None:
        """Keep of complete listings only what is needed later: all mailboxes are looked at first."""
        flagged = self.difference.flagged
        if len(flagged) > BATCH or not any(scan.complete for scan in self._scans.values()):
            return
        rows = [seen_again(row, self._scans) for row in self._state.rows_numbered(flagged)]
        for side in SIDES:
            if self._scans[side].complete:
                kept = {_key(seen.row, side): _now(seen, side) for seen in rows}
                self._scans[side] = replace(self._scans[side], present=kept)

    def _is_another(self, side: Side, scan: Scan) -> bool:
        epoch = self.row.epoch(side)
        return self.there[side] is not None and epoch is not None and epoch != scan.epoch

    def _make_certain(self) -> None:
        for side in SIDES:
            gone = self.difference.gone(side)
            if gone and self.there[side] is not None:
                uncertain = set(gone) - set(self._box(side).absent(gone))
                if uncertain:
                    self.difference.keep(side, uncertain)
                    self.unsettled = True

    def _resume(self, intentions: Sequence[Intention]) -> None:
        """Find out what became of the messages that a run was about to add when it was cut off.

        One that is there under the key that was written down for it is whole: it got that key last.
        """
        new = self.difference.new
        for side in SIDES:
            mine = [each for each in intentions if each.side == side]
            self._broken[side] = {each.source for each in mine if each.key not in new[side]}
            arrived = {
                each.key: each.source
                for each in mine
                if each.key is not None and each.key in new[side] and each.source in new[other(side)]
            }
            if self.there[side] is not None:
                self._box(side).discard([each.key for each in mine if each.key and each.key not in arrived])
            contents = self._comparer().contents(side, list(arrived))
            digests = self._header_digests(side, list(arrived))
            pairs = []
            for key, source in arrived.items():
                if key in contents:
                    compared = Compared(contents[key].digest, CARRIED | seen_on(side))
                    pairs.append(Pair(*((source, key) if side == "far" else (key, source)), compared))
            near_digests = {
                pair.near: digests.get(pair.far if side == "far" else pair.near, b"") for pair in pairs
            }
            self._record_pairs(pairs, near_digests)
        with self._state.transaction():
            for side in SIDES:
                self._state.drop_intentions(self.row, side)

    # Adding

    def bring_over(self) -> None:
        """Pair and copy what is new, merge flags, and find out what is to be removed."""
        new = self.difference.new
        if new["near"] and new["far"]:
            self._pair()
        copies: dict[Side, list[Key]] = {"near": [], "far": []}
        self._agree_on_flags()
        agreements: list[tuple[Seen, Agree]] = []
        forgotten: list[int] = []
        again: list[int] = []
        certain = self._certain()
        for seen in self.difference.rows.values():
            action = self._decide(seen, is_certain=seen.row.id in certain)
            if isinstance(action, Copy):
                again.append(seen.row.id)
                copies[action.to].append(_key(seen.row, other(action.to)))
            elif isinstance(action, Agree):
                agreements.append((seen, action))
            elif isinstance(action, Forget):
                forgotten.append(seen.row.id)
            elif isinstance(action, Remove | Bury):
                self._removals[action.side].append((seen, action))
            elif seen.near is None or seen.far is None:
                # Not to be copied, and not to be removed for what its flags say now: no mark may hide these.
                self.unsettled = True
        with self._state.transaction():
            # A message that comes again is one without a row, so that a run that is cut off now resumes it.
            self._state.drop_rows([*forgotten, *again])
        self._agree(agreements)
        for side in SIDES:
            if self._rules.of(side).create:
                copies[side] += self._to_copy(side, new[other(side)])
                self._copy(side, copies[side])
        # Not until the end of the run: there may be many mailboxes.
        self._had_new = any(new.values())
        self.difference = Difference()
        self._scans = {}

    def _agree_on_flags(self) -> None:
        """Merge the flags of the messages that both sides still have."""
        for numbers in _batches(self.difference.flagged):
            agreements = []
            for row in self._state.rows_numbered(numbers):
                seen = seen_again(row, self._scans)
                action = self._decide(seen)
                if isinstance(action, Agree):
                    agreements.append((seen, action))
            self._agree(self._without_torn(agreements))

    def _without_torn(self, agreements: Sequence[tuple[Seen, Agree]]) -> Sequence[tuple[Seen, Agree]]:
        """Compare pairs before one is marked as deleted because the other one is; forget those that are none.

        Then they are two messages without partners, and the next run carries both.
        """
        marked = [
            seen.row.id
            for seen, action in agreements
            for side in SIDES
            if DELETED in _wanted(action, side) and DELETED not in (_now(seen, side) or NONE)
        ]
        compared = {n: each for n, each in self._state.compared(marked).items() if not each.is_certain}
        if not compared:
            return agreements
        pairs = [
            KnownPair(seen.row.id, _key(seen.row, "near"), _key(seen.row, "far"), compared[seen.row.id])
            for seen, _ in agreements
            if seen.row.id in compared
        ]
        comparer = self._comparer()
        self.note_compared(comparer.compared(pairs))
        self._tell_unread(comparer)
        certain = {number for number, each in self._state.compared(compared).items() if each.is_certain}
        self.unsettled |= len(certain) < len(compared)
        return [
            (seen, action)
            for seen, action in agreements
            if seen.row.id not in compared or seen.row.id in certain
        ]

    def compare_known(self, sides: Collection[Side], torn: set[str]) -> None:
        """Read what nobody has seen of some known pairs on these sides; add the name if one is torn."""
        pairs = [KnownPair(*row) for row in self._state.not_compared(self.row, sides, after=0, most=BATCH)]
        if pairs:
            comparer = self._comparer()
            found = comparer.compared(pairs, sides)
            self._context.outcome.compared += len(found)
            if self.note_compared(found):
                torn.add(self.name)
                self.finish()
            self._tell_unread(comparer)

    def note_compared(self, found: Mapping[int, Compared | None]) -> int:
        """Remember what was found out about bytes; pairs that are two messages are forgotten, and counted."""
        torn = [number for number, compared in found.items() if compared is None]
        with self._state.transaction():
            self._state.note_compared({n: each for n, each in found.items() if each is not None})
            self._state.drop_rows(torn)
        self.unsettled |= bool(torn)
        return len(torn)

    def _copied(self, new: New, side: Side) -> Iterator[Key]:
        """Give those of the new messages of the other side that are copied to this one."""
        if self._rules.of(side).create:
            yield from (key for key in new if is_copied(new[key], side, self._rules))

    def _to_copy(self, side: Side, new: New) -> list[Key]:
        keys = list(self._copied(new, side))
        for key in new.keys() - set(keys) if len(keys) < len(new) else ():
            self._tell(LEFT, other(side), key)
        return keys

    def _decide(self, seen: Seen, *, is_certain: bool = True) -> Action | None:
        row = seen.row
        return decide(seen.near, seen.far, Base(row.near_flags, row.far_flags, is_certain), self._rules)

    def _certain(self) -> Set[int]:
        """Return those rows with one message gone whose other one is the same message for certain."""
        certain: set[int] = set()
        for gone in SIDES:
            stays = {
                seen.row.id: seen.row
                for seen in self.difference.rows.values()
                if _now(seen, gone) is None and _now(seen, other(gone)) is not None
            }
            compared = self._state.compared(stays)
            unseen = sum(each.is_unseen for each in compared.values())
            if unseen:
                store = self._context.boxes.store(gone).name
                self._problem(f"{unseen} messages are not there, which store {store} said it had taken")
            pairs = [
                KnownPair(number, row.near or b"", row.far or b"", compared[number])
                for number, row in stays.items()
                if number in compared
            ]
            comparer = self._comparer()
            found = comparer.certain(pairs, gone)
            self._tell_unread(comparer)
            news = {number: each for number, each in found.items() if each != compared[number]}
            if news:
                with self._state.transaction():
                    self._state.note_compared(news)
            certain.update(found)
        return certain

    def _pair(self) -> None:
        """Find out which of the messages that are new on both sides are one."""
        new = self.difference.new
        found = {side: self._header_digests(side, list(new[side])) for side in SIDES}
        self._leave_out_unread()
        comparer = self._comparer()
        groups = list(pairing.candidates(found["near"], found["far"]))
        for pairs, undecided in comparer.meet(groups):
            self._record_pairs(pairs, found["near"])
            for group in undecided:  # left as they are: each may be a partner of each
                self.unsettled = True
                for side in SIDES:
                    for key in group.on(side):
                        new[side].take_out(key)
        self._tell_unread(comparer)

    def _comparer(self) -> Comparer:
        remote = [side for side in SIDES if self._is_remote(side)]
        return Comparer(self._box, remote, self._context.budget, self._context.listener)

    def _tell_unread(self, comparer: Comparer) -> None:
        for side in SIDES:
            for each in comparer.unread[side]:
                if not each.lasting:
                    self._problem(each.reason)

    def _header_digests(self, side: Side, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = {}
        silent = set(keys)
        self._context.listener.expect(len(keys))
        for each in self._box(side).headers(keys) if keys else ():
            self._context.listener.advance()
            if not isinstance(each, NotRead):
                silent.discard(each[0])
                found[each[0]] = pairing.header_digest(each[1])
            else:
                silent.discard(each.key)
                self._unread[side] += [] if each.lasting else [each]
        if silent:
            reason = "its header was asked for and did not come"
            left = silent - set(self._box(side).absent(list(silent)))
            self._unread[side] += [
                NotRead(key, f"message {show(key.decode('utf-8', 'replace'))}: {reason}") for key in left
            ]
        return found

    def _leave_out_unread(self) -> None:
        """Leave out of this run what cannot be read, and so cannot be paired.

        When two mailboxes meet for the first time, each message over there may be the one that cannot be
        read here, and would be doubled; so nothing is copied then.
        """
        for side in SIDES:
            for each in self._unread[side]:
                if self._state.is_empty(self.row):
                    raise MailboxError(
                        f"{each.reason}, so that its partner cannot be found", "make it readable"
                    )
                self._problem(each.reason)
                self.difference.new[side].take_out(each.key)
            self._unread[side].clear()

    def _record_pairs(self, pairs: Sequence[Pair], digests: Mapping[Key, bytes]) -> None:
        """Remember that messages belong together, and give both the flags of both; ``digests`` are near's."""
        new = self.difference.new
        for batch in _batches(pairs):
            wanted = [united(new["near"][pair.near], new["far"][pair.far]) for pair in batch]
            near = self._set_flags(
                "near", {pair.near: flags for pair, flags in zip(batch, wanted, strict=True)}, new["near"]
            )
            far = self._set_flags(
                "far", {pair.far: flags for pair, flags in zip(batch, wanted, strict=True)}, new["far"]
            )
            rows = [
                NewRow(
                    *(pair.near, pair.far, near[pair.near], far[pair.far], digests.get(pair.near, b"")),
                    content=pair.compared.content,
                    seen=pair.compared.seen,
                )
                for pair in batch
                if pair.near in near and pair.far in far
            ]
            with self._state.transaction():
                self._state.add_rows(self.row, rows)
        for pair in pairs:
            new["near"].take_out(pair.near)
            new["far"].take_out(pair.far)

    def _agree(self, agreements: Sequence[tuple[Seen, Agree]]) -> None:
        for batch in _batches(agreements):
            answers = {}
            for side in SIDES:
                wanted = {_key(seen.row, side): _wanted(action, side) for seen, action in batch}
                now = {_key(seen.row, side): _now(seen, side) or NONE for seen, _ in batch}
                answers[side] = self._set_flags(side, wanted, now)
            agreed = [
                Agreed(
                    seen.row.id,
                    *(self._held_by(side, seen, answers[side][_key(seen.row, side)]) for side in SIDES),
                )
                for seen, _ in batch
                if all(_key(seen.row, side) in answers[side] for side in SIDES)
            ]
            self.unsettled |= len(agreed) < len(batch)
            with self._state.transaction():
                self._state.agree(agreed)

    def _held_by(self, side: Side, seen: Seen, flags: Flags) -> HeldBy:
        """Return the flags on which a side is agreed, and what stands for them."""
        key = _key(seen.row, side)
        if flags != _now(seen, side):
            return HeldBy(flags, self._box(side).stamp(key))
        stamp = self._scans[side].stamps.get(key)
        return HeldBy(flags, stamp, as_before=stamp is None and flags == _base(seen.row, side))

    def _set_flags(self, side: Side, wanted: dict[Key, Flags], now: Mapping[Key, Flags]) -> dict[Key, Flags]:
        """Have a side hold these flags; return on which flags it is agreed then."""
        answers = {key: flags for key, flags in wanted.items() if flags == now[key]}
        changes = {key: FlagChange(now[key], flags) for key, flags in wanted.items() if key not in answers}
        if not changes or not self._rules.of(side).flags:
            return {key: now[key] for key in wanted}
        self._touched.add(side)
        try:
            for key, flags in self._box(side).set_flags(changes):
                answers[key] = flags
                self._tell(FLAGGED, side, key, " ".join(sorted(flags)))
        except MailboxError as error:
            # A mailbox that may only be read still gives its mail.  One that is gone fails at the next step.
            self._problem(f"flags are not changed: {error}")
        return answers

    def _copy(self, to: Side, keys: Sequence[Key]) -> None:
        if not keys:
            return
        keys = self._without_bad(to, keys)
        self._context.listener.expect(len(keys))
        if keys:
            self.ensure(to)
            self._touched.add(to)
        for batch in self._portions(to, keys):
            try:
                self._copy_batch(to, batch)
            except (TemporaryError, OSError):
                if len(batch) == 1:
                    with self._state.transaction():
                        self._state.note_bad(self.row, to, batch[0], self._context.now)
                raise

    def _without_bad(self, to: Side, keys: Sequence[Key]) -> Sequence[Key]:
        """Leave out messages that failed alone again and again; each is tried again later and later."""
        waits = {
            key: bad
            for key, bad in self._state.bad(self.row, to).items()
            if self._context.now < bad.at + bad.wait_s
        }
        for key in keys if waits else ():
            if key in waits:
                self._problem(
                    f"message {show(key.decode('utf-8', 'replace'))} failed {waits[key].tries} times, and is"
                    f" tried again after {waits[key].wait_s / 3600:g} h"
                )
        return [key for key in keys if key not in waits] if waits else keys

    def _portions(self, to: Side, keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
        """Give messages in batches; those that were under way when a run broke off last, and by halves.

        So a message that ends the connection keeps no other one away, and is alone after a few runs.
        """
        broken = self._broken[to]
        yield from _batches([key for key in keys if key not in broken] if broken else keys)
        left = [key for key in keys if key in broken]
        size = (len(left) + 1) // 2
        for begin in range(0, len(left), size or 1):
            yield from _batches(left[begin : begin + size])

    def _copy_batch(self, to: Side, keys: Sequence[Key]) -> None:
        source, target = self._box(other(to)), self._box(to)
        proposed = target.propose(len(keys))
        intended = dict(zip(keys, proposed, strict=True)) if proposed is not None else {}
        with self._state.transaction():
            self._state.intend(self.row, (Intention(to, key, intended.get(key)) for key in keys))
        known, stamps = self.difference.new[other(to)], self._scans[other(to)].stamps

        def stamp_of(key: Key, flags: Flags) -> Stamp | None:
            return stamps.get(key) if flags == known.get(key) else None

        unseen = unseen_on(to) if self._is_remote(to) else 0
        batch = Batch(self.row, to, intended, stamp_of, self._answered, self._context.listener, unseen)

        def wait(prepared: Prepared) -> None:
            batch.prepared = prepared
            self._context.arrivals.wait(batch)

        messages = batch.messages(source.carry(keys, self._context.options.size_limit))
        if not target.prepare(messages, wait):
            self._add(batch, target.add(messages))
        silent = [key for key in keys if key not in batch.came]
        if silent and (left := set(silent) - set(source.absent(silent))):
            self._problem(f"{len(left)} messages were asked for and did not come; they are there")
        for each in batch.not_read:
            if each.lasting:
                self._context.outcome.notes.append(f"{show(self.name)}: not copied: {each.reason}")
            else:
                self._problem(each.reason)

    def _add(self, batch: Batch, answers: Iterator[Added | NotAdded]) -> None:
        try:
            for answer in answers:
                batch.take(answer)
        except BaseException:
            with self._state.transaction():
                self._state.add_rows(self.row, batch.rows)
            raise  # what is uncertain is found out by the intentions
        with self._state.transaction():
            self._state.add_rows(self.row, batch.rows)
            self._state.drop_intentions(self.row, batch.to)

    def _answered(self, to: Side, answer: Added | NotAdded) -> None:
        if isinstance(answer, Added):
            self._tell(COPIED, to, answer.key)
        else:
            self._problem(answer.reason)

    def ensure(self, side: Side) -> None:
        """Make the mailbox on a side where there is none."""
        if self.there[side] is None:
            self._context.boxes.store(side).make_mailbox(self.name)
            self.there[side] = contract.Seen()
            self._tell(MADE, side)

    # Removing

    def removes_for(self, side: Side) -> bool:
        """Tell whether something is to be removed because it, or the whole mailbox, is gone on this side."""
        return bool(self._removals[other(side)]) or self.there[side] is None

    def deletions_for(self, side: Side) -> int:
        """Return how many messages are to be removed or marked because they are gone on this side."""
        return sum(_is_deletion(seen, action) for seen, action in self._removals[other(side)])

    def count(self) -> int:
        """Return how many messages both sides have, as far as is remembered."""
        return self._state.count(self.row)

    def hold_removals_for(self, side: Side) -> None:
        """Remove nothing because of what is gone on this side; the next run looks again."""
        self._removals[other(side)] = []
        self.unsettled = True

    def remove(self, trashes: set[str]) -> None:
        """Remove what was deleted on the other side; add the mailboxes that messages were moved to."""
        for side in SIDES:
            removals = self._removals[side]
            if not removals:
                continue
            deletions = self.deletions_for(other(side))
            if deletions:
                with self._state.transaction():  # before it is done, or a killed run would not count
                    self._state.note_carried(other(side), self._context.now, self.name, deletions)
            self._bury(side, [(seen, action) for seen, action in removals if isinstance(action, Bury)])
            self._remove(side, [seen for seen, action in removals if isinstance(action, Remove)], trashes)

    def _bury(self, side: Side, burials: Sequence[tuple[Seen, Bury]]) -> None:
        if not burials:
            return
        wanted = {_key(seen.row, side): action.flags for seen, action in burials}
        now = {_key(seen.row, side): _now(seen, side) or NONE for seen, _ in burials}
        changes = {key: FlagChange(now[key], flags) for key, flags in wanted.items() if flags != now[key]}
        if changes:
            self._touched.add(side)
            for key, flags in self._box(side).set_flags(changes):
                now[key] = flags
                self._tell(MARKED if DELETED in flags else FLAGGED, side, key)
        rows = [_buried(seen.row, side, now[_key(seen.row, side)]) for seen, _ in burials]
        with self._state.transaction():
            self._state.save_rows(rows, self.row)

    def _remove(self, side: Side, doomed: Sequence[Seen], trashes: set[str]) -> None:
        for batch in _batches(doomed):
            numbers = {_key(seen.row, side): seen.row.id for seen in batch}
            removed = [numbers[key] for key in self._take_away(side, list(numbers), trashes)]
            with self._state.transaction():
                self._state.drop_rows(removed)

    def _take_away(self, side: Side, keys: Sequence[Key], trashes: set[str]) -> Iterator[Key]:
        """Remove messages, or move them to the trash if there is one; give the keys that are gone."""
        trash = self._context.trash(side)
        if self.name == trash or self.name.startswith(f"{trash}/"):
            trash = ""
        self._touched.add(side)
        if trash:
            store = self._context.boxes.store(side)
            if not self._context.options.trash_use(side) and trash not in store.mailboxes([trash]):
                store.make_mailbox(trash)
            trashes.add(trash)
        box = self._box(side)
        for key in [key for key, _ in box.move(keys, trash)] if trash else box.remove(keys):
            self._tell(TRASHED if trash else REMOVED, side, key)
            yield key

    def remove_copies(self, side: Side, touched: set[str]) -> None:
        """Leave one of messages that are equal on both sides; add what has to be synced after that."""
        pairs = self._state.alike(self.row)
        if side == "far":
            pairs = [(far, near) for near, far in pairs]
        here = self._held(side, [key for key, _ in pairs])
        there = self._held(other(side), [key for _, key in pairs])
        found = copies.equals(pairs, here, there)
        doomed = [key for each in found for key in each.go]
        if not doomed:
            return
        had = self._state.count(self.row)
        refusal = judge_mailbox(side, self.name, had, len(doomed), self._context.options.largest_share)
        if refusal is not None and not self._context.options.believe:
            seen = f"{len(doomed)} of {had} messages are copies of others"
            self._context.outcome.refused.append(replace(refusal, seen=seen, copies=True))
            return
        touched.add(self.name)
        wanted = {each.stays: each.flags for each in found if each.flags != here[each.stays].flags}
        may = self._rules.of(side)
        if not may.expunge:
            wanted |= {key: here[key].flags | {DELETED} for key in doomed}
        changes = {key: FlagChange(here[key].flags, flags) for key, flags in wanted.items()}
        for key, flags in self._box(side).set_flags(changes) if changes and may.flags else ():
            self._tell(MARKED if DELETED in flags else FLAGGED, side, key, " ".join(sorted(flags)))
        for batch in _batches(doomed) if may.expunge else ():
            list(self._take_away(side, batch, touched))

    def _held(self, side: Side, keys: Sequence[Key]) -> dict[Key, Held]:
        found = {}
        for each in self._box(side).read(keys) if keys else ():
            self._context.listener.advance(0)
            if isinstance(each, Message):
                digest = blake2b(digest_size=pairing.DIGEST_BYTES)
                for chunk in each.chunks:
                    digest.update(chunk)
                found[each.key] = Held(each.flags, digest.digest())
        return found

    # Remembering

    def finish(self) -> None:
        """Remember the marks, if nothing is left to do; a side that we changed is looked at once more."""
        marks = {
            side: None if self.unsettled or side in self._touched else self._marks.get(side) for side in SIDES
        }
        near, far = self.there["near"], self.there["far"]
        row = replace(self.row, near_mark=marks["near"], far_mark=marks["far"])
        if near is not None and near.identity:
            row = replace(row, near_identity=near.identity)
        if far is not None and far.identity:
            row = replace(row, far_identity=far.identity)
        if row != self._saved:
            with self._state.transaction():
                self._state.save_mailbox(row)
        self.row = self._saved = row

    def is_over(self) -> bool:
        """Tell whether no message keeps this mailbox: none that both sides had, and nothing is left to do."""
        return not self.unsettled and self._state.is_empty(self.row)

    def has_new(self) -> bool:
        """Tell whether there were messages that only one side had."""
        return self._had_new

    # Moving

    def movable(self, side: Side) -> Iterator[Seen]:
        """Give the messages that are gone on a side and there on the other one: they may have been moved."""
        for seen in self.difference.rows.values():
            row = seen.row
            if _now(seen, side) is None and _key_or_none(row, side) is not None:
                partner = _now(seen, other(side))
                if partner is not None:
                    yield seen

    def new_digests(self, side: Side) -> dict[Key, bytes]:
        """Return the header digests of the messages that are new on a side."""
        return self._header_digests(side, list(self.difference.new[side]))

    def let_go(self, seen: Seen, side: Side) -> None:
        """A message was moved elsewhere, on ``side`` by us."""
        del self.difference.rows[seen.row.id]
        self._touched.add(side)

    def contents(self, side: Side, keys: Sequence[Key]) -> Iterable[Content]:
        """Read messages of a side; those that cannot be read now are left out."""
        return self._comparer().contents(side, keys).values()

    def renamed(self, seen: Seen, side: Side, key: Key, compared: Compared) -> None:
        """A message has another key on a side, in this mailbox: its file was renamed as a whole."""
        del self.difference.rows[seen.row.id]
        partner = _key(seen.row, other(side))
        self._take_in(seen, side, key, partner, compared, is_moved=False)

    def take_in(self, seen: Seen, side: Side, key: Key, new_key: Key, compared: Compared) -> None:
        """A message was moved here: on ``side`` it was found under ``key``, on the other one we moved it."""
        # There already, if a run was cut off that had moved it and not remembered.
        self.difference.new[other(side)].take_out(new_key)
        self._take_in(seen, side, key, new_key, compared, is_moved=self._is_remote(other(side)))
        self._touched.add(other(side))

    def _take_in(
        self, found: Seen, side: Side, key: Key, partner_key: Key, compared: Compared, *, is_moved: bool
    ) -> None:
        """Have a row say where the messages are now; what is different in their flags is merged as always."""
        flags = self.difference.new[side][key]
        self.difference.new[side].take_out(key)
        partner = _now(found, other(side))
        if side == "near":
            moved = Seen(replace(found.row, near=key, far=partner_key), flags, partner)
        else:
            moved = Seen(replace(found.row, near=partner_key, far=key), partner, flags)
        with self._state.transaction():
            self._state.save_rows([moved.row], self.row)
            seen = (compared.seen & ~unseen_on(side)) | seen_on(side)
            seen |= unseen_on(other(side)) if is_moved else 0
            self._state.note_compared({moved.row.id: Compared(compared.content, seen)})
        self.difference.rows[moved.row.id] = moved

    def has(self, side: Side, key: Key) -> bool:
        """Tell whether a message of a side is remembered to have its partner."""
        keys: dict[Side, list[Key]] = {"near": [], "far": []}
        keys[side].append(key)
        return bool(self._state.raw_rows_of(self.row, keys["near"], keys["far"]))

    def leave_alone(self, side: Side, key: Key) -> None:
        """A message of which it is not known yet what became of its partner: the next run pairs them."""
        self.difference.new[side].take_out(key)
        self.unsettled = True

    def _box(self, side: Side) -> Mailbox:
        box = self._context.boxes.get(side, self.name)
        if box.known is None:
            box.known = self._state.known(self.row, side)
        return box

    def _problem(self, reason: str) -> None:
        self._context.outcome.problems.append(f"{show(self.name)}: {reason}")
        self.unsettled = True

    def _tell(self, what: str, side: Side, key: Key = b"", detail: str = "") -> None:
        self._context.listener.done(Done(what, side, self.name, key, detail))


def _key_or_none(row: Row, side: Side) -> Key | None:
    return row.near if side == "near" else row.far


def _key(row: Row, side: Side) -> Key:
    key = _key_or_none(row, side)
    if key is None:
        raise AssertionError(f"a message that {side} does not have was to be worked on there")
    return key


def _base(row: Row, side: Side) -> Flags | None:
    return row.near_flags if side == "near" else row.far_flags


def _now(seen: Seen, side: Side) -> Flags | None:
    return seen.near if side == "near" else seen.far


def _wanted(action: Agree, side: Side) -> Flags:
    return action.near if side == "near" else action.far


def _buried(row: Row, side: Side, flags: Flags) -> Row:
    if side == "near":
        return replace(row, far=None, far_flags=None, near_flags=flags)
    return replace(row, near=None, near_flags=None, far_flags=flags)


def _is_deletion(seen: Seen, action: Remove | Bury) -> bool:
    """Tell whether an action takes something away: not if a message only stays."""
    return isinstance(action, Remove) or action.flags != _now(seen, action.side)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), BATCH):
        yield items[begin : begin + BATCH]
