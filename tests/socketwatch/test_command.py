"""The command socketwatch as a process: statuses, signals, ends.

Whether all descendants have ended is seen on a pipe that every one of them holds open.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mswatch import __version__
from mswatch.socketwatch.idle import SILENCE_S
from tests.servers.waiting import DEADLINE_S, read_line
from tests.socketwatch.conftest import Compile
from tests.socketwatch.harness import SOCKETWATCH, end_group

Run = Callable[..., "subprocess.Popen[bytes]"]
STUBBORN = "trap '' TERM INT HUP; echo started; sleep 60; sleep 60"


@pytest.fixture
def socketwatch() -> Iterator[Run]:
    """Start socketwatch with arguments; its outputs are pipes."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, **options: object) -> subprocess.Popen[bytes]:
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "bufsize": 0,
        }
        argv = [*SOCKETWATCH, *arguments]
        started.append(subprocess.Popen(argv, start_new_session=True, **{**pipes, **options}))  # type: ignore[call-overload]
        return started[-1]

    yield run
    for process in started:
        end_group(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def line_of(process: subprocess.Popen[bytes]) -> bytes:
    """Return the next line of its output; empty at the end, when all who could write have ended."""
    assert process.stdout is not None
    return read_line(process.stdout)


def errors_of(process: subprocess.Popen[bytes]) -> str:
    """Return all that it said on standard error, to the end."""
    assert process.stderr is not None
    return process.stderr.read().decode()


class TestCommand:
    """What the command sees, and how its end is passed on."""

    @pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 128 + 9)])
    def test_status(self, socketwatch: Run, script: str, status: int) -> None:
        """The status of the command is the status of socketwatch, which says nothing."""
        process = socketwatch("sh", "-c", script)
        assert process.wait(DEADLINE_S) == status
        assert errors_of(process) == ""

    def test_streams(self, socketwatch: Run) -> None:
        """Standard streams and other open descriptors are the command's."""
        ours, theirs = os.pipe()
        process = socketwatch(
            *("sh", "-c", f"cat; echo error >&2; echo more > /dev/fd/{theirs}"),
            stdin=subprocess.PIPE,
            pass_fds=(theirs,),
        )
        os.close(theirs)
        assert process.communicate(b"input\n", DEADLINE_S) == (b"input\n", b"error\n")
        assert os.read(ours, 100) == b"more\n"
        os.close(ours)

    def test_environment(self, socketwatch: Run) -> None:
        """The command is told of no other manager; signals and preloaded libraries are as they were."""
        environment = {**os.environ, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "LD_PRELOAD": "/missing.so"}
        script = 'echo "$LD_PRELOAD"; echo "$WATCHDOG_USEC$WATCHDOG_PID"; grep SigIgn /proc/self/status'
        process = socketwatch("sh", "-c", script, env=environment)
        assert line_of(process).startswith(b"/missing.so:/")
        assert line_of(process) == b"\n"
        assert line_of(process).split()[1].strip(b"0") == b""

    def test_not_found(self, socketwatch: Run) -> None:
        """A command that is not there is said so, with status 127."""
        process = socketwatch("/nonexistent/\x1bcommand")
        assert process.wait(DEADLINE_S) == 127
        assert errors_of(process).endswith("No such file or directory\n")

    def test_not_executable(self, socketwatch: Run) -> None:
        """A command that may not be run is said so, with status 126."""
        assert socketwatch("/etc/passwd").wait(DEADLINE_S) == 126

    def test_left_in_the_group(self, socketwatch: Run) -> None:
        """What the command leaves behind in its group is ended with it, and the status is the command's."""
        process = socketwatch("sh", "-c", "sleep 60 & exit 4")
        assert process.wait(DEADLINE_S) == 4
        assert line_of(process) == b""

    def test_daemon_is_let_be(self, socketwatch: Run) -> None:
        """Who left the group, as an agent does, keeps nobody waiting and is not ended."""
        script = "setsid sh -c 'echo $$; exec sleep 60' & read line"
        process = socketwatch("sh", "-c", script, stdin=subprocess.PIPE)
        daemon = int(line_of(process))
        assert process.stdin is not None
        process.stdin.write(b"that is all\n")
        assert process.wait(DEADLINE_S) == 0
        os.kill(daemon, signal.SIGKILL)  # it lived

    def test_caller_that_ignores_children(self, socketwatch: Run) -> None:
        """The status is known even where SIGCHLD was ignored by the caller."""
        ignoring = "signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
        script = f"import os, signal, sys; {ignoring}"
        argv = [sys.executable, "-c", script, *SOCKETWATCH, "sh", "-c", "exit 9"]
        assert subprocess.run(argv, timeout=DEADLINE_S).returncode == 9

    def test_no_shim(self, tmp_path: Path) -> None:
        """Without a shim the command runs, and it is said that only the hard cap holds."""
        script = (
            "import sys; from mswatch.socketwatch import command; "
            "command.shim_path = lambda: None; sys.exit(command.main())"
        )
        argv = [sys.executable, "-c", script, "-t", "0.1", "--hard-cap", "0.5", "sleep", "1000"]
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S)
        assert ended.returncode == 75
        assert ended.stderr.startswith("socketwatch: there is no shim")
        assert "still running after 0.5 s" in ended.stderr


