"""The command socketwatch: runs a command and plays the manager's part for the shim."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from mswatch import __version__
from mswatch.errors import MswatchError, TemporaryError
from mswatch.showing import show
from mswatch.socketwatch.guard import Guard, wake_on_signals
from mswatch.socketwatch.idle import Watch
from mswatch.socketwatch.notify import NotifySocket, notify_socket
from mswatch.socketwatch.options import Options, parse
from mswatch.socketwatch.preload import shim_environment, shim_path
from mswatch.socketwatch.terminal import Terminal

EXIT_CANNOT_RUN = 126  # as the shell has it
EXIT_NOT_FOUND = 127

_OTHER_MANAGERS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None)


def main() -> int:
    """Run the command socketwatch and return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a caller that ignores or blocks it hands that on, and the
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})  # end of the command would not be told
    try:
        options = parse(sys.argv[1:], __version__)
        if options.text:
            sys.stdout.write(options.text)
            return 0
        with _listener() as listener, Terminal() as terminal:
            return _run(options, listener, terminal)
    except MswatchError as error:
        _complain(f"{error}; {error.fix}")
        return error.exit_status


@contextlib.contextmanager
def _listener() -> Iterator[NotifySocket]:
    try:
        with notify_socket(os.environ) as listener:
            yield listener
    except FileNotFoundError as error:
        raise TemporaryError(str(error), "set TMPDIR to one that you may write to") from error


def _run(options: Options, listener: NotifySocket, terminal: Terminal) -> int:
    shim = shim_path()
    if shim is None:
        _complain("there is no shim, so it is not known whether there is progress; only --hard-cap holds")
    kept = {name: value for name, value in os.environ.items() if name not in _OTHER_MANAGERS}
    environment = kept | shim_environment(kept, shim, notify_socket=listener.path)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wakeup = wake_on_signals()
    watch = Watch(options.timeout_s, options.hard_cap_s, time.monotonic())
    try:
        process = _start(options.command, environment, terminal)
    except OSError as error:
        _complain(f'cannot run "{show(options.command[0])}": {error.strerror}')
        return EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_CANNOT_RUN
    guard = Guard(process.pid, wakeup, options, watch, listener, terminal, _complain)
    process.returncode = guard.run()  # reaped there
    return process.returncode


def _start(
    command: tuple[str, ...], environment: dict[str, str], terminal: Terminal
) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def become_the_command() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was killed before the call
            os._exit(128 + signal.SIGKILL)
        os.setpgid(0, 0)
        terminal.give(os.getpid())

    # Descriptors stay open: a lock that our caller holds is held by the command too.
    return subprocess.Popen(command, env=environment, preexec_fn=become_the_command, close_fds=False)


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"socketwatch: {text}\n".encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    sys.exit(main())
