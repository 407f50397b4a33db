"""A run: two stores brought into step, all mailboxes or some.

It decides nothing about messages itself (``decide``, ``mailboxes``, ``pairing``, ``safety`` do) and
touches no message itself (``work`` does).  Its order is what matters here:

1. Look at both stores; refuse if one of them does not look like itself.
2. Follow renames of mailboxes.
3. Look at all mailboxes whose marks are not the remembered ones; refuse if a whole store seems to be gone.
4. Find out which messages were moved, and move their partners.
5. Copy what is new and agree on flags, mailbox by mailbox.
6. Only then remove, messages first, then mailboxes.
7. If asked to, take away copies in one store, and begin anew for those mailboxes.

A mailbox that fails is left for the next run, and others go on.  A store that cannot be reached, or not
any more, ends the run.  Mailboxes that are new are looked at one by one when their turn comes, so that
memory does not grow with the store.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mswatch.errors import ConfigError, MswatchError, TemporaryError, UnavailableError
from mswatch.mailsync import copies, mailboxes, uses
from mswatch.mailsync.arriving import Arrivals
from mswatch.mailsync.boxes import Boxes
from mswatch.mailsync.compare import Seen as SeenMessage
from mswatch.mailsync.comparing import Budget
from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.mailboxes import INBOX, Drop, Make, Remembered, Rename, Unmake
from mswatch.mailsync.options import MOVED, RENAMED, UNMADE, Done, Edited, Listener, Options, Outcome
from mswatch.mailsync.safety import Refusal, StoreSight, judge_pace, judge_store
from mswatch.mailsync.state import NOT_COMPARED, Compared, MailboxRow, State, seen_on
from mswatch.mailsync.stores.contract import (
    Expected,
    Key,
    NameTakenError,
    NotEmptyError,
    Seen,
    Store,
)
from mswatch.mailsync.work import Context, Work
from mswatch.showing import show

COMPARED_AT_ONCE = 4096  # known pairs in one run
NOTHING_EDITED: Edited = {}
Listing = dict[Side, dict[str, Seen]]


@dataclass(eq=False)
class _Gone:
    """A message that is gone on a side, whose partner is there."""

    work: Work
    seen: SeenMessage
    compared: Compared

    def partner(self, gone: Side) -> Key:
        """Return the key of the partner, if the message is gone on this side."""
        return (self.seen.row.far if gone == "near" else self.seen.row.near) or b""


@dataclass(frozen=True)
class _Came:
    """A message that is new on that side, and has the header of one that is gone."""

    work: Work
    key: Key
    header: bytes  # digests
    content: bytes


def _grouped(came: Iterable[_Came]) -> Iterator[tuple[Work, list[_Came]]]:
    found: dict[Work, list[_Came]] = defaultdict(list)
    for each in came:
        found[each.work].append(each)
    yield from found.items()


def _matching(gone: Mapping[bytes, list[_Gone]], came: _Came, *, is_here: bool) -> _Gone | None:
    """Take out one that is gone here, or in another mailbox, and whose partner has these bytes."""
    for found in gone[came.header]:
        if (found.work is came.work) == is_here and found.compared.content == came.content:
            gone[came.header].remove(found)
            return found
    return None


class Engine:
    """Bring two stores into step."""

    def __init__(
        self,
        near: Store,
        far: Store,
        state: State,
        options: Options,
        listener: Listener,
        now: float | None = None,
    ) -> None:
        """Take two stores and what is remembered of them; ``now``: seconds since 1970, if not the clock's."""
        self._stores: dict[Side, Store] = {"near": near, "far": far}
        self._boxes = Boxes(near, far)
        self._state = state
        self._options = options
        self._listener = listener
        self._outcome = Outcome()
        self._arrivals = Arrivals(self._boxes, state, lambda error, names: self._failed(error, *names))
        self._context = Context(
            *(self._boxes, self._arrivals, state, options, listener, self._outcome, self._trash),
            *(Budget(options.compare_limit), now if now is not None else time.time()),
        )
        self._told: dict[Side, uses.Told] = {}
        self._edited = NOTHING_EDITED
        self._trashes: dict[Side, str] = {}  # those that were found by their use

    def run(self, only: Collection[str] | None = None, edited: Edited = NOTHING_EDITED) -> Outcome:
        """Sync these mailboxes, or all; what is in ``edited`` may be other messages by now.

        Raises:
            UnavailableError: A store cannot be reached.
            TemporaryError: It cannot any more.
        """
        try:
            self._edited = edited
            self._settle()
            for side in SIDES:
                told = uses.from_bytes(self._state.about(f"{side}_uses"))
                self._told[side] = uses.told_now(told, {}, self._options.skip_uses)
            if self._present():
                self._sync(only)
                if self._options.dedupe and not self._outcome.refused:
                    self._remove_copies(only)
        except MswatchError:
            self._arrivals.deliver()  # what came until then
            raise
        finally:
            self._boxes.close()
            for store in self._stores.values():
                self._outcome.notes += store.notes
                store.close()
        return self._outcome

    def _settle(self) -> None:
        """Look at everything again when the rules are other ones."""
        settled_by = self._options.settled_by()
        if self._state.about("settled_by") != settled_by:
            with self._state.transaction():
                self._state.forget_marks()
                self._state.set_about("settled_by", settled_by)

    # The stores

    def _present(self) -> bool:
        """Open both stores; make one that never was there; tell whether the run may go on."""
        for side, store in self._stores.items():
            store.recall(self._state.about(f"{side}_remark"))
        there = {side: store.open() for side, store in self._stores.items()}
        for side in SIDES:
            if there[side]:
                continue
            if not self._believable(side, there=False):
                return False
            if not there[other(side)] or not self._options.rules.of(side).create:
                raise UnavailableError(
                    f"store {self._stores[side].name} is not there", "make it, or mount it"
                )
            self._stores[side].make()
            self._stores[side].open()
        return True

    def _believable(
        self,
        side: Side,
        *,
        there: bool = True,
        listed: Collection[str] | None = None,
        gone: int = 0,
        came: int = 0,
    ) -> bool:
        """Tell whether what a store seems to say is believed; take note if not."""
        if self._options.believe or self._options.rules.restore:
            return True
        had = {name for name, row in self._remembered().items() if row.epoch(side) is not None}
        has = had if listed is None else listed
        sight = StoreSight(
            side=side,
            name=self._stores[side].name,
            there=there,
            same=not there or self._state.about(f"{side}_identity") in (b"", self._stores[side].identity()),
            had_mailboxes=len(had),
            has_mailboxes=len(has),
            lost_inbox=INBOX in had and INBOX not in has,
            had=self._state.count() if gone or not there or not has else 0,  # not cheap
            gone=gone,
            came=came,
        )
        refusal = judge_store(sight, self._options.largest_share)
        if refusal is not None:
            self._outcome.refused.append(refusal)
        return refusal is None

    def _remembered(self) -> dict[str, MailboxRow]:
        return {name: row for name, row in self._state.mailboxes().items() if self._wants(name)}

    def _wants(self, name: str) -> bool:
        return self._options.wants(name) and not any(name in told for told in self._told.values())

    def _list(self, only: Collection[str] | None) -> tuple[Listing, bool]:
        """List the stores: for some mailboxes only them, if they are there; tell whether all are listed."""
        if only is not None:
            listing = self._listing(only)
            if all(name in listing[side] for name in only for side in SIDES if self._wants(name)):
                return listing, False
        return self._listing(None), True

    def _listing(self, only: Collection[str] | None) -> Listing:
        listed = {side: store.mailboxes(only) for side, store in self._stores.items()}
        self._note_uses(listed, everything=only is None)
        if only is None:
            for side in SIDES:
                self._find_trash(side, listed[side])
        return {side: {n: seen for n, seen in listed[side].items() if self._wants(n)} for side in SIDES}

    def _note_uses(self, listed: Mapping[Side, Mapping[str, Seen]], *, everything: bool) -> None:
        """Know what mailboxes are for, before anything is done that depends on it."""
        for side in SIDES:
            told = uses.told_now(self._told[side], listed[side], self._options.skip_uses)
            if everything and told:
                rows = self._state.mailboxes()
                base = {name: row.identity(side) for name, row in rows.items()}
                told = uses.renamed(told, self._told[side], listed[side], base)
                told = uses.without_gone(told, {*listed["near"], *listed["far"], *rows})
            self._told[side] = told
            remembered = uses.to_bytes(told)
            if self._state.about(f"{side}_uses") != remembered:
                with self._state.transaction():
                    self._state.set_about(f"{side}_uses", remembered)

    def _trash(self, side: Side) -> str:
        """Return the name of a side's trash, empty for none; one that is found by its use was not made."""
        if not self._options.trash_use(side):
            return self._options.trash(side)
        if side not in self._trashes:
            self._find_trash(side, self._stores[side].mailboxes())
        return self._trashes[side]

    def _find_trash(self, side: Side, listed: Mapping[str, Seen]) -> None:
        """Find the mailbox that is a side's trash by its use, where one is wanted.

        Raises:
            ConfigError: There is none.
        """
        use = self._options.trash_use(side)
        if use:
            found = sorted(
                name for name, seen in listed.items() if seen.uses is not None and use in seen.uses
            )
            if not found:
                raise ConfigError(
                    [f"store {self._stores[side].name}: its server does not say that a mailbox is {use}"],
                    "give the name of a mailbox as trash, or have the server say which one it is",
                )
            self._trashes[side] = found[0]

    def _leave_out_hidden(self, listing: Listing, names: Collection[str] | None = None) -> None:
        """Leave alone what a store had and cannot show now; with ``names``, among these."""
        remembered = self._remembered()
        for side in SIDES:
            missing = [
                name
                for name, row in remembered.items()
                if row.epoch(side) is not None and name not in listing[side]
                if names is None or name in names
            ]
            if missing:
                self._outcome.failed |= self._stores[side].hidden(missing)

    # The run

    def _sync(self, only: Collection[str] | None) -> None:
        listing, everything = self._list(only)
        names = None if only is None else set(only)
        if everything:
            self._leave_out_hidden(listing)
            if not all(self._believable(side, listed=listing[side]) for side in SIDES):
                return
            renamed = self._follow_renames(listing)
            if renamed:
                listing = self._listing(None)
            if names is not None:
                names |= renamed
        known, fresh = self._works(listing, names)
        due = [work for work in known if self._is_due(work)]
        self._expect(due, Work.expected_looks)
        looked = [work for work in due if self._guarded(work, work.look)]
        if any(work.difference.gone(side) for work in looked for side in SIDES):
            self._expect(fresh, Work.expected_looks)
            looked += [work for work in fresh if self._guarded(work, work.look)]
            fresh = []
        if not all(self._believable_changes(side, looked) for side in SIDES):
            return
        self._follow_moves(looked)
        self._expect(looked, Work.expected_reads)
        done = [work for work in looked if self._guarded(work, work.bring_over)]
        self._expect(fresh, Work.expected_all)
        done += self._looked_at_and_brought_over(fresh)
        self._arrivals.deliver()
        self._remove(done)
        self._compare_known(known)
        self._remember()

    def _compare_known(self, works: Sequence[Work]) -> None:
        """Read what nobody has seen of known pairs, some in each run, where that needs no transfer.

        These are pairs from a state without digests, and those that met by header and size.  What turns out
        to be two messages is carried as two.
        """
        local = [side for side in SIDES if not self._stores[side].is_remote]
        if not self._state.is_compared(local):
            torn: set[str] = set()
            for work in works:
                if self._outcome.compared < COMPARED_AT_ONCE and all(work.there.values()):
                    self._guarded(work, partial(work.compare_known, local, torn))
            self._boxes.close()
            if torn:
                self._sync_again(torn)

    def _expect(self, works: Sequence[Work], what: Callable[[Work, Side], Iterable[Expected]]) -> None:
        """Tell the stores what the next step is going to ask of these mailboxes."""
        for side, store in self._stores.items():
            store.expect([each for work in works for each in what(work, side)])

    def _is_due(self, work: Work) -> bool:
        return not work.unchanged() or (self._options.leaving == "clear" and work.is_over())

    def _works(self, listing: Listing, names: Collection[str] | None) -> tuple[list[Work], list[Work]]:
        """Return what is to be worked on: mailboxes that both sides had, and those that are new to one."""
        remembered = self._remembered()
        if names is not None:
            remembered = {name: row for name, row in remembered.items() if name in names}
        known: list[Work] = []
        fresh: list[Work] = []
        for item in mailboxes.to_sync(listing["near"], listing["far"], remembered):
            if item.name in self._outcome.failed:
                continue
            if isinstance(item, Drop):
                with self._state.transaction():
                    self._state.drop_mailbox(remembered[item.name])
            elif names is None or item.name in names:
                row = remembered.get(item.name)
                if row is None:
                    with self._state.transaction():
                        row = self._state.add_mailbox(item.name)
                work = Work(self._context, row, {side: listing[side].get(item.name) for side in SIDES})
                work.edited = {
                    side: files for side in SIDES if (files := self._edited_files(side, item.name))
                }
                (known if row.near_epoch is not None and row.far_epoch is not None else fresh).append(work)
        return known, fresh

    def _edited_files(self, side: Side, mailbox: str) -> Collection[str]:
        return self._edited.get(side, {}).get(mailbox, ())

    def _believable_changes(self, side: Side, looked: Iterable[Work]) -> bool:
        gone = sum(len(work.difference.gone(side)) for work in looked)
        came = sum(len(work.difference.new.get(side, ())) for work in looked)
        return not gone or self._believable(side, gone=gone, came=came)

    def _guarded(self, work: Work, step: Callable[[], object]) -> bool:
        """Do a step of a mailbox; one that fails is left for the next run."""
        if work.name in self._outcome.failed:
            return False
        try:
            step()
        except (TemporaryError, OSError) as error:
            self._failed(error, work.name)
            return False
        return True

    def _looked_at_and_brought_over(self, works: Iterable[Work]) -> list[Work]:
        """Do both for one mailbox after the other; return those where neither failed."""
        return [
            work for work in works if self._guarded(work, work.look) and self._guarded(work, work.bring_over)
        ]

    def _failed(self, error: Exception, *names: str) -> None:
        """Leave mailboxes for the next run, and get ready for others."""
        self._outcome.failed |= dict.fromkeys(names, _reason(error))
        self._boxes.close()
        for store in self._stores.values():
            store.mend()

    # Renamed mailboxes

    def _follow_renames(self, listing: Listing) -> set[str]:
        """Rename on one side what was renamed on the other one; return the new names."""
        remembered = self._remembered()
        base = {name: Remembered(row.near_identity, row.far_identity) for name, row in remembered.items()}
        identities = {side: {name: seen.identity for name, seen in listing[side].items()} for side in SIDES}
        followed = set()
        renamed = mailboxes.Renamed()
        for rename in mailboxes.renames(identities["near"], identities["far"], base):
            may = self._options.rules.of(rename.side)
            if rename.base in self._outcome.failed or not (may.create and may.delete):
                continue
            try:
                # So says the identity on both sides, if both have the new name already.
                with_parent = renamed.moves_along(rename) or rename.name == rename.new_name
                if self._moved_along(rename, remembered[rename.base], with_parent=with_parent):
                    below = self._stores[rename.side].renames_below
                    self._rename(renamed.now(rename, renames_below=below), remembered[rename.base])
                    renamed.note(rename)
                    followed.add(rename.new_name)
            except NameTakenError:
                self._boxes.close()  # the messages are moved one by one
            except (TemporaryError, OSError) as error:
                self._failed(error, rename.base, rename.name, rename.new_name)
        return followed

    def _moved_along(self, rename: Rename, row: MailboxRow, *, with_parent: bool) -> bool:
        """Tell whether a mailbox of another name holds the old one's messages: an inode may be used again.

        One that moved with the mailbox above it is that mailbox, whatever was done to its messages since.
        """
        side = other(rename.side)
        scan = self._boxes.get(side, rename.new_name).scan(None)
        if with_parent:
            return scan.epoch == row.epoch(side)
        keys = [each.near if side == "near" else each.far for each in self._state.rows(row)]
        found = sum(key in scan.present for key in keys)
        return scan.epoch == row.epoch(side) and found * 2 > len(keys)

    def _rename(self, rename: Rename, row: MailboxRow) -> None:
        self._boxes.close()
        store = self._stores[rename.side]
        # It may have moved along with a mailbox above it.
        if rename.name != rename.new_name and rename.name in store.mailboxes([rename.name]):
            store.rename_mailbox(rename.name, rename.new_name)
            self._listener.done(Done(RENAMED, rename.side, rename.name, detail=rename.new_name))
        with self._state.transaction():
            self._state.save_mailbox(replace(row, name=rename.new_name, near_mark=None, far_mark=None))

    # Moved messages

    def _follow_moves(self, works: Iterable[Work]) -> None:
        """Move on one side what was moved on the other one, instead of copying and removing it.

        A message that is gone under its key and there under another one in the same mailbox (its file was
        renamed as a whole) is that message still, and nothing is moved.
        """
        works = list(works)
        for side in SIDES:
            gone = self._gone_by_header(side, works)
            came: list[_Came] = []
            for work in works if gone else ():
                if work.difference.new.get(side):
                    self._guarded(work, partial(self._find_come, work, side, gone, came))
            self._compare_partners(side, gone, came)
            for target, keys in _grouped(came):
                for each in keys:
                    found = _matching(gone, each, is_here=True)
                    if found is not None:
                        target.renamed(found.seen, side, each.key, found.compared)
            may = self._options.rules.of(other(side))
            if may.create and may.delete and may.expunge:
                for target, keys in _grouped(came):
                    left = [each for each in keys if each.key in target.difference.new[side]]
                    if left:
                        self._guarded(target, partial(self._follow_moves_to, target, side, left, gone))

    def _gone_by_header(self, side: Side, works: Iterable[Work]) -> dict[bytes, list[_Gone]]:
        found: dict[bytes, list[_Gone]] = defaultdict(list)
        for work in works:
            movable = {seen.row.id: seen for seen in work.movable(side)}
            compared = self._state.compared(movable)
            for number, digest in self._state.digests(list(movable)).items():
                found[digest].append(_Gone(work, movable[number], compared.get(number, NOT_COMPARED)))
        return found

    def _find_come(
        self, work: Work, side: Side, gone: Mapping[bytes, list[_Gone]], came: list[_Came]
    ) -> None:
        """Find the new messages of a mailbox whose header is that of one that is gone, and read them."""
        candidates = {key: digest for key, digest in work.new_digests(side).items() if digest in gone}
        for content in work.contents(side, list(candidates)):
            came.append(_Came(work, content.key, candidates[content.key], content.digest))

    def _compare_partners(
        self, side: Side, gone: Mapping[bytes, list[_Gone]], came: Collection[_Came]
    ) -> None:
        """Read the partners of messages that may have been moved, where nobody has seen their bytes."""
        wanted = {each.header for each in came}
        to_read: dict[Work, dict[Key, _Gone]] = defaultdict(dict)
        for header in wanted:
            for each in gone[header]:
                if not each.compared.is_of(other(side)):
                    to_read[each.work][each.partner(side)] = each

        def read(work: Work) -> None:
            for content in work.contents(other(side), list(to_read[work])):
                to_read[work][content.key].compared = Compared(content.digest, seen_on(other(side)))

        for work in to_read:
            self._guarded(work, partial(read, work))

    def _follow_moves_to(
        self, target: Work, side: Side, came: Sequence[_Came], gone: Mapping[bytes, list[_Gone]]
    ) -> None:
        moves: dict[Work, dict[Key, tuple[_Gone, Key]]] = defaultdict(dict)
        # What is new over there too was copied by a move that was cut off: it is paired, and not moved again.
        there = set(target.new_digests(other(side)).values())
        for each in came:
            found = _matching(gone, each, is_here=False) if each.header not in there else None
            if found is not None:
                moves[found.work][found.partner(side)] = (found, each.key)
        for source, messages in moves.items():
            self._move(source, target, side, messages)

    def _move(self, source: Work, target: Work, side: Side, messages: dict[Key, tuple[_Gone, Key]]) -> None:
        target.ensure(other(side))
        box = self._boxes.get(other(side), source.name)
        for partner, new_key in box.move(list(messages), target.name):
            found, key = messages[partner]
            source.let_go(found.seen, other(side))
            if new_key is None or target.has(other(side), new_key):
                target.leave_alone(side, key)
            else:
                target.take_in(found.seen, side, key, new_key, found.compared)
            self._listener.done(Done(MOVED, other(side), source.name, partner, target.name))

    # Removing

    def _remove(self, works: Iterable[Work]) -> None:
        trashes: set[str] = set()
        finished = []
        works = list(works)
        self._hold_too_many(works)
        self._look_again(works)
        for work in works:
            if self._guarded(work, partial(work.remove, trashes)):
                work.finish()
                finished.append(work)
        for work in reversed(finished):
            self._guarded(work, partial(self._remove_mailbox, work))
        if trashes:
            self._sync_again(trashes)

    def _hold_too_many(self, works: Sequence[Work]) -> None:
        """Hold deletions that are too many, counted over time: an accident comes in bites too."""
        for side in SIDES:
            wanted = {work.name: count for work in works if (count := work.deletions_for(side))}
            if not wanted:
                continue
            if self._options.believe:
                self._state.forget_carried(side)
                continue
            had = {work.name: work.count() for work in works if work.name in wanted}
            refused = judge_pace(
                *(side, wanted, had | {"": self._state.count()}, self._state.carried(side)),
                *(self._context.now, self._options.largest_share),
                [*(self._options.trash(each) for each in SIDES), *self._trashes.values()],
            )
            self._outcome.refused += refused
            for work in works:
                if any(refusal.mailbox in (None, work.name) for refusal in refused):
                    work.hold_removals_for(side)

    def _look_again(self, works: Sequence[Work]) -> None:
        """Before anything is removed, look whether the store where it is gone is still the one that was read.

        One that others take away meanwhile says nothing about its messages.  Another command's round trip
        is not spent on a server, which does not lose its mailboxes bite by bite.
        """
        for side in SIDES:
            if self._options.believe or self._stores[side].is_remote:
                continue
            held = [work for work in works if work.removes_for(side)]
            if held and (seen := self._went_away(side, works)):
                self._outcome.refused.append(Refusal(side, None, f"store {self._stores[side].name}: {seen}"))
                for work in held:
                    work.hold_removals_for(side)

    def _went_away(self, side: Side, works: Iterable[Work]) -> str:
        """Return what of a store went away since it was listed; empty for nothing."""
        store = self._stores[side]
        names = {work.name for work in works if work.there[side] is not None}
        if INBOX in self._remembered():
            names.add(INBOX)
        try:
            if not store.open():
                return "went away while it was read"
            if self._state.about(f"{side}_identity") not in (b"", store.identity()):
                return "" if names <= store.mailboxes(names).keys() else "is being made anew"
            missing = sorted(names - store.mailboxes(names).keys())
        except (TemporaryError, OSError) as error:
            return f"cannot be looked at again: {_reason(error)}"
        return f"mailboxes went away while it was read, {show(missing[0])} among them" if missing else ""

    def _remove_mailbox(self, work: Work) -> None:
        """Remove a mailbox that no message keeps, or make it again, as ``mailboxes.afterwards`` has it."""
        leaving = self._options.leaving
        there = [side for side in SIDES if work.there[side] is not None]
        if not work.is_over() or (leaving == "clear" and work.has_new()):
            return
        was_there = [side for side in SIDES if work.row.epoch(side) is not None]
        acts = mailboxes.afterwards(work.name, there, was_there, leaving)
        rules = self._options.rules
        for act in acts:
            if isinstance(act, Make) and rules.of(act.side).create:
                work.ensure(act.side)
        unmade = [act.side for act in acts if isinstance(act, Unmake)]
        if not unmade or not all(rules.of(side).delete and rules.of(side).expunge for side in unmade):
            return
        self._boxes.close()
        for side in unmade:
            try:
                self._stores[side].remove_mailbox(work.name)
            except NotEmptyError as error:
                self._outcome.notes.append(f"{work.name} is not removed: {error}")
                return
            self._listener.done(Done(UNMADE, side, work.name))
        with self._state.transaction():
            self._state.drop_mailbox(work.row)

    def _sync_again(self, names: Collection[str]) -> None:
        """Bring over what is in these mailboxes since just now."""
        listing = self._listing(names)
        self._leave_out_hidden(listing, names)
        known, fresh = self._works(listing, {name for name in names if self._wants(name)})
        done = self._looked_at_and_brought_over(known + fresh)
        self._arrivals.deliver()
        for work in done:
            self._guarded(work, work.finish)

    def _remove_copies(self, only: Collection[str] | None) -> None:
        """Leave one of equal messages in each mailbox, and have the other side follow."""
        side = copies.where(self._options.rules)
        if side is None:
            self._outcome.notes.append("copies stay where they are: nothing may be deleted in either store")
            return
        listing, _ = self._list(only)
        known, fresh = self._works(listing, None if only is None else set(only))
        touched: set[str] = set()
        for work in known + fresh:
            if all(work.there.values()):
                self._guarded(work, partial(work.remove_copies, side, touched))
        self._boxes.close()
        if touched:
            self._sync(touched)

    def _remember(self) -> None:
        refused = {refusal.side for refusal in self._outcome.refused if refusal.mailbox is None}
        for side, store in self._stores.items():
            if side in refused:  # it may be another one by now, or none
                continue
            for name, value in (("identity", store.identity()), ("remark", store.remark())):
                if self._state.about(f"{side}_{name}") != value:
                    with self._state.transaction():
                        self._state.set_about(f"{side}_{name}", value)


def _reason(error: Exception) -> str:
    if isinstance(error, TemporaryError):
        return f"{error}; {error.fix}" if error.fix else str(error)
    if isinstance(error, OSError):
        where = f"{error.filename!r}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)
