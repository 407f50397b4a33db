"""The hook as a process: started with the names of mailboxes, bounded in time, its output told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from mswatch import messages
from mswatch.account import Hook
from mswatch.core.events import Event, HookFinished
from mswatch.launch.process import Job, Launcher, Process
from mswatch.lines import Lines
from mswatch.logs import Log
from mswatch.service.tasks import spawn

_OUTPUT_LINE_LIMIT = 4096
_MOST_BYTES = 64 * 1024  # of names; half of what the kernel allows a variable (MAX_ARG_STRLEN in execve(2))


class Hooking:
    """The hooks of one account, of which one runs at a time; ``tell`` takes HookFinished."""

    def __init__(
        self, account: str, launcher: Launcher, tell: Callable[[list[Event]], None], log: Log
    ) -> None:
        self.error = ""  # why the last one failed
        self._account = account
        self._launcher = launcher
        self._tell = tell
        self._log = log
        self._process: Process | None = None
        self._is_overdue = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    def start(self, hook: Hook, mailboxes: tuple[str, ...] | None) -> None:
        """Start the hook for these mailboxes, None for all; HookFinished will be told."""
        spawn(self._carry_out(hook, mailboxes))

    def stop(self) -> None:
        """End the hook; HookFinished is told when it is gone."""
        if self._process is not None:
            self._process.stop()

    async def _carry_out(self, hook: Hook, mailboxes: tuple[str, ...] | None) -> None:
        environment = {"MSWATCH_ACCOUNT": self._account, "MSWATCH_MAILBOXES": _listed(mailboxes)}
        outputs = Lines(_OUTPUT_LINE_LIMIT), Lines(_OUTPUT_LINE_LIMIT)
        self._is_overdue = False
        try:
            self._process = self._launcher.start(
                Job(
                    "hook",
                    "",
                    hook.command,
                    on_stdout=lambda data: self._on_output(hook, outputs[0], data),
                    on_stderr=lambda data: self._on_output(hook, outputs[1], data),
                    environment=environment,
                )
            )
            limit = hook.limit_s or None
            timer = asyncio.get_running_loop().call_later(limit, self._give_up) if limit else None
            end = await self._process.wait()
            if timer is not None:
                timer.cancel()
            failure = f"took longer than {hook.limit_s:g} s and was ended" if self._is_overdue else end.detail
            self.error = failure if end.status or self._is_overdue else ""
        except OSError as error:
            self.error = f"cannot be started: {error.strerror}"
        self._process = None
        if self.error:
            self._log.tell(messages.HOOK_FAILED, f"Hook {hook.command[0]!r} {self.error}")
        self._tell([HookFinished()])

    def _give_up(self) -> None:
        self._is_overdue = True
        self.stop()

    def _on_output(self, hook: Hook, lines: Lines, data: bytes) -> None:
        program = os.path.basename(hook.command[0])  # noqa: PTH119 - it may be no path at all
        for line in lines.take(data):
            self._log.output(messages.HOOK_OUTPUT, program, line)


def _listed(mailboxes: tuple[str, ...] | None) -> str:
    """Return the names, one to a line; the empty text for all, and where it cannot be said which."""
    listed = "\n".join(mailboxes or ())
    too_long = len(os.fsencode(listed)) > _MOST_BYTES
    return "" if too_long or any("\n" in name or "\0" in name for name in mailboxes or ()) else listed