@pytest.mark.slow
class TestTooLong:
    """Ends that socketwatch brings about."""

    def test_idle(self, socketwatch: Run) -> None:
        """What hangs is ended with status 75 and a line that says what was seen last."""
        began = time.monotonic()
        process = socketwatch("-t", "0.2", "sleep", "1000")
        assert process.wait(DEADLINE_S) == 75
        assert time.monotonic() - began >= 0.2 + SILENCE_S
        said = errors_of(process)
        assert said.startswith("socketwatch: sleep: no progress for 0.2 s; last progress ")
        assert said.endswith(", report 1; ending it\n")

    def test_everyone(self, socketwatch: Run) -> None:
        """All descendants are ended, those with them that left the group and those that ignore SIGTERM."""
        script = f"setsid sh -c 'setsid sh -c \"{STUBBORN}\" & sleep 60' & (setsid sleep 60 &); {STUBBORN}"
        process = socketwatch("-t", "0.3", "--grace", "0.2", "sh", "-c", script)
        while line_of(process):
            pass
        assert process.wait(DEADLINE_S) == 75

    def test_stopped(self, socketwatch: Run) -> None:
        """A command that is stopped is idle, and ends."""
        process = socketwatch("-t", "0.2", "sh", "-c", "kill -STOP $$")
        assert process.wait(DEADLINE_S) == 75

    def test_term_first(self, socketwatch: Run) -> None:
        """The command can clear away before it ends."""
        process = socketwatch("-t", "1", "sh", "-c", "trap 'echo clearing; exit 3' TERM; sleep 60 & wait")
        assert line_of(process) == b"clearing\n"
        assert process.wait(DEADLINE_S) == 75

    def test_hard_cap(self, socketwatch: Run) -> None:
        """The hard cap ends a command that makes progress all the time."""
        process = socketwatch("--hard-cap", "2s", "sh", "-c", "while :; do : > /dev/null; sleep 0.01; done")
        assert process.wait(DEADLINE_S) == 75
        assert "still running after 2 s, its hard cap; last progress " in errors_of(process)

    def test_static_program(self, socketwatch: Run, compiled: Compile) -> None:
        """A program that the shim cannot be in has only the hard cap, and that is said once."""
        program = compiled("client.c", "-static", name="static-client")
        with contextlib.closing(_silent_listener()) as listener:
            port = str(listener.getsockname()[1])
            began = time.monotonic()
            process = socketwatch("-t", "0.2", "--hard-cap", "1.5", str(program), "read", port)
            assert process.wait(DEADLINE_S) == 75
        assert time.monotonic() - began >= 1.5
        said = errors_of(process).splitlines()
        assert len(said) == 2
        assert "static-client does not report (is it static, or setuid?)" in said[0]
        assert said[1].endswith("still running after 1.5 s, its hard cap; it never reported; ending it")

    def test_reports_that_waited(self, socketwatch: Run) -> None:
        """Reports that came while socketwatch itself was stopped count before its clock does."""
        script = "echo started; read line; for i in 1 2 3; do /bin/true; done; echo again; exec sleep 60"
        process = socketwatch("-t", "1", "sh", "-c", script, stdin=subprocess.PIPE)
        assert line_of(process) == b"started\n"
        process.send_signal(signal.SIGSTOP)
        select.select([], [], [], 2.2)  # longer than the limit: what is tested is that time has passed
        assert process.stdin is not None
        process.stdin.write(b"go on\n")
        assert line_of(process) == b"again\n"
        began = time.monotonic()
        process.send_signal(signal.SIGCONT)
        assert process.wait(DEADLINE_S) == 75
        assert time.monotonic() - began >= 1


