"""One run as processes: the syncer's calls, one after the other, under the account's run lock."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import cache

from mswatch import messages
from mswatch.account import Sync
from mswatch.core.events import Result
from mswatch.errors import EXIT_CONFIG
from mswatch.launch.children import ChildLauncher
from mswatch.launch.process import End, Job, Launcher, Process, Words, end_of
from mswatch.lines import Lines
from mswatch.locks import Lock
from mswatch.logs import Log
from mswatch.service.echoes import Listener
from mswatch.service.guarding import Guard
from mswatch.service.sleep import SHORTEST_S, asleep_s
from mswatch.service.tasks import spawn
from mswatch.socketwatch import shim_environment, shim_path
from mswatch.syncers import plan

_OUTPUT_LINE_LIMIT = 4096
_STOPPED = "stopped before its end"
_RESULTS = {"": Result.FAILED, "hung": Result.HUNG, "cap": Result.CAPPED}
_SPARE_BYTES = (
    8192  # of the kernel's limit for arguments and environment (execve(2)), for what it adds itself
)
_find_shim = cache(shim_path)
_WAIT_FOR_LOCK = "import fcntl, sys; fcntl.flock(int(sys.argv[1]), fcntl.LOCK_EX)"


class Running:
    """Carry out one run."""

    def __init__(
        self,
        sync: Sync,
        launcher: Launcher,
        environment: Mapping[str, str],
        lock: Lock,
        log: Log,
        echoes: Listener | None = None,
        **fields: str,
    ) -> None:
        self._sync = sync
        self._launcher = launcher
        self._environment = environment
        self._fields = fields  # of its records
        self._lock = lock
        self._log = log
        self._echoes = echoes if sync.leaves_both_equal else None
        self._process: Process | None = None
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """The process of the present call, while there is one."""
        return self._process.pid if self._process is not None else None

    def stop(self) -> None:
        """End the run; ``carry_out`` returns when all of it is gone."""
        self._stopped = True
        self._end_process()

    async def carry_out(
        self,
        mailboxes: tuple[str, ...] | None,
        written: tuple[tuple[str, str, str], ...] = (),
        *,
        dry: bool = False,
    ) -> tuple[Result, str]:
        """Run the syncer for these mailboxes, None for all, and say how it went."""
        planned = plan(self._sync, mailboxes, self._argument_limit(), written)
        for note in planned.notes:
            self._log.tell(messages.RUN_WIDENED, note, **self._fields)
        if not await self._take_lock():
            return Result.FAILED, "stopped while another run was under way"
        asleep = asleep_s()
        try:
            calls = [await self._call(call, dry=dry) for call in planned.calls]
        finally:
            self._lock.release()
        result, detail = next((call for call in calls if call[0] is not Result.SUCCESS), (Result.SUCCESS, ""))
        if result is not Result.SUCCESS and asleep_s() - asleep > SHORTEST_S:
            result = Result.INTERRUPTED
        return result, detail

    def _argument_limit(self) -> int:
        environment = sum(
            len(os.fsencode(k)) + len(os.fsencode(v)) + 10 for k, v in self._environment.items()
        )
        return os.sysconf("SC_ARG_MAX") - environment - _SPARE_BYTES

    async def _take_lock(self) -> bool:
        holder = f"pid {os.getpid()}"
        if self._lock.take(holder):
            return True
        text = f"Another run of this account is under way ({self._lock.holder()}); waiting for its end"
        self._log.tell(messages.RUN_WAITS, text, **self._fields)
        fd = self._lock.fileno()
        waiter = (sys.executable, "-I", "-S", "-c", _WAIT_FOR_LOCK, str(fd))
        if (await self._ends(waiter, ChildLauncher(self._environment))).status:
            return False
        self._lock.note(holder)
        return True

    async def _call(self, call: Words, *, dry: bool) -> tuple[Result, str]:
        """Call the syncer once, and say how it went."""
        if self._stopped:
            return Result.FAILED, _STOPPED
        self._log.tell(messages.RUN_CALL, "+ " + " ".join(map(os.fsdecode, call)), **self._fields)
        if dry:
            return Result.SUCCESS, ""
        try:
            end = await self._guarded(call)
        except OSError as error:
            return Result.FAILED, f"cannot start {os.fsdecode(call[0])!r}: {error.strerror}"
        if self._stopped:
            return Result.FAILED, _STOPPED
        if end.status == 0:
            return Result.SUCCESS, ""
        result = _RESULTS[end.cut_off]
        if result is Result.FAILED and end.status == EXIT_CONFIG:
            result = Result.BARRED
        return result, f"{os.fsdecode(call[0])} {end.detail}"

    async def _guarded(self, call: Words) -> End:
        sync = self._sync
        if sync.guards_itself:
            return await self._ends(call, self._launcher)
        echo_socket = self._echoes.address if self._echoes is not None else None
        if self._launcher.guards_runs:
            added = shim_environment(self._environment, _find_shim(), echo_socket=echo_socket)
            return await self._asked(call, added)
        guard = Guard(
            self._environment,
            _find_shim(),
            echo_socket,
            sync.idle_limit_s,
            sync.hard_cap_s,
            self._end_process,
        )
        try:
            end = await self._ends(call, self._launcher, guard.environment)
        except OSError:
            guard.close(end_of(1))
            raise
        if guard.never_spoke:
            self._tell_unseen(call)
        return guard.close(end)

    async def _asked(self, call: Words, added: Mapping[str, str]) -> End:
        """Run a call that the launcher guards; after the idle limit, ask once whether it was heard of.

        The limit counts from when the syncer begins: what comes before is start-up code of ours.
        """

        async def ask(process: Process) -> None:
            if not await process.was_heard() and self._process is process:
                self._tell_unseen(call)

        def due() -> None:
            if self._process is not None:
                spawn(ask(self._process))

        loop = asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []
        limit_s = self._sync.idle_limit_s or math.inf
        try:
            return await self._ends(
                call, self._launcher, added, lambda: timers.append(loop.call_later(limit_s, due))
            )
        finally:
            for timer in timers:
                timer.cancel()

    def _tell_unseen(self, call: Words) -> None:
        text = f"nothing is known of the progress of {os.fsdecode(call[0])!r}: only hard_cap holds for it"
        self._log.tell_once(messages.RUN_UNSEEN, text, **self._fields)

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.stop()

    async def _ends(
        self,
        argv: Words,
        launcher: Launcher,
        environment: Mapping[str, str] | None = None,
        on_begin: Callable[[], object] = lambda: None,
    ) -> End:
        def on_pid(pid: int) -> None:
            if self._echoes is not None:
                self._echoes.believe(pid)
            on_begin()

        outputs = Lines(_OUTPUT_LINE_LIMIT), Lines(_OUTPUT_LINE_LIMIT)
        program = os.path.basename(os.fsdecode(argv[0]))  # noqa: PTH119 - it may be no path at all
        self._process = launcher.start(
            Job(
                "run",
                "",
                argv,
                on_stdout=lambda data: self._on_output(program, outputs[0], data),
                on_stderr=lambda data: self._on_output(program, outputs[1], data),
                keep=self._lock.fileno(),
                environment=environment or {},
                on_pid=on_pid,
            )
        )
        try:
            return await self._process.wait()
        finally:
            self._process = None

    def _on_output(self, program: str, lines: Lines, data: bytes) -> None:
        for line in lines.take(data):
            self._log.output(messages.RUN_OUTPUT, program, line, **self._fields)


async def run_once(running: Running, mailboxes: tuple[str, ...] | None) -> tuple[Result, str]:
    """Carry out a run by itself, without a service; an interrupt ends it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.stop)
    return await running.carry_out(mailboxes)
