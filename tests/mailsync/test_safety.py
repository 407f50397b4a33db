"""Sights that are not believed: nothing is deleted, and each of both intentions leads where it says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mswatch.mailsync.decide import Rules
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import COPIED, Done, Options, Outcome
from mswatch.mailsync.state import State
from tests.mailsync.kinds import KindWorld
from tests.mailsync.worlds import Listening, World, build

COUNT = 30
ACCEPT = Options(believe=True)
UNDO = Options(rules=Rules(restore=True))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two stores in step, with INBOX and a second mailbox."""
    world = World(tmp_path)
    for number in range(COUNT):
        world.put("near", "INBOX", f"m{number}")
    for number in range(COUNT // 2):
        world.put("near", "lists", f"l{number}")
    world.make("far", "INBOX")
    world.sync()
    assert size(world) == COUNT + COUNT // 2
    return world


def size(world: World) -> int:
    """Return how many messages far has."""
    return sum(sum(messages.values()) for messages in world.contents("far").values())


def missing(world: World) -> None:
    """The directory is gone."""
    shutil.rmtree(world.path("near"))


def unmounted(world: World) -> None:
    """The empty directory below a mount point."""
    shutil.rmtree(world.path("near"))
    world.path("near").mkdir()


def made_anew(world: World) -> None:
    """A fresh store in the same place, with a message in it."""
    shutil.rmtree(world.path("near"))
    world.put("near", "INBOX", "fresh")


def emptied(world: World) -> None:
    """The mailboxes are there, but nothing is in them."""
    for path in world.path("near").rglob("cur/*"):
        path.unlink()


def without_inbox(world: World) -> None:
    """INBOX is gone."""
    shutil.rmtree(world.path("near") / "INBOX")


def mostly_gone(world: World) -> None:
    """Two thirds of INBOX are gone."""
    for number in range(COUNT * 2 // 3):
        world.find("near", "INBOX", f"m{number}").unlink()


SIGHTS = [missing, unmounted, made_anew, emptied, without_inbox, mostly_gone]
each_sight = pytest.mark.parametrize("see", SIGHTS, ids=lambda see: see.__name__)


@each_sight
def test_it_is_not_believed(world: World, see: Callable[[World], None]) -> None:
    """However often it is looked at: nothing is deleted, and what was seen is told."""
    see(world)
    for _ in range(2):
        outcome, _ = world.sync()
        assert outcome.refused
        assert size(world) >= COUNT + COUNT // 2


@each_sight
def test_lost_messages_come_back(world: World, see: Callable[[World], None]) -> None:
    """When a person says that they were lost, they are copied back, and later runs have nothing to say."""
    see(world)
    outcome, _ = world.sync(UNDO)
    assert not outcome.failed
    assert world.contents("near") == world.contents("far")
    assert size(world) >= COUNT + COUNT // 2
    outcome, listening = world.sync()
    assert not outcome.refused
    assert listening.told == []


@each_sight
def test_deletions_are_carried_over(world: World, see: Callable[[World], None]) -> None:
    """When a person says that they were meant, they are deleted on the other side too."""
    see(world)
    outcome, _ = world.sync(ACCEPT)
    assert not outcome.failed
    assert size(world) < COUNT
    outcome, _ = world.sync()
    assert not outcome.refused


def test_few_deletions_are_everyday_life(tmp_path: Path) -> None:
    """Emptying a small mailbox needs no permission."""
    world = World(tmp_path)
    for number in range(10):
        world.put("near", "INBOX", f"m{number}")
        world.put("near", "other", f"o{number}")
    world.make("far", "INBOX")
    world.sync()
    for path in (world.path("far") / "other").rglob("new/*"):
        path.unlink()
    outcome, _ = world.sync()
    assert not outcome.refused
    assert not world.contents("near")["other"]


def test_share_can_be_set(world: World) -> None:
    """With another share another amount is too much."""
    mostly_gone(world)
    assert world.sync(replace(Options(), largest_share=0.9))[0].refused == []


def test_what_is_new_is_copied_all_the_same(world: World) -> None:
    """A mailbox whose deletions are refused still gets new messages and flags, and others are synced."""
    mostly_gone(world)
    world.put("far", "INBOX", "later")
    world.put("near", "lists", "later")
    world.set("far", "INBOX", f"m{COUNT - 1}", "S")
    outcome, _ = world.sync(replace(Options(), largest_share=0.6))
    assert [refusal.mailbox for refusal in outcome.refused] == ["INBOX"]
    assert world.contents("near")["INBOX"]["later", ""] == 1
    assert world.contents("far")["lists"]["later", ""] == 1
    assert world.contents("near")["INBOX"][f"m{COUNT - 1}", "S"] == 1


def test_removed_mailbox_is_removed(world: World) -> None:
    """A mailbox that was deleted goes on the other side too; one that got a message meanwhile comes back."""
    shutil.rmtree(world.path("near") / "lists")
    outcome, _ = world.sync()
    assert not outcome.refused
    assert "lists" not in world.contents("far")
    world.put("near", "again", "one")
    world.sync()
    shutil.rmtree(world.path("near") / "again")
    world.put("far", "again", "two")
    world.sync()
    assert world.contents("near")["again"] == world.contents("far")["again"]
    assert world.contents("near")["again"]["two", ""] == 1


def test_renamed_mailbox_is_renamed(world: World) -> None:
    """A mailbox that was renamed is renamed on the other side, and no message is copied."""
    world.sync()
    before = sorted(path.name for path in (world.path("far") / "lists").rglob("*/*") if path.is_file())
    (world.path("near") / "lists").rename(world.path("near") / "renamed")
    _, listening = world.sync()
    assert [done.what for done in listening.told] == ["mailbox renamed"]
    assert sorted(p.name for p in (world.path("far") / "renamed").rglob("*/*") if p.is_file()) == before
    assert world.contents("near") == world.contents("far")
    assert world.sync()[1].told == []


@pytest.mark.parametrize(("near", "far"), [("maildir", "maildir"), ("mh", "maildir"), ("maildir", "mh")])
def test_mailboxes_below_a_renamed_one_move_along(near: str, far: str, tmp_path: Path) -> None:
    """A mailbox that was renamed with others below it is renamed with them."""
    world = KindWorld(tmp_path, near, far)
    build(tmp_path, "a x x x -> x\nlists/b x x x -> x\nlists/deep/c x x x -> x\n", world)
    (world.path("near") / "lists").rename(world.path("near") / "groups")
    outcome, listening = world.sync()
    assert outcome == Outcome()
    assert [(done.what, done.detail) for done in listening.told] == [("mailbox renamed", "groups")]
    assert world.contents("near") == world.contents("far")
    assert set(world.contents("far")) == {"INBOX", "groups", "groups/deep"}


def test_rename_that_cannot_be_followed_stops_nothing_else(world: World) -> None:
    """Where a mailbox cannot be renamed it is left alone and told; all others are synced."""
    world.sync()
    (world.path("near") / "lists").rename(world.path("near") / "renamed")
    in_the_way = world.path("far") / "renamed"
    in_the_way.touch()
    world.put("near", "INBOX", "new")
    outcome, listening = world.sync()
    assert outcome.failed.keys() == {"lists", "renamed"}
    assert [done.what for done in listening.told] == ["copied"]
    in_the_way.unlink()
    outcome, listening = world.sync()
    assert outcome == Outcome()
    assert [done.what for done in listening.told] == ["mailbox renamed"]
    assert size(world) == COUNT + COUNT // 2 + 1


def test_both_renamed_a_mailbox(world: World) -> None:
    """Renamed on both sides alike nothing is to do; differently, near's name counts."""
    world.sync()
    for side in ("near", "far"):
        (world.directory / side / "lists").rename(world.directory / side / "same")
    assert world.sync()[1].told == []
    (world.path("near") / "same").rename(world.path("near") / "one")
    (world.path("far") / "same").rename(world.path("far") / "two")
    world.sync()
    assert world.contents("near") == world.contents("far")
    assert set(world.contents("far")) == {"INBOX", "one"}
    assert size(world) == COUNT + COUNT // 2


def test_mailbox_below_what_cannot_be_read_is_not_removed(tmp_path: Path) -> None:
    """A directory that cannot be read hides mailboxes; nobody deleted them."""
    world = World(tmp_path)
    world.put("near", "INBOX", "a")
    world.put("near", "deep/box", "b")
    world.sync()
    for place in (world.path("near") / "deep", world.path("near") / "deep/box"):
        place.chmod(0)
        outcome, listening = world.sync()
        place.chmod(0o700)
        assert outcome.failed.keys() == {"deep/box"}
        assert listening.told == []
    assert world.sync()[0].failed == {}
    assert world.contents("near") == world.contents("far")


@pytest.mark.parametrize("what", ["", "INBOX", "lists"], ids=["all", "inbox", "mailbox"])
def test_a_store_that_goes_away_while_it_is_read(world: World, what: str) -> None:
    """What was seen of a store that is gone when something is to be removed counts for nothing."""

    class Meddling(Listening):
        def done(self, done: Done) -> None:
            if done.what == COPIED:
                shutil.rmtree(world.path("near") / what)

    world.find("near", "INBOX", "m1").unlink()
    world.put("near", "lists", "later")
    before = size(world)
    with State.opened(world.state_file) as (state, _):
        outcome = Engine(world.store("near"), world.store("far"), state, Options(), Meddling()).run()
    assert [refusal.mailbox for refusal in outcome.refused] == [None]
    assert size(world) == before + 1
