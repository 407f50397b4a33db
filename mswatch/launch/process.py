"""What every way of launching has in common: a job in, a running process out, and how it ended.

A job's process speaks through pipes that the service holds, whoever started it; so the code behind the pipes
is the same for child processes (``children``) and for units of the user manager (``units``).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

HUNG = "made no progress and was ended"
CAPPED = "took too long and was ended"
Reader = Callable[[bytes], None]
Words = Sequence[str] | Sequence[bytes]


@dataclass(frozen=True)
class Job:
    """Something to start.

    Attributes:
        role: a watcher lives on, and has a stdin pipe whose end tells it that the service is gone; a run
            and a hook end by themselves.
        name: which one of its role: the store's name.
        argv: program, searched in PATH, and arguments; no shell.
        on_stdout: called with what it prints, and with b"" at the end of that.
        on_stderr: the same for its standard error.
        keep: a descriptor that it inherits, or None.
        environment: what it has in its environment besides that of the service.
        on_pid: called with its number, before it does anything.
        stdin: what a watcher reads first.
    """

    role: Literal["watcher", "run", "hook"]
    name: str
    argv: Words
    on_stdout: Reader
    on_stderr: Reader
    keep: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    on_pid: Callable[[int], object] = lambda _: None
    stdin: bytes = b""


@dataclass(frozen=True)
class End:
    """How a process ended: its exit status or minus its signal, and the same in words.

    ``cut_off`` says whether who launched it ended it: because it was "hung", or had reached its "cap".
    """

    status: int
    detail: str
    cut_off: Literal["", "hung", "cap"] = ""


class Process(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int | None:
        """Its number, once it is known."""

    async def wait(self) -> End:
        """Return how it ended, when nothing of it is alive any more."""

    async def was_heard(self) -> bool:
        """Tell whether who guards it has had a report of its progress; if nobody does, it needs none."""

    def write(self, data: bytes) -> None:
        """Write to the stdin of a watcher, without waiting; lost if nobody reads there."""

    def stop(self) -> None:
        """End it, by force if need be; ``wait`` tells when it is gone."""


class Launcher(Protocol):
    """A way of starting processes."""

    @property
    def guards_runs(self) -> bool:
        """Whether it ends runs that hang by itself, given what ``limit_runs`` says."""

    async def limit_runs(self, idle_limit_s: float, hard_cap_s: float) -> None:
        """Set the limits of the runs to come; 0 is none."""

    def start(self, job: Job) -> Process:
        """Start a job.

        Raises:
            OSError: it cannot be started; where that is found out later, ``wait`` tells it.
        """


def how_it_ended(status: int) -> str:
    """Say an exit status in words; negative is a signal."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def end_of(status: int) -> End:
    """Return the end that an exit status, or minus a signal, says."""
    return End(status, how_it_ended(status))