class TestSignals:
    """Signals to socketwatch itself."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_passed_on(self, socketwatch: Run, number: signal.Signals) -> None:
        """A signal goes to the command, and its answer is the status."""
        script = f"trap 'echo heard; exit 5' {number.name[3:]}; echo started; sleep 60 & wait"
        process = socketwatch("sh", "-c", script)
        assert line_of(process) == b"started\n"
        process.send_signal(number)
        assert line_of(process) == b"heard\n"
        assert process.wait(DEADLINE_S) == 5

    def test_stubborn_is_killed(self, socketwatch: Run) -> None:
        """A command that does not heed the signal is killed after the grace."""
        process = socketwatch("--grace", "0.1", "sh", "-c", STUBBORN)
        assert line_of(process) == b"started\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 128 + 9
        assert line_of(process) == b""

    @pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT])
    def test_told(self, socketwatch: Run, number: signal.Signals, tmp_path: Path) -> None:
        """Other signals are passed on and end nothing."""
        go = tmp_path / "go"
        heed = f"trap 'echo heard' {number.name[3:]}"
        script = f"{heed}; echo started; until test -e {go}; do sleep 0.01; done; exit 6"
        process = socketwatch("sh", "-c", script)
        assert line_of(process) == b"started\n"
        process.send_signal(number)
        assert line_of(process) == b"heard\n"
        go.touch()
        assert process.wait(DEADLINE_S) == 6

    def test_own_violent_death(self, socketwatch: Run) -> None:
        """When socketwatch is killed, the kernel kills the command."""
        process = socketwatch("sh", "-c", "echo started; exec sleep 60")
        assert line_of(process) == b"started\n"
        process.kill()
        assert line_of(process) == b""


@pytest.mark.slow
class TestTerminal:
    """On a terminal."""

    def test_password(self) -> None:
        """The command may read from the terminal."""
        with on_terminal(*SOCKETWATCH, "sh", "-c", "read word < /dev/tty; echo heard $word; exit 3") as (
            pid,
            terminal,
        ):
            os.write(terminal, b"secret\n")
            assert b"heard secret" in output_until(terminal, b"heard secret")
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3

    def test_interrupt(self) -> None:
        """Ctrl-C reaches the command, and its answer is the status."""
        with on_terminal(
            *SOCKETWATCH, "sh", "-c", "trap 'exit 4' INT; echo started; while :; do sleep 0.1; done"
        ) as (
            pid,
            terminal,
        ):
            output_until(terminal, b"started")
            os.write(terminal, b"\x03")
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4

    def test_stop_and_continue(self) -> None:
        """Ctrl-Z stops both, and both go on; the time between is no silence."""
        with on_terminal("bash", "--norc", "-i") as (_, terminal):
            script = "echo start''ed; read word; echo heard $word; exit 5"
            os.write(terminal, f"{SOCKETWATCH[0]} -t 2 sh -c '{script}'\n".encode())
            output_until(terminal, b"started")
            os.write(terminal, b"\x1a")
            output_until(terminal, b"Stopped")
            select.select([], [], [], 3.1)  # longer than the limit: what is tested is that time has passed
            os.write(terminal, b"fg\n")
            output_until(terminal, b"sh -c")
            os.write(terminal, b"you\n")
            output_until(terminal, b"heard you")
            os.write(terminal, b"echo status $?\n")
            output_until(terminal, b"status 5")

    def test_brought_to_the_foreground(self) -> None:
        """What was started in the background may read from the terminal once it is in the foreground."""
        with on_terminal("bash", "--norc", "-i") as (_, terminal):
            os.write(
                terminal, f"{SOCKETWATCH[0]} sh -c 'read word; echo heard $word' &\nsleep 0.5; fg\n".encode()
            )
            output_until(terminal, b"sh -c")
            os.write(terminal, b"you\n")
            output_until(terminal, b"heard you")


@contextlib.contextmanager
def on_terminal(*arguments: str) -> Iterator[tuple[int, int]]:
    """Run a program on a terminal of its own; give its process id and our end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execvp(arguments[0], arguments)
        finally:
            os._exit(70)
    try:
        yield pid, terminal
    finally:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        os.close(terminal)


def output_until(terminal: int, wanted: bytes) -> bytes:
    """Read from a terminal until this has been printed."""
    found = b""
    while wanted not in found:
        assert select.select([terminal], [], [], DEADLINE_S)[0], f"only {found!r}"
        found += os.read(terminal, 1000)
    return found


def _silent_listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_version_and_help(socketwatch: Run) -> None:
    """Version and help are printed, with status 0."""
    process = socketwatch("-V")
    assert line_of(process) == f"socketwatch {__version__}\n".encode()
    assert process.wait(DEADLINE_S) == 0
    process = socketwatch("-?")
    assert line_of(process).startswith(b"Usage: socketwatch")
    assert process.wait(DEADLINE_S) == 0


def test_usage(socketwatch: Run) -> None:
    """What cannot be is refused with status 64."""
    process = socketwatch("-t", "soon", "true")
    assert process.wait(DEADLINE_S) == 64
    assert errors_of(process).startswith('socketwatch: --timeout is "soon"')


def test_nothing_is_left(socketwatch: Run, tmp_path: Path) -> None:
    """The socket is in a private directory while the command runs, and gone after it."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    process = socketwatch(
        "sh", "-c", 'stat -c %a "$(dirname "$NOTIFY_SOCKET")"; ls "$XDG_RUNTIME_DIR"', env=environment
    )
    assert line_of(process) == b"700\n"
    assert line_of(process).startswith(b"socketwatch.")
    assert process.wait(DEADLINE_S) == 0
    assert list(tmp_path.iterdir()) == []


def test_no_place_for_a_socket(socketwatch: Run, tmp_path: Path) -> None:
    """A directory whose name is too long for a socket is passed over."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(long), "TMPDIR": str(long)}
    process = socketwatch("sh", "-c", 'echo "$NOTIFY_SOCKET"', env=environment)
    assert line_of(process).startswith(b"/tmp/socketwatch.")
    assert process.wait(DEADLINE_S) == 0
