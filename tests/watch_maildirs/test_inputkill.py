"""inputkill on real processes.

Whether all of a group has ended is seen on a pipe that every process of it holds open: it ends when the
last one does.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.servers.waiting import DEADLINE_S
from tests.watch_maildirs.harness import PYTHONPATH, Lines
from watch_maildirs import __version__

Run = Callable[..., "subprocess.Popen[bytes]"]
STUBBORN = "trap '' TERM INT HUP; echo started; while :; do sleep 1000; done"


@pytest.fixture
def inputkill() -> Iterator[Run]:
    """Start inputkill with arguments; its input, output and errors are pipes."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, **options: int) -> "subprocess.Popen[bytes]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        command = [sys.executable, "-m", "watch_maildirs.inputkill", *arguments]
        environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
        started.append(subprocess.Popen(command, env=environment, **pipes))  # type: ignore[call-overload]
        return started[-1]

    yield run
    for process in started:
        process.kill()
        close(process)


def close(process: "subprocess.Popen[bytes]") -> None:
    """Wait for a process and close its pipes, whoever else may hold them."""
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def lines_of(process: "subprocess.Popen[bytes]") -> Lines:
    """Return the lines of a process's output."""
    assert process.stdout is not None
    return Lines(process.stdout.fileno())


def end_input(process: "subprocess.Popen[bytes]") -> None:
    """Let a process's input end."""
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None


def errors_of(process: "subprocess.Popen[bytes]") -> bytes:
    """Return all that a process said on standard error, to its end."""
    assert process.stderr is not None
    return process.stderr.read()


class TestEndOfInput:
    """The purpose."""

    def test_group_gets_term(self, inputkill: Run) -> None:
        """At the end of input the whole group is asked to end, and inputkill ends when it is empty."""
        process = inputkill("sh", "-c", "sleep 1000 & trap 'echo asked; exit 3' TERM; echo started; wait")
        lines = lines_of(process)
        assert lines.next() == b"started"
        assert process.stdin is not None
        process.stdin.write(b"nobody reads this" * 100)
        end_input(process)
        assert lines.next() == b"asked"
        assert lines.next() is None
        assert process.wait(DEADLINE_S) == 0

    def test_stubborn_is_killed(self, inputkill: Run) -> None:
        """What ignores SIGTERM is killed after the grace, its children with it."""
        process = inputkill("--grace", "0.1", "--", "sh", "-c", STUBBORN)
        lines = lines_of(process)
        assert lines.next() == b"started"
        end_input(process)
        assert lines.next() is None
        assert process.wait(DEADLINE_S) == 0

    @pytest.mark.slow
    def test_grace(self, inputkill: Run) -> None:
        """Nobody is killed before the grace is over."""
        process = inputkill("--grace=0.5", "sh", "-c", STUBBORN)
        assert lines_of(process).next() == b"started"
        began = time.monotonic()
        end_input(process)
        assert process.wait(DEADLINE_S) == 0
        assert time.monotonic() - began >= 0.5

    def test_stopped_child(self, inputkill: Run) -> None:
        """A command that is stopped ends too."""
        process = inputkill("sh", "-c", "echo $$; exec sleep 1000")
        lines = lines_of(process)
        os.kill(int(lines.next() or b""), signal.SIGSTOP)
        end_input(process)
        assert lines.next() is None
        assert process.wait(DEADLINE_S) == 0

    def test_input_that_has_ended(self, inputkill: Run) -> None:
        """With /dev/null as input the command is ended at once."""
        process = inputkill("sleep", "1000", stdin=subprocess.DEVNULL)
        assert process.wait(DEADLINE_S) == 0

    def test_closed_input(self) -> None:
        """With no input at all the command is ended at once as well."""
        script = f"exec '{sys.executable}' -m watch_maildirs.inputkill sleep 1000 <&-"
        environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
        assert subprocess.run(["sh", "-c", script], env=environment, timeout=DEADLINE_S).returncode == 0


