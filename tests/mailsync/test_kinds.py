"""The worlds of the engine on every pair of kinds of stores: run, run again, killed and given faults."""

from __future__ import annotations

import errno
import itertools
import os
from functools import partial
from pathlib import Path

import pytest

from tests.mailsync.kinds import KindWorld
from tests.mailsync.test_worlds import WORLDS, assert_as_expected, in_child, run_until, run_with_fault
from tests.mailsync.worlds import build

LONG = bool(os.environ.get("MSWATCH_LONG"))
PAIRS = [
    *[("mbox", "mbox"), ("mbox", "maildir"), ("maildir", "mbox")],
    *[("mh", "mh"), ("mh", "maildir"), ("maildir", "mh"), ("mbox", "mh"), ("mh", "mbox")],
]
# The short form takes a few steps of each world, other ones for each pair.
STRIDE = 1 if LONG else 37
FAULTS = [errno.ENOSPC, errno.EIO, errno.EACCES] if LONG else [errno.EIO]


def pairs(share: int) -> pytest.MarkDecorator:
    """Return worlds with pairs of kinds; in the short form a share of them, which comes through all pairs."""
    tried = [
        (name, pair)
        for number, name in enumerate(WORLDS)
        for place, pair in enumerate(PAIRS)
        if LONG or (number + place) % share == 0
    ]
    return pytest.mark.parametrize(
        ("name", "pair"), tried, ids=lambda it: it if isinstance(it, str) else "-".join(it)
    )


def make(directory: Path, name: str, pair: tuple[str, str]) -> KindWorld:
    """Build a world; in an mbox no mailbox has others below it."""
    world = KindWorld(directory, *pair)
    build(directory, text_of(name), world)
    return world


def text_of(name: str) -> str:
    """Return a world's text, with mailboxes that every kind of store can have."""
    return WORLDS[name][0].replace("one/two/", "deep/two/")


@pairs(1)
def test_run_and_run_again(name: str, pair: tuple[str, str], tmp_path: Path) -> None:
    """A run leads to the end that is written down, and a second one touches nothing at all."""
    options = WORLDS[name][1]
    world = make(tmp_path / "world", name, pair)
    outcome, _ = world.sync(options)
    assert (outcome.failed, outcome.problems, outcome.refused) == ({}, [], [])
    assert_as_expected(world, name, text_of(name))
    before, remembered = world.snapshot(), world.remembered()
    for _ in range(2):
        _, listening = world.sync(options)
        assert listening.told == []
        assert world.snapshot() == before
        assert world.remembered() == remembered


@pairs(8)
@pytest.mark.slow
def test_killed_at_every_step(name: str, pair: tuple[str, str], tmp_path: Path) -> None:
    """Wherever a run is killed, the next one comes to the same end, and another one touches nothing."""
    options = WORLDS[name][1]
    for step in itertools.count(first_step(name, pair), STRIDE):
        world = make(tmp_path / str(step), name, pair)
        if in_child(partial(run_until, world, options, step)) == 0:
            break
        outcome, _ = world.sync(options)
        assert not outcome.failed, step
        assert_as_expected(world, name, text_of(name))
        before = world.snapshot()
        world.sync(options)
        assert world.snapshot() == before, step
    assert step > 5


@pairs(8)
@pytest.mark.slow
@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_fault_at_every_call(name: str, pair: tuple[str, str], number: int, tmp_path: Path) -> None:
    """Whichever call fails, nothing is lost, and the next run comes to the same end."""
    options = WORLDS[name][1]
    for step in itertools.count(first_step(name, pair), STRIDE * 2):
        world = make(tmp_path / str(step), name, pair)
        if not run_with_fault(world, options, step, number):
            break
        outcome, _ = world.sync(options)
        assert not outcome.failed, (step, outcome)
        assert_as_expected(world, name, text_of(name))
    assert step > 5


def first_step(name: str, pair: tuple[str, str]) -> int:
    """Return the step that a world begins with in the short form."""
    return (list(WORLDS).index(name) + PAIRS.index(pair) * 5) % STRIDE
