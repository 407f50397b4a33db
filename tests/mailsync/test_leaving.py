"""What becomes of mailboxes without messages, and of messages that are marked as deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.mailsync.decide import READ_ONLY, SIDES, Permissions, Rules, Side
from mswatch.mailsync.mailboxes import Leaving, Make, Unmake, afterwards
from mswatch.mailsync.options import LEFT, Options
from tests.mailsync.worlds import World

BOTH: tuple[Side, ...] = SIDES


@pytest.mark.parametrize(
    ("name", "there", "leaving", "acts"),
    [
        ("box", ("near",), "follow", [Unmake("near")]),
        ("box", ("far",), "follow", [Unmake("far")]),
        ("box", BOTH, "follow", []),
        ("box", ("near",), "keep", [Make("far")]),
        ("box", ("far",), "keep", [Make("near")]),
        ("box", BOTH, "keep", []),
        ("box", ("near",), "clear", [Unmake("near")]),
        ("box", BOTH, "clear", [Unmake("near"), Unmake("far")]),
        ("INBOX", ("near",), "follow", [Make("far")]),
        ("INBOX", ("far",), "clear", [Make("near")]),
        ("INBOX", BOTH, "clear", []),
    ],
)
def test_afterwards(name: str, there: tuple[Side, ...], leaving: Leaving, acts: list[Make | Unmake]) -> None:
    """Each row of the table; INBOX stays whatever is said."""
    assert afterwards(name, there, SIDES, leaving) == acts
    for side in there if len(there) == 1 else ():
        assert afterwards(name, there, (side,), leaving) == []


def _world(directory: Path) -> World:
    """Return a world that is in step: a message in INBOX, one in "box", an empty mailbox."""
    world = World(directory)
    world.put("near", "INBOX", "a")
    world.put("near", "box", "b")
    world.make("near", "empty")
    world.sync()
    return world


def _names(world: World) -> list[list[str]]:
    return [sorted(world.store(side).mailboxes()) for side in SIDES]


def _remove(world: World, mailbox: str) -> None:
    """Remove a mailbox on far, with all that is in it."""
    directory = world.path("far") / mailbox
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.rmdir()


@pytest.mark.parametrize(
    ("leaving", "left"),
    [("follow", ["INBOX", "empty"]), ("keep", ["INBOX", "box", "empty"]), ("clear", ["INBOX"])],
)
def test_mailbox_that_was_removed(tmp_path: Path, leaving: Leaving, left: list[str]) -> None:
    """What far removed is removed on near, or emptied there and made again, or all empty ones go."""
    world = _world(tmp_path)
    _remove(world, "box")
    world.sync(Options(leaving=leaving))
    assert _names(world) == [left, left]
    assert not world.contents("near").get("box")
    before = world.snapshot()
    world.sync(Options(leaving=leaving))
    assert world.snapshot() == before


@pytest.mark.parametrize("rules", [READ_ONLY, Permissions(create=False)], ids=["read-only", "not made"])
@pytest.mark.parametrize("side", SIDES)
def test_what_may_not_be_made_over_there_stays_here(tmp_path: Path, side: Side, rules: Permissions) -> None:
    """A new mailbox, empty or not, is left alone while the other store may not have it."""
    world = _world(tmp_path)
    elsewhere = Rules(far=rules) if side == "near" else Rules(near=rules)
    world.make(side, "later/empty")
    world.put(side, "full", "c")
    for _ in range(2):
        outcome, _ = world.sync(Options(rules=elsewhere))
        assert not outcome.failed
        assert _names(world)[SIDES.index(side)] == sorted(["INBOX", "box", "empty", "full", "later/empty"])
        assert _names(world)[1 - SIDES.index(side)] == ["INBOX", "box", "empty"]
    world.sync()
    assert _names(world) == [sorted(["INBOX", "box", "empty", "full", "later/empty"])] * 2


@pytest.mark.parametrize("side", SIDES)
def test_first_run_removes_no_mailbox(tmp_path: Path, side: Side) -> None:
    """In the very first run nothing was removed anywhere."""
    world = World(tmp_path)
    for each in SIDES:
        world.make(each, "INBOX")
    world.make(side, "empty")
    rules = Rules(far=READ_ONLY) if side == "near" else Rules(near=READ_ONLY)
    world.sync(Options(rules=rules))
    assert "empty" in _names(world)[SIDES.index(side)]


def test_clearing_needs_no_change(tmp_path: Path) -> None:
    """Mailboxes that were empty before are removed although nothing of them changed."""
    world = _world(tmp_path)
    world.sync()
    world.sync(Options(leaving="clear"))
    assert _names(world) == [["INBOX", "box"], ["INBOX", "box"]]


def test_clearing_removes_no_message(tmp_path: Path) -> None:
    """A mailbox stays if it holds messages that are not copied, or whose deletion is not allowed."""
    world = _world(tmp_path)
    world.put("near", "empty", "deleted", "T")
    world.put("far", "later", "long", data=b"Subject: long\n\n" + b"x" * 1000)
    world.find("far", "box", "b").unlink()
    keep = Permissions(delete=False, expunge=False)
    options = Options(rules=Rules(keep, keep, copy_deleted=False), size_limit=500, leaving="clear")
    world.sync(options)
    assert _names(world) == [["INBOX", "box", "empty", "later"]] * 2
    options = Options(rules=Rules(copy_deleted=False), size_limit=500, leaving="clear")
    world.sync(options)
    assert _names(world) == [["INBOX", "empty", "later"]] * 2
    assert world.contents("near")["empty"].total() == 1
    assert world.contents("far")["later"].total() == 1


def test_marked_messages_wait(tmp_path: Path) -> None:
    """Without copy_deleted a marked message is told, not copied; it is when the mark is gone, or the rule."""
    world = _world(tmp_path)
    world.put("near", "INBOX", "c", "T")
    world.put("far", "INBOX", "d", "ST")
    rules = Rules(copy_deleted=False)
    outcome, listening = world.sync(Options(rules=rules))
    assert [(each.what, each.side) for each in listening.told] == [(LEFT, "far"), (LEFT, "near")]
    assert (outcome.failed, outcome.problems) == ({}, [])
    world.set("near", "INBOX", "c", "")
    world.sync(Options(rules=rules))
    assert world.contents("far")["INBOX"][("c", "")] == 1
    assert world.contents("near")["INBOX"].total() == 2
    world.sync()
    assert world.contents("near")["INBOX"][("d", "ST")] == 1
