"""One message that cannot be had, or put: all others are carried, and it is told and left alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mswatch.mailsync.decide import Permissions, Rules
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Options, Outcome
from mswatch.mailsync.state import State
from tests.mailsync.worlds import Listening
from tests.mailsync_imap.test_lies import LyingWorld, lying_world
from tests.servers.bending import CUT, REFUSED, Bend
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server]

NOON = 1_800_000_000.0
COUNT = 12
BAD = 7


@pytest.fixture
def world(dovecot: Dovecot, tmp_path: Path) -> LyingWorld:
    """A world in step."""
    return lying_world(dovecot, (), tmp_path / "world")


def sync(world: LyingWorld, now: float, options: Options | None = None) -> Outcome:
    """Run at some time; what breaks is told in the outcome."""
    with State.opened(world.state_file) as (state, _):
        stores = world.store("near"), world.store("far")
        return Engine(*stores, state, options or Options(), Listening(), now).run()


def names(world: LyingWorld, side: str, mailbox: str = "lists") -> set[str]:
    """Return what a mailbox holds."""
    return {name for name, _ in world.contents("near" if side == "near" else "far")[mailbox]}


def bad_uid(world: LyingWorld) -> int:
    """Deliver to the server, and return the UID that the bad message will have."""
    for number in range(COUNT):
        world.put("far", "lists", f"m{number:02}")
    noticed(world, "lists")
    return 3 + BAD  # there were two; they come in the order of their names


def noticed(world: LyingWorld, *mailboxes: str) -> None:
    """Have the server see what was put into its directories, though it looked at them in this second."""
    later = time.time() + 5
    for mailbox in mailboxes:
        os.utime(world.path("far") / mailbox / "cur", (later, later))


def test_a_message_that_is_refused(world: LyingWorld) -> None:
    """All others come in the same run, and the bad one is named; when it can be had it comes."""
    uid = bad_uid(world)
    world.bends = (Bend(rf"^\* [0-9]+ FETCH \(UID {uid} .*BODY\[\].*", REFUSED),)
    outcome = sync(world, NOON)
    assert not outcome.failed
    assert [f"message {uid}: " in problem for problem in outcome.problems] == [True]
    wanted = {f"m{number:02}" for number in range(COUNT)}
    assert wanted - names(world, "near") == {f"m{BAD:02}"}
    world.bends = ()
    assert not sync(world, NOON + 1).problems
    assert wanted <= names(world, "near")


def test_a_message_that_ends_the_connection(world: LyingWorld) -> None:
    """After some runs all others are there, other mailboxes at once; then it is tried seldom, and told."""
    uid = bad_uid(world)
    world.put("far", "other", "elsewhere")
    noticed(world, "other")
    world.bends = (Bend(rf"^\* [0-9]+ FETCH \(UID {uid} .*BODY\[\].*", CUT),)
    now = NOON
    for _ in range(10):
        now += 60
        outcome = sync(world, now)
        assert "elsewhere" in names(world, "near", "other"), outcome
        if not outcome.failed:
            break
    assert {f"m{number:02}" for number in range(COUNT)} - names(world, "near") == {f"m{BAD:02}"}
    assert [f"message {uid} failed 3 times" in problem for problem in outcome.problems] == [True]
    world.put("far", "lists", "later")
    os.utime(world.path("far") / "lists/cur", (time.time() + 60, time.time() + 60))
    outcome = sync(world, now + 60)
    assert not outcome.failed
    assert "later" in names(world, "near")
    world.bends = ()
    assert not sync(world, now + 7200).problems
    assert f"m{BAD:02}" in names(world, "near")


def test_an_upload_that_ends_the_connection(world: LyingWorld) -> None:
    """The same the other way: what the server cannot take keeps no other message away."""
    for number in range(COUNT):
        data = None if number != BAD else b"Subject: m07\n\nPOISON\n"
        world.put("near", "lists", f"m{number:02}", data=data)
    world.put("near", "other", "elsewhere")
    world.bends = (Bend("POISON", CUT, is_client=True),)
    now = NOON
    for _ in range(12):
        now += 60
        outcome = sync(world, now)
        if not outcome.failed:
            break
    assert {f"m{number:02}" for number in range(COUNT)} - names(world, "far") == {f"m{BAD:02}"}
    assert "elsewhere" in names(world, "far", "other")
    assert ["failed 3 times" in problem for problem in outcome.problems] == [True]
    world.bends = ()
    assert not sync(world, now + 7200).problems
    assert f"m{BAD:02}" in names(world, "far")


def test_flags_that_are_refused(world: LyingWorld) -> None:
    """A mailbox of which only the flags cannot be changed gives its new mail."""
    world.put("far", "lists", "new")
    noticed(world, "lists")
    world.set("near", "lists", "e", "F")
    world.bends = (Bend(r"^(A[0-9]+) OK Store completed.*", r"\1 NO [NOPERM] read-only\r\n"),)
    outcome = sync(world, NOON)
    assert not outcome.failed
    assert "NOPERM" in outcome.problems[0]
    assert "new" in names(world, "near")
    world.bends = ()
    outcome = sync(world, NOON + 1)
    assert not outcome.problems
    assert ("e", "F") in world.contents("far")["lists"]


def test_rules_are_as_before(world: LyingWorld) -> None:
    """Where nothing may be changed nothing is tried."""
    world.set("near", "lists", "e", "F")
    outcome = sync(world, NOON, Options(rules=Rules(far=Permissions(flags=False))))
    assert not outcome.problems
