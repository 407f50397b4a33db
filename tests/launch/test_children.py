"""Child processes: what they print, how they end, and that all of them does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from mswatch.launch.children import Child
from mswatch.launch.process import how_it_ended
from tests.servers.waiting import DEADLINE_S
from tests.service.harness import alive


class Seen:
    """A child and what it has printed so far."""

    def __init__(self, *argv: str, stdin_pipe: bool = False, dies_with_us: bool = False) -> None:
        self.out = b""
        self.err = b""
        self.ends = 0
        self._printed = asyncio.Event()
        self.child = Child(
            argv,
            on_stdout=self._on_out,
            on_stderr=self._on_err,
            environment=os.environ,
            stdin_pipe=stdin_pipe,
            dies_with_us=dies_with_us,
        )

    def _on_out(self, data: bytes) -> None:
        self.out += data
        self.ends += not data
        self._printed.set()

    def _on_err(self, data: bytes) -> None:
        self.err += data
        self.ends += not data

    async def printed(self, text: bytes) -> None:
        """Wait until it has printed this."""
        while text not in self.out:
            self._printed.clear()
            await asyncio.wait_for(self._printed.wait(), DEADLINE_S)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a test on a loop of its own, with a deadline."""
    asyncio.run(asyncio.wait_for(test(), DEADLINE_S))


def test_output_and_status() -> None:
    """All that a child printed has been read when it counts as ended, each stream to its end."""

    async def test() -> None:
        seen = Seen("sh", "-c", "head -c 300000 /dev/zero; echo oops >&2; exit 5")

        assert (await seen.child.wait()).status == 5
        assert len(seen.out) == 300_000
        assert seen.err == b"oops\n"
        assert seen.ends == 2

    run(test)


def test_a_signal() -> None:
    """A death by signal is its negative number."""

    async def test() -> None:
        assert (await Seen("sh", "-c", "kill -9 $$").child.wait()).status == -signal.SIGKILL

    run(test)


def test_what_cannot_be_started() -> None:
    """A program that is not there is an OSError, and no descriptor is left open."""

    async def test() -> None:
        before = os.listdir("/proc/self/fd")  # noqa: PTH208
        with pytest.raises(FileNotFoundError):
            Seen("/nowhere/program")
        assert len(os.listdir("/proc/self/fd")) <= len(before)  # noqa: PTH208

    run(test)


def test_stop_takes_the_group(tmp_path: Path) -> None:
    """A stop ends descendants too."""

    async def test() -> None:
        seen = Seen("sh", "-c", "sleep 1000 & echo $!; wait")
        await seen.printed(b"\n")
        seen.child.stop()

        assert (await seen.child.wait()).status == -signal.SIGTERM
        assert not alive(int(seen.out))

    run(test)


@pytest.mark.slow
def test_stop_by_force() -> None:
    """A child that ignores SIGTERM is killed after the grace."""

    async def test() -> None:
        seen = Seen("sh", "-c", "trap '' TERM; echo x; while :; do sleep 1; done")
        await seen.printed(b"x")
        seen.child.stop()
        seen.child.stop()

        assert (await seen.child.wait()).status == -signal.SIGKILL

    run(test)


def test_stop_after_the_end() -> None:
    """A stop of what has ended does nothing."""

    async def test() -> None:
        seen = Seen("true")
        await seen.child.wait()

        seen.child.stop()

    run(test)


def test_a_heir_of_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A daemon that keeps the child's output open does not keep the run from ending."""
    there = tmp_path / "there"
    os.mkfifo(there)

    async def test() -> None:
        daemon = f"import os, time; os.setsid(); open('{there}', 'w').write(str(os.getpid())); time.sleep(60)"
        seen = Seen("sh", "-c", f'{sys.executable} -c "{daemon}" & cat {there}')
        await seen.child.wait()

        pid = int(seen.out)
        assert alive(pid)
        os.kill(pid, signal.SIGKILL)

    run(test)


def test_stdin_ends_with_stop() -> None:
    """A child that reads its stdin sees the end of it."""

    async def test() -> None:
        seen = Seen("sh", "-c", "trap '' TERM; echo x; cat; exit 7", stdin_pipe=True)
        await seen.printed(b"x")
        seen.child.stop()

        assert (await seen.child.wait()).status == 7

    run(test)


def test_no_descriptors_are_inherited() -> None:
    """A child holds no end of another child's pipes, so that each pipe ends with its owner."""

    async def test() -> None:
        first = Seen("cat", stdin_pipe=True)
        seen = Seen("sh", "-c", "ls /proc/self/fd | wc -l", stdin_pipe=True)
        await seen.child.wait()

        assert int(seen.out) == 4  # stdin, stdout, stderr, and the directory that ls reads
        first.child.stop()
        await first.child.wait()

    run(test)


def test_how_it_ended() -> None:
    """An end is said in words."""
    assert how_it_ended(3) == "exited with status 3"
    assert how_it_ended(-signal.SIGKILL) == "was killed by SIGKILL"
    assert how_it_ended(-63) == "was killed by signal 63"
