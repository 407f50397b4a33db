"""Work on a real Dovecot: what each task costs in round trips, with every extension and without."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mswatch.imap import commands
from mswatch.imap.commands import Known, NewMessage
from mswatch.imap.connection import Done, Idling
from mswatch.imap.framing import BodyChunk, Streamed
from mswatch.imap.numbers import NumberSet
from mswatch.imap.quirks import Refusal
from mswatch.imap.responses import (
    Exists,
    ExtendedSearch,
    Fetch,
    Identification,
    Listed,
    MailboxStatus,
    Search,
    Status,
    Vanished,
)
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import RefusedError, Session
from mswatch.imap_session.settings import Login, Server
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import deliver, make_message, messages, remove, set_flags

pytestmark = [pytest.mark.server, pytest.mark.slow]

BARE = "imap_capability = IMAP4rev1"
ZLIB = "protocol imap {\n  mail_plugins = imap_zlib\n}"


@pytest.fixture
def session(dovecot: Dovecot, user: str) -> Iterator[Session]:
    """A session with everything that Dovecot has."""
    with log_in(Server(tunnel=dovecot.tunnel(user)), Login()) as session:
        yield session


@pytest.fixture
def bare_session(dovecot: Dovecot, user: str) -> Iterator[Session]:
    """A session with a server that tells of no extension."""
    with log_in(Server(tunnel=dovecot.tunnel(user, BARE)), Login()) as session:
        assert session.connection.capabilities == frozenset({"IMAP4REV1"})
        yield session


@contextmanager
def costing(session: Session, turns: int) -> Iterator[None]:
    """Hold that a piece of work costs this many round trips."""
    before = session.turns
    yield
    assert session.turns - before == turns


def message(size: int) -> bytes:
    """Return a message of a size, with every line end that IMAP wants."""
    head = b"Subject: long\r\n\r\n"
    line = b"0123456789" * 7 + b"\r\n"
    return (head + line * (size // len(line) + 1))[: size - 2] + b"\r\n"


def test_many_commands_in_one_round_trip(session: Session) -> None:
    """What does not depend on each other's answers goes out together."""
    with costing(session, 1):
        session.send(commands.identify({"name": "test"}))
        session.send(commands.enable("QRESYNC"))
        for number in range(20):
            session.send(commands.create(f"box{number}"))
        session.send(commands.list_mailboxes(status_items=["MESSAGES", "UIDNEXT"]))
        session.send(commands.select("box7"))
        session.send(commands.uid_fetch("1:*", ["FLAGS"]))
        happened = list(session.events())
    assert [event.kind for event in happened if isinstance(event, Done)] == ["OK"] * 25
    assert len([event for event in happened if isinstance(event, MailboxStatus)]) == 21
    assert any(isinstance(event, Identification) for event in happened)
    assert "QRESYNC" in session.connection.enabled


@pytest.mark.parametrize("count", [1, 10, 200])
def test_upload_costs_one_round_trip(session: Session, count: int) -> None:
    """Any number of messages, long ones too, by MULTIAPPEND or by as many APPENDs."""
    bodies = [message(random.randint(100, 9000)) for _ in range(count)]
    new = [NewMessage(len(body), frozenset({"\\Seen"}), 837596665) for body in bodies]
    with costing(session, 1):
        answer = session.request(commands.append("INBOX", new), *[[body] for body in bodies])
    assert answer.done.code is not None
    assert answer.done.code.ordered == ((1, count),)
    with costing(session, 1):
        for one, body in zip(new, bodies, strict=True):
            session.send(commands.append("INBOX", [one]), [body])
        ends = [event for event in session.events() if isinstance(event, Done)]
    assert [end.code and end.code.ordered for end in ends] == [
        ((uid, uid),) for uid in range(count + 1, 2 * count + 1)
    ]


def test_upload_without_extensions(bare_session: Session) -> None:
    """Without LITERAL+ the server is waited for once before each message, and everything arrives."""
    bodies = [message(500), message(100_000), message(300)]
    with costing(bare_session, 4):
        for body in bodies:
            bare_session.send(
                commands.append("INBOX", [NewMessage(len(body))]), [body[:200], b"", body[200:]]
            )
        ends = [event for event in bare_session.events() if isinstance(event, Done)]
    assert [end.kind for end in ends] == ["OK"] * 3
    assert fetched(bare_session) == dict(enumerate(bodies, 1))


def fetched(session: Session) -> dict[int, bytes]:
    """Return all messages of INBOX by UID, streamed or not."""
    session.send(commands.select("INBOX", read_only=True))
    session.send(commands.uid_fetch("1:*", ["UID", "BODY.PEEK[]"]))
    found: dict[int, bytes] = {}
    streamed = b""
    for event in session.events():
        if isinstance(event, BodyChunk):
            assert event.offset == len(streamed)
            streamed += event.data
        elif isinstance(event, Fetch) and event.uid is not None:
            body = event.body()
            if isinstance(body, Streamed):
                assert body.size == len(streamed)
                body, streamed = streamed, b""
            assert body is not None
            found[event.uid] = body
    return found


@pytest.fixture
def zipped_session(dovecot: Dovecot, user: str) -> Iterator[Session]:
    """A session whose two sides compress what they say."""
    with log_in(Server(tunnel=dovecot.tunnel(user, ZLIB)), Login()) as session:
        session.request(commands.compress())
        yield session


@pytest.mark.parametrize("kind", ["session", "zipped_session"])
def test_everything_comes_back(kind: str, request: pytest.FixtureRequest) -> None:
    """Messages of any size come back byte for byte, compressed or not."""
    session: Session = request.getfixturevalue(kind)
    bodies = [message(size) for size in (40, 65_535, 65_536, 65_537, 3_000_000, 60)]
    for body in bodies:
        session.send(commands.append("INBOX", [NewMessage(len(body))]), [body])
    list(session.events())
    with costing(session, 1):
        assert fetched(session) == dict(enumerate(bodies, 1))


