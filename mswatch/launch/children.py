"""Child processes on the event loop: started in a session of their own, ended as a whole.

A child is ended by SIGTERM to its process group and, after a grace, SIGKILL; when it has ended by itself,
what it left behind in its group is ended in the same way, and only then is the child over.  A group's number
cannot be taken by others while a member lives or its leader is not reaped, so no signal ever reaches a
stranger.  Ends are seen through a pidfd: no thread, no SIGCHLD.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from mswatch.launch.pipes import PipeReader, PipeWriter
from mswatch.launch.process import End, Job, Reader, Words, end_of

GRACE_S = 6.0
_LOOK_AGAIN_S = 0.05  # at a group that outlived its leader; the kernel does not tell its end
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ChildLauncher:
    """Starts jobs as our own children."""

    guards_runs = False

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def limit_runs(self, idle_limit_s: float, hard_cap_s: float) -> None:
        """Nobody but the service guards a child."""

    def start(self, job: Job) -> Child:
        """Start a job; OSError if it cannot be."""
        child = Child(
            job.argv,
            on_stdout=job.on_stdout,
            on_stderr=job.on_stderr,
            environment={**self._environment, **job.environment},
            keep=() if job.keep is None else (job.keep,),
            stdin_pipe=job.role == "watcher",
            dies_with_us=job.role == "watcher",
        )
        job.on_pid(child.pid)
        child.write(job.stdin)
        return child


class Child:
    """A running child.  A stdin pipe stays open: its end tells the child that we are gone."""

    def __init__(
        self,
        argv: Words,
        *,
        on_stdout: Reader,
        on_stderr: Reader,
        environment: Mapping[str, str],
        keep: Sequence[int] = (),
        stdin_pipe: bool = False,
        dies_with_us: bool = False,
    ) -> None:
        """Start a command.

        Args:
            argv: program, searched in PATH, and its arguments; no shell.
            on_stdout: called with what it prints, and with b"" at the end of that.
            on_stderr: the same for its standard error.
            environment: its environment.
            keep: descriptors that it inherits.
            stdin_pipe: whether its stdin is our pipe (otherwise /dev/null).
            dies_with_us: whether the kernel ends it when this process is killed.

        Raises:
            OSError: the command cannot be started.
        """
        self._loop = asyncio.get_running_loop()
        parent = os.getpid()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin_pipe else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            pass_fds=keep,
            start_new_session=True,
            preexec_fn=(lambda: _die_with(parent)) if dies_with_us else None,
        )
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._kill_timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[End] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._on_end)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        # Handed over as plain descriptors: the reader closes them.
        self._pipes = [
            PipeReader(os.dup(self._process.stdout.fileno()), on_stdout),
            PipeReader(os.dup(self._process.stderr.fileno()), on_stderr),
        ]
        self._process.stdout.close()
        self._process.stderr.close()
        self._stdin: PipeWriter | None = None
        if self._process.stdin is not None:
            self._stdin = PipeWriter(os.dup(self._process.stdin.fileno()))
            self._process.stdin.close()

    async def wait(self) -> End:
        """Return how it ended, when it and its group have."""
        return await asyncio.shield(self._ended)

    async def was_heard(self) -> bool:
        """Say yes: nobody here guards it."""
        return True

    def stop(self) -> None:
        """End the child and its group: SIGTERM now, SIGKILL after the grace.  ``wait`` tells the end."""
        if self._ended.done() or self._kill_timer is not None:
            return
        self._close_stdin()
        _signal_group(self.pid, signal.SIGTERM)
        self._kill_timer = self._loop.call_later(GRACE_S, _signal_group, self.pid, signal.SIGKILL)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        _signal_group(self.pid, signal.SIGTERM)  # while the unreaped leader still holds the number
        status = self._process.wait()
        for pipe in self._pipes:
            pipe.finish()
        self._close_stdin()
        if self._kill_timer is None:
            self._kill_timer = self._loop.call_later(GRACE_S, _signal_group, self.pid, signal.SIGKILL)
        self._when_group_is_gone(status, self._kill_timer.when() + 1.0)

    def _when_group_is_gone(self, status: int, deadline: float) -> None:
        if _group_lives(self.pid) and self._loop.time() < deadline:
            self._loop.call_later(_LOOK_AGAIN_S, self._when_group_is_gone, status, deadline)
            return
        assert self._kill_timer is not None
        self._kill_timer.cancel()
        self._ended.set_result(end_of(status))

    def write(self, data: bytes) -> None:
        """Write to its stdin pipe, if it has one, without waiting."""
        if self._stdin is not None and data:
            self._stdin.write(data)

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.close()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent is killed (PR_SET_PDEATHSIG in prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was killed before the call
        os._exit(1)
