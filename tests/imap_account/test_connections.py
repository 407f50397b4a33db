"""Several connections to one account: opened where it pays, and done without where the server wants that."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

from mswatch.errors import TemporaryError
from mswatch.imap_session.link import EARLY_BYTES, Link
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import Session
from mswatch.imap_session.settings import Login, Server
from mswatch.imap_session.tunnel import Tunnel
from mswatch.mailsync.decide import Side
from mswatch.mailsync.options import Options
from mswatch.mailsync.stores import imap_account
from mswatch.mailsync.stores.contract import Store
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.mailsync.stores.imap_account import WIDE_FROM
from tests.imap_session.conftest import password_file
from tests.mailsync.test_worlds import in_child
from tests.mailsync.worlds import body
from tests.mailsync_imap.test_worlds import ImapWorld, run_until
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.slow]

BOXES, EACH = 24, 15
MUCH = 50  # in each, are enough for more connections as they are
REFUSED = "Maximum number of connections"
assert BOXES * MUCH > WIDE_FROM > BOXES * EACH


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have more connections pay for less mail, so that tests need not make so much of it."""
    monkeypatch.setattr(imap_account, "WIDE_FROM", BOXES * EACH // 2)


class Wide(ImapWorld):
    """A world whose account may have three connections, and that counts the logins."""

    sessions: list[Session]
    each = EACH

    def store(self, side: Side) -> Store:
        if side == "near":
            return super().store(side)

        def kept() -> Session:
            self.sessions.append(log_in(*self.way()))
            return self.sessions[-1]

        return ImapStore(side, kept, connections=3)

    def way(self) -> tuple[Server, Login]:
        """Return the way to the server."""
        root = self.path("far")
        location = f"mail_location = maildir:{root}:LAYOUT=fs:INBOX={root}/INBOX"
        return Server(tunnel=self.dovecot.tunnel("world", location)), Login()


def filled(kind: type[Wide], directory: Path, dovecot: Dovecot, each: int = EACH) -> Wide:
    """Build a world with enough new mail on the server that more connections pay."""
    world: Wide = type("Here", (kind,), {"dovecot": dovecot, "sessions": [], "each": each})(directory)
    for box, number in itertools.product(range(BOXES), range(each)):
        world.put("far", f"box{box:02}", f"m{number}", data=body(f"m{box}-{number}", 1500 * (number % 3)))
    for side in ("near", "far"):
        world.make(side, "INBOX")
    return world


def assert_whole(world: Wide) -> None:
    """Hold that everything is here, once."""
    near = world.contents("near")
    assert near == world.contents("far")
    assert sum(sum(found.values()) for found in near.values()) == BOXES * world.each


def test_much_is_read_over_several(tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first sync opens them and uses them all; the next run, with little to do, has one."""
    monkeypatch.setattr(imap_account, "WIDE_FROM", WIDE_FROM)
    world = filled(Wide, tmp_path, dovecot, MUCH)
    outcome, _ = world.sync()
    assert not (outcome.failed or outcome.problems)
    assert len(world.sessions) == 3
    assert all(session.connection._count > BOXES // 2 for session in world.sessions)  # commands sent
    assert_whole(world)
    world.sessions.clear()
    world.put("far", "box07", "late", data=body("late"))
    outcome, listening = world.sync()
    assert not outcome.failed
    assert [done.mailbox for done in listening.told] == ["box07"]
    assert len(world.sessions) == 1


class Limited(Wide):
    """A world whose account is reached as a server of a provider is, with a limit on connections."""

    def way(self) -> tuple[Server, Login]:
        directory = self.dovecot.directory
        file = password_file(directory / "password", PASSWORD)
        (directory / "users/limited").mkdir(parents=True, exist_ok=True)
        link = directory / "users/limited/Maildir"
        if not link.is_symlink():
            link.symlink_to(self.path("far"))
        return Server("127.0.0.1", self.dovecot.port, "plain"), Login("limited", file=file)


@pytest.mark.parametrize("limit", [1, 2])
def test_server_that_wants_fewer(tmp_path: Path, limit: int) -> None:
    """The run goes on with as many as the server lets us have, and does not try again and again."""
    with running_dovecot("nested", more=f"mail_max_userip_connections = {limit}\n") as dovecot:
        world = filled(Limited, tmp_path / "world", dovecot)
        outcome, _ = world.sync()
        assert not (outcome.failed or outcome.problems or outcome.notes), outcome
        assert len(world.sessions) == limit
        wait_until(lambda: REFUSED in dovecot.log(), "Dovecot logs the refusal")
        assert dovecot.log().count(REFUSED) == 1
        assert_whole(world)


class Breaking:
    """One connection that is cut at a wait, or ended by its server with BYE."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, at: int, world: Wide, which: int, *, politely: bool = False
    ) -> None:
        waits = itertools.count()
        self.is_reached = False
        real = Link.step

        def step(link: Link, data: memoryview, timeout_s: float | None = None) -> tuple[int, bytes | None]:
            if len(world.sessions) == 3 and next(waits) == at:
                self.is_reached = True
                ended = world.sessions[which].link
                if politely:
                    assert isinstance(ended, Tunnel)
                    ended._process.terminate()
                else:
                    ended._socket.shutdown(socket.SHUT_RDWR)
            return real(link, data, timeout_s)

        monkeypatch.setattr(Link, "step", step)


def sync_with_a_break(world: Wide, monkeypatch: pytest.MonkeyPatch, at: int, which: int) -> None:
    """Run while a connection breaks, which costs the run, or one mailbox of it."""
    with monkeypatch.context() as patch:
        breaking = Breaking(patch, at, world, which)
        with contextlib.suppress(TemporaryError):
            outcome, _ = world.sync()
            assert len(outcome.failed) <= 1
    assert breaking.is_reached
    world.sessions.clear()


@pytest.mark.parametrize("at", [0, 3])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_of_them_breaks(
    tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch, which: int, at: int
) -> None:
    """What was under way on it is left for the next run at most; nothing is lost, nor doubled."""
    world = filled(Wide, tmp_path, dovecot)
    sync_with_a_break(world, monkeypatch, at, which)
    outcome, _ = world.sync()
    assert not outcome.failed
    assert_whole(world)


@pytest.mark.parametrize(("which", "at"), [(None, 0), (0, 0), (0, 7), (0, 60), (1, 2), (2, 20)])
def test_mailboxes_are_made_in_between(
    tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch, which: int | None, at: int
) -> None:
    """Where much is read and others are made and filled in turn, also when a connection breaks."""
    world = filled(Wide, tmp_path, dovecot)
    for box, number in itertools.product(range(BOXES), range(2)):
        world.put("near", f"box{box:02}-made", f"n{number}", data=body(f"n{box}-{number}"))
    if which is not None:
        sync_with_a_break(world, monkeypatch, at, which)
    outcome, _ = world.sync()
    assert not (outcome.failed or outcome.problems)
    near = world.contents("near")
    assert near == world.contents("far")
    assert sum(sum(found.values()) for found in near.values()) == BOXES * (EACH + 2)
    assert world.sync()[1].told == []


@pytest.mark.parametrize("which", [1, 2])
def test_server_ends_one_of_them(
    tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """A BYE on a connection that the run can do without does not end the run."""
    world = filled(Wide, tmp_path, dovecot)
    with monkeypatch.context() as patch:
        breaking = Breaking(patch, 0, world, which, politely=True)
        outcome, _ = world.sync()
    assert breaking.is_reached
    assert len(outcome.failed) <= 1
    outcome, _ = world.sync()
    assert not outcome.failed
    assert_whole(world)


def linked() -> tuple[Link, socket.socket]:
    """Return a link, and the server's end of it."""
    ours, theirs = socket.socketpair()
    return Link(Server("127.0.0.1", timeout_s=20), ours, 0.0), theirs


def test_what_comes_beside_is_taken_in() -> None:
    """While one connection waits, another one's server need not; up to a limit, and to the last byte."""
    first, slow = linked()
    second, quick = linked()
    first.beside, second.beside = [second], [first]
    quick.setblocking(False)
    sent = 0
    with pytest.raises(TemporaryError, match="silent"):  # the other one is no sign of life of this one
        while True:
            with contextlib.suppress(BlockingIOError):
                sent += quick.send(b"x" * (64 << 10))
            first.step(memoryview(b""), 0.05)
    assert sent
    sent_before = -1
    while sent != sent_before:  # until nothing more is taken in
        sent_before = sent
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += quick.send(b"x" * (64 << 10))
        with contextlib.suppress(TemporaryError):
            first.step(memoryview(b""), 0.05)
    assert EARLY_BYTES <= second._early_bytes < EARLY_BYTES + (1 << 20)
    quick.close()
    received = 0
    while data := second.step(memoryview(b""))[1]:
        received += len(data)
    assert received == sent
    slow.send(b"late")
    assert first.step(memoryview(b""))[1] == b"late"
    for each in (first, second):
        each.close()
    slow.close()


@pytest.mark.parametrize("step", [8, 16, 24])
def test_killed_while_it_reads_over_several(tmp_path: Path, dovecot: Dovecot, step: int) -> None:
    """What was under way on all of them is gone with the run; the next one goes on, nothing is doubled."""
    world = filled(Wide, tmp_path, dovecot)
    assert in_child(partial(run_until, world, Options(), step)) == -signal.SIGKILL
    outcome, _ = world.sync()
    assert not outcome.failed
    assert_whole(world)
