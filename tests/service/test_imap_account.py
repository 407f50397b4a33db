"""An account with an IMAP server under the service, with a real Dovecot and the real mailsync."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imap_session.conftest import SETTINGS
from tests.servers.dovecot import PASSWORD, Dovecot, ImapAccount, running_dovecot
from tests.servers.maildir import deliver, messages
from tests.servers.waiting import wait_until
from tests.service.harness import Service, environment, mswatch

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    """A Dovecot with TLS."""
    with running_dovecot(with_tls=True, more=SETTINGS) as dovecot:
        yield dovecot


class Account:
    """A Maildir here, and a user of the server with one message."""

    def __init__(self, base: Path, there: ImapAccount) -> None:
        self.base = base
        self.there = there
        self.inbox = there.store.make()
        deliver(self.inbox)
        self.near = base / "near/INBOX"
        for part in ("tmp", "new", "cur"):
            (self.near / part).mkdir(parents=True)
        self.password = base / "password"
        self.password.touch(stat.S_IRUSR | stat.S_IWUSR)
        self.password.write_text(PASSWORD)
        self.file = base / "work.toml"

    def write(self, top: str = "", far: str = "") -> None:
        """Write the account; the password command reads a file that the test may change."""
        self.file.write_text(
            f'base_delay = "100ms"\ninter_delay = "100ms"\n{top}\n'
            f'[store.near]\nmaildir = "{self.base}/near"\nlayout = "nested"\n'
            f'[store.far]\nimap = "127.0.0.1:{self.there.tls_port}"\nauthorities = "{self.there.authority}"\n'
            f'user = "{self.there.user}"\n{far}\n'
            f"password_command = {json.dumps(['cat', str(self.password)])}\n"
        )

    def service(self) -> Service:
        """Run the service."""
        return Service(self.base, "--config", str(self.file))

    @property
    def counts(self) -> tuple[int, int]:
        """How many messages there are here and there."""
        return len(messages(self.near)), len(messages(self.inbox))


@pytest.fixture
def account(server: Dovecot, user: str, tmp_path: Path) -> Account:
    """An account of its own for each test."""
    return Account(tmp_path, server.account(user))


def test_unwatched_server(account: Account) -> None:
    """What is new here is there at once; what is new there comes with the next look."""
    account.write(top='poll_period = "1s"')
    with account.service() as service:
        service.expect("Store far is not watched: looked at every 1s")
        wait_until(lambda: account.counts == (1, 1), "the first sync")
        service.expect("Watching mailstore near")
        deliver(account.near)
        wait_until(lambda: account.counts == (2, 2), "the upload")
        deliver(account.inbox)
        wait_until(lambda: account.counts == (3, 3), "the download")


def test_watched_maildir_of_the_server(account: Account) -> None:
    """A Maildir that is read by IMAP and watched where it lies needs no poll."""
    account.write(top="poll_period = 0", far=f'maildir = "{account.there.store.root}"')
    with account.service() as service:
        service.expect("Watching mailstores")
        wait_until(lambda: account.counts == (1, 1), "the first sync")
        deliver(account.inbox)
        wait_until(lambda: account.counts == (2, 2), "the download")
        deliver(account.near)
        wait_until(lambda: account.counts == (3, 3), "the upload")


def test_a_wrong_password_is_sent_once(account: Account, server: Dovecot) -> None:
    """Whatever changes, the server hears a password that it refused no second time before max_delay."""
    account.password.write_text("hunter2")
    account.write()
    with account.service() as service:
        service.expect("mailsync: check user name and password")
        assert "the next one in 5m, or when asked for" in service.expect("Sync errored")
        wait_until(lambda: service.status()["stores"]["near"]["state"] == "watching", "it is watched")
        before = service.status()["runs"]["started"]
        deliver(account.near)
        wait_until(lambda: service.status()["mailboxes"]["INBOX"]["pending_since"], "the change is known")
        assert service.status()["runs"]["started"] == before == 1
        server.logged(who := f"user=<{account.there.user}>")
        refused = [line for line in server.log().splitlines() if who in line]
        assert len(refused) == 1, refused
        account.password.write_text(PASSWORD)
        assert service.call("sync", "work").returncode == 0
        assert account.counts == (2, 2)
        assert "hunter2" not in service.log


def test_a_server_that_is_away_is_tried_again(account: Account) -> None:
    """No connection is no reason to wait long."""
    account.write()
    text = account.file.read_text()
    account.file.write_text(text.replace(f":{account.there.tls_port}", ":1"))
    with account.service() as service:
        assert "exited with status 75" in service.expect("Sync errored")
        wait_until(lambda: service.status()["runs"]["failed"] >= 3, "it is tried again")
        account.file.write_text(text)
        assert service.call("reload", "work").returncode == 0
        wait_until(lambda: account.counts == (1, 1), "the first sync")


def test_check(account: Account) -> None:
    """The check logs in, changes nothing, and says why it cannot and what to do."""
    account.write()
    words = ("check", "--config", str(account.file))
    service = Service(account.base, env=environment(account.base), argv=mswatch(*words))
    assert service.wait() == 0
    assert "not watched" in service.log
    assert account.counts == (0, 1)
    account.password.write_text("hunter2")
    service = Service(account.base, env=environment(account.base), argv=mswatch(*words))
    assert service.wait() != 0
    assert "wrong" in service.log
    assert "check user name and password" in service.log
    assert "hunter2" not in service.log


def test_written_in_its_place(account: Account) -> None:
    """A draft that is written into again, and a message that arrives slowly, are there as they are at last.

    The one that was there before is gone, and nothing is left half.
    """
    account.write()
    with account.service() as service:
        service.expect("Watching mailstore near")
        wait_until(lambda: account.counts == (1, 1), "the first sync")
        draft = account.near / "cur/1700.draft:2,D"
        with draft.open("wb") as file:
            file.write(b"Subject: draft\n\nhalf\n")
            file.flush()
            wait_until(
                lambda: bodies(account.inbox, b"Subject: draft") == [b"half"], "the half message is there"
            )
            file.write(b"whole\n")
        wait_until(lambda: bodies(account.inbox, b"Subject: draft") == [b"half\nwhole"], "the whole one is")
        draft.write_bytes(b"Subject: draft\n\nanother\n")
        wait_until(lambda: bodies(account.inbox, b"Subject: draft") == [b"another"], "the next one is")
        assert draft.read_bytes() == b"Subject: draft\n\nanother\n"
        assert account.counts == (2, 2)


def test_status_says_how_much_was_compared(account: Account) -> None:
    """Only while something was not; and with it how to compare the rest."""
    account.write()
    with account.service() as service:
        wait_until(lambda: account.counts == (1, 1), "the first sync")
        state = account.base / "home/.local/state/mswatch/work.mailsync.sqlite"
        wait_until(
            lambda: service.status()["messages"] == {"compared": 1, "pairs": 1}, "the state is written"
        )
        assert "compared" not in service.call("status").stdout
        wait_until(lambda: service.status()["running"] is None, "the run is over")
        with contextlib.closing(sqlite3.connect(state)) as database:
            database.execute("UPDATE message SET compared = 0")
            database.commit()
        assert (
            "0 of 1 messages were compared in both stores; mailsync --verify work"
            in service.call("status").stdout
        )


def bodies(maildir: Path, header: bytes) -> list[bytes]:
    """Return the bodies of the messages with this header."""
    found = []
    for path in messages(maildir):
        with contextlib.suppress(FileNotFoundError):
            head, _, body = path.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
            if header in head.splitlines():
                found.append(body.strip())
    return found
