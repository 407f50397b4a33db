"""What can happen to an account, in the past tense.  The engine takes these together with a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mswatch.core.policy import Policy


class Result(Enum):
    """How a run ended."""

    SUCCESS = "success"
    FAILED = "failed"
    HUNG = "hung"  # it was ended because it made no progress
    CAPPED = "capped"  # it was ended because it took too long, with progress
    BARRED = "barred"  # it failed, and will until somebody mends something
    INTERRUPTED = "interrupted"  # it failed, and the machine was asleep during it


@dataclass(frozen=True)
class ServiceStarted:
    """The service is up and wants its watchers and the start-up runs."""


@dataclass(frozen=True)
class WatcherReady:
    """A watcher printed its first line: every change from now on will be told."""

    store: str


@dataclass(frozen=True)
class WatcherEnded:
    """A watcher is gone, or could not be started; ``detail`` says how, for people."""

    store: str
    detail: str


@dataclass(frozen=True)
class WatcherAnswered:
    """A watcher answered a question of AskWatcher: it is there, and has told every change before."""

    store: str
    question: int


@dataclass(frozen=True)
class MailboxChanged:
    """A store's watcher, or (store "") ``mswatch changed``, named a mailbox.

    ``gone``: it was removed.  ``written``: files of it that a program wrote into in their place; an empty
    name stands for any of them.
    """

    store: str
    mailbox: str
    gone: bool = False
    written: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoreChanged:
    """Anything in a store may have changed: its watcher lost track, or said something unreadable."""

    store: str


@dataclass(frozen=True)
class RunFinished:
    """The run with this number has ended, and nothing of it is alive any more."""

    run: int
    result: Result
    detail: str = ""


@dataclass(frozen=True)
class HookFinished:
    """The hook has ended, well or not, and nothing of it is alive any more."""


@dataclass(frozen=True)
class SyncRequested:
    """Somebody asks for a run now and waits for its outcome.  ``mailboxes`` None: all."""

    request: int
    mailboxes: tuple[str, ...] | None


@dataclass(frozen=True)
class RequestDropped:
    """Nobody waits for this request's outcome any more; the run it asked for is still wanted."""

    request: int


@dataclass(frozen=True)
class PolicyChanged:
    """The configuration was read again.  Watchers of ``restart`` are configured differently now."""

    policy: Policy
    restart: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkChanged:
    """An address or a route of this machine came or went; many of these come in a row."""


@dataclass(frozen=True)
class Resumed:
    """The machine was asleep, and is awake again."""


@dataclass(frozen=True)
class StopRequested:
    """The service shall end."""


Event = (
    ServiceStarted
    | WatcherReady
    | WatcherEnded
    | WatcherAnswered
    | MailboxChanged
    | StoreChanged
    | RunFinished
    | HookFinished
    | SyncRequested
    | RequestDropped
    | PolicyChanged
    | NetworkChanged
    | Resumed
    | StopRequested
)
