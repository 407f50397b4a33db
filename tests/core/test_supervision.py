"""The table of a watcher's life."""

from __future__ import annotations

import pytest

from mswatch.core.backoff import backoff
from mswatch.core.policy import Policy
from mswatch.core.supervision import TABLE, Input, State, Watcher

POLICY = Policy(("near", "far"), base_delay=1.0, inter_delay=2.0, max_delay=10.0, poll_period=0.0)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("happened", Input)
def test_every_event_has_an_answer_in_every_state(state: State, happened: Input) -> None:
    """The table is total, and each answer leaves the watcher in a state of the table."""
    watcher = Watcher("near", state)

    watcher.handle(happened, 1.0, POLICY)

    assert happened in TABLE[state]
    assert watcher.state in TABLE


@pytest.mark.parametrize("state", State)
def test_only_bounded_states_have_a_deadline(state: State) -> None:
    """Time is up only where a watcher waits for one, so that no deadline wakes for nothing."""
    limited = state in (State.STARTING, State.WATCHING, State.ASKED, State.WAITING)

    assert (TABLE[state][Input.TIME_UP] is not None) is limited


@pytest.mark.parametrize(
    ("inter_delay", "max_delay", "waits"),
    [
        (1.0, 12.0, [1, 2, 2, 4, 4, 8, 8, 12, 12, 12]),
        (2.0, 10.0, [2, 4, 4, 8, 8, 10]),
        (8.0, 16.0, [8, 16, 16]),
        (6.0, 2.0, [6, 6, 6]),
        (0.0, 600.0, [1, 2, 2, 4]),
    ],
)
def test_backoff(inter_delay: float, max_delay: float, waits: list[float]) -> None:
    """The waits are those of the old program, and never shorter than a second."""
    policy = Policy(("near", "far"), 0.0, inter_delay, max_delay, 0.0)

    assert [backoff(failures, policy) for failures in range(1, len(waits) + 1)] == waits


def test_backoff_of_a_million_failures() -> None:
    """A laptop that is offline for a year does not overflow anything."""
    assert backoff(10**6, POLICY) == 10.0