class TestCommand:
    """What the command sees, and how its end is passed on."""

    def test_status(self, inputkill: Run) -> None:
        """The status of the command is the status of inputkill."""
        assert inputkill("sh", "-c", "exit 7").wait(DEADLINE_S) == 7

    def test_status_of_signal(self, inputkill: Run) -> None:
        """A command that a signal ended gives 128 and its number, as in a shell."""
        assert inputkill("sh", "-c", "kill -9 $$").wait(DEADLINE_S) == 128 + 9

    def test_left_behind(self, inputkill: Run) -> None:
        """What a command leaves running in its group is ended with it, and the status is the command's."""
        process = inputkill("sh", "-c", "sleep 1000 & exit 4")
        assert lines_of(process).next() is None
        assert process.wait(DEADLINE_S) == 4

    def test_input_and_group(self, inputkill: Run) -> None:
        """The command reads nothing, leads its own group, and has the signals of a fresh process."""
        look = "print(input.read() == '', os.getpgrp() == os.getsid(0) == os.getpid(), "
        look += "signal.getsignal(signal.SIGPIPE))"
        restored = "import os, sys; input = open(0)\nimport signal\n" + look
        process = inputkill(sys.executable, "-c", restored)
        assert (lines_of(process).next() or b"").startswith(b"True True")
        shell = inputkill("sh", "-c", "grep SigIgn /proc/self/status")
        assert (lines_of(shell).next() or b"").split()[1].strip(b"0") == b""

    def test_not_found(self, inputkill: Run) -> None:
        """A command that is not there is said so, with status 127."""
        process = inputkill("/nonexistent/command")
        assert (
            errors_of(process) == b'inputkill: cannot run "/nonexistent/command": No such file or directory\n'
        )
        assert process.wait(DEADLINE_S) == 127

    def test_not_executable(self, inputkill: Run) -> None:
        """A command that may not be run is said so, with status 126."""
        process = inputkill("/etc/passwd")
        assert errors_of(process) == b'inputkill: cannot run "/etc/passwd": Permission denied\n'
        assert process.wait(DEADLINE_S) == 126


class TestSignals:
    """Signals to inputkill itself."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_passed_on(self, inputkill: Run, number: signal.Signals) -> None:
        """A signal goes to the group, and the command's answer is the status."""
        process = inputkill(
            "sh", "-c", f"trap 'echo heard; exit 5' {number.name[3:]}; echo started; sleep 1000 & wait"
        )
        lines = lines_of(process)
        assert lines.next() == b"started"
        process.send_signal(number)
        assert lines.next() == b"heard"
        assert process.wait(DEADLINE_S) == 5

    @pytest.mark.slow
    def test_at_once(self, inputkill: Run) -> None:
        """A signal that comes as early as the command is running is passed on like any other."""
        shell = "trap 'exit 5' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"
        processes = [
            inputkill("sh", "-c", shell) for _ in range(40)
        ]  # so many that they get into each other's way
        assert [process.wait(DEADLINE_S) for process in processes] == [5] * 40

    def test_stubborn_is_killed(self, inputkill: Run) -> None:
        """A group that does not heed the signal is killed after the grace."""
        process = inputkill("--grace", "0.1", "sh", "-c", STUBBORN)
        lines = lines_of(process)
        assert lines.next() == b"started"
        process.send_signal(signal.SIGTERM)
        assert lines.next() is None
        assert process.wait(DEADLINE_S) == 128 + 9

    def test_own_violent_death(self, inputkill: Run) -> None:
        """When inputkill is killed, the kernel kills the command."""
        process = inputkill("sh", "-c", "echo started; exec sleep 1000")
        lines = lines_of(process)
        assert lines.next() == b"started"
        process.kill()
        assert lines.next() is None


class TestCommandLine:
    """Its own options."""

    def test_options_end_with_the_command(self, inputkill: Run) -> None:
        """What comes after the command's name belongs to the command."""
        process = inputkill("echo", "-h", "--grace", "-V")
        assert lines_of(process).next() == b"-h --grace -V"

    def test_double_dash(self, inputkill: Run) -> None:
        """A double dash ends the options, once."""
        process = inputkill("--", "echo", "--", "-h")
        assert lines_of(process).next() == b"-- -h"

    def test_version_and_help(self, inputkill: Run) -> None:
        """Version and help are printed, with status 0."""
        process = inputkill("-V")
        assert lines_of(process).next() == f"inputkill {__version__}".encode()
        assert process.wait(DEADLINE_S) == 0
        for option in ("-h", "-?", "--help"):
            assert (lines_of(inputkill(option)).next() or b"").startswith(b"Usage: inputkill")

    @pytest.mark.parametrize(
        "arguments", [[], ["--nonsense"], ["--grace", "soon", "true"], ["--grace=-1", "true"]]
    )
    def test_usage(self, inputkill: Run, arguments: list[str]) -> None:
        """What cannot be is refused with status 64."""
        process = inputkill(*arguments)
        assert errors_of(process).startswith(b"inputkill: ")
        assert process.wait(DEADLINE_S) == 64
