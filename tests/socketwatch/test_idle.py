"""When a command has been silent for too long, by the clock alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mswatch.socketwatch.idle import SILENCE_S, Reason, Watch

TIMEOUT_S = 10.0


def test_no_report_arms_nothing() -> None:
    """A command that never reports is not idle, however long it takes; that is said once."""
    watch = Watch(TIMEOUT_S, None, now=100.0)
    assert not watch.never_spoke(109.9)
    assert watch.next_wakeup() == 110.0
    assert watch.never_spoke(110.0)
    assert not watch.never_spoke(111.0)
    assert watch.overdue(1e9) is None
    assert watch.next_wakeup() is None


def test_silence_after_the_first_report() -> None:
    """The first report starts the clock; it vouches for the second in which the shim says nothing more."""
    watch = Watch(TIMEOUT_S, None, now=0.0)
    watch.report(3.0)
    assert watch.next_wakeup() == 3.0 + SILENCE_S + TIMEOUT_S
    assert watch.overdue(13.9) is None
    assert watch.overdue(14.0) is Reason.IDLE
    assert not watch.never_spoke(50.0)


def test_hard_cap() -> None:
    """The hard cap holds with reports and without."""
    for reports in ([], [float(now) for now in range(60)]):
        watch = Watch(TIMEOUT_S, 60.0, now=0.0)
        for now in reports:
            watch.report(now)
        assert watch.overdue(59.9) is None
        assert watch.overdue(60.0) is Reason.HARD_CAP


def test_start_anew() -> None:
    """A pause that was not the command's own is no silence; without a report there is nothing to start."""
    watch = Watch(TIMEOUT_S, None, now=0.0)
    watch.start_anew(5.0)
    assert watch.overdue(1e9) is None
    watch.report(5.0)
    watch.start_anew(500.0)
    assert watch.overdue(505.0) is None


@given(st.lists(st.floats(0, TIMEOUT_S, exclude_max=True), max_size=30))
def test_progress_within_the_timeout_is_never_idle(pauses: list[float]) -> None:
    """If each pause is shorter than the timeout the command goes on, for all that the shim leaves out."""
    watch, now, told = Watch(TIMEOUT_S, None, now=0.0), 0.0, 0.0
    watch.report(now)
    for pause in pauses:
        now += pause
        assert watch.overdue(now) is None
        if now - told >= SILENCE_S:  # as the shim does
            watch.report(now)
            told = now
    assert watch.overdue(now + SILENCE_S + TIMEOUT_S + 1e-6) is Reason.IDLE
