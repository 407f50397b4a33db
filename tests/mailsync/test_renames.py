"""Mailboxes that are renamed while other things happen: mail is where people put it, each message once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES, Side
from tests.mailsync.worlds import World, build

START = """
INBOX/i        x x x -> x
a/m1           x x x -> x
a/m2           x x x -> x
a/b/c1         x x x -> x
a/b/c2         x x x -> x
d/e/e1         x x x -> x
f/f1           x x x -> x
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two stores in step, with mailboxes below others; d is only a directory."""
    return build(tmp_path, START)


each_side = pytest.mark.parametrize("side", SIDES)


def move(world: World, side: Side, name: str, new_name: str) -> None:
    """Rename a mailbox with all below it, as a mail reader does; to a directory that is there, its parts."""
    old, new = world.path(side) / name, world.path(side) / new_name
    new.parent.mkdir(parents=True, exist_ok=True)
    if not new.exists():
        old.rename(new)
        return
    for part in ("tmp", "cur", "new"):
        (old / part).rename(new / part)
    shutil.rmtree(old)  # what programs of the mailbox's own have left in it


def end(world: World) -> dict[str, list[str]]:
    """Run until nothing is left to do; both sides must be the same, and nothing failed."""
    for _ in range(4):
        outcome, listening = world.sync()
        assert not outcome.failed, outcome
        assert not outcome.problems
        assert not outcome.refused
    assert not listening.told
    assert world.contents("near") == world.contents("far")
    return {
        box: sorted(name for name, _ in messages.elements())
        for box, messages in world.contents("near").items()
        if messages
    }


@each_side
def test_a_child_is_worked_on_when_its_parent_was_renamed(world: World, side: Side) -> None:
    """What was deleted in it stays deleted, what was moved out of it is there once."""
    move(world, side, "a", "x")
    world.delete(side, "x/b", "c1")
    path = world.find(side, "x/b", "c2")
    path.rename(world.path(side) / "f/cur" / path.name)
    assert end(world) == {"INBOX": ["i"], "x": ["m1", "m2"], "d/e": ["e1"], "f": ["c2", "f1"]}


@each_side
def test_renamed_to_what_is_a_directory_over_there(world: World, side: Side) -> None:
    """The other side makes the mailbox, and moves the messages."""
    move(world, side, "f", "d")
    assert end(world) == {"INBOX": ["i"], "a": ["m1", "m2"], "a/b": ["c1", "c2"], "d": ["f1"], "d/e": ["e1"]}
    world.put(side, "d", "f2")
    assert end(world)["d"] == ["f1", "f2"]


@each_side
def test_a_child_comes_out_and_its_parent_takes_its_name(world: World, side: Side) -> None:
    """a/b to x, then a to b."""
    move(world, side, "a/b", "x")
    move(world, side, "a", "b")
    assert end(world) == {"INBOX": ["i"], "b": ["m1", "m2"], "x": ["c1", "c2"], "d/e": ["e1"], "f": ["f1"]}


def test_two_names_for_one_mailbox(world: World) -> None:
    """Renamed on both sides to different names: no message is there twice."""
    move(world, "near", "a", "x")
    move(world, "far", "a", "y")
    found = end(world)
    names = sorted(name for messages in found.values() for name in messages)
    assert names == ["c1", "c2", "e1", "f1", "i", "m1", "m2"]


def test_renames_that_cross(world: World) -> None:
    """A to g here, f to g there: two mailboxes of one name are one, with all their messages once."""
    move(world, "near", "a", "g")
    move(world, "far", "f", "g")
    names = sorted(name for messages in end(world).values() for name in messages)
    assert names == ["c1", "c2", "e1", "f1", "i", "m1", "m2"]


@each_side
def test_two_change_their_names(world: World, side: Side) -> None:
    """F and a/b are exchanged."""
    move(world, side, "f", "t")
    move(world, side, "a/b", "f")
    move(world, side, "t", "a/b")
    found = end(world)
    assert (found["f"], found["a/b"]) == (["c1", "c2"], ["f1"])


@each_side
def test_renamed_here_moved_there(world: World, side: Side) -> None:
    """A is renamed here, a message is moved out of it there."""
    move(world, side, "a", "x")
    there: Side = "far" if side == "near" else "near"
    path = world.find(there, "a", "m1")
    path.rename(world.path(there) / "f/cur" / path.name)
    names = sorted(name for messages in end(world).values() for name in messages)
    assert names == ["c1", "c2", "e1", "f1", "i", "m1", "m2"]
