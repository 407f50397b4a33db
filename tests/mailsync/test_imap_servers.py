"""The contract of the stores on a real Cyrus and a real Courier."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.imap_session.glance import Look, Said, glance
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, SEEN
from mswatch.mailsync.stores.contract import Store
from mswatch.mailsync.stores.imap import ImapStore
from tests.mailsync.contract import StoreContract
from tests.mailsync.test_imap import ImapWithoutMarks
from tests.servers.courier import CAPABILITIES, courier_tunnel
from tests.servers.cyrus import PASSWORD, Cyrus, running_cyrus

pytestmark = [pytest.mark.server, pytest.mark.slow]

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
