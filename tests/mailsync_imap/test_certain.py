"""Meeting a server: bytes decide while they are few, and else before anything is done for their sake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.options import Options
from tests.mailsync.worlds import World, acts
from tests.mailsync_imap.test_worlds import build_with, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server]

BY_SIZE = Options(compare_limit=0)
WORLD = """
a    x   -   -   -> x
c~a  -   x   -   -> x
b    x   -   -   -> x
d=b  -   x   -   -> -
"""


SERVERS: dict[str, tuple[Side, ...]] = {"far": ("far",), "near": ("near",), "both": SIDES}


@pytest.fixture(params=SERVERS)
def sides(request: pytest.FixtureRequest) -> tuple[Side, ...]:
    """Which stores are servers."""
    return SERVERS[request.param]


@pytest.fixture
def world(dovecot: Dovecot, sides: tuple[Side, ...], tmp_path: Path) -> Iterator[World]:
    """Two stores that have not met: a and c~a have one header and one size, d is b."""
    yield build_with(world_class(dovecot, *sides), tmp_path / "world", WORLD)


def names(world: World) -> dict[Side, list[str]]:
    """Return the names of the messages in INBOX."""
    return {side: sorted(name for name, _ in world.contents(side)["INBOX"].elements()) for side in SIDES}


def both(*there: str) -> dict[Side, list[str]]:
    """Both sides hold these."""
    return {side: sorted(there) for side in SIDES}


def test_bytes_decide(world: World) -> None:
    """Two messages of one header and one size are two, and copies are one."""
    world.sync()
    assert names(world) == both("a", "b", "c~a")


def test_by_size_nothing_is_transferred_nor_lost(world: World) -> None:
    """Where it is too much, a pair is taken for one; each side keeps what it has."""
    world.sync(BY_SIZE)
    assert names(world) == {"near": ["a", "b"], "far": ["b", "c~a"]}
    _, listening = world.sync(BY_SIZE)
    assert not listening.told


def test_a_dry_run_looks_again_at_what_it_would_upload(world: World) -> None:
    """A trash is synced again after messages were moved to it: what would be uploaded has no UID yet."""
    options = Options(near_trash="Trash", far_trash="Trash")
    world.sync(options)
    world.put("near", "Trash", "e")
    world.put("far", "Trash", "f")
    world.delete("near", "INBOX", "b")
    world.delete("far", "INBOX", "a")
    foretold = world.dry_run(options)
    _, listening = world.sync(options)
    assert acts(foretold) == acts(listening.told)


@pytest.mark.parametrize("side", SIDES)
def test_a_deletion_is_compared_first(world: World, sides: tuple[Side, ...], side: Side) -> None:
    """What was deleted is removed on the other side only if it was the same; else the other one is carried.

    A message of a server that is gone cannot be read any more: the other one comes back, once.
    """
    world.sync(BY_SIZE)
    world.delete(side, "INBOX", {"near": "a", "far": "c~a"}[side])
    world.delete(side, "INBOX", "b")
    world.sync(BY_SIZE)
    comes_back = [] if side not in sides else ["b"]
    assert names(world) == both({"near": "c~a", "far": "a"}[side], *comes_back)
    for name in comes_back:
        world.delete(side, "INBOX", name)
    world.sync(BY_SIZE)
    assert names(world) == both({"near": "c~a", "far": "a"}[side])


@pytest.mark.parametrize("side", SIDES)
def test_a_mark_of_deletion_is_compared_first(world: World, side: Side) -> None:
    r"""What is marked as \Deleted marks only its equal, and what is none is carried."""
    world.sync(BY_SIZE)
    mine = {"near": "a", "far": "c~a"}
    world.set(side, "INBOX", mine[side], "T")
    world.set(side, "INBOX", "b", "T")
    for _ in range(2):
        world.sync()
    for each in SIDES:
        assert sorted(world.contents(each)["INBOX"].elements()) == sorted(
            [("b", "T"), (mine[side], "T"), (mine[other(side)], "")]
        )


@pytest.mark.parametrize("side", SIDES)
def test_a_move_is_compared_first(world: World, side: Side) -> None:
    """What was moved takes its equal along, and what is none stays and is carried."""
    world.sync(BY_SIZE)
    mine = {"near": "a", "far": "c~a"}
    for name in (mine[side], "b"):
        path = world.find(side, "INBOX", name)
        path.rename(world.make(side, "box") / "cur" / f"moved{name}:2,")
    _, listening = world.sync()
    assert [done.mailbox for done in listening.told if done.what == "moved"] == ["INBOX"]
    assert names(world) == both(mine[other(side)])
    for each in SIDES:
        assert sorted(name for name, _ in world.contents(each)["box"].elements()) == sorted(["b", mine[side]])
