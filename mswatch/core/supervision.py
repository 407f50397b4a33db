"""The life of one watcher: a table of states and events.

    DOWN      not running and not wanted
    STARTING  started, has not said that it is watching
    WATCHING  said so
    ASKED     the same, and was asked whether it is still there
    ENDING    told to end because it did not get ready in time; restarted after it has ended
    REPLACING told to end because it is configured differently now; restarted as soon as it has ended
    WAITING   ended; restarted when its wait is over
    LEAVING   told to end for good

All transitions are in TABLE; a test holds that it answers every event in every state.  The wait before a
restart grows with the failures in a row (``backoff``).  A watcher that had been watching for HEALTHY_S counts
as a success: its loss (a dropped link, a reboot) is no fault of its own, so it is restarted at once.  Saying
"ready" alone is none, or a watcher that dies right after it would be restarted, and followed by a full run,
in a loop.

A connection may die without an end.  So a watcher that can answer is asked at intervals, and at once when the
machine was asleep or the network is another one (RESUMED, HINT); one that does not answer in time is started
anew.  What it says meanwhile puts that time off, as it makes progress, but is no answer: it may have been
on its way since before.  A watcher on another host that cannot answer is started anew after sleep.  A hint
also forgives failures; but a start that is under way is left to its own limit, so that a network that
changes all the time keeps no start from its end.

People are told of a failure once for each of its texts, and when the watcher is back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from mswatch.core.backoff import backoff
from mswatch.core.effects import (
    AnnounceRestart,
    AnnounceReturn,
    AskWatcher,
    Effect,
    StartWatcher,
    StopWatcher,
)
from mswatch.core.policy import Policy

HEALTHY_S = 30.0
_MOST_TOLD = 100


class State(Enum):
    """Where a watcher is in its life."""

    DOWN = "down"
    STARTING = "starting"
    WATCHING = "watching"
    ASKED = "asked"
    ENDING = "ending"
    REPLACING = "replacing"
    WAITING = "waiting"
    LEAVING = "leaving"


class Input(Enum):
    """What can happen to a watcher."""

    WANTED = auto()
    READY = auto()
    ENDED = auto()
    TIME_UP = auto()
    HEARD = auto()
    ANSWERED = auto()
    HINT = auto()
    RESUMED = auto()
    RESTART = auto()
    UNWANTED = auto()


@dataclass
class Watcher:
    """One store's watcher as the engine sees it; ``deadline`` is when TIME_UP is due."""

    store: str
    state: State = State.DOWN
    since: float = 0.0
    deadline: float | None = None
    failures: int = 0
    detail: str = ""
    hinted: bool = False  # there was a hint during its start
    question: int = 0  # the last one that it was asked
    told: set[str] = field(default_factory=set)  # the failures that people know of

    @property
    def is_watching(self) -> bool:
        """Whether every change is told, as far as is known."""
        return self.state in (State.WATCHING, State.ASKED)

    def handle(self, happened: Input, now: float, policy: Policy) -> list[Effect]:
        """Move along the table and say what is to be done."""
        action = TABLE[self.state][happened]
        return [] if action is None else action(self, now, policy)

    def enter(self, state: State, now: float, deadline: float | None = None) -> None:
        """Be in a state from now on."""
        self.state, self.since, self.deadline = state, now, deadline


