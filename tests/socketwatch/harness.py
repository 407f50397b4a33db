"""Programs with the shim in them, and what it says of them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mswatch.socketwatch import shim_environment, shim_path
from mswatch.socketwatch.notify import NotifySocket
from tests.servers.waiting import DEADLINE_S, TooLateError

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
SOCKETWATCH = (os.fspath(Path(sys.prefix, "bin", "socketwatch")),)


def the_shim() -> Path:
    """Return the shim of this checkout."""
    shim = shim_path()
    assert shim is not None, "the shim is not built; `sh tests/run` builds it"
    return shim


def compile_program(
    source: str, directory: Path, *options: str, name: str = "", compiler: str = "gcc"
) -> Path:
    """Compile a C program that lies here, unless it was before."""
    program = directory / (name or Path(source).stem)
    if not program.exists():
        argv = [
            compiler,
            "-std=c11",
            "-O2",
            "-Wall",
            "-Wextra",
            *options,
            str(HERE / source),
            "-o",
            str(program),
        ]
        ended = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert ended.returncode == 0, f"{' '.join(argv)}\n{ended.stdout}"
    return program


@dataclass
class Observed:
    """A program that runs with the shim in it, and how often it reported."""

    name: str
    process: subprocess.Popen[bytes]
    listener: NotifySocket
    report_times: list[float] = field(default_factory=list)


def observe(
    name: str,
    argv: Sequence[str],
    directory: Path,
    environment: Mapping[str, str] | None = None,
    shim: Path | None = None,
) -> Observed:
    """Start a program in an empty directory; its outputs are pipes."""
    directory.mkdir()
    listener = NotifySocket(str(directory / "notify"))
    base = {**os.environ, **(environment or {})}
    added = shim_environment(base, shim or the_shim(), notify_socket=listener.path)
    process = subprocess.Popen(
        argv,
        cwd=directory,
        env={**base, **added},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return Observed(name, process, listener)


def take_reports(observed: Sequence[Observed], deadline_s: float = DEADLINE_S) -> None:
    """Take the reports of all these programs until the last one has ended."""
    ends = {os.pidfd_open(each.process.pid): each for each in observed}
    listening = [each.listener.fileno() for each in observed]
    end = time.monotonic() + deadline_s
    while ends:
        if time.monotonic() > end:
            raise TooLateError(f"still running: {[each.name for each in ends.values()]}")
        for pidfd in set(ends).intersection(select.select([*listening, *ends], [], [], 1.0)[0]):
            os.close(pidfd)
            del ends[pidfd]
        for each in observed:
            each.report_times += [time.monotonic()] * each.listener.reports()


def finish(observed: Sequence[Observed]) -> None:
    """Close what is open, and see that each program ended well."""
    for each in observed:
        output, errors = each.process.communicate()
        each.listener.close()
        assert each.process.returncode == 0, f"{each.name}: {each.process.returncode} {output!r} {errors!r}"


class EchoSocket:
    """The service's part of $MSWATCH_ECHO_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self._records: list[tuple[str, str]] = []

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def take(self) -> None:
        """Take what has come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram = self._socket.recv(1 << 17)
                assert datagram.endswith(b"\0")
                fields = [os.fsdecode(part) for part in datagram[:-1].split(b"\0")]
                self._records += list(zip(fields[::2], fields[1::2], strict=True))

    def records(self) -> list[tuple[str, str]]:
        """Return what has come since the last time: operation and path."""
        self.take()
        records, self._records = self._records, []
        return records

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group, if it leads one, and reap it."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
    process.wait(DEADLINE_S)
