"""Flags that somebody changes on a side between any two calls of a run: none is lost, and none comes back."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES, Side
from tests.mailsync.meddling import WORLD, assert_both, meddle
from tests.mailsync.worlds import build, each_call


@pytest.mark.parametrize("side", SIDES)
def test_between_any_two_calls(side: Side, tmp_path: Path) -> None:
    """A second program on the Maildir acts before each call of the system in turn."""
    start = build(tmp_path / "start", WORLD)
    for step in itertools.count():
        world = start.copy(tmp_path / "world")
        calls = itertools.count()
        met: list[list[str]] = []

        def act(_: str) -> None:
            if next(calls) == step:  # noqa: B023 - it is over before the next step
                met.append(meddle(world, side))  # noqa: B023

        with each_call(act):
            outcome, _ = world.sync()
        assert not outcome.failed
        if not met:
            break
        world.sync()
        assert_both(world, side, met[0], step)
        assert world.sync()[1].told == []
    assert step > 40
