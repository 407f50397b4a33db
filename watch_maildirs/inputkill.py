"""The command inputkill: runs a command until standard input ends.

For commands that do not look at their own standard input, such as a watcher behind ssh: when the connection
is lost the input ends, and the command with it.  The command has /dev/null as its input and a session of
its own, whose process group is *the group*.

However it begins (end of input, a signal to us, the command's own end), the end is one: the group gets a
signal, has ``grace`` seconds, then gets SIGKILL; and inputkill ends when the group is empty.  Orphans of
the group become our children, so that SIGCHLD tells of each and nothing is polled.  If inputkill itself is
killed, the kernel kills the command (PR_SET_PDEATHSIG, prctl(2)).
"""

import contextlib
import ctypes
import errno
import getopt
import os
import select
import signal
import sys
import time
from typing import AbstractSet, List, NamedTuple, NoReturn, Optional, Tuple

from watch_maildirs import __version__

EXIT_USAGE = 64
EXIT_CANNOT_RUN = 126  # as the shell has it
EXIT_NOT_FOUND = 127

GRACE_S = 5.0
_MOST_GRACE_S = 86400.0
_AFTER_KILL_S = 5.0  # longest wait for a killed group; a process may be stuck in the kernel

_STDIN = 0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

HELP = """\
Usage: inputkill [OPTION]... [--] COMMAND [ARGUMENT]...
Run COMMAND until standard input ends.  Options are read before COMMAND only.

      --grace=SECONDS   time between SIGTERM and SIGKILL (default: 5)
  -V, --version         print the version
  -h, -?, --help        print this

The exit status is that of COMMAND, 128 + the signal that ended it, 127 if it was
not found, 126 if it cannot be run; 0 if standard input ended first.
"""


class UsageError(Exception):
    """The command line asks for something that cannot be."""


class Options(NamedTuple):
    """What the command line asks for; ``text`` is to be printed instead of running anything."""

    command: List[str]
    grace_s: float = GRACE_S
    text: str = ""


def main() -> int:
    """Run the command inputkill and return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        options = parse_arguments(sys.argv[1:])
    except UsageError as error:
        _complain("{}; see inputkill --help".format(error))
        return EXIT_USAGE
    if options.text:
        sys.stdout.write(options.text)
        return 0
    _open_missing_input()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # A signal that comes before we watch over the group waits until we do, and does not just end us.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    group, error_number = _start(options.command, libc, mask)
    if error_number:
        _complain('cannot run "{}": {}'.format(options.command[0], os.strerror(error_number)))
        return EXIT_NOT_FOUND if error_number == errno.ENOENT else EXIT_CANNOT_RUN
    wakeup = _wake_on_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Guard(group, options.grace_s).run(wakeup)


def parse_arguments(arguments: List[str]) -> Options:
    """Read the command line; raise UsageError."""
    try:
        given, command = getopt.getopt(arguments, "Vh?", ["grace=", "version", "help"])
    except getopt.GetoptError as error:
        raise UsageError(error.msg) from None
    names = [name for name, _ in given]
    if any(name in names for name in ("-h", "-?", "--help")):
        return Options([], text=HELP)
    if "-V" in names or "--version" in names:
        return Options([], text="inputkill {}\n".format(__version__))
    if not command:
        raise UsageError("there is no command to run")
    return Options(command, _grace(dict(given).get("--grace", str(GRACE_S))))


def _grace(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_GRACE_S:
        raise UsageError('--grace is "{}"; it is a number from 0 to {:g}'.format(text, _MOST_GRACE_S))
    return seconds


def _open_missing_input() -> None:
    """See to it that descriptor 0 is input: where it is closed, a pipe of our own would be taken for it."""
    try:
        os.fstat(_STDIN)
    except OSError:
        os.open(os.devnull, os.O_RDONLY)


def _start(command: List[str], libc: ctypes.CDLL, mask: AbstractSet[int]) -> Tuple[int, int]:
    """Start the command; return its process and group id, and the error number if it could not be run."""
    parent = os.getpid()
    report, report_to = os.pipe()  # closed by a successful exec, which is when the group exists
    child = os.fork()
    if child == 0:
        _become(command, libc, mask, parent, report_to)
    os.close(report_to)
    told = os.read(report, 16)
    os.close(report)
    if told:
        os.waitpid(child, 0)
    return child, int(told or b"0")


def _become(
    command: List[str], libc: ctypes.CDLL, mask: AbstractSet[int], parent: int, report_to: int
) -> NoReturn:
    error_number = errno.EIO
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(128 + signal.SIGKILL)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), _STDIN)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would the command
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvp(command[0], command)  # noqa: S606 - a shell is what we do not want
    except OSError as error:
        error_number = error.errno or errno.EIO
    finally:
        os.write(report_to, str(error_number).encode())
        os._exit(EXIT_CANNOT_RUN)


class Guard:
    """Watches over the group until it is empty."""

    def __init__(self, group: int, grace_s: float) -> None:
        self._group = group
        self._grace_s = grace_s
        self._reads_input = True
        self._status: Optional[int] = None  # to exit with
        self._deadline: Optional[float] = None  # of what comes next: SIGKILL, then giving up
        self._is_killed = False

    def run(self, wakeup: int) -> int:
        """Return the exit status once the group has ended; ``wakeup`` is readable after each signal to us."""
        while True:
            self._reap()
            if self._deadline is not None and (not self._signal(0) or self._is_overdue()):
                return self._status if self._status is not None else 128 + signal.SIGKILL
            watched = [wakeup] + ([_STDIN] if self._reads_input else [])
            timeout_s = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
            ready = select.select(watched, [], [], timeout_s)[0]
            if wakeup in ready:
                self._pass_on(os.read(wakeup, 4096))
            if _STDIN in ready:
                self._read_input()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                child, status = os.waitpid(-1, os.WNOHANG)
                if child == 0:
                    return
                if child == self._group:
                    self._note_status(
                        os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                    )
                    self._end(signal.SIGTERM)  # what the command left behind

    def _note_status(self, status: int) -> None:
        if self._status is None:
            self._status = status

    def _pass_on(self, numbers: bytes) -> None:
        for number in numbers:
            if number in _PASSED_ON:
                self._end(number)

    def _read_input(self) -> None:
        try:
            at_end = os.read(_STDIN, 65536) == b""
        except BlockingIOError:
            return
        except OSError:
            at_end = True
        if at_end:
            self._reads_input = False
            self._note_status(0)
            self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        self._signal(number)
        self._signal(signal.SIGCONT)  # a stopped process ends only when it goes on
        if self._deadline is None:
            self._deadline = time.monotonic() + self._grace_s

    def _is_overdue(self) -> bool:
        """Take the next step if it is time for it; tell whether there is none left."""
        if self._deadline is None or time.monotonic() < self._deadline:
            return False
        if self._is_killed:
            return True
        self._is_killed = True
        self._signal(signal.SIGKILL)
        self._deadline = time.monotonic() + _AFTER_KILL_S
        return False

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; tell whether there was anyone we may send it to."""
        try:
            os.killpg(self._group, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def _wake_on_signals() -> int:
    """Have every signal that matters make the returned descriptor readable."""
    wakeup, wake = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (*_PASSED_ON, signal.SIGCHLD):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, lambda _number, _frame: None)
    return wakeup


def _complain(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, "inputkill: {}\n".format(text).encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    sys.exit(main())
