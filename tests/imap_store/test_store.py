"""The IMAP store on a real Dovecot: the contract, with many extensions and few; and what only IMAP has."""

from __future__ import annotations

import itertools
import select
import socket
import tracemalloc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap import commands
from mswatch.imap.commands import NewMessage
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, NONE, SEEN
from mswatch.mailsync.stores.contract import Added, Expected, Mailbox, MailboxError, NotAdded, Store
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.mailsync.stores.imap_lines import to_crlf, to_lf
from mswatch.mailsync.stores.imap_names import ImapNames
from mswatch.names import NameForm
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import deliver, make_message, messages, set_flags
from tests.stores.contract import StoreContract, add, bodies, body, change_flags, message, whole

pytestmark = [pytest.mark.server, pytest.mark.slow]

_users = itertools.count(1)


class ImapContract(StoreContract):
    """The contract on an account of its own for each test."""

    kept = frozenset({SEEN, FLAGGED, ANSWERED, DRAFT, DELETED, FORWARDED, "$Junk", "work"})
    settings: tuple[str, ...] = ()
    no_names = frozenset({"a\tb"})  # Dovecot's own rule

    @pytest.fixture(autouse=True)
    def account(self, dovecot: Dovecot) -> None:
        """A user whom nobody else uses."""
        self._server = Server(tunnel=dovecot.tunnel(f"store{next(_users)}", *self.settings))

    def make_store(self) -> Store:
        return ImapStore("far", lambda: log_in(self._server, Login()))


class TestAllExtensions(ImapContract):
    """With everything that Dovecot has."""


class TestCondstoreAlone(ImapContract):
    """A server that numbers changes and does not tell what is gone."""

    settings = ("imap_capability = IMAP4rev1 ENABLE CONDSTORE UIDPLUS LITERAL+ NAMESPACE LIST-STATUS",)


class TestUnderAPrefix(ImapContract):
    """A Dovecot that has everything but INBOX below it, as many a provider's."""

    settings = ("namespace inbox {\n  prefix = INBOX.\n  separator = .\n}",)


class ImapWithoutMarks(ImapContract):
    """What a server tells without CONDSTORE stands for nothing."""

    def test_mark_stands_for_the_content(self, store: Store, mailbox: Mailbox) -> None:
        """No mark is given, and a scan tells everything."""
        key = add(mailbox, body())
        assert whole(mailbox).mark is None
        assert store.mailboxes()["box"].mark is None
        assert mailbox.scan(b"1 1 1 1").present == {key: NONE}


class TestNothing(ImapWithoutMarks):
    """A server of 2003."""

    settings = ("imap_capability = IMAP4rev1",)


class TestWithUidplus(ImapWithoutMarks):
    """A server such as Courier."""

    settings = ("imap_capability = IMAP4rev1 UIDPLUS NAMESPACE IDLE",)


