"""Runs over IMAP whose connection breaks, or is left within an answer: told, and nothing mixed up."""

from __future__ import annotations

import contextlib
import itertools
import socket
from pathlib import Path

import pytest

from mswatch.errors import TemporaryError
from mswatch.imap_session.link import Link
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.stores.imap import MENDED_AT_MOST
from tests.mailsync.test_worlds import WORLDS, assert_as_expected
from tests.mailsync.worlds import body, expected
from tests.mailsync_imap.test_worlds import LONG, STRIDE, ImapWorld, after_each_kill, build_with, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

MIXED = """
a/old x x x -> x
b/one S x x -> S
b/two R x x -> R
b/three x F x -> F
c/late - x - -> x
"""


def test_what_one_mailbox_left_is_not_taken_for_another_ones(tmp_path: Path, dovecot: Dovecot) -> None:
    """A mailbox that fails in the middle of a download leaves answers behind, which belong to nobody else."""
    world = build_with(world_class(dovecot, "far"), tmp_path / "world", MIXED)
    for number in range(300):
        world.put("far", "a", f"m{number}", "T" if number % 2 else "F", body(f"m{number}", 5000))
    (world.make("near", "a") / "tmp").chmod(0)
    outcome, _ = world.sync()
    (world.path("near") / "a/tmp").chmod(0o700)
    assert set(outcome.failed) == {"a"}
    for side in SIDES:
        for name in "bc":
            assert world.contents(side)[name] == expected(MIXED, side)[name]
    outcome, _ = world.sync()
    assert not outcome.failed
    assert world.contents("near") == world.contents("far")


def cut(link: Link) -> None:
    """Break a connection, as a network does."""
    with contextlib.suppress(OSError):
        link._socket.shutdown(socket.SHUT_RDWR)


class Breaking:
    """Connections that are cut at a wait, and all of their successors at the first one, if so asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, for_good: bool = False) -> None:
        self.waits = itertools.count()
        self.is_reached = False
        real = Link.step

        def step(link: Link, data: memoryview, timeout_s: float | None = None) -> tuple[int, bytes | None]:
            if next(self.waits) == at or (self.is_reached and for_good):
                self.is_reached = True
                cut(link)
            return real(link, data, timeout_s)

        monkeypatch.setattr(Link, "step", step)


BARE = "imap_capability = IMAP4rev1"  # nothing tells what became of an upload whose answer was lost
NEW = "new messages go to the other side"
CASES = [*((name, ()) for name in WORLDS), (NEW, (BARE,)), ("everything at once", (BARE,))]
cases = pytest.mark.parametrize(("name", "settings"), CASES)


@cases
def test_connection_breaks_at_every_command_and_reply(
    name: str, settings: tuple[str, ...], tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the connection breaks, the run says so, and it or the next one comes to the same end."""
    text, options = WORLDS[name]
    side: Side = "near" if list(WORLDS).index(name) % 2 else "far"
    kind = world_class(dovecot, side, settings=settings)
    start = build_with(kind, tmp_path / "start", text)
    for step in itertools.count(list(WORLDS).index(name) % STRIDE, STRIDE):
        world = start.copy(tmp_path / "world")
        assert isinstance(world, ImapWorld)
        with monkeypatch.context() as patch:
            breaking = Breaking(patch, step)
            try:
                outcome, _ = world.sync(options)
                complained = bool(outcome.failed)
            except TemporaryError:
                complained = True
        world.wait_for_servers()
        if not complained:
            assert_as_expected(world, name)
        if not breaking.is_reached:
            break
        outcome, _ = world.sync(options)
        assert not outcome.failed, step
        assert_as_expected(world, name)
    assert step > 5


@pytest.mark.parametrize("name", [NEW, "everything at once"])
def test_killed_without_uidplus(name: str, tmp_path: Path, dovecot: Dovecot) -> None:
    """A run that is killed when the server has a message and we do not know it doubles nothing."""
    text, options = WORLDS[name]
    start = build_with(world_class(dovecot, "far", settings=(BARE,)), tmp_path / "start", text)
    steps = itertools.count(0, 1 if LONG else 5)
    for world in after_each_kill(start, tmp_path / "world", options, steps):
        assert_as_expected(world, name)


QUOTA = """
mail_plugins = quota
protocol imap {
  mail_plugins = $mail_plugins imap_quota
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:bytes=%d
}
"""


def test_full_account(tmp_path: Path, dovecot: Dovecot) -> None:
    """An account that is full is told as such; when there is room, the rest comes, and nothing twice."""
    text = "".join(f"box{number}/m{number} x - - -> x\n" for number in range(3))
    full = build_with(world_class(dovecot, "far", settings=(QUOTA % 6000,)), tmp_path / "world", text)
    for number in range(4):
        full.put("near", "large", f"l{number}", data=body(f"l{number}", 4000))
    outcome, _ = full.sync()
    assert set(outcome.failed) == {"large"}
    assert "quota" in outcome.failed["large"].lower()
    assert "delete something on the server" in outcome.failed["large"]
    roomy = world_class(dovecot, "far", settings=(QUOTA % 10**6,))(full.directory)
    outcome, _ = roomy.sync()
    assert not outcome.failed
    assert roomy.contents("near") == roomy.contents("far")
    assert sum(roomy.contents("far")["large"].values()) == 4


def test_server_that_is_gone_ends_the_run(
    tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nobody answers any more, the other mailboxes are not tried one by one."""
    text = "".join(f"box{number}/m{number} x - - -> x\n" for number in range(20))
    world = build_with(world_class(dovecot, "far"), tmp_path / "world", text)
    with monkeypatch.context() as patch:
        breaking = Breaking(patch, 30, for_good=True)
        with pytest.raises(TemporaryError):
            world.sync()
    assert breaking.is_reached
    assert next(breaking.waits) < 30 + 20
    world.sync()
    assert world.contents("near") == world.contents("far")


def test_server_that_breaks_again_and_again(
    tmp_path: Path, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lets us in and ends each connection is asked a few times and then left alone."""
    text = "".join(f"box{number}/m{number} x - - -> x\n" for number in range(20))
    world = build_with(world_class(dovecot, "far"), tmp_path / "world", text)
    logins = itertools.count()
    real = Link.step
    seen: dict[Link, int] = {}

    def step(link: Link, data: memoryview, timeout_s: float | None = None) -> tuple[int, bytes | None]:
        seen[link] = seen.setdefault(link, 0 * next(logins)) + 1
        if seen[link] == 15:
            cut(link)
        return real(link, data, timeout_s)

    with monkeypatch.context() as patch:
        patch.setattr(Link, "step", step)
        with pytest.raises(TemporaryError, match="times"):
            world.sync()
    assert len(seen) == 1 + MENDED_AT_MOST
    world.sync()
    assert world.contents("near") == world.contents("far")
