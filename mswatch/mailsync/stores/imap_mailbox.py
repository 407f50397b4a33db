"""One mailbox of an IMAP account at work; ``imap.py`` says which command serves what."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import chain
from typing import Literal as OneOf

from mswatch.imap import commands
from mswatch.imap.commands import Command, NewMessage
from mswatch.imap.connection import Done
from mswatch.imap.dates import parse_date
from mswatch.imap.framing import BodyChunk
from mswatch.imap.numbers import NumberSet
from mswatch.imap.parsing import parse_begun
from mswatch.imap.quirks import Refusal
from mswatch.imap.responses import (
    Code,
    Exists,
    ExtendedSearch,
    Fetch,
    Response,
    Search,
    Status,
    Vanished,
)
from mswatch.imap.responses import Flags as AllowedFlags
from mswatch.mailsync import pairing
from mswatch.mailsync.content import content_digest
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, NONE, SEEN, FlagChange, Flags
from mswatch.mailsync.stores.contract import (
    Added,
    Content,
    Key,
    Mailbox,
    MailboxError,
    Mark,
    Message,
    NotAdded,
    NotRead,
    Scan,
)
from mswatch.mailsync.stores.imap_account import READ, TYPICAL_BYTES, ImapAccount, ImapMark, uids_of
from mswatch.mailsync.stores.imap_lanes import Inquiry
from mswatch.mailsync.stores.imap_lines import Aside, to_lf
from mswatch.mailsync.stores.imap_names import ImapNames
from mswatch.mailsync.stores.own_date import own_date

SYSTEM_FLAGS = frozenset({SEEN, ANSWERED, FLAGGED, DELETED, DRAFT})
ANY = "\\*"  # in PERMANENTFLAGS: keywords can be made
RECENT = frozenset({"\\Recent"})
HEADER = f"BODY.PEEK[HEADER.FIELDS ({' '.join(name.decode().upper() for name in pairing.FIELDS)})]"
BODY = "BODY[]"
DAY_S = 86_400.0  # since 1970: earlier dates are those of a server that knows none
HEADER_BYTES = 256 << 10  # of a message are looked at for its own date
# An upload waits for its answers when so much is under way: that many messages are kept aside.
WINDOW_MESSAGES, WINDOW_BYTES = 500, 8 << 20
_Answer = int | NotAdded | None  # to an upload: the new UID; None: it is there, under a UID that is not known
MOST_REFUSED_READS = 100  # in one reading: a server that refuses more has another reason than bad messages
EMPTY_SIZE = 2  # of a message with nothing in it: at most the line end that no server takes it without
MOST_VANISHED = 1_000_000  # more is looked at anew: a server may name numbers that no message ever had


def key_of(uid: int) -> Key:
    """Return the key of a UID."""
    return b"%d" % uid


class ImapMailbox(Mailbox):
    """A mailbox; SELECT is sent with the first work on it, in the same round trip where that is possible."""

    def __init__(self, account: ImapAccount, own_name: str, names: ImapNames) -> None:
        self._account = account
        self._own_name = own_name
        self._names = names
        self._allowed: Flags = SYSTEM_FLAGS | {ANY}
        self._next_uid = 0  # when it was opened last; 0: not known
        self._validity = account.validities.get(own_name, 0)
        self._asked: Inquiry | None = None  # messages that were asked for ahead, and which ones
        self._asked_keys: Set[Key] = frozenset()
        self._refused_reads = 0  # in this reading
        self._is_known = False  # it was open once, so that it is known which flags it keeps
        self._is_behind = False  # Courier shows what was appended only to who asks whether something is new

    # Looking

    def scan(self, since: Mark | None) -> Scan:
        account = self._account
        mark = ImapMark.read(since) if account.has_modseq else None
        self.close()
        self._is_behind = False
        self._validity = 0  # whether it is another one is told by the epoch
        asked = account.scan(self._own_name, mark)
        opened = self._opened(asked)
        if mark is None or opened.validity != mark.validity or not opened.modseq:
            if mark is not None:
                return self._scan_anew(asked)
            return self._scan_all(asked, opened)
        if account.tells_what_is_gone:
            vanished = [uids for uids in opened.vanished if uids]
            if sum(map(len, vanished)) > MOST_VANISHED:
                return self._scan_anew(asked)
            return self._scan_by_qresync(opened, vanished)
        if self._mark_of(opened) == bytes(mark):
            asked.let_go()
            return Scan(self._epoch, bytes(mark), False, {})
        if not opened.count:
            return self._scan_anew(asked)
        return self._scan_by_condstore(asked, opened)

    def _scan_anew(self, asked: Inquiry) -> Scan:
        asked.let_go()
        return self.scan(None)

    def _scan_all(self, asked: Inquiry, opened: _Opened) -> Scan:
        refused = None
        present: dict[Key, Flags] = {}
        for event in asked.events(asked.tags[1]):
            if isinstance(event, BodyChunk) or (isinstance(event, Fetch) and BODY in event.others):
                asked.put_back(event)  # the answer to what was asked behind this
                if len(present) < opened.count:
                    return self._scan_anew(asked)
                break
            if isinstance(event, Fetch) and event.uid is not None and event.flags is not None:
                present[b"%d" % event.uid] = _lasting(event.flags)
            elif isinstance(event, Done) and event.kind != "OK" and opened.count:
                refused = self._account.refused("FETCH", event.kind, event.code, event.text)
        if refused is not None:
            asked.let_go()
            raise self._account.told(refused)
        if len(asked.tags) > 2:
            self._asked, self._asked_keys = asked, present.keys()
        return Scan(self._epoch, self._mark_of(opened), True, present)

    def _opened(self, asked: Inquiry) -> _Opened:
        """Hear what SELECT tells."""
        responses: list[Response] = []
        for event in asked.events(asked.tags[0]):
            if isinstance(event, Done):
                if event.kind != "OK":
                    asked.let_go()
                    raise self._account.told(
                        self._account.refused(event.command.name, event.kind, event.code, event.text)
                    )
            elif not isinstance(event, BodyChunk):
                responses.append(event)  # type: ignore[arg-type]
        opened = _Opened(responses)
        try:
            self._take(opened)
        except MailboxError:
            asked.let_go()
            raise
        if asked is asked.lane.selecting:
            asked.lane.selected = self._own_name
        return opened

    def _scan_by_qresync(self, opened: _Opened, vanished: Iterable[NumberSet]) -> Scan:
        gone = [key_of(uid) for uids in vanished for uid in uids]
        present: dict[Key, Flags | None] = {
            key_of(each.uid): _lasting(each.flags)
            for each in opened.fetched
            if each.uid is not None and each.flags is not None
        }
        for key in gone:
            present.pop(key, None)
        return Scan(self._epoch, self._mark_of(opened), False, present, gone)

    def _scan_by_condstore(self, asked: Inquiry, opened: _Opened) -> Scan:
        flags: dict[int, Flags] = {}
        there = NumberSet()
        for event in self._results(asked, asked.tags[1:]):
            if isinstance(event, Fetch) and event.uid is not None and event.flags is not None:
                flags[event.uid] = _lasting(event.flags)
            else:
                there = _found(event) or there
        if len(there) > opened.count + len(flags) + MOST_VANISHED:
            raise MailboxError("the server names more messages than it has")
        known: dict[Key, Flags | None] = {key_of(uid): flags.get(uid) for uid in there}
        known.update({key_of(uid): held for uid, held in flags.items()})
        return Scan(self._epoch, self._mark_of(opened), True, known)

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        there = self._there(keys)
        return [key for key in keys if int(key) not in there]

    def given(self, keys: Collection[Key]) -> Collection[Key]:
        return [key for key in keys if int(key) < self._next_uid]  # UIDs ascend (RFC 9051, 2.3.1.1)

    def _there(self, keys: Collection[Key]) -> NumberSet:
        if not keys:
            return NumberSet()
        asked = [self._account.search(f"UID {piece}") for piece in uids_of(keys).pieces(commands.SET_LENGTH)]
        answers = [each for each in self._look(*asked) if isinstance(each, Search | ExtendedSearch)]
        if len(answers) < len(asked):  # an answer that found nothing is an answer, too
            raise MailboxError("the server did not say whether messages are there")
        return NumberSet.merged(
            bounds for each in answers if (found := _found(each)) is not None for bounds in found.ranges
        )

    # Reading

    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        for event in self._fetch(keys, "UID", HEADER):
            if isinstance(event, Fetch) and event.uid is not None:
                for name, value in event.others.items():
                    if name.startswith("BODY[HEADER.FIELDS") and isinstance(value, bytes):
                        yield key_of(event.uid), value.replace(b"\r\n", b"\n")

    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        wanted = list(keys)
        if size_limit is not None:
            large = list(self.larger(keys, size_limit))
            yield from large
            refused = {each.key for each in large}
            wanted = [key for key in wanted if key not in refused]
        self._refused_reads = 0
        yield from self._read(wanted)

    def _read(self, wanted: Sequence[Key]) -> Iterator[Message | NotRead]:
        """Read messages; where the server refuses, halve them: one bad message keeps no other away."""
        asked = set(wanted)
        empty: list[Message] = []
        refused: MailboxError | None = None
        events = self._messages(wanted)
        try:
            for event in events:
                if isinstance(event, BodyChunk):
                    message = self._streamed(event, events)
                elif isinstance(event, Fetch) and event.uid is not None and BODY in event.others:
                    message = _gathered(event)
                else:
                    continue
                if message.key in asked:  # a server that names others is not believed
                    asked.remove(message.key)
                    if message.exact and not message.size:
                        empty.append(message)
                    else:
                        yield message
                for _ in message.chunks:
                    pass  # what the reader left
        except MailboxError as error:
            self._refused_reads += 1
            if self._account.is_over or self._refused_reads > MOST_REFUSED_READS:
                raise
            refused = error
        yield from self._empty(empty)
        left = [key for key in wanted if key in asked] if refused is not None else []
        if len(wanted) == 1:
            yield from (NotRead(key, f"message {key.decode()}: {refused}") for key in left)
        elif left:
            middle = (len(left) + 1) // 2
            for half in filter(None, (left[:middle], left[middle:])):
                yield from self._read(half)

    def _empty(self, messages: Sequence[Message]) -> Iterator[Message | NotRead]:
        """Give messages that came without a byte: only those that the server says have none are believed."""
        if not messages:
            return
        sizes = {
            key_of(event.uid): event.size
            for event in self._fetch([each.key for each in messages], "UID", "RFC822.SIZE")
            if isinstance(event, Fetch) and event.uid is not None
        }
        for message in messages:
            size = sizes.get(message.key)
            if size is not None and size <= EMPTY_SIZE:
                yield message
            else:
                uid = message.key.decode()
                yield NotRead(message.key, f"message {uid} came empty, and is said to have {size} bytes")

    def _messages(self, keys: Sequence[Key]) -> Iterator[object]:
        """Ask for messages, unless that was done ahead."""
        asked, self._asked = self._asked, None
        if asked is not None and asked.is_wanted and not asked.is_lost and self._asked_keys >= set(keys):
            return self._results(asked, asked.tags[1:])
        if asked is not None:
            asked.let_go()
        asked = self._account.reading(self._own_name, keys)
        if asked is not None:
            self._opened(asked)
            return self._results(asked, asked.tags[1:])
        self._account.compress_if_it_pays(len(keys) * TYPICAL_BYTES)
        return self._fetch(keys, *READ, is_last=True)

    def larger(self, keys: Sequence[Key], size_limit: int) -> Iterator[NotRead]:
        for event in self._fetch(keys, "UID", "RFC822.SIZE"):
            if isinstance(event, Fetch) and event.uid is not None and (event.size or 0) > size_limit:
                reason = f"message {event.uid} is too large ({event.size} bytes)"
                yield NotRead(key_of(event.uid), reason, lasting=True)

    def sizes(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        if self._account.sizes_are_estimates:
            return {}
        wanted = set(keys)
        return {
            key: event.size
            for event in self._fetch(keys, "UID", "RFC822.SIZE")
            if isinstance(event, Fetch) and event.uid is not None and event.size
            if (key := key_of(event.uid)) in wanted
        }

    def _streamed(self, first: BodyChunk, events: Iterator[object]) -> Message:
        begun = parse_begun(first.begun)
        chunks = _chunks(first, events)
        if begun.uid is not None:
            return _message(begun, begun.uid, first.size, to_lf(chunks), exact=False)
        aside = Aside(to_lf(chunks))  # some servers tell at the end which message it was
        ended = next(event for event in events if isinstance(event, Fetch))
        return _message(ended, ended.uid or 0, aside.size, to_lf(aside.chunks()), exact=False)

    def _fetch(self, keys: Sequence[Key], *items: str, is_last: bool = False) -> Iterator[object]:
        if not keys:
            return iter(())
        pieces = uids_of(keys).pieces(commands.SET_LENGTH)
        return self._look(*(commands.uid_fetch(piece, items) for piece in pieces), is_last=is_last)

    # Writing

    def propose(self, count: int) -> Sequence[Key] | None:
        return None

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        window: list[tuple[Message, Aside]] = []
        try:
            for message in messages:
                aside = Aside(message.chunks)
                window.append((message, aside))
                if unfit := self._why_unfit(aside):
                    window.pop()
                    aside.close()
                    yield NotAdded(message.key, unfit)
                elif len(window) >= WINDOW_MESSAGES or sum(each.size for _, each in window) >= WINDOW_BYTES:
                    yield from self._upload(window)
                    _close(window)
            yield from self._upload(window)
        finally:
            _close(window)

    def _why_unfit(self, aside: Aside) -> str:
        """Say why a message cannot be uploaded; nothing if it can."""
        limit = self._account.append_limit
        if aside.has_nul:
            return "it holds a NUL byte, which no IMAP server takes"
        if limit is not None and aside.size > limit:
            return (
                f"it has {aside.size} bytes, and the server takes {limit} at most; size_limit leaves it out"
            )
        return ""

    def _upload(self, window: Sequence[tuple[Message, Aside]]) -> Sequence[Added | NotAdded]:
        if not window:
            return ()
        before = None if self._account.can("UIDPLUS") else self._last_uid()
        if any(message.flags - SYSTEM_FLAGS for message, _ in window) and not self._is_known:
            self._ensure_selected()  # which says what keywords it keeps
        self._account.compress_if_it_pays(sum(aside.size for _, aside in window))
        if len(window) > 1 and self._account.can("MULTIAPPEND"):
            answers = self._append([list(window)])
            if not any(isinstance(answer, NotAdded) for answer in answers):
                return self._added(window, answers, before)
        return self._added(window, self._append([[each] for each in window]), before)

    def _append(self, groups: Sequence[Sequence[tuple[Message, Aside]]]) -> list[_Answer]:
        """Send these groups, each in one command, and answer each message.

        The mailbox is opened in the same round trip, if it is not known which flags it keeps.  An error is
        raised when all is over: what is under way needs the messages.
        """
        lane, takes_utf8 = self._account.idle_lane, self._account.takes_utf8
        asked = lane.ask() if self._is_known else self._select()
        self._is_behind = True
        sent = {}
        for group in groups:
            new = [
                NewMessage(
                    aside.size,
                    self._storable(message.flags),
                    message.date_ns // 10**9,
                    is_utf8=takes_utf8 and not pairing.header_of(aside.beginning()).isascii(),
                )
                for message, aside in group
            ]
            bodies = [aside.chunks() for _, aside in group]
            sent[lane.ask_more(asked, commands.append(self._own_name, new), *bodies)] = group
        found: dict[str, list[_Answer]] = {}
        error: MailboxError | None = None
        try:
            if not self._is_known:
                self._opened(asked)
        except MailboxError as refused:
            error = refused
        for event in asked.events(*sent):
            if isinstance(event, Done) and event.tag in sent:
                try:
                    found[event.tag] = self._appended(event, sent[event.tag])
                except MailboxError as refused:
                    error = error or refused
        if error is not None:
            raise error
        return [answer for tag in sent for answer in found[tag]]

    def _appended(self, done: Done, group: Sequence[tuple[Message, Aside]]) -> list[_Answer]:
        if done.kind == "OK":
            uids = _in_order(done.code, len(group)) if self._is_here(done.code) else []
            return [*uids] if uids else [None] * len(group)
        refused = self._account.refused("APPEND", done.kind, done.code, done.text)
        if refused.refusal in (Refusal.OVER_QUOTA, Refusal.BUSY, Refusal.TOO_MUCH, Refusal.NO_MAILBOX):
            raise self._account.told(refused)
        return [NotAdded(message.key, str(refused)) for message, _ in group]

    def _is_here(self, code: Code | None) -> bool:
        return code is not None and code.name == "APPENDUID" and code.number == self._validity

    def _added(
        self,
        window: Sequence[tuple[Message, Aside]],
        answers: Sequence[_Answer],
        before: int | None,
    ) -> list[Added | NotAdded]:
        unknown = [each for each, answer in zip(window, answers, strict=True) if answer is None]
        # With UIDPLUS an answer without a UID is broken: where the message is stays uncertain.
        found = self._find_again(unknown, before) if unknown and before is not None else {}
        results: list[Added | NotAdded] = []
        for (message, _), answer in zip(window, answers, strict=True):
            flags = self._storable(message.flags)
            if isinstance(answer, NotAdded):
                results.append(answer)
            elif answer is not None:
                results.append(Added(message.key, key_of(answer), flags))
            elif message.key in found:
                results.append(Added(message.key, found[message.key], flags))
        return results

    def _find_again(self, window: Sequence[tuple[Message, Aside]], before: int) -> dict[Key, Key]:
        """Find what was uploaded among what is new: headers choose, bytes decide; the rest is uncertain."""
        ours = {pairing.header_digest(pairing.header_of(aside.beginning())) for _, aside in window}
        likely = []
        for event in self._do(commands.uid_fetch(f"{before + 1}:*", ("UID", HEADER))):
            if isinstance(event, Fetch) and event.uid is not None and event.uid > before:
                header = next((v for v in event.others.values() if isinstance(v, bytes)), b"")
                if pairing.header_digest(header.replace(b"\r\n", b"\n")) in ours:
                    likely.append(key_of(event.uid))
        there = {each.key: each.digest for each in self.contents(likely) if isinstance(each, Content)}
        sent = {message.key: content_digest(aside.chunks()) for message, aside in window}
        return dict(pairing.pair_by_content(sent, there))

    def _last_uid(self) -> int:
        opened = self._opened(self._select())
        if opened.next_uid:
            return opened.next_uid - 1
        uids = [
            event.uid or 0 for event in self._do(commands.uid_fetch("*", ["UID"])) if isinstance(event, Fetch)
        ]
        return max(uids, default=0)

    def _storable(self, flags: Flags) -> Flags:
        """Return those flags that the server can keep for good."""
        can_make = ANY in self._allowed
        allowed = {flag.lower() for flag in self._allowed}
        return frozenset(
            flag
            for flag in flags
            if commands.is_flag(flag)
            and (flag in SYSTEM_FLAGS or not flag.startswith("\\"))
            and (flag.lower() in allowed or (can_make and not flag.startswith("\\")))
        )

    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        if not changes:
            return
        self._ensure_selected()
        added: dict[Flags, list[Key]] = {}
        removed: dict[Flags, list[Key]] = {}
        ways: list[tuple[OneOf["+", "-"], dict[Flags, list[Key]]]] = [("+", added), ("-", removed)]
        possible = {}
        for key, change in changes.items():
            taken = change.seen - self._storable(change.removed)
            possible[key] = can = FlagChange(change.seen, taken | self._storable(change.added))
            added.setdefault(can.added, []).append(key)
            removed.setdefault(can.removed, []).append(key)
        stores = [
            commands.uid_store(piece, how, flags)
            for how, groups in ways
            for flags, keys in groups.items()
            if flags
            for piece in uids_of(keys).pieces(commands.SET_LENGTH)
        ]
        held: dict[Key, Flags] = {}
        pieces = uids_of(changes).pieces(commands.SET_LENGTH)
        asked = [commands.uid_fetch(piece, ["UID", "FLAGS"]) for piece in pieces]
        for event in self._do(*stores, *asked):
            if isinstance(event, Fetch) and event.uid is not None and event.flags is not None:
                held[key_of(event.uid)] = _lasting(event.flags)
        yield from ((key, _agreed(change, held[key])) for key, change in possible.items() if key in held)

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        if keys:
            self._ensure_selected()
            if self._account.can("UIDPLUS"):
                self._expunge_these(keys)
            else:
                self._expunge_without_uidplus(keys)
            yield from self.absent(keys)

    def _expunge_these(self, keys: Sequence[Key]) -> None:
        work = []
        for piece in uids_of(keys).pieces(commands.SET_LENGTH):
            work += [commands.uid_store(piece, "+", [DELETED]), commands.uid_expunge(piece)]
        list(self._do(*work))

    def _expunge_without_uidplus(self, keys: Sequence[Key]) -> None:
        ours = uids_of(keys)
        found = [_found(event) for event in self._do(self._account.search("DELETED"))]
        theirs = NumberSet.of(
            uid for numbers in found if numbers is not None for uid in numbers if uid not in ours
        )
        spare = list(theirs.pieces(commands.SET_LENGTH))
        list(
            self._do(
                *(commands.uid_store(piece, "-", [DELETED]) for piece in spare),
                *(commands.uid_store(piece, "+", [DELETED]) for piece in ours.pieces(commands.SET_LENGTH)),
            )
        )
        list(self._do(commands.expunge()))
        list(self._do(*(commands.uid_store(piece, "+", [DELETED]) for piece in spare)))

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        target = self._names.own(mailbox)
        there = self._there(keys)
        here = [key for key in keys if int(key) in there]
        if not here:
            return
        can_move = self._account.can("MOVE")
        act = commands.uid_move if can_move else commands.uid_copy
        pieces = list(uids_of(here).pieces(commands.SET_LENGTH))
        new: dict[int, int] = {}
        for event in self._do(*(act(piece, target) for piece in pieces)):
            code = event.code if isinstance(event, Status | Done) else None
            if code is not None and code.name == "COPYUID":
                new.update(
                    zip(_expanded(code.source, len(here)), _expanded(code.ordered, len(here)), strict=False)
                )
        gone = set(self.remove(here)) if not can_move else set(self.absent(here))
        for key in here:
            if key in gone:
                uid = new.get(int(key))
                yield key, None if uid is None else key_of(uid)

    def close(self) -> None:
        """Leave it selected: the next mailbox takes its place, without a round trip for this one."""
        if self._asked is not None:
            self._asked.let_go()
            self._asked = None

    # Commands

    @property
    def _epoch(self) -> bytes:
        return b"%d" % self._validity

    def _mark_of(self, opened: _Opened) -> Mark | None:
        if not opened.modseq or not opened.next_uid:
            return None
        return bytes(ImapMark(opened.validity, opened.modseq, opened.next_uid, opened.count))

    def _ensure_selected(self) -> None:
        if self._account.idle_lane.selected != self._own_name:
            self._opened(self._select())

    def _select(self, *work: Command) -> Inquiry:
        """Open the mailbox, with work behind that which does no harm in another one."""
        lane = self._account.idle_lane
        lane.selected = None
        opening = commands.select(self._own_name, condstore=self._account.has_modseq)
        lane.selecting = asked = lane.ask(opening, *work)
        self._is_behind = False
        return asked

    def _look(self, *work: Command, is_last: bool = False) -> Iterator[object]:
        """Do what changes nothing, in the same round trip as opening the mailbox."""
        if self._account.idle_lane.selected == self._own_name:
            return self._do(*work, is_last=is_last)
        asked = self._select(*work)
        if is_last:
            self._account.ask_ahead()
        self._opened(asked)
        return self._results(asked, asked.tags[1:])

    def _take(self, opened: _Opened) -> None:
        """Note what the open mailbox is."""
        before, self._validity = self._validity, opened.validity
        if before not in (0, opened.validity):
            raise MailboxError("the mailbox was made anew while it was worked on")
        self._account.validities[self._own_name] = opened.validity
        self._allowed = opened.allowed
        self._next_uid = opened.next_uid
        self._is_known = True

    def _do(self, *work: Command, is_last: bool = False) -> Iterator[object]:
        """Send commands together and yield what happens; the first refusal is raised when all are over.

        With ``is_last``, which is a guess, what is expected next is asked behind them.
        """
        todo = (commands.noop(), *work) if self._is_behind else work
        self._is_behind = False
        asked = self._account.idle_lane.ask(*todo)
        if is_last:
            self._account.ask_ahead()
        return self._results(asked, asked.tags)

    def _results(self, asked: Inquiry, tags: Sequence[str]) -> Iterator[object]:
        """Yield what happens until these commands are over; the first refusal is raised then."""
        refused = None
        try:
            for event in asked.events(*tags):
                if isinstance(event, Done) and event.kind != "OK" and refused is None:
                    refused = self._account.refused(event.command.name, event.kind, event.code, event.text)
                yield event
        finally:
            asked.let_go()
        if refused is not None and refused.refusal is not Refusal.EXPUNGED:
            raise self._account.told(refused)


class _Opened:
    """What SELECT told."""

    def __init__(self, responses: Iterable[Response]) -> None:
        self.count = self.validity = self.next_uid = self.modseq = 0
        self.allowed: Flags = SYSTEM_FLAGS
        self.fetched: list[Fetch] = []
        self.vanished: list[NumberSet] = []
        permanent = None
        for each in responses:
            if isinstance(each, Exists):
                self.count = each.count
            elif isinstance(each, AllowedFlags):
                self.allowed = each.flags
            elif isinstance(each, Fetch):
                self.fetched.append(each)
            elif isinstance(each, Vanished):
                self.vanished.append(each.uids)
            elif isinstance(each, Status) and each.code is not None and each.code.name == "CLOSED":
                self.fetched.clear()  # what came before was the last mailbox's (RFC 7162, 3.2.11)
                self.vanished.clear()
            elif isinstance(each, Status) and each.code is not None:
                permanent = each.code.words if each.code.name == "PERMANENTFLAGS" else permanent
                self._take_number(each.code)
        self.allowed = self.allowed if permanent is None else permanent

    def _take_number(self, code: Code) -> None:
        if code.name == "UIDVALIDITY":
            self.validity = code.number or 0
        elif code.name == "UIDNEXT":
            self.next_uid = code.number or 0
        elif code.name == "HIGHESTMODSEQ":
            self.modseq = code.number or 0


@lru_cache(4096)
def _lasting(flags: Flags) -> Flags:
    """Return flags without those of a session; the same object for the same ones: messages are many."""
    return flags - RECENT


def _agreed(change: FlagChange, held: Flags) -> Flags:
    """Return what of a change a server kept, spelt as it spells it: some know a keyword in another case."""
    asked = {flag.lower() for flag in change.added}
    kept = frozenset(flag for flag in held - change.seen if flag.lower() in asked)
    return (change.wanted - change.added) | kept


def _found(event: object) -> NumberSet | None:
    if isinstance(event, Search):
        return event.numbers
    return event.all if isinstance(event, ExtendedSearch) else None


def _chunks(first: BodyChunk, events: Iterator[object]) -> Iterator[memoryview]:
    chunk = first
    while True:
        yield chunk.data
        if chunk.offset + len(chunk.data) >= chunk.size:
            return
        following = next(events)
        assert isinstance(following, BodyChunk)  # nothing else comes within a literal
        chunk = following


def _gathered(event: Fetch) -> Message:
    body = event.body()
    data = body.replace(b"\r\n", b"\n") if isinstance(body, bytes) else b""
    return _message(event, event.uid or 0, len(data), iter((data,)), exact=True)


def _message(event: Fetch, uid: int, size: int, chunks: Iterator[bytes], *, exact: bool) -> Message:
    seconds = parse_date(event.internal_date or b"")
    if seconds is None or seconds < DAY_S:
        seconds, chunks = _dated(chunks)
    flags = _lasting(event.flags or NONE)
    return Message(key_of(uid), flags, int(seconds) * 10**9, size, chunks, exact)


def _dated(chunks: Iterator[bytes]) -> tuple[float, Iterator[bytes]]:
    """Return the date that a message has of its own, else now; and the message.

    Some servers know no date of when they received it, and say nothing, or that it was in 1970.
    """
    begun = b""
    for chunk in chunks:
        begun += chunk
        if b"\n\n" in begun or len(begun) >= HEADER_BYTES:
            break
    seconds = own_date(pairing.header_of(begun))
    return (time.time() if seconds is None or seconds < DAY_S else seconds), chain((begun,), chunks)


def _expanded(ranges: Sequence[tuple[int, int]], most: int) -> list[int]:
    found: list[int] = []
    for first, last in ranges:
        found += range(first, min(last, first + most - len(found)) + 1)
        if len(found) > most:
            break
    return found


def _in_order(code: Code | None, count: int) -> list[int]:
    uids = _expanded(code.ordered, count) if code is not None else []
    return uids if len(uids) == count else []


def _close(window: list[tuple[Message, Aside]]) -> None:
    for _, aside in window:
        aside.close()
    window.clear()
