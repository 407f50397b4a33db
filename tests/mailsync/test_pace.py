"""Deletions over time: what an accident gets through is bounded, and everyday life is not held back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Options, Outcome
from mswatch.mailsync.safety import BURST_S, DAY_S, FEW, Carried, is_for_deleted, judge_pace
from mswatch.mailsync.state import State
from tests.mailsync.worlds import Listening, World

NOON = 1_800_000_000.0
SHARE = 0.5


class Pace:
    """A store that is judged as the engine does it."""

    def __init__(self, **mailboxes: int) -> None:
        self.held = dict(mailboxes)
        self.before: list[Carried] = []

    def lose(self, now: float, **wanted: int) -> bool:
        """Lose messages; tell whether all of it was believed, and then carried over."""
        had = {name: self.held[name] for name in wanted} | {"": sum(self.held.values())}
        refused = judge_pace("near", wanted, had, self.before, now, SHARE)
        if not refused:
            for name, count in wanted.items():
                self.held[name] -= count
                self.before.append(Carried(now, name, count))
        return not refused


bites = st.lists(st.tuples(st.floats(0, 7200), st.integers(1, 400)), min_size=1, max_size=60)


@given(st.integers(1, 2000), bites)
def test_what_gets_through_is_bounded(size: int, losses: list[tuple[float, int]]) -> None:
    """However quickly a store is emptied: in a day never more than its half, or a few."""
    pace, now = Pace(box=size), NOON
    for pause, count in losses:
        now += pause
        pace.lose(now, box=min(count, pace.held["box"]))
        today = sum(each.count for each in pace.before if each.at > now - DAY_S)
        assert today < FEW or today <= SHARE * (pace.held["box"] + today)


@given(st.integers(100, 2000), st.integers(1, 60))
def test_bite_by_bite_half_of_that(size: int, bite: int) -> None:
    """A stream of small deletions stops at a quarter of the store, and goes on when it was quiet."""
    boxes = {f"box{number}": size // 10 for number in range(10)}
    pace, now = Pace(**boxes, untouched=10), NOON
    names, whole = list(boxes), sum(pace.held.values())
    for step in range(whole):
        now += 1
        name = names[step % 10]
        if not pace.lose(now, **{name: min(bite, pace.held[name])} if pace.held[name] else {names[0]: 0}):
            break
    through = whole - sum(pace.held.values())
    assert through <= max(FEW, whole * SHARE / 2)
    assert pace.lose(now + BURST_S + 1, untouched=1)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ({"INBOX": 5000, "Trash": 900}, {"Trash": 900}),
        ({"INBOX": 50, "Trash": 900}, {"Trash": 900}),
        ({"INBOX": 500, "lists/Junk": 300}, {"lists/Junk": 300}),
        ({"INBOX": 5000, "lists": 3000}, {"lists": 1400}),
        ({"INBOX": 200, "small": 19}, {"small": 19}),
        ({"INBOX": 40}, {"INBOX": 20}),
        ({"INBOX": 10}, {"INBOX": 10}),
    ],
)
def test_everyday_life(held: dict[str, int], wanted: dict[str, int]) -> None:
    """Emptying Trash and Junk, expiring a list, clearing a small mailbox, a mail reader that expunges."""
    assert Pace(**held).lose(NOON, **wanted)


def test_reading_and_deleting_all_morning() -> None:
    """A person who deletes one message after the other, of a thousand, is not held back."""
    pace = Pace(INBOX=1000)
    for minute in range(240):
        assert pace.lose(NOON + minute * 60, INBOX=1)


def test_names_of_mailboxes_for_deleted_mail() -> None:
    """By the last level, whatever the case."""
    assert is_for_deleted("Trash")
    assert is_for_deleted("INBOX/Deleted Items")
    assert not is_for_deleted("Trash/2024")
    assert not is_for_deleted("trashy")


def sync(world: World, now: float, options: Options | None = None) -> Outcome:
    """Run at some time."""
    with State.opened(world.state_file) as (state, _):
        stores = world.store("near"), world.store("far")
        return Engine(*stores, state, options or Options(), Listening(), now).run()


def far(world: World) -> int:
    """Return how many messages far has."""
    return sum(messages.total() for messages in world.contents("far").values())


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store of small mailboxes and a large one."""
    world = World(tmp_path)
    for number in range(60):
        world.put("near", "INBOX", f"i{number}")
        world.put("near", f"box{number % 20}", f"m{number}")
    sync(world, NOON)
    assert far(world) == 120
    return world


def test_a_store_that_is_removed_while_it_is_watched(world: World) -> None:
    """One mailbox after the other goes, each small; then the rest waits for a person, who may say either."""
    now = NOON
    for number in range(20):
        now += 1
        shutil.rmtree(world.path("near") / f"box{number}")
        outcome = sync(world, now)
    assert "went within 10 minutes; the rest is carried over when it was quiet" in outcome.refused[0].seen
    assert far(world) >= 120 * 3 // 4
    for number in range(60):
        world.find("near", "INBOX", f"i{number}").unlink()
        if number % 7 == 0:
            now += 1
            outcome = sync(world, now)
    now += 2 * BURST_S
    for _ in range(2):
        now += BURST_S
        outcome = sync(world, now)
    assert outcome.refused
    assert far(world) >= 60
    outcome = sync(world, now, Options(believe=True))
    assert not outcome.refused
    assert far(world) == 0


def test_what_waited_is_carried_over(world: World) -> None:
    """When it was quiet for a while, what a person deleted is deleted; and new mail came all the time."""
    now = NOON
    for number in range(14):
        now += 1
        shutil.rmtree(world.path("near") / f"box{number}")
        world.put("near", "INBOX", f"new{number}")
        outcome = sync(world, now)
    assert outcome.refused
    assert world.contents("far")["INBOX"].total() == 74
    now += BURST_S + 1
    outcome = sync(world, now)
    assert not outcome.refused
    assert world.contents("near") == world.contents("far")


def test_a_killed_run_counts(world: World) -> None:
    """What is about to be removed is written down before, so that no kill hides it."""
    shutil.rmtree(world.path("near") / "box1")
    sync(world, NOON)
    with State.opened(world.state_file) as (state, _):
        assert [(each.mailbox, each.count) for each in state.carried("near")] == [("box1", 3)]