@pytest.mark.parametrize(
    ("is_local", "connect_s", "size", "pays"),
    [
        (False, 0.05, 1_000_000, True),
        (False, 0.05, 1000, False),
        (False, 0.001, 10**9, False),
        (True, 1, 10**9, False),
    ],
)
def test_compression_where_it_pays(
    dovecot: Dovecot, user: str, is_local: bool, connect_s: float, size: int, pays: bool
) -> None:
    """Much to carry over a far link is compressed, once; anything else is not."""
    with log_in(Server(tunnel=dovecot.tunnel(user, ZLIB)), Login()) as session:
        session.link.is_local, session.link.connect_s = is_local, connect_s
        for _ in range(2):
            session.compress_if_it_pays(size)
            assert session.connection.is_compressed == pays
        session.request(commands.noop())


def test_refused_upload(bare_session: Session) -> None:
    """A mailbox that is not there refuses the literal; what was sent behind it goes on."""
    bare_session.send(commands.append("gone", [NewMessage(100)]), [message(100)])
    bare_session.send(commands.append("INBOX", [NewMessage(80)]), [message(80)])
    first, second = (event for event in bare_session.events() if isinstance(event, Done))
    with pytest.raises(RefusedError) as caught:
        bare_session.check(first)
    assert caught.value.refusal is Refusal.NO_MAILBOX
    assert second.kind == "OK"


def test_what_changed_since(session: Session, dovecot: Dovecot, user: str) -> None:
    """With QRESYNC what changed since is one round trip, whatever the mailbox holds."""
    inbox = dovecot.account(user).store.make()
    for _ in range(5):
        deliver(inbox, make_message())
    session.request(commands.enable("QRESYNC"))
    answer = session.request(commands.select("INBOX"))
    codes = {
        event.code.name: event.code.number
        for event in answer.responses
        if isinstance(event, Status) and event.code
    }
    validity, modseq = codes["UIDVALIDITY"], codes["HIGHESTMODSEQ"]
    assert validity is not None
    assert modseq is not None
    session.request(commands.unselect())
    first, second, *_ = messages(inbox)
    remove(first)
    set_flags(second, "FS")
    with costing(session, 1):
        answer = session.request(commands.select("INBOX", known=Known(validity, modseq)))
    (gone,) = (event.uids for event in answer.responses if isinstance(event, Vanished))
    (changed,) = (event for event in answer.responses if isinstance(event, Fetch))
    assert len(gone) == 1
    assert changed.flags is not None
    assert changed.flags >= {"\\Flagged", "\\Seen"}


SEARCHES: list[tuple[str, Callable[[Session], commands.Command]]] = [
    ("session", lambda session: commands.uid_search(returning=["ALL"])),
    ("bare_session", lambda session: commands.uid_search()),
]


@pytest.mark.parametrize(("kind", "command"), SEARCHES, ids=["ESEARCH", "SEARCH"])
def test_search(
    kind: str,
    command: Callable[[Session], commands.Command],
    dovecot: Dovecot,
    user: str,
    request: pytest.FixtureRequest,
) -> None:
    """Which messages there are, by ESEARCH and without."""
    inbox = dovecot.account(user).store.make()
    for _ in range(3):
        deliver(inbox)
    session: Session = request.getfixturevalue(kind)
    session.request(commands.select("INBOX"))
    answer = session.request(command(session))
    found = [
        event.all if isinstance(event, ExtendedSearch) else event.numbers
        for event in answer.responses
        if isinstance(event, ExtendedSearch | Search)
    ]
    assert found == [NumberSet.of([1, 2, 3])]


NAMES = ["plain", "two words", 'quo"te', "back\\slash", "Entw&APw-rfe", "100%", "st*r", "{5}", "(a)", "a~b"]


@pytest.mark.parametrize("kind", ["session", "bare_session"])
def test_names(kind: str, request: pytest.FixtureRequest) -> None:
    """A mailbox of any name is made, found and opened."""
    session: Session = request.getfixturevalue(kind)
    for name in NAMES:
        session.request(commands.create(name))
    answer = session.request(commands.list_mailboxes())
    listed = {event.name for event in answer.responses if isinstance(event, Listed)}
    assert listed == {"INBOX", *NAMES}
    for name in NAMES:
        session.request(commands.select(name))


def test_idle(session: Session, dovecot: Dovecot, user: str) -> None:
    """IDLE tells of a delivery, and ends when we say so."""
    inbox = dovecot.account(user).store.make()
    session.request(commands.select("INBOX"))
    session.send(commands.idle())
    assert next(event for event in session.events() if isinstance(event, Idling))
    deliver(inbox)
    assert next(event for event in session.events() if isinstance(event, Exists)) == Exists(1)
    session.connection.done()
    list(session.events())
    session.request(commands.noop())


def test_notify(session: Session, dovecot: Dovecot, user: str) -> None:
    """NOTIFY tells the counters of all mailboxes at once, then of an upload to one that is not selected."""
    session.request(commands.create("other"))
    answer = session.request(commands.notify(["personal (MessageNew MessageExpunge)"], status_now=True))
    assert "other" in {event.name for event in answer.responses if isinstance(event, MailboxStatus)}
    with log_in(Server(tunnel=dovecot.tunnel(user)), Login()) as second:
        body = message(60)
        second.request(commands.append("other", [NewMessage(len(body))]), [body])
    told = itertools.islice(iter(session.next_event, None), 10)
    assert next(event for event in told if isinstance(event, MailboxStatus)).items["MESSAGES"] == 1
