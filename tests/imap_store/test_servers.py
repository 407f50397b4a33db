"""The contract of the stores on a real Cyrus and a real Courier."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mswatch.imap_session.glance import Look, Said, glance
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import Session
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import Side
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, SEEN
from mswatch.mailsync.stores.contract import Expected, Store
from mswatch.mailsync.stores.imap import ImapStore
from tests.imap_session.conftest import password_file
from tests.imap_store.test_store import ImapWithoutMarks
from tests.mailsync.worlds import World
from tests.mailsync.worlds import body as body_of
from tests.servers.courier import CAPABILITIES, courier_tunnel
from tests.servers.cyrus import PASSWORD, Cyrus, running_cyrus
from tests.servers.dovecot import Dovecot
from tests.stores.contract import StoreContract, add

pytestmark = [pytest.mark.server, pytest.mark.slow]

SILENCE_S = 10.0  # so long a server may say nothing; a whole run takes less

_users = itertools.count(1)


@pytest.fixture(scope="session")
def cyrus() -> Iterator[Cyrus]:
    """A Cyrus for the whole session."""
    with running_cyrus() as server:
        yield server


class TestCyrus(StoreContract):
    """Mailboxes below INBOX, with a dot between; refusals without codes."""

    kept = frozenset({SEEN, FLAGGED, ANSWERED, DRAFT, DELETED, FORWARDED, "$Junk", "work"})
    no_names = frozenset({"a\tb"})

    @pytest.fixture(autouse=True)
    def account(self, cyrus: Cyrus, tmp_path: Path) -> None:
        """A user whom nobody else uses."""
        user = f"store{next(_users)}"
        cyrus.add_user(user)
        password = tmp_path / "password"
        password.touch(mode=0o600)
        password.write_text(PASSWORD)
        self._server, self._login = cyrus.server, Login(user, file=password)

    def make_store(self) -> Store:
        return ImapStore("far", lambda: log_in(self._server, self._login))

    def test_at_a_glance(self, store: Store) -> None:
        """What is different with each connection is no change; a new mailbox is one."""
        said = self.said(store.remark())
        assert said is not None
        look = Look("far", self._server, self._login, said)
        for is_same in (True, False):
            glimpse = glance(look)
            glimpse.link.close()
            assert glimpse.is_same is is_same
            store.make_mailbox("another")

    def said(self, remark: bytes) -> list[Said] | None:
        """Return what the next run would say."""
        found = ImapStore("far", lambda: log_in(self._server, self._login))
        found.recall(remark)
        found.open()
        found.mailboxes()
        found.close()
        return found.said


class TestCourier(ImapWithoutMarks):
    """No CONDSTORE, no ESEARCH, no LITERAL+, no MOVE; a renamed mailbox gets another UIDVALIDITY."""

    renames = False
    no_names = frozenset({"a\tb"})

    @pytest.fixture(autouse=True)
    def account(self, tmp_path: Path) -> None:
        """A user whom nobody else uses."""
        self._server = Server(tunnel=courier_tunnel(tmp_path))

    def test_no_glance(self, store: Store) -> None:
        """Without marks a list does not tell of every change, and nothing is remembered of it."""
        found = ImapStore("far", lambda: log_in(self._server, Login()))
        found.recall(store.remark())
        found.open()
        found.mailboxes()
        found.close()
        assert found.said is None


class TestCourierInUtf8(TestCourier):
    """Courier as a server that has names in UTF-8 and nothing else, which it can be."""

    @pytest.fixture(autouse=True)
    def account(self, tmp_path: Path) -> None:
        """A user whom nobody else uses."""
        self._server = Server(tunnel=courier_tunnel(tmp_path, f"{CAPABILITIES} UTF8=ONLY"))

    def test_names_are_utf8_on_the_wire(self, store: Store, tmp_path: Path) -> None:
        """What looks like modified UTF-7 is no such thing there, and is another mailbox."""
        store.make_mailbox("Entwürfe & mehr")
        store.make_mailbox("Entw&APw-rfe")
        assert {"Entwürfe & mehr", "Entw&APw-rfe"} <= set(store.mailboxes())
        assert (tmp_path / "Maildir/.Entwürfe & mehr/cur").is_dir()


class Upload(World):
    """A world whose far side is an account that holds nothing yet."""

    far: Callable[[], Store]
    logins = 0

    def store(self, side: Side) -> Store:
        return super().store(side) if side == "near" else self.far()


@pytest.fixture(params=["dovecot", "no extensions", "cyrus", "courier"])
def upload(request: pytest.FixtureRequest, tmp_path: Path) -> Upload:
    """A world with mail in several mailboxes here, and an account on some server."""
    world = Upload(tmp_path / "world")
    for name in ("INBOX", "box1", "box1/below", "box2", "box3"):
        for number in range(3):
            world.put("near", name, f"{name.replace('/', '-')}-{number}")
    if request.param == "courier":
        server, login = Server(tunnel=courier_tunnel(tmp_path), timeout_s=SILENCE_S), Login()
    elif request.param == "cyrus":
        cyrus: Cyrus = request.getfixturevalue("cyrus")
        user = f"upload{next(_users)}"
        cyrus.add_user(user)
        server = cyrus.server._replace(timeout_s=SILENCE_S)
        login = Login(user, file=password_file(tmp_path / "password", PASSWORD))
    else:
        dovecot: Dovecot = request.getfixturevalue("dovecot")
        capabilities = () if request.param == "dovecot" else ("imap_capability = IMAP4rev1",)
        tunnel = dovecot.tunnel(f"upload{next(_users)}", *capabilities)
        server, login = Server(tunnel=tunnel, timeout_s=SILENCE_S), Login()

    def logged_in() -> Session:
        world.logins += 1
        return log_in(server, login)

    world.far = lambda: ImapStore("far", logged_in)
    return world


def test_first_upload(upload: Upload) -> None:
    """Mailboxes that are made ahead are filled, whatever the server; a second run does nothing."""
    outcome, _ = upload.sync()
    assert not (outcome.failed or outcome.problems), outcome
    assert upload.contents("far") == upload.contents("near")
    assert len(upload.contents("far")) == 5
    assert upload.sync()[1].told == []


def test_first_read(upload: Upload, tmp_path: Path) -> None:
    """Seven full mailboxes are read over one connection; what was answered already is not waited for.

    Some servers tell the end of each command at once, others the ends of several together.
    """
    for name in ("box4", "box5"):
        for number in range(40):
            upload.put("near", name, f"{name}-{number}", "S" * (number % 2))
    upload.sync()
    reading = Upload(tmp_path / "reading")
    reading.directory.mkdir()
    reading.make("near", "INBOX")
    reading.far = upload.far
    upload.logins = 0
    began = time.monotonic()
    outcome, _ = reading.sync()
    took_s = time.monotonic() - began
    assert not (outcome.failed or outcome.problems), outcome
    assert upload.logins == 1
    assert took_s < SILENCE_S
    assert reading.contents("near") == upload.contents("near")
    assert len(reading.contents("near")) == 7
    assert reading.sync()[1].told == []


@pytest.mark.parametrize("upload", ["dovecot", "no extensions", "cyrus"], indirect=True)
def test_some_mailboxes_are_refused(upload: Upload) -> None:
    """Among those that are made ahead those that the server refuses fail alone, and again the next time."""
    for name in ("box2/a\tb", "box2/c\td"):
        upload.put("near", name, "refused")
    for _ in range(2):
        outcome, _ = upload.sync()
        assert set(outcome.failed) == {"box2/a\tb", "box2/c\td"}
        assert {name: upload.contents("near")[name] for name in upload.contents("far")} == upload.contents(
            "far"
        )
        assert len(upload.contents("far")) == 5


def test_some_mailboxes_are_there(upload: Upload) -> None:
    """One that somebody makes at the same time is no obstacle, nor are messages in it."""
    store, real = upload.far(), ImapStore.expect
    store.open()
    made: list[str] = []

    def expect(self: ImapStore, plan: Sequence[Expected]) -> None:
        if not made and any(each.makes for each in plan):
            made.append("box2")
            store.make_mailbox("box2")
            box = store.open_mailbox("box2")
            add(box, body_of("theirs"))
            store.close()
        real(self, plan)

    ImapStore.expect = expect  # type: ignore[method-assign]
    try:
        outcome, _ = upload.sync()
    finally:
        ImapStore.expect = real  # type: ignore[method-assign]
    assert made
    assert not (outcome.failed or outcome.problems), outcome
    upload.sync()
    assert upload.contents("far") == upload.contents("near")
    assert len(upload.contents("near")["box2"]) == 4