def _start(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.hinted = False
    watcher.enter(State.STARTING, now, now + policy.limits_of(watcher.store).start)
    return [StartWatcher(watcher.store)]


def _start_afresh(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.failures = 0
    return _start(watcher, now, policy)


def _watch(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    back: list[Effect] = [AnnounceReturn(watcher.store)] if watcher.told else []
    watcher.told.clear()
    watcher.detail = ""
    watcher.enter(State.WATCHING, now)
    watcher.deadline = _next_question(watcher, now, policy)
    return back


def _next_question(watcher: Watcher, now: float, policy: Policy) -> float | None:
    ask_every = policy.limits_of(watcher.store).ask_every
    return now + ask_every if ask_every else None


def _ask(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    limits = policy.limits_of(watcher.store)
    if not limits.ask_every:
        watcher.deadline = None
        return []
    watcher.state, watcher.deadline = State.ASKED, now + limits.answer
    watcher.question += 1
    return [AskWatcher(watcher.store, watcher.question)]


def _be_patient(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.deadline = now + policy.limits_of(watcher.store).answer
    return []


def _believe(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.state, watcher.deadline = State.WATCHING, _next_question(watcher, now, policy)
    return []


def _replace_silent(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.detail = f"gave no answer within {policy.limits_of(watcher.store).answer:g} s"
    return _announce(watcher, 0.0) + _replace(watcher, now, policy)


def _look_after_sleep(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    limits = policy.limits_of(watcher.store)
    if limits.remote and not limits.ask_every:
        return _replace(watcher, now, policy)
    return _ask(watcher, now, policy)


def _start_after_sleep(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    limits = policy.limits_of(watcher.store)
    if limits.remote:
        return _replace(watcher, now, policy)
    watcher.deadline = now + limits.start
    return []


def _note_hint(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.hinted = True
    return []


def _wait(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    healthy = watcher.is_watching and now - watcher.since >= HEALTHY_S
    watcher.failures = 0 if healthy or watcher.hinted else watcher.failures + 1
    delay = backoff(watcher.failures, policy)
    watcher.enter(State.WAITING, now, now + delay)
    return _announce(watcher, delay)


def _announce(watcher: Watcher, delay: float) -> list[Effect]:
    if watcher.detail in watcher.told:
        return []
    if len(watcher.told) >= _MOST_TOLD:
        watcher.told.clear()
    watcher.told.add(watcher.detail)
    return [AnnounceRestart(watcher.store, watcher.detail, delay)]


def _give_up_start(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.ENDING, now)
    return [StopWatcher(watcher.store)]


def _replace(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.failures = 0
    watcher.enter(State.REPLACING, now)
    return [StopWatcher(watcher.store)]


def _leave(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.LEAVING, now)
    return [StopWatcher(watcher.store)]


def _leave_ending(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.LEAVING, now)
    return []


def _come_back(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.REPLACING, now)
    return []


def _rest(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.DOWN, now)
    return []


TABLE = {
    State.DOWN: {
        Input.WANTED: _start,
        Input.READY: None,
        Input.ENDED: None,
        Input.TIME_UP: None,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: None,
        Input.RESUMED: None,
        Input.RESTART: _start,
        Input.UNWANTED: None,
    },
    State.STARTING: {
        Input.WANTED: None,
        Input.READY: _watch,
        Input.ENDED: _wait,
        Input.TIME_UP: _give_up_start,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: _note_hint,
        Input.RESUMED: _start_after_sleep,
        Input.RESTART: _replace,
        Input.UNWANTED: _leave,
    },
    State.WATCHING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _wait,
        Input.TIME_UP: _ask,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: _ask,
        Input.RESUMED: _look_after_sleep,
        Input.RESTART: _replace,
        Input.UNWANTED: _leave,
    },
    State.ASKED: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _wait,
        Input.TIME_UP: _replace_silent,
        Input.HEARD: _be_patient,
        Input.ANSWERED: _believe,
        Input.HINT: None,
        Input.RESUMED: _look_after_sleep,
        Input.RESTART: _replace,
        Input.UNWANTED: _leave,
    },
    State.ENDING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _wait,
        Input.TIME_UP: None,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: _come_back,
        Input.RESUMED: _come_back,
        Input.RESTART: _come_back,
        Input.UNWANTED: _leave_ending,
    },
    State.REPLACING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _start,
        Input.TIME_UP: None,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: None,
        Input.RESUMED: None,
        Input.RESTART: None,
        Input.UNWANTED: _leave_ending,
    },
    State.WAITING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: None,
        Input.TIME_UP: _start,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: _start_afresh,
        Input.RESUMED: _start_afresh,
        Input.RESTART: _start,
        Input.UNWANTED: _rest,
    },
    State.LEAVING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _rest,
        Input.TIME_UP: None,
        Input.HEARD: None,
        Input.ANSWERED: None,
        Input.HINT: None,
        Input.RESUMED: None,
        Input.RESTART: _come_back,
        Input.UNWANTED: None,
    },
}