@pytest.fixture
def store(dovecot: Dovecot, user: str) -> Iterator[ImapStore]:
    """A store with a mailbox "box"."""
    store = ImapStore("far", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
    store.open()
    store.make_mailbox("box")
    yield store
    store.close()


@contextmanager
def costing(store: ImapStore, turns: int) -> Iterator[None]:
    """Hold that a piece of work costs this many round trips."""
    session = store._account._raw
    before = session.turns
    yield
    assert session.turns - before == turns


def test_round_trips(dovecot: Dovecot, user: str) -> None:
    """What each piece of work costs, whatever the number of mailboxes and messages."""
    store = ImapStore("far", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
    store.open()
    assert store._account.session.turns == 2  # the greeting; ENABLE, ID, NAMESPACE and the separator
    for number in range(30):
        store.make_mailbox(f"box{number}")
    with costing(store, 1):
        assert len(store.mailboxes()) == 31
    mailbox = store.open_mailbox("box7")
    with costing(store, 1):  # SELECT and one MULTIAPPEND
        answers = list(mailbox.add(message(body(), source=b"%d" % n) for n in range(200)))
    keys = [each.key for each in answers if isinstance(each, Added)]
    with costing(store, 1):  # SELECT anew, and all UIDs and flags
        mark = mailbox.scan(None).mark
    with costing(store, 1):
        assert not mailbox.scan(mark).present
    with costing(store, 1):
        assert len(list(mailbox.headers(keys))) == 200
    with costing(store, 1):
        assert len(bodies(mailbox, keys)) == 200
    with costing(store, 1):
        change_flags(mailbox, {key: frozenset({SEEN, str(int(key) % 3)}) for key in keys}, NONE)
    with costing(store, 2):  # marked and expunged; looked for
        assert len(list(mailbox.remove(keys[:50]))) == 50
    store.make_mailbox("other")
    with costing(store, 3):  # looked for; moved; looked for
        assert len(list(mailbox.move(keys[50:100], "other"))) == 50
    with costing(store, 1):
        assert store.mailboxes()["box7"].mark != mark
    store.close()


def filled(store: ImapStore, boxes: Sequence[str], count: int) -> None:
    """Make mailboxes with messages."""
    for name in boxes:
        store.make_mailbox(name)
        list(
            store.open_mailbox(name).add(message(body(f"{name}-{n}"), source=b"%d" % n) for n in range(count))
        )


def subjects(mailbox: Mailbox, keys: Collection[bytes]) -> set[bytes]:
    """Read messages, and return their subjects."""
    return {
        data.partition(b"Subject: ")[2].partition(b"\n")[0] for data in bodies(mailbox, list(keys)).values()
    }


BOXES = [f"box{number}" for number in range(20)]


@pytest.mark.parametrize("reads", [True, False])
def test_many_mailboxes_cost_one_round_trip(store: ImapStore, reads: bool) -> None:
    """They are opened behind each other, with all messages if these are wanted, and nothing is mixed up."""
    filled(store, BOXES, 3)
    store.mailboxes()
    with costing(store, 1 if reads else 1 + len(BOXES)):
        store.expect([Expected(name, True, None, None if reads else ()) for name in BOXES])
        for name in BOXES:
            mailbox = store.open_mailbox(name)
            keys = whole(mailbox).present
            assert subjects(mailbox, keys) == {b"%s-%d" % (name.encode(), n) for n in range(3)}


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("other", ["list", "flags", "skip", "again", "gone", "half", "upload"])
def test_what_was_asked_ahead_is_not_wanted(
    store: ImapStore, dovecot: Dovecot, user: str, other: str, reads: bool
) -> None:
    """Whatever comes instead of the mailbox that was expected, it gets its own answers."""
    filled(store, ["a", "b", "c"], 3)
    if other == "gone":
        rest = ImapStore("rest", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
        rest.open()
        there = rest.open_mailbox("b")
        list(there.remove(list(whole(there).present)))
        rest.remove_mailbox("b")
        rest.close()
    store.expect([Expected(name, True, None, None if reads else ()) for name in "abc"])
    first = store.open_mailbox("a")
    keys = list(whole(first).present)
    if other == "half":  # somebody gives up in the middle of a message
        reading = first.read(keys)
        next(reading)
        del reading
    else:
        assert len(bodies(first, keys)) == 3
    assert [plan.own_name for plan in store._account.planned] == ["b", "c"]
    if other == "list":
        assert set(store.mailboxes()) == {"INBOX", "a", "b", "box", "c"}
    elif other == "flags":
        assert change_flags(first, {keys[0]: frozenset({SEEN})}, NONE) == {keys[0]: frozenset({SEEN})}
    elif other == "again":
        assert subjects(first, keys) == {b"a-0", b"a-1", b"a-2"}
    elif other == "upload":
        assert add(first, body("late")) not in keys
    elif other == "gone":
        with pytest.raises(MailboxError):
            whole(store.open_mailbox("b"))
    if other != "skip" and other != "gone":
        mailbox = store.open_mailbox("b")
        assert subjects(mailbox, whole(mailbox).present) == {b"b-0", b"b-1", b"b-2"}
    mailbox = store.open_mailbox("c")
    assert subjects(mailbox, whole(mailbox).present) == {b"c-0", b"c-1", b"c-2"}


def test_much_that_was_asked_ahead(store: ImapStore) -> None:
    """What comes before it is wanted is kept up to a limit; the rest is asked for anew, and all is there."""
    boxes = [f"large{number}" for number in range(8)]
    for name in boxes:
        store.make_mailbox(name)
        mailbox = store.open_mailbox(name)
        list(
            mailbox.add(
                message(body(f"{name}-{n}", size=size), source=b"%d" % n)
                for n, size in enumerate((30_000, 30_000, 3_000_000))
            )
        )
    store.mailboxes()
    store.expect([Expected(name, True, None, None) for name in boxes])
    tracemalloc.start()
    first = store.open_mailbox(boxes[0])
    keys = list(whole(first).present)
    assert list(first.absent(keys)) == []  # which hears out what was sent ahead
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 4 << 20 < peak < 20 << 20
    for name in boxes:
        mailbox = first if name == boxes[0] else store.open_mailbox(name)
        wanted = {b"%s-%d" % (name.encode(), n) for n in range(3)}
        assert subjects(mailbox, keys if name == boxes[0] else whole(mailbox).present) == wanted
    assert store._account.idle_lane.kept_bytes == 0


def test_equal_flags_are_kept_once(dovecot: Dovecot, user: str) -> None:
    """A listing of many messages holds each set of flags once, also while all are recent."""
    account = dovecot.account(user)
    account.store.make()
    for number in range(40):
        path = deliver(account.store.path(), make_message())
        if number % 2:
            set_flags(path, "S")
    store = ImapStore("far", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
    store.open()
    flags = [each or NONE for each in whole(store.open_mailbox("INBOX")).present.values()]
    store.close()
    assert sorted(map(sorted, flags)) == [[]] * 20 + [[SEEN]] * 20
    assert len(set(map(id, flags))) == 2


def test_upload_whose_answer_was_lost(store: ImapStore) -> None:
    """Nothing is reported of it; who looks again finds it once, among what is new."""
    mailbox = store.open_mailbox("box")
    mark = mailbox.scan(None).mark
    data = body("lost")
    session = store._account.session
    size = data.count(b"\n") + len(data)
    session.send(commands.append("box", [NewMessage(size)]), [data.replace(b"\n", b"\r\n")])
    session._outgoing = memoryview(session._next_outgoing())
    while session._outgoing or session.connection.upload_wanted:  # all is sent, and nothing is heard
        session._outgoing = session._outgoing or memoryview(session._next_outgoing())
        session._outgoing = session._outgoing[session.link._socket.send(session._outgoing) :]
    session.link._socket.send(session._next_outgoing())
    session.link._socket.shutdown(socket.SHUT_WR)  # the server reads to the end
    while session.link._socket.recv(1000) if select.select([session.link._socket], [], [], 20)[0] else b"":
        pass
    store.close()
    store.open()
    again = store.open_mailbox("box")
    (key,) = again.scan(mark).present
    assert bodies(again, [key]) == {key: data}


def test_mailbox_made_anew(store: ImapStore) -> None:
    """A mailbox that was deleted and made again is another one: its epoch says so, and no old mark counts."""
    mailbox = store.open_mailbox("box")
    key = add(mailbox, body())
    before = mailbox.scan(None)
    list(mailbox.remove([key]))
    store.remove_mailbox("box")
    store.make_mailbox("box")
    again = store.open_mailbox("box")
    new_key = add(again, body())
    assert new_key == key  # the same UID, and another message
    scan = again.scan(before.mark)
    assert scan.complete
    assert scan.epoch != before.epoch


@pytest.mark.parametrize("is_opened_again", [False, True])
def test_made_anew_under_our_hands(
    store: ImapStore, dovecot: Dovecot, user: str, is_opened_again: bool
) -> None:
    """When that happens while we work on it, we stop before anything is done to the wrong messages."""
    mailbox = store.open_mailbox("box")
    key = add(mailbox, body())
    other = ImapStore("other", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
    other.open()
    there = other.open_mailbox("box")
    list(there.remove([key]))
    store.open_mailbox("INBOX").scan(None)
    other.remove_mailbox("box")
    other.make_mailbox("box")
    kept = add(other.open_mailbox("box"), body("kept"))
    if is_opened_again:  # others were worked on between looking at it and acting
        mailbox = store.open_mailbox("box")
    with pytest.raises(MailboxError, match="made anew"):
        list(mailbox.remove([key]))
    assert list(whole(other.open_mailbox("box")).present) == [kept]
    other.close()


@pytest.mark.parametrize("remark", [b"", b"x", b".\nutf-8\nINBOX.\nuser.", b"/\nutf-7\n", b"/\nutf-16\n"])
@pytest.mark.parametrize("first", ["list", "make", "open"])
def test_what_was_remembered_of_the_server_is_not_true(
    dovecot: Dovecot, user: str, remark: bytes, first: str
) -> None:
    """What names look like is asked anew each time, and what it was the last time only spares the wait."""
    store = ImapStore("far", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
    store.open()
    store.make_mailbox("Entwürfe/a")
    add(store.open_mailbox("Entwürfe/a"), body())
    known = store.remark()
    store.close()
    store.recall(remark)
    store.open()
    if first == "make":
        store.make_mailbox("a/b")
    elif first == "open":
        assert len(whole(store.open_mailbox("Entwürfe/a")).present) == 1
    assert "Entwürfe/a" in store.mailboxes()
    assert store.mailboxes(["Entwürfe/a"])["Entwürfe/a"].mark is not None
    assert store.remark() == known
    store.close()


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_line_ends(store: ImapStore, ends: bytes) -> None:
    """Both line ends arrive as CRLF on the server, and come back as LF."""
    mailbox = store.open_mailbox("box")
    data = body("ends", size=700_000)
    key = add(mailbox, data.replace(b"\n", ends))
    assert bodies(mailbox, [key]) == {key: data}


def test_others_marked_messages_stay(dovecot: Dovecot, user: str) -> None:
    """Without UIDPLUS only what we mean is expunged, and others' marks are as they were."""
    bare = dovecot.tunnel(user, "imap_capability = IMAP4rev1")
    store = ImapStore("far", lambda: log_in(Server(tunnel=bare), Login()))
    store.open()
    mailbox = store.open_mailbox("INBOX")
    ours, theirs = add(mailbox, body()), add(mailbox, body(), frozenset({DELETED}))
    assert list(mailbox.remove([ours])) == [ours]
    assert whole(mailbox).present == {theirs: frozenset({DELETED})}
    store.close()


def test_message_that_is_larger_than_the_server_says(dovecot: Dovecot, user: str) -> None:
    """What the server will not take is not sent; the others are."""
    tunnel = dovecot.tunnel(user, "imap_capability = IMAP4rev1 UIDPLUS APPENDLIMIT=2000 APPENDLIMIT=x")
    store = ImapStore("far", lambda: log_in(Server(tunnel=tunnel), Login()))
    store.open()
    mailbox = store.open_mailbox("INBOX")
    answers = list(
        mailbox.add([message(body("big", size=3000), source=b"big"), message(body(), source=b"small")])
    )
    assert [(type(each), each.source) for each in answers] == [(NotAdded, b"big"), (Added, b"small")]
    assert isinstance(answers[0], NotAdded)
    assert "takes 2000 at most" in answers[0].reason
    store.close()


def test_nul(store: ImapStore) -> None:
    """A message that no IMAP server takes is named, and the others are taken."""
    mailbox = store.open_mailbox("box")
    answers = list(
        mailbox.add([message(b"Subject: a\n\n\0\n", source=b"nul"), message(body(), source=b"good")])
    )
    assert [(type(each), each.source) for each in answers] == [(NotAdded, b"nul"), (Added, b"good")]


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        ("INBOX", "INBOX"),
        ("inbox", "INBOX"),
        ("INBOX.lists.python", "lists/python"),
        ("INBOX.Entw&APw-rfe", "Entwürfe"),
        ("INBOX...", None),
        ("INBOX.a..b", None),
        ("INBOX.INBOX", None),
        ("user.bob", None),
        ("elsewhere", None),
        ("INBOX.a/b", None),
        ("INBOX.a\0", None),
        ("INBOX.&ACIALgAuAC8ALgAuAC8-", None),
    ],
)
def test_names_under_a_prefix(listed: str, name: str | None) -> None:
    """Names below the personal namespace lose its prefix; what is not ours, or leads away, is left out."""
    names = ImapNames(NameForm(".", "utf-7"), "INBOX.", ("user.",))
    assert names.canonical(listed) == name
    if name is not None:
        assert names.own(name).upper() == listed.upper()


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"", b"xyz\r\n"])))
def test_line_ends_in_any_chunks(chunks: list[bytes]) -> None:
    """However a message is cut, its line ends become the same."""
    whole_text = b"".join(chunks)
    assert b"".join(to_lf(chunks)) == whole_text.replace(b"\r\n", b"\n")
    sent = b"".join(to_crlf(chunks))
    assert b"\n" not in sent.replace(b"\r\n", b"")
    assert sent.replace(b"\r\n", b"\n") == whole_text.replace(b"\r\n", b"\n")


def test_time_before_1970_goes_up_as_it_is(dovecot: Dovecot, user: str) -> None:
    """An old letter that somebody typed in keeps its date on the server."""
    account = dovecot.account(user)
    store = ImapStore("far", lambda: log_in(Server(tunnel=dovecot.tunnel(user)), Login()))
    account.store.make()
    store.open()
    mailbox = store.open_mailbox("INBOX")
    seconds = -300_000_001
    (answer,) = mailbox.add([replace(message(body()), date_ns=seconds * 10**9)])
    assert isinstance(answer, Added)
    store.close()
    (path,) = messages(account.store.path())
    assert path.stat().st_mtime == seconds
