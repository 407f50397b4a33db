"""What the engine wants done, in the imperative.  The service carries these out and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StartWatcher:
    """Start this store's watcher; WatcherReady or WatcherEnded will follow."""

    store: str


@dataclass(frozen=True)
class StopWatcher:
    """End this store's watcher, by force if need be; WatcherEnded follows when it is gone."""

    store: str


@dataclass(frozen=True)
class AskWatcher:
    """Ask this store's watcher whether it is there; WatcherAnswered follows if it is."""

    store: str
    question: int


@dataclass(frozen=True)
class StartRun:
    """Start the syncer; RunFinished follows.  ``mailboxes`` None: for all of them.

    ``written`` are files that were written into in their place: store, mailbox and file (empty: any).
    """

    run: int
    mailboxes: tuple[str, ...] | None
    written: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class StopRun:
    """End the run, by force if need be; RunFinished follows when all of it is gone."""

    run: int


@dataclass(frozen=True)
class StartHook:
    """Start the hook; HookFinished follows.  ``mailboxes`` None: everything may be new."""

    mailboxes: tuple[str, ...] | None


@dataclass(frozen=True)
class StopHook:
    """End the hook, by force if need be; HookFinished follows."""


@dataclass(frozen=True)
class AnswerRequest:
    """Tell whoever asked for a sync how it went."""

    request: int
    success: bool
    detail: str


@dataclass(frozen=True)
class AnnounceRestart:
    """Tell people that a watcher is down and started again in ``delay_s``; once for each ``detail``."""

    store: str
    detail: str
    delay_s: float


@dataclass(frozen=True)
class AnnounceReturn:
    """Tell people that a watcher of which AnnounceRestart was told is watching again."""

    store: str


@dataclass(frozen=True)
class EndService:
    """Everything has ended; the service can too."""


Effect = (
    StartWatcher
    | StopWatcher
    | AskWatcher
    | StartRun
    | StopRun
    | StartHook
    | StopHook
    | AnswerRequest
    | AnnounceRestart
    | AnnounceReturn
    | EndService
)
