"""The connections to an IMAP account, shared by the store and its open mailbox.

What the engine is going to ask is known beforehand (``expect``), and is sent ahead, as much as a window
holds, so that hundreds of mailboxes cost a few round trips.  One that is to be made is made and looked at in
the same breath.  Where much is to be read, more connections are
opened, a few at most, and the mailboxes go round among them: a server that is slow at reading does it for
several at once.  All is read by one process, one mailbox after the other; what others send meanwhile waits in
memory, up to a limit (``Link.beside``).

The first connection is the one that changes anything.  The others only read ahead; a server that does not
want them, or ends them, is content with fewer, and what they were asked is asked on the first one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from mswatch.errors import MswatchError
from mswatch.imap import commands
from mswatch.imap.commands import Command, Known
from mswatch.imap.connection import Done, State
from mswatch.imap.numbers import NumberSet
from mswatch.imap.responses import Code, Response, StatusKind
from mswatch.imap_session.session import RefusedError, Session
from mswatch.mailsync.stores.contract import Key, MailboxError, Mark
from mswatch.mailsync.stores.imap_lanes import Inquiry, Lane

READ = ("UID", "FLAGS", "INTERNALDATE", "BODY.PEEK[]")
TYPICAL_BYTES = 10_000  # of a message, to guess what is to come
# How much is asked ahead on all connections, in messages.  A message whose flags alone are asked for is a
# small part of one, and a mailbox some more.
WINDOW = 2000
FLAGS_WEIGH = 0.05
MAILBOX_WEIGHS = 20
WIDE_FROM = 1000  # messages to be read: more connections pay


@dataclass(frozen=True)
class ImapMark:
    """What stands for the content of a mailbox."""

    validity: int
    modseq: int
    next_uid: int
    count: int

    def __bytes__(self) -> bytes:
        return b"%d %d %d %d" % (self.validity, self.modseq, self.next_uid, self.count)

    @classmethod
    def read(cls, mark: Mark | None) -> ImapMark | None:
        """Read a mark; None for one that another version wrote."""
        parts = (mark or b"").split()
        return cls(*map(int, parts)) if len(parts) == 4 and all(map(bytes.isdigit, parts)) else None


@dataclass(frozen=True)
class Plan:
    """What is going to be asked of a mailbox, by the server's name; ``count`` is how many messages it has.

    With ``makes`` it is made first, which the first connection does.
    """

    own_name: str
    scans: bool
    mark: ImapMark | None
    keys: Sequence[Key] | None
    count: int
    makes: bool = False

    @property
    def to_read(self) -> int:
        """How many messages are read."""
        return self.count if self.keys is None else len(self.keys)

    @property
    def weight(self) -> float:
        """How much of the window it takes."""
        flags = self.count * FLAGS_WEIGH if self.scans and self.mark is None else 0
        return MAILBOX_WEIGHS + self.to_read + flags


def uids_of(keys: Iterable[Key]) -> NumberSet:
    """Return the UIDs that keys stand for."""
    return NumberSet.of(int(key) for key in keys)


def _making(own_name: str) -> tuple[Command, Command]:
    return commands.create(own_name), commands.subscribe(own_name)


class ImapAccount:
    """The sessions that are logged in, one at first; ``log_in`` makes more, up to ``most``."""

    def __init__(self, name: str, session: Session, log_in: Callable[[], Session], most: int = 1) -> None:
        self.name = name
        self.validities: dict[str, int] = {}  # what each mailbox was when it was looked at
        self._first = Lane(session)
        self._lanes = [self._first]
        self._raw = session
        self._log_in = log_in
        self._most = most
        self._plan: deque[Plan] = deque()
        self._is_wide = False  # more connections are opened for what is planned
        self._names: set[str] = set()  # of what was planned; most questions are about others
        self._ahead: list[tuple[Plan, Inquiry]] = []  # what was sent and not wanted yet, in the plan's order

    @property
    def session(self) -> Session:
        """The first connection, with nothing under way."""
        return self._first.session

    @property
    def idle_lane(self) -> Lane:
        """The first connection, with nothing under way; what was asked ahead on it is kept."""
        self._first.hear_out()
        return self._first

    @property
    def is_over(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._first.is_over

    def can(self, *capabilities: str) -> bool:
        """Tell whether the server has all of these."""
        return self._raw.can(*capabilities)

    @property
    def has_modseq(self) -> bool:
        """Whether the server numbers changes (RFC 7162)."""
        return self.can("CONDSTORE") or self.can("QRESYNC")

    @property
    def tells_what_is_gone(self) -> bool:
        """Whether SELECT tells all that is different."""
        return "QRESYNC" in self._raw.connection.enabled

    @property
    def takes_utf8(self) -> bool:
        """Whether names and headers are UTF-8 (RFC 6855)."""
        return "UTF8=ACCEPT" in self._raw.connection.enabled

    @property
    def sizes_are_estimates(self) -> bool:
        """Whether RFC822.SIZE is not how many bytes a message has."""
        return self._raw.quirks.sizes_are_estimates

    @property
    def append_limit(self) -> int | None:
        """The most bytes that a message may have which is uploaded, where the server says so (RFC 7889)."""
        words = self._raw.connection.capabilities or ()
        limits = [word.removeprefix("APPENDLIMIT=") for word in words if word.startswith("APPENDLIMIT=")]
        return min((int(limit) for limit in limits if limit.isascii() and limit.isdigit()), default=None)

    def refused(self, asked: str, kind: StatusKind, code: Code | None, text: str) -> RefusedError:
        """Return the error for a refusal."""
        return self._raw.refused(asked, kind, code, text)

    def close(self) -> None:
        """End the connections."""
        for lane in self._lanes:
            lane.close()

    def compress_if_it_pays(self, expected_bytes: int) -> None:
        """Compress the first connection, if so many bytes make up for it."""
        if self._raw.pays_to_compress(expected_bytes):
            self.session.compress_if_it_pays(expected_bytes)

    # What is asked ahead

    @property
    def planned(self) -> list[Plan]:
        """What of the plan is left."""
        return [*(plan for plan, _ in self._ahead), *self._plan]

    def expect(self, plans: Iterable[Plan]) -> None:
        """Know what is asked next, and begin to ask it."""
        self._forget_ahead()
        self._plan = deque(plans)
        self._names = {plan.own_name for plan in self._plan}
        to_read = sum(plan.to_read for plan in self._plan)
        self._is_wide = len(self._lanes) > 1 or (to_read >= WIDE_FROM and len(self._plan) > 1)
        self.compress_if_it_pays(to_read * TYPICAL_BYTES)
        self.ask_ahead()
        if self._is_wide and self._plan:
            self._widen(to_read)
            self.ask_ahead()

    def ask_ahead(self) -> None:
        """Send what the windows have room for.

        What is made is filled afterwards, and that has to wait for all that was sent before; so it is sent in
        whole windows, and not one by one behind each.
        """
        window = WINDOW / (self._most if self._is_wide else 1)
        is_whole = not self._ahead
        while self._plan and (is_whole or not self._plan[0].makes):
            lanes = [self._first] if self._plan[0].makes else self._lanes
            loads = {lane: 0.0 for lane in lanes if not lane.is_over}
            for plan, inquiry in self._ahead:
                if inquiry.lane in loads:
                    loads[inquiry.lane] += plan.weight
            lane = min(loads, key=lambda lane: loads[lane], default=None)
            if lane is None or (loads[lane] and loads[lane] + self._plan[0].weight > window):
                break
            plan = self._plan.popleft()
            self._ahead.append((plan, self._ask(lane, plan)))
        for lane in self._lanes:
            if not lane.is_over:
                lane.push()

    def make(self, own_name: str) -> Done:
        """Make a mailbox, if that was not done ahead; return how it ended."""
        asked = self._taken(own_name, lambda plan: plan.makes) or self.idle_lane.ask(*_making(own_name))
        tags = asked.tags[:2]
        ends = {event.tag: event for event in asked.events(*tags) if isinstance(event, Done)}
        made = ends[tags[0]]
        del asked.tags[:2]
        if made.kind == "OK" and asked.tags:
            self._ahead.insert(0, (Plan(own_name, True, None, (), 0), asked))
        else:
            asked.let_go()
        return made

    def scan(self, own_name: str, mark: ImapMark | None) -> Inquiry:
        """Open a mailbox and ask what is different; the tags: SELECT, the commands of the scan, the messages.

        Only what was planned has the last one.
        """
        found = self._taken(own_name, lambda plan: plan.scans and plan.mark == mark and not plan.makes)
        return found or self._ask(self._first, Plan(own_name, True, mark, (), 0))

    def reading(self, own_name: str, keys: Sequence[Key]) -> Inquiry | None:
        """Return what was asked ahead: SELECT, and these messages."""
        wanted = list(keys)
        return self._taken(own_name, lambda plan: not plan.scans and list(plan.keys or ()) == wanted)

    def _taken(self, own_name: str, fits: Callable[[Plan], bool]) -> Inquiry | None:
        """Return the inquiry that was planned; what was planned before it is not wanted any more."""
        if own_name not in self._names:
            return None
        plans = chain((plan for plan, _ in self._ahead), self._plan)
        before = next((n for n, plan in enumerate(plans) if plan.own_name == own_name and fits(plan)), None)
        if before is None:
            return None
        for _ in range(before):
            if self._ahead:
                self._ahead.pop(0)[1].let_go()
            else:
                self._plan.popleft()
        if not self._ahead:
            self.ask_ahead()
        plan, inquiry = self._ahead.pop(0)
        self.ask_ahead()
        if inquiry.lane is not self._first:
            try:
                inquiry.begin()
            except MswatchError:
                self._lose(inquiry.lane)
                return self._ask(self._first, plan)
        return self._ask(self._first, plan) if inquiry.is_lost else inquiry

    def _lose(self, lane: Lane) -> None:
        """Do without a connection, and begin anew with what was asked ahead."""
        lane.close()
        self._lanes.remove(lane)
        self._most = len(self._lanes)
        self._introduce()
        self._plan = deque(self.planned)
        self._forget_ahead()
        self.ask_ahead()

    def _forget_ahead(self) -> None:
        for _, inquiry in self._ahead:
            inquiry.let_go()
        self._ahead.clear()

    def _widen(self, to_read: int) -> None:
        """Open more connections; who does not let us have them is not asked again."""
        while len(self._lanes) < self._most:
            try:
                session = self._log_in()
            except MswatchError:
                self._most = len(self._lanes)
                return
            self._lanes.append(Lane(session, is_spare=True))
            self._introduce()
            session.compress_if_it_pays(to_read * TYPICAL_BYTES)

    def _introduce(self) -> None:
        """Have each connection take what comes on the others while it waits."""
        links = [lane.link for lane in self._lanes]
        for link in links:
            link.beside = [other for other in links if other is not link]

    # Commands

    def _ask(self, lane: Lane, plan: Plan) -> Inquiry:
        asked = [*(_making(plan.own_name) if plan.makes else ()), self._select(plan)]
        if plan.scans:
            asked += self._scan_commands(plan.mark)
        if plan.keys is None:
            asked.append(commands.uid_fetch("1:*", READ))
        elif plan.keys:
            pieces = uids_of(plan.keys).pieces(commands.SET_LENGTH)
            asked += (commands.uid_fetch(piece, READ) for piece in pieces)
        lane.selected = None
        lane.selecting = lane.ask(*asked)
        return lane.selecting

    def _select(self, plan: Plan) -> Command:
        if plan.mark is not None and self.tells_what_is_gone:
            return commands.select(plan.own_name, known=Known(plan.mark.validity, plan.mark.modseq))
        return commands.select(plan.own_name, condstore=self.has_modseq)

    def _scan_commands(self, mark: ImapMark | None) -> list[Command]:
        if mark is None:
            return [commands.uid_fetch("1:*", ["FLAGS"])]
        if self.tells_what_is_gone:
            return []
        changed = commands.uid_fetch("1:*", ["FLAGS"], changed_since=mark.modseq)
        return [self.search("ALL"), changed]

    def search(self, criterion: str) -> Command:
        """Return a search, in the form that the server answers most briefly."""
        return commands.uid_search([criterion], returning=["ALL"] if self.can("ESEARCH") else None)

    def ask(self, command: Command, *bodies: Iterable[bytes]) -> tuple[Response, ...]:
        """Do one thing for a mailbox.

        Raises:
            MailboxError: the server refused it.
        """
        try:
            return self.session.request(command, *bodies).responses
        except RefusedError as error:
            raise self.told(error) from None

    def told(self, error: RefusedError) -> MailboxError | RefusedError:
        """Return a refusal as an error of the mailbox, unless it ended the connection."""
        if self._raw.connection.state is State.CLOSED:
            return error
        return MailboxError(f"store {self.name}: {error}", error.fix)

    def forget(self, *own_names: str) -> None:
        """Forget what mailboxes were, which are others from now on."""
        for own_name in own_names:
            self.validities.pop(own_name, None)

    def unselect(self) -> None:
        """Leave the open mailbox, and expunge nothing."""
        for lane in self._lanes:
            if not lane.is_over:
                self._unselect(lane)

    def _unselect(self, lane: Lane) -> None:
        if lane.selecting is None:
            return
        lane.selected = lane.selecting = None
        session = lane.session
        if session.connection.state is not State.SELECTED:
            return
        session.send(
            # A SELECT that fails leaves no mailbox open (RFC 9051, 6.3.2).
            commands.unselect() if session.can("UNSELECT") else commands.select("no such mailbox here")
        )
        list(session.events())
