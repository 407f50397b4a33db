"""A state without digests: nothing is transferred, and nothing removed that was not compared."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.state import Compared, State
from tests.mailsync.worlds import World, body, build

WORLD = """
a    x   x   x   -> x
b    S   x   x   -> S
c~a  x   x   x   -> x
"""


def make_old(world: World) -> None:
    """Make of a state one of the version before."""
    with closing(sqlite3.connect(world.state_file)) as database:
        database.executescript(
            "DROP TABLE carried; DROP TABLE bad; DROP INDEX message_not_compared; DROP INDEX message_unseen;"
            "ALTER TABLE message DROP COLUMN content;"
            "ALTER TABLE message DROP COLUMN compared; ALTER TABLE mailbox DROP COLUMN verified;"
            "PRAGMA user_version = 2"
        )


def known(world: World) -> list[Compared]:
    """Return what is known of the bytes of pairs."""
    with State.opened(world.state_file) as (state, _):
        numbers = [row.id for mailbox in state.mailboxes().values() for row in state.rows(mailbox)]
        return list(state.compared(numbers).values())


def names(world: World, side: Side) -> list[str]:
    """Return the names of the messages in INBOX."""
    return sorted(name for (name, _), count in world.contents(side)["INBOX"].items() for _ in range(count))


def test_pairs_are_compared_on_the_way(tmp_path: Path) -> None:
    """A run reads both messages of each pair, and carries on as before."""
    world = build(tmp_path, WORLD)
    make_old(world)
    outcome, _ = world.sync()
    assert outcome.compared == 3
    assert all(each.is_certain and each.content for each in known(world))
    outcome, listening = world.sync()
    assert outcome.compared == 0
    assert not listening.told
    for side in SIDES:
        assert names(world, side) == ["a", "b", "c~a"]


@pytest.mark.parametrize("side", SIDES)
def test_two_messages_that_were_taken_for_one(tmp_path: Path, side: Side) -> None:
    """The old program took them for one; now each is carried to the other side."""
    world = build(tmp_path, WORLD)
    make_old(world)
    world.find(side, "INBOX", "b").write_bytes(body("d~b"))
    for _ in range(2):
        world.sync()
    for each in SIDES:
        assert names(world, each) == ["a", "b", "c~a", "d~b"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("is_one", [True, False], ids=["one", "two"])
def test_what_was_never_compared_is_not_removed(tmp_path: Path, side: Side, *, is_one: bool) -> None:
    """A deletion before anything was compared brings the other one back, once."""
    world = build(tmp_path, WORLD)
    make_old(world)
    if not is_one:
        world.find(other(side), "INBOX", "b").write_bytes(body("d~b"))
    stays = "b" if is_one else "d~b"
    world.delete(side, "INBOX", "b")
    world.sync()
    for each in SIDES:
        assert names(world, each) == sorted(["a", stays, "c~a"])
    world.delete(side, "INBOX", stays)
    world.sync()
    for each in SIDES:
        assert names(world, each) == ["a", "c~a"]


def test_a_mark_of_deletion_is_carried_only_between_equals(tmp_path: Path) -> None:
    r"""What is marked as \Deleted is compared first; another message is not marked for its sake."""
    world = build(tmp_path, WORLD)
    make_old(world)
    world.find("far", "INBOX", "b").write_bytes(body("d~b"))
    world.set("near", "INBOX", "b", "ST")
    for _ in range(3):
        world.sync()
    for side in SIDES:
        assert world.contents(side)["INBOX"]["d~b", "S"] + world.contents(side)["INBOX"]["d~b", ""] == 1
        assert world.contents(side)["INBOX"]["b", "ST"] == 1
