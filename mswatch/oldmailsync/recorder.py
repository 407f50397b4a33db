"""Takes down what a run does, as the old program would tell it.

The engine tells of keys, the old program of senders and subjects; so the stores of such a run are wrapped,
and the headers that pass by are kept for the lines that are to be printed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mswatch.mailsync import pulse
from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.options import COPIED, LEFT, MADE, MARKED, MOVED, REMOVED, TRASHED, UNMADE, Done
from mswatch.mailsync.stores.contract import (
    Added,
    Key,
    Mailbox,
    Message,
    NotAdded,
    NotRead,
    Seen,
    Store,
)
from mswatch.oldmailsync import report
from mswatch.oldmailsync.around import MailboxAround, StoreAround
from mswatch.oldmailsync.msinfo import ids
from mswatch.oldmailsync.options import Method
from mswatch.oldmailsync.report import BoxReport, Line

_Place = tuple[Side, str, Key]


class Recorder:
    """Whoever is told what happens, and the stores to which it happens."""

    def __init__(self, method: Method, *, messages: bool) -> None:
        """Begin; without ``messages`` only the headers are kept of which something is always printed."""
        self.messages = messages
        self.boxes: dict[str, BoxReport] = {}
        self.listed: dict[Side, list[str]] = {side: [] for side in SIDES}
        self._method = method
        self._headers: dict[_Place, bytes] = {}
        self._open: dict[tuple[Side, str], Mailbox] = {}

    def around(self, store: Store, side: Side) -> Store:
        """Return a store that is taken down."""
        return _RecordedStore(store, side, self)

    def box(self, name: str) -> BoxReport:
        """Return the report of a mailbox."""
        return self.boxes.setdefault(name, BoxReport(name))

    def expect(self, messages: int) -> None:
        """Nothing: there is no bar."""

    def advance(self, messages: int = 1) -> None:
        """There is none, but the run goes on."""
        pulse.RUN.beat()

    def done(self, done: Done) -> None:
        """Take down what was done."""
        box = self.box(done.mailbox)
        place = (done.side, done.mailbox, done.key)
        if done.what == COPIED:
            box.copied[done.side] += 1
            self._line(report.COPIED, done.mailbox, done.side, self._headers.pop(place, None))
        elif done.what in (REMOVED, TRASHED, MARKED):
            box.deleted[done.side] += done.what != MARKED
            self._line(report.DELETED, done.mailbox, done.side, self._headers.pop(place, None))
        elif done.what == MOVED:  # to the old program that was a copy and a deletion
            header = self._headers.pop(place, None)
            self.box(done.detail).copied[done.side] += 1
            self._line(report.COPIED, done.detail, done.side, header)
            box.deleted[done.side] += 1
            self._line(report.DELETED, done.mailbox, done.side, header)
        elif done.what == LEFT:
            header = dict(self._read_headers(done.side, done.mailbox, [done.key])).get(done.key, b"")
            self._line(report.IGNORED, done.mailbox, other(done.side), header)
        elif done.what == MADE:
            box.made.append(done.side)
        elif done.what == UNMADE:
            box.unmade.append(done.side)

    def _line(self, action: str, mailbox: str, side: Side, header: bytes | None) -> None:
        """Take down a line; without a header nobody wants it."""
        if header is not None:
            name, digest = ids(header)
            shown = name if self._method == "msgid" else digest.removeprefix("md5:")
            self.box(mailbox).lines.append(Line(action, side, shown, report.columns(header)))

    # What the mailboxes tell

    def opened(self, side: Side, name: str, mailbox: Mailbox) -> None:
        """A mailbox can be asked for headers."""
        self._open[side, name] = mailbox

    def closed(self, side: Side, name: str) -> None:
        """It cannot any more."""
        self._open.pop((side, name), None)

    def keep_all(self, side: Side, mailbox: str, keys: Sequence[Key]) -> None:
        """Keep the headers of messages that something is done to."""
        for key, header in self._read_headers(side, mailbox, keys):
            self._headers[side, mailbox, key] = header

    def arrived(self, side: Side, mailbox: str, added: Added) -> None:
        """A message of the other side is on this one, under another key."""
        header = self._headers.pop((other(side), mailbox, added.source), None)
        if header is not None:
            self._headers[side, mailbox, added.key] = header

    def not_copied(self, side: Side, mailbox: str, refused: NotAdded) -> None:
        """A message did not get to a side."""
        header = self._headers.pop((other(side), mailbox, refused.source), None)
        self._line(report.FAILED, mailbox, side, header)

    def too_big(self, side: Side, mailbox: str, keys: Sequence[Key]) -> None:
        """Messages of a side were not read; those that have a header were too large."""
        for _, header in self._read_headers(side, mailbox, keys):
            self._line(report.TOO_BIG, mailbox, other(side), header)

    def _read_headers(self, side: Side, mailbox: str, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes]]:
        opened = self._open.get((side, mailbox))
        for each in opened.headers(keys) if opened is not None else ():
            if not isinstance(each, NotRead):
                yield each


class _RecordedStore(StoreAround):
    def __init__(self, inner: Store, side: Side, recorder: Recorder) -> None:
        super().__init__(inner)
        self._side = side
        self._recorder = recorder

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        found = self.inner.mailboxes(only)
        if only is None:
            self._recorder.listed[self._side] = list(found)
        return found

    def open_mailbox(self, mailbox: str) -> Mailbox:
        return _RecordedMailbox(self.inner.open_mailbox(mailbox), self._side, mailbox, self._recorder)


class _RecordedMailbox(MailboxAround):
    def __init__(self, inner: Mailbox, side: Side, name: str, recorder: Recorder) -> None:
        super().__init__(inner)
        self._side = side
        self._name = name
        self._recorder = recorder
        recorder.opened(side, name, inner)

    def carry(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        if self._recorder.messages:
            self._recorder.keep_all(self._side, self._name, keys)
        lasting = []
        for each in self.inner.carry(keys, size_limit):
            if isinstance(each, NotRead) and each.lasting:
                lasting.append(each.key)
            yield each
        if lasting and size_limit is not None:
            self._recorder.too_big(self._side, self._name, lasting)

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        if not self._recorder.messages:
            yield from self.inner.add(messages)
            return
        for answer in self.inner.add(messages):
            if isinstance(answer, Added):
                self._recorder.arrived(self._side, self._name, answer)
            else:
                self._recorder.not_copied(self._side, self._name, answer)
            yield answer

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        if self._recorder.messages:
            self._recorder.keep_all(self._side, self._name, keys)
        return self.inner.remove(keys)

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        if self._recorder.messages:
            self._recorder.keep_all(self._side, self._name, keys)
        return self.inner.move(keys, mailbox)

    def close(self) -> None:
        self._recorder.closed(self._side, self._name)
        self.inner.close()
