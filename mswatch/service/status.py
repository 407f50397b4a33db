"""How an account stands, as data: what ``mswatch status --json`` prints.

All times are seconds since the epoch, or null.  ``in_step_at`` of a mailbox is the *start* of the last run
that covered it and succeeded: what was there before that moment is on both sides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mswatch.config.values import delay_text
from mswatch.core.engine import Engine
from mswatch.core.events import Result
from mswatch.core.policy import Policy
from mswatch.core.schedule import EVERYTHING, Target
from mswatch.core.supervision import State

if TYPE_CHECKING:
    from mswatch.account import Store
    from mswatch.service.coordinator import Coordinator

Json = dict[str, Any]


@dataclass
class Counters:
    """How runs ended since the service began."""

    succeeded: int = 0
    failed: int = 0

    def count(self, result: Result) -> None:
        """Count one more."""
        if result is Result.SUCCESS:
            self.succeeded += 1
        else:
            self.failed += 1


def status(coordinator: Coordinator, now: float) -> Json:
    """Return everything that is known of an account."""
    wall = _Wall(now)
    engine = coordinator.engine
    schedule = engine.schedule
    run = schedule.run
    counters = coordinator.counters
    return {
        "account": coordinator.account.name,
        "configuration": str(coordinator.account.source),
        "pid": os.getpid(),
        "cpu_s": round(time.process_time(), 3),
        "memory_bytes": _resident(),
        "since": coordinator.started_at,
        "stores": {store.name: _store(coordinator, store, wall) for store in coordinator.account.stores},
        "runs": {
            "started": counters.succeeded + counters.failed + (run is not None),
            "succeeded": counters.succeeded,
            "failed": counters.failed,
        },
        "echoes": coordinator.echoes.count,
        "hook": {"pid": coordinator.hooking.pid, "error": coordinator.hooking.error},
        "running": None
        if run is None
        else {
            "mailboxes": None if run.mailboxes is None else list(run.mailboxes),
            "since": wall.time(run.started_at),
            "pid": coordinator.running.pid if coordinator.running is not None else None,
        },
        "everything": _target(engine, EVERYTHING, schedule.targets[EVERYTHING], wall),
        "next_poll_at": wall.time(engine.poll_at),
        "mailboxes": {
            mailbox: _target(engine, mailbox, target, wall)
            for mailbox, target in sorted(schedule.targets.items(), key=lambda item: item[0] or "")
            if mailbox is not EVERYTHING
        },
    }


def _resident() -> int:
    """Return our resident memory (proc_pid_statm(5))."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


class _Wall:
    """Turns the engine's times into times of day."""

    def __init__(self, now: float) -> None:
        self._offset = time.time() - now

    def time(self, moment: float | None) -> float | None:
        return None if moment is None else round(moment + self._offset, 3)


def _store(coordinator: Coordinator, store: Store, wall: _Wall) -> Json:
    if not store.is_watched:
        return {
            "where": _where(store),
            "state": "unwatched",
            "since": None,
            "detail": looked_at(coordinator.account.policy),
            "note": "",
            "failures": 0,
            "retry_at": None,
            "pid": None,
        }
    watcher = coordinator.engine.watchers[store.name]
    watching = coordinator.watchings[store.name]
    return {
        "where": _where(store),
        "state": "watching" if watcher.is_watching else watcher.state.value,
        "since": wall.time(watcher.since),
        "detail": watcher.detail,
        "note": watching.note,
        "failures": watcher.failures,
        "retry_at": wall.time(watcher.deadline) if watcher.state.value == "waiting" else None,
        "pid": watching.pid,
    }


def _where(store: Store) -> str:
    if not store.is_watched and store.imap is not None:
        return store.imap.place
    there = str(store.tree) if store.tree is not None else " ".join(store.command)
    return there if store.ssh is None else f"{store.ssh.host}:{there}"


def _target(engine: Engine, mailbox: str | None, target: Target, wall: _Wall) -> Json:
    pending = target.changed_at is not None
    due = engine.schedule.due_at(mailbox, target) if pending else None
    return {
        "in_step_at": wall.time(target.in_step_at),
        "pending_since": wall.time(target.changed_at),
        "changed_in": sorted(target.stores),
        "failures": target.failures,
        "error": target.error,
        "next_try_at": wall.time(due) if target.failures else None,
    }


def looked_at(policy: Policy) -> str:
    """Say when a store that nobody watches is looked at; the configuration sees to it that it is."""
    return f"looked at every {delay_text(policy.poll_period)}, and together with the other store"


def summary(engine: Engine, unwatched: Sequence[str] = ()) -> str:
    """Say in a line what goes on; it changes only when something does."""
    schedule = engine.schedule
    if engine.ending:
        return "ending"
    watchers = [
        f"{name} {State.WATCHING.value if watcher.is_watching else watcher.state.value}"
        for name, watcher in engine.watchers.items()
    ]
    watchers += [f"{name} not watched" for name in unwatched]
    if schedule.run is not None:
        doing = f"syncing {count_of(schedule.run.mailboxes)}"
    elif any(target.failures for target in schedule.pending.values()):
        doing = "the last sync failed"
    else:
        doing = "in step" if not schedule.pending else "changes pending"
    return f"{doing}; {', '.join(watchers)}"


def count_of(mailboxes: tuple[str, ...] | None) -> str:
    """Say how many mailboxes a run is for, in the old program's words."""
    if mailboxes is None:
        return "all mailboxes"
    return "1 mailbox" if len(mailboxes) == 1 else f"{len(mailboxes)} mailboxes"


def pending_lines(engine: Engine) -> list[str]:
    """Say which mailboxes are pending, store by store, as the old program did on SIGUSR1."""
    lines = [time.strftime("Pending mailboxes at %F %X:")]
    for store in engine.policy.stores:
        told = sorted(
            m for m, t in engine.schedule.pending.items() if m is not EVERYTHING and store in t.stores
        )
        lines.append(f"\t{store}: {' '.join(told)}")
    if EVERYTHING in engine.schedule.pending:
        lines.append("\tall mailboxes")
    return lines
