"""The life of one watcher: a table of states and events.

    DOWN      not running and not wanted
    STARTING  started, has not said that it is watching
    WATCHING  said so
    ENDING    told to end because it did not get ready in time; restarted after it has ended
    REPLACING told to end because it is configured differently now; restarted as soon as it has ended
    WAITING   ended; restarted when its wait is over
    LEAVING   told to end for good

All transitions are in TABLE; a test holds that it answers every event in every state.  The wait before a
restart grows with the failures in a row (``backoff``).  A watcher that had been watching for HEALTHY_S counts
as a success: its loss (a dropped link, a reboot) is no fault of its own, so it is restarted at once.  Saying
"ready" alone is none, or a watcher that dies right after it would be restarted, and followed by a full run,
in a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from mswatch.core.backoff import backoff
from mswatch.core.effects import AnnounceRestart, Effect, StartWatcher, StopWatcher
from mswatch.core.policy import Policy

READY_LIMIT_S = 60.0
HEALTHY_S = 30.0


class State(Enum):
    """Where a watcher is in its life."""

    DOWN = "down"
    STARTING = "starting"
    WATCHING = "watching"
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

    def handle(self, happened: Input, now: float, policy: Policy) -> list[Effect]:
        """Move along the table and say what is to be done."""
        action = TABLE[self.state][happened]
        return [] if action is None else action(self, now, policy)

    def enter(self, state: State, now: float, deadline: float | None = None) -> None:
        """Be in a state from now on."""
        self.state, self.since, self.deadline = state, now, deadline


def _start(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.STARTING, now, now + READY_LIMIT_S)
    return [StartWatcher(watcher.store)]


def _watch(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    watcher.enter(State.WATCHING, now)
    watcher.detail = ""
    return []


def _wait(watcher: Watcher, now: float, policy: Policy) -> list[Effect]:
    healthy = watcher.state is State.WATCHING and now - watcher.since >= HEALTHY_S
    watcher.failures = 0 if healthy else watcher.failures + 1
    delay = backoff(watcher.failures, policy)
    watcher.enter(State.WAITING, now, now + delay)
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
        Input.RESTART: _start,
        Input.UNWANTED: None,
    },
    State.STARTING: {
        Input.WANTED: None,
        Input.READY: _watch,
        Input.ENDED: _wait,
        Input.TIME_UP: _give_up_start,
        Input.RESTART: _replace,
        Input.UNWANTED: _leave,
    },
    State.WATCHING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _wait,
        Input.TIME_UP: None,
        Input.RESTART: _replace,
        Input.UNWANTED: _leave,
    },
    State.ENDING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _wait,
        Input.TIME_UP: None,
        Input.RESTART: _come_back,
        Input.UNWANTED: _leave_ending,
    },
    State.REPLACING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _start,
        Input.TIME_UP: None,
        Input.RESTART: None,
        Input.UNWANTED: _leave_ending,
    },
    State.WAITING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: None,
        Input.TIME_UP: _start,
        Input.RESTART: _start,
        Input.UNWANTED: _rest,
    },
    State.LEAVING: {
        Input.WANTED: None,
        Input.READY: None,
        Input.ENDED: _rest,
        Input.TIME_UP: None,
        Input.RESTART: _come_back,
        Input.UNWANTED: None,
    },
}
