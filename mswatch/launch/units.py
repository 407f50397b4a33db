"""Jobs as units of the user manager: mswatch-watch@ACCOUNT:STORE.service and mswatch-sync@ACCOUNT.service.

A unit gives what a child cannot: limits, a place in the journal, a cgroup that is ended as a whole, and life
on its own when the service is killed.  What it does not give is a pipe to us, so its start-up code (``mswatch
become``) makes the pipes and hands our ends over:

    we:        systemctl --user start mswatch-watch@work:near.service
    the unit:  mswatch become watcher work:near
               makes three pipes, connects to our control socket, sends {"command": "become", ...} with our
               ends of them
    we:        answer {"argv": ..., "environment": ...} (and, for a run, the descriptor of the run lock)
    the unit:  puts its ends in place of stdin, stdout and stderr, and becomes the command

From then on we hold ordinary pipes, and know the process by the credentials of its connection: its end is
seen through a pidfd, and the manager is asked how it ended.  What the unit runs is told by us, so that the
configuration is read once, by the service.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mswatch.instances import escape
from mswatch.launch.children import Child
from mswatch.launch.pipes import PipeReader, PipeWriter
from mswatch.launch.process import CAPPED, HUNG, End, Job, end_of

HANDOVER_LIMIT_S = 15.0
SILENCE_S = 1.0  # a report of the shim stands for the second after it, in which it sends none
_UNITS = {
    "watcher": "mswatch-watch@{account}:{name}.service",
    "run": "mswatch-sync@{account}.service",
    "hook": "mswatch-hook@{account}.service",
}
_CLD_EXITED = 1


class UnitLauncher:
    """Starts jobs of one account as units."""

    guards_runs = True

    def __init__(self, account: str, environment: Mapping[str, str]) -> None:
        self._account = account
        self._environment = environment
        self._waiting: dict[tuple[str, str], Unit] = {}

    async def limit_runs(self, idle_limit_s: float, hard_cap_s: float) -> None:
        """Write the limits of runs where the manager reads them, and have it read them if they are new."""
        unit = _UNITS["run"].format(account=escape(self._account), name="")
        path = Path(self._environment["XDG_RUNTIME_DIR"], "systemd/user", f"{unit}.d", "limits.conf")
        cap = f"{hard_cap_s:g}s" if hard_cap_s else "infinity"
        watchdog_s = idle_limit_s + SILENCE_S if idle_limit_s else 0
        text = f"[Service]\nWatchdogSec={watchdog_s:g}s\nTimeoutStartSec={cap}\n"
        if path.exists() and path.read_text() == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        await _call(("systemctl", "--user", "daemon-reload"), self._environment)

    def start(self, job: Job) -> Unit:
        """Start a job; whether it could be started is told by ``wait``."""
        name = _UNITS[job.role].format(account=escape(self._account), name=escape(job.name))
        unit = Unit(name, job, self._environment, lambda: self._waiting.pop((job.role, job.name), None))
        self._waiting[job.role, job.name] = unit
        return unit

    def hand_over(self, role: str, name: str, pid: int, descriptors: list[int]) -> Unit | None:
        """Take the pipes that a unit's start-up code made; return the unit, or None if none is waited for.

        Three descriptors are taken out of the list: our ends of its stdin, stdout and stderr.
        """
        unit = self._waiting.get((role, name))
        if unit is None or unit.is_stopping or len(descriptors) != 3:
            return None
        del self._waiting[role, name]
        unit.attach(pid, [descriptors.pop(0) for _ in range(3)])
        return unit


class Unit:
    """A unit that was started."""

    def __init__(
        self, name: str, job: Job, environment: Mapping[str, str], forget: Callable[[], object]
    ) -> None:
        self.name = name
        self.job = job
        self._environment = environment
        self._forget = forget
        self._loop = asyncio.get_running_loop()
        self._pid: int | None = None
        self._pidfd: int | None = None
        self._stdin: PipeWriter | None = None
        self._pipes: list[PipeReader] = []
        self._attached: asyncio.Future[bool] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._stopping: asyncio.Task[None] | None = None
        # What a service that was killed left behind, with pipes that nobody holds, is replaced.  A run of
        # such a service would be joined; but we hold the run lock, so there is none.
        verb = "start" if job.role == "run" else "restart"
        self._starting = self._loop.create_task(self._systemctl(verb, name))
        self._overdue = self._loop.call_later(HANDOVER_LIMIT_S, self.stop)

    @property
    def pid(self) -> int | None:
        """The process, once it has handed its pipes over and as long as it lives."""
        return self._pid

    @property
    def is_stopping(self) -> bool:
        """Whether it shall end.  It starts all the same if the manager hears of that first."""
        return self._stopping is not None

    def attach(self, pid: int, descriptors: list[int]) -> None:
        """Hold our ends of its pipes from now on."""
        self._overdue.cancel()
        stdin, out, err = descriptors
        if self.job.role != "watcher":
            os.close(stdin)
        else:
            self._stdin = PipeWriter(stdin)
            self.write(self.job.stdin)
        self._pipes = [PipeReader(out, self.job.on_stdout), PipeReader(err, self.job.on_stderr)]
        self._pid = pid
        self.job.on_pid(pid)
        self._attached.set_result(True)
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._on_end()
            return
        self._loop.add_reader(self._pidfd, self._on_end)

    def _on_end(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        for pipe in self._pipes:
            pipe.finish()
        self._close_stdin()
        self._pid = None
        if not self._gone.done():
            self._gone.set_result(None)

    def write(self, data: bytes) -> None:
        """Write to its stdin, once its pipes are handed over, without waiting."""
        if self._stdin is not None and data:
            self._stdin.write(data)

    def stop(self) -> None:
        """Have the manager end the unit: SIGTERM, and SIGKILL after the unit's TimeoutStopSec."""
        self._close_stdin()
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop())

    async def _stop(self) -> None:
        await self._systemctl("stop", self.name)
        self._not_attached()

    def _not_attached(self) -> None:
        if not self._attached.done():
            self._attached.set_result(False)

    async def wait(self) -> End:
        """Return how the unit ended, when nothing of it is alive any more."""
        started = await self._starting
        if started.status or self.job.role != "watcher":
            self._not_attached()
        elif not self._attached.done():
            await self._watch_start_up_code()
        attached = await self._attached
        self._overdue.cancel()
        self._forget()
        if not attached:
            detail = started.detail if started.status else "it ended before it had handed over its pipes"
            return End(started.status or 1, f"could not be started as {self.name}: {detail}")
        await self._gone
        if self._stopping is not None:
            await self._stopping
        if self.job.role != "watcher" and started.status == 0:
            return end_of(0)
        return await self._how_it_ended()

    async def was_heard(self) -> bool:
        """Tell whether the manager's watchdog has had a report: in a run's unit, the first one arms it."""
        shown = await self._show("ActiveState", "WatchdogTimestampMonotonic")
        is_silent = shown.get("WatchdogTimestampMonotonic", "0") == "0"
        return not (is_silent and shown.get("ActiveState") == "activating")

    async def _watch_start_up_code(self) -> None:
        """Notice the end of a process that has not handed over its pipes yet."""
        try:
            pidfd = os.pidfd_open(int((await self._show("MainPID")).get("MainPID", "0")))
        except (OSError, ValueError):  # 0, or gone already
            self._not_attached()
            return

        def on_end() -> None:
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
            self._not_attached()

        self._loop.add_reader(pidfd, on_end)

    async def _how_it_ended(self) -> End:
        return _end(await self._show("Result", "ExecMainCode", "ExecMainStatus"))

    async def _show(self, *properties: str) -> dict[str, str]:
        shown = bytearray()
        words = ("systemctl", "--user", "show", f"--property={','.join(properties)}", self.name)
        await _call(words, self._environment, shown)
        return dict(line.split("=", 1) for line in shown.decode().splitlines() if "=" in line)

    async def _systemctl(self, verb: str, unit: str) -> End:
        return await _call(("systemctl", "--user", "--quiet", verb, unit), self._environment)

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.close()


async def _call(
    words: tuple[str, ...], environment: Mapping[str, str], printed: bytearray | None = None
) -> End:
    """Call systemctl; the detail of its end is what it complained about."""
    said = bytearray()
    child = Child(
        words,
        on_stdout=(bytearray() if printed is None else printed).extend,
        on_stderr=said.extend,
        environment=environment,
    )
    end = await child.wait()
    return End(end.status, said.decode("utf-8", "replace").strip().partition("\n")[0] or end.detail)


def _end(properties: Mapping[str, str]) -> End:
    """Say how a unit ended by its properties (systemd.exec(5), $SERVICE_RESULT).

    The manager forgets a unit that ended well, and shows zeros for it, which say the same.
    """
    result = properties.get("Result", "success")
    status = int(properties.get("ExecMainStatus", "0") or "0")
    if result == "watchdog":
        return End(status or 1, HUNG, "hung")
    if result == "timeout":
        return End(status or 1, CAPPED, "cap")
    if properties.get("ExecMainCode", "0") not in ("0", str(_CLD_EXITED)):
        return end_of(-status)
    return end_of(status)
