"""Watching over the command until it and what belongs to it have ended.

However the end begins, there are two of them:

* The command ends by itself.  What it left behind in its process group is ended; who left the group (an agent
  for passwords, a master connection of ssh) is let be, and nobody waits for it.
* We end it (no progress, hard cap, a signal to us).  All its descendants are ended, wherever they went.

To end is SIGTERM (or the signal to us), ``grace_s``, SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable

from mswatch.errors import EXIT_TEMPORARY
from mswatch.showing import show
from mswatch.socketwatch.idle import Reason, Watch
from mswatch.socketwatch.notify import NotifySocket
from mswatch.socketwatch.options import Options
from mswatch.socketwatch.processes import Process, descendants, send_signal
from mswatch.socketwatch.terminal import Terminal

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # passed on, and the command is to end
_TOLD = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)  # passed on to the command alone
_JOB_CONTROL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_AFTER_KILL_S = 5.0  # longest wait for what was killed; a process may be stuck in the kernel
_LOOK_AGAIN_S = 0.2  # while ending: not every end below us is told to us


class Guard:
    """Watches over one command, whose process leads a group of its own."""

    def __init__(
        self,
        command: int,
        wakeup: int,
        options: Options,
        watch: Watch,
        listener: NotifySocket,
        terminal: Terminal,
        complain: Callable[[str], None],
    ) -> None:
        self._command = command
        self._wakeup = wakeup
        self._options = options
        self._watch = watch
        self._listener = listener
        self._terminal = terminal
        self._complain = complain
        self._last_report_at = ""  # time of day, for a person
        self._status: int | None = None  # the command's, once it has ended
        self._is_alone = False  # no child is left
        self._reason: Reason | None = None
        self._ends_all = False
        self._rest_is_told = False
        self._kill_at: float | None = None  # set when the end has begun
        self._give_up_at: float | None = None

    def run(self) -> int:
        """Return the exit status once all has ended."""
        while True:
            self._reap()
            if self._status is not None and not self._rest_is_told:
                self._rest_is_told = True
                self._begin_end(signal.SIGTERM)  # what the command left behind
            self._note_reports()  # before the clock: they may have waited while we were stopped
            self._look_at_clock(time.monotonic())
            if self._is_over(time.monotonic()):
                return self._exit_status()
            readable = [self._wakeup, self._listener.fileno()]
            if self._wakeup in select.select(readable, [], [], self._patience_s(time.monotonic()))[0]:
                self._receive(os.read(self._wakeup, 4096))

    def _reap(self) -> None:
        try:
            while not self._is_alone:
                child, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
                if child == 0:
                    return
                if child == self._command:
                    self._note_change(status)
        except ChildProcessError:
            self._is_alone = True

    def _note_change(self, status: int) -> None:
        if not os.WIFSTOPPED(status):
            self._status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        elif os.WSTOPSIG(status) in _JOB_CONTROL and self._terminal.exists:
            is_in_front = self._terminal.stop_with(self._command)
            if is_in_front or os.WSTOPSIG(status) == signal.SIGTSTP:  # or it would stop again at once
                self._send(signal.SIGCONT)
                self._watch.start_anew(time.monotonic())

    def _note_reports(self) -> None:
        now = time.monotonic()
        for _ in range(self._listener.reports()):
            self._watch.report(now)
            self._last_report_at = time.strftime("%H:%M:%S")

    def _receive(self, numbers: bytes) -> None:
        for number in map(signal.Signals, numbers):
            if number in _ENDING:
                self._begin_end(number, everyone=True)
            elif number in _TOLD and self._status is None:
                os.kill(self._command, number)

    def _look_at_clock(self, now: float) -> None:
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._kill(now)
        elif self._watch.never_spoke(now):
            self._complain(
                f"{self._name()} does not report (is it static, or setuid?); only --hard-cap holds"
            )
        elif (reason := self._watch.overdue(now)) is not None:
            self._reason = reason
            self._complain(self._verdict(reason))
            self._begin_end(signal.SIGTERM, everyone=True)

    def _begin_end(self, number: signal.Signals, *, everyone: bool = False) -> None:
        self._ends_all = self._ends_all or everyone
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._options.grace_s
        self._send(number)
        self._send(signal.SIGCONT)  # a stopped process ends only when it goes on

    def _kill(self, now: float) -> None:
        """Kill what is there; again at each look, because it may have forked."""
        if self._give_up_at is None:
            self._give_up_at = now + _AFTER_KILL_S
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        others = self._targets()
        if self._status is None:  # nobody else can have the number of a group whose leader is not reaped
            with contextlib.suppress(PermissionError):  # all of it is setuid
                os.killpg(self._command, number)
            others = [process for process in others if process.group != self._command]
        for process in others:
            send_signal(process, number)

    def _targets(self) -> list[Process]:
        """Return who is to end; always below us, so that a stranger is never among them."""
        if self._is_alone:
            return []
        below = descendants(os.getpid())
        return below if self._ends_all else [each for each in below if each.group == self._command]

    def _is_over(self, now: float) -> bool:
        if self._give_up_at is not None and now >= self._give_up_at:
            return True
        return self._status is not None and not self._targets()

    def _patience_s(self, now: float) -> float | None:
        if self._kill_at is not None:
            return _LOOK_AGAIN_S
        wakeup = self._watch.next_wakeup()
        return None if wakeup is None else max(0.0, wakeup - now)

    def _exit_status(self) -> int:
        if self._reason is not None:
            return EXIT_TEMPORARY
        return self._status if self._status is not None else 128 + signal.SIGKILL

    def _verdict(self, reason: Reason) -> str:
        if reason is Reason.IDLE:
            found = f"no progress for {self._options.timeout_s:g} s"
        else:
            found = f"still running after {self._options.hard_cap_s:g} s, its hard cap"
        count = self._watch.reports
        last = f"last progress {self._last_report_at}, report {count}" if count else "it never reported"
        return f"{self._name()}: {found}; {last}; ending it"

    def _name(self) -> str:
        return show(os.path.basename(self._options.command[0]))  # noqa: PTH119 - it may be no path at all


def wake_on_signals() -> int:
    """Have every signal that matters make the returned descriptor readable; before the command is started."""
    wakeup, wake = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (*_ENDING, *_TOLD, signal.SIGCHLD):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, lambda _number, _frame: None)
    return wakeup
