"""Random life on one account: mailsync here, mbsync there, people at both, all at the same time.

The property: when everybody rests and both have run, both sides hold the same messages with the same flags,
none of them twice, and every message that nobody deleted is among them.  OfflineIMAP, which was not there
before, then finds the same on the server.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Options, Outcome
from mswatch.mailsync.state import State
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.mailsync.stores.maildir import MaildirStore
from mswatch.names import NameForm
from tests.imap_session.conftest import password_file
from tests.mailsync.worlds import Listening
from tests.servers import mbsync, offlineimap
from tests.servers.cyrus import Cyrus, running_cyrus
from tests.servers.dovecot import PASSWORD, Dovecot, ImapAccount
from tests.servers.maildir import MaildirStore as Maildir
from tests.servers.maildir import deliver, digest, flags_of, make_message, messages, remove, set_flags
from tests.servers.waiting import DEADLINE_S, run_to_end

pytestmark = [pytest.mark.server, pytest.mark.slow]

MAILBOXES = ("INBOX", "one", "Entwürfe")
ROUNDS = 60 if os.environ.get("MSWATCH_LONG") else 4
ACTS = 12
_numbers = itertools.count(1)


class Life:
    """Two Maildirs of two people, with one account between them."""

    def __init__(self, directory: Path, account: ImapAccount, seed: int) -> None:
        self.directory = directory
        self.account = account
        self.chance = random.Random(seed)
        self.ours = Maildir(directory / "ours", "nested")
        self.theirs = Maildir(directory / "theirs", "nested")
        for side in (self.ours, self.theirs):
            side.make()
        self.login = Login(account.user, file=password_file(directory / "password", account.password))
        self.mbsyncrc = mbsync.write_configuration(directory, self.theirs, account)
        self.headers: list[bytes] = []
        self.delivered: set[str] = set()
        self.deleted: set[str] = set()

    def mailsync(self) -> Outcome:
        """Sync our Maildir with the account."""
        server = Server(self.account.host, self.account.port, "plain")
        near = MaildirStore("ours", self.ours.root, "nested", NameForm("/", "utf-7"))
        with State.opened(self.directory / "state.sqlite") as (state, _):
            far = ImapStore("account", lambda: log_in(server, self.login))
            return Engine(near, far, state, Options(believe=True), Listening()).run()

    def mbsync(self) -> subprocess.Popen[bytes]:
        """Begin to sync their Maildir with the account."""
        argv = mbsync.argv(self.mbsyncrc)
        return subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def act(self) -> None:
        """Somebody does something on one side."""
        side = self.chance.choice((self.ours, self.theirs))
        mailbox = self.chance.choice(MAILBOXES)
        path = side.make(mailbox)
        there = messages(path)
        what = self.chance.choice(("deliver", "deliver", "flag", "flag", "delete", "move"))
        if what == "deliver" or not there:
            self.deliver(path)
            return
        message = self.chance.choice(there)
        if what == "flag":
            set_flags(message, self.chance.choice(("", "S", "F", "FS", "RS")))
        elif what == "delete":
            self.deleted.add(digest(message.read_bytes()))
            remove(message)
        elif side is self.ours:  # to mbsync one of a new name in its mailbox were a new message
            target = side.make(self.chance.choice(MAILBOXES)) / "cur"
            message.rename(target / f"moved{next(_numbers)}.example:2,{flags_of(message)}")

    def deliver(self, path: Path) -> None:
        """Deliver a message; a tenth of them have the header of an earlier one."""
        message = make_message()
        if self.headers and self.chance.random() < 0.1:
            message = self.chance.choice(self.headers) + b"\n\n" + message.partition(b"\n\n")[2]
        self.headers.append(message.partition(b"\n\n")[0])
        deliver(path, message)
        self.delivered.add(digest(message))

    def round(self) -> None:
        """Both run while people go on."""
        for _ in range(ACTS):
            self.act()
        running = self.mbsync()
        self.mailsync()
        for _ in range(3):
            self.act()
        running.wait(DEADLINE_S)

    def settle(self) -> None:
        """Have both run until nothing is different."""
        for _ in range(5):
            outcome = self.mailsync()
            assert not (outcome.failed or outcome.problems or outcome.refused), outcome
            run_to_end(mbsync.argv(self.mbsyncrc))
            if contents(self.ours) == contents(self.theirs):
                break
        assert contents(self.ours) == contents(self.theirs)


def contents(store: Maildir) -> dict[str, list[tuple[str, str]]]:
    """Return what a store holds, as bodies and the flags that everybody can keep."""
    return {
        name: sorted((body, "".join(sorted(set(flags) & set("SFRD")))) for body, flags in held)
        for name, held in store.contents().items()
        if held
    }


def assert_lived_well(life: Life) -> None:
    """Hold the property of this file."""
    held = Counter(body for box in contents(life.ours).values() for body, _ in box)
    assert life.delivered - life.deleted <= held.keys()
    assert [body for body, count in held.items() if count > 1] == []
    assert held.keys() <= life.delivered


def assert_offlineimap_agrees(life: Life) -> None:
    """Have a client that knows nothing fetch the account."""
    fresh = Maildir(life.directory / "fresh", "nested")
    fresh.make()
    place = life.directory / "offlineimap"
    place.mkdir()
    run_to_end(offlineimap.argv(offlineimap.write_configuration(place, fresh, life.account)))
    assert contents(fresh) == contents(life.ours)


@pytest.fixture(scope="module")
def cyrus() -> Iterator[Cyrus]:
    """A Cyrus for these tests."""
    with running_cyrus() as server:
        yield server


@pytest.mark.parametrize("seed", range(20) if os.environ.get("MSWATCH_LONG") else [1, 2])
def test_dovecot(dovecot: Dovecot, user: str, tmp_path: Path, seed: int) -> None:
    """On a Dovecot."""
    account = dovecot.account(user)
    account.store.make()
    life = Life(tmp_path, account, seed)
    for _ in range(ROUNDS):
        life.round()
    life.settle()
    assert_lived_well(life)
    assert_offlineimap_agrees(life)


@pytest.mark.parametrize("seed", range(20) if os.environ.get("MSWATCH_LONG") else [1])
def test_cyrus(cyrus: Cyrus, user: str, tmp_path: Path, seed: int) -> None:
    """On a Cyrus, whose mailboxes are below INBOX."""
    cyrus.add_user(user)
    account = ImapAccount(cyrus.port, user, PASSWORD, Maildir(tmp_path / "none"))
    life = Life(tmp_path, account, seed)
    for _ in range(ROUNDS):
        life.round()
    life.settle()
    assert_lived_well(life)
