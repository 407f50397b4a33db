"""A program does not notice the shim: results, errno, descriptors, memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers.waiting import DEADLINE_S
from tests.socketwatch.conftest import Compile
from tests.socketwatch.harness import CHECKOUT, EchoSocket, finish, observe, take_reports, the_shim

MUCH = ("8", "300", "12")
LITTLE = ("3", "40", "4")


def alone(program: Path, arguments: tuple[str, ...], directory: Path) -> bytes:
    """Run the stress without the shim."""
    directory.mkdir()
    return subprocess.run(
        [program, *arguments], cwd=directory, check=True, stdout=subprocess.PIPE, timeout=DEADLINE_S
    ).stdout


@pytest.mark.slow
def test_stress(compiled: Compile, tmp_path: Path, echo: EchoSocket) -> None:
    """Threads, forks, signal handlers and cancellation give the same results with the shim as without."""
    program = compiled("stress.c", "-pthread")
    expected = alone(program, MUCH, tmp_path / "alone")
    environment = {"MSWATCH_ECHO_SOCKET": echo.path}
    observed = observe("stress", [str(program), *MUCH], tmp_path / "shim", environment)
    take_reports([observed])
    assert observed.process.stdout is not None
    assert observed.process.stdout.read() == expected
    finish([observed])
    assert b"undisturbed, cancelled 1, descriptors +0" in expected
    assert echo.records()


@pytest.mark.slow
def test_musl(compiled: Compile, tmp_path: Path, echo: EchoSocket) -> None:
    """The same holds with another libc, built from the same sources."""
    shim = tmp_path / "shim.so"
    sources = sorted((CHECKOUT / "mswatch" / "socketwatch").glob("*.c"))
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fexceptions", "-fvisibility=hidden"]
    subprocess.run(["musl-gcc", *options, "-fPIC", "-shared", *sources, "-o", shim], check=True)
    program = compiled("stress.c", "-pthread", name="stress-musl", compiler="musl-gcc")
    expected = alone(program, MUCH, tmp_path / "alone")
    environment = {"MSWATCH_ECHO_SOCKET": echo.path}
    observed = observe("musl", [str(program), *MUCH], tmp_path / "shim", environment, shim)
    take_reports([observed])
    assert observed.process.stdout is not None
    assert observed.process.stdout.read() == expected
    finish([observed])
    assert observed.report_times and echo.records()


@pytest.mark.slow
def test_memory(compiled: Compile, tmp_path: Path, echo: EchoSocket) -> None:
    """Valgrind finds nothing wrong with the shim among threads, forks and signals, and nothing lost."""
    program = compiled("stress.c", "-pthread")
    expected = alone(program, LITTLE, tmp_path / "alone")
    argv = [
        *("valgrind", "--quiet", "--leak-check=full", "--error-exitcode=99", "--trace-children=yes"),
        *("--child-silent-after-fork=no", str(program), *LITTLE),
    ]
    observed = observe("valgrind", argv, tmp_path / "shim", {"MSWATCH_ECHO_SOCKET": echo.path})
    take_reports([observed])
    assert observed.process.stdout is not None and observed.process.stderr is not None
    found = observed.process.stdout.read()
    # No more than the sum: valgrind itself disturbs errno in signal handlers, without the shim too.
    assert (found.split(b",")[0], observed.process.stderr.read()) == (expected.split(b",")[0], b"")
    finish([observed])
    assert echo.records()


def test_without_variables(compiled: Compile, tmp_path: Path) -> None:
    """Without a socket in the environment nothing is told, and results are the same."""
    program = compiled("stress.c", "-pthread")
    expected = alone(program, LITTLE, tmp_path / "alone")
    directory = tmp_path / "shim"
    directory.mkdir()
    environment = {**os.environ, "LD_PRELOAD": str(the_shim())}
    argv = [str(program), *LITTLE]
    ended = subprocess.run(argv, cwd=directory, env=environment, check=True, stdout=subprocess.PIPE)
    assert ended.stdout == expected


@pytest.mark.parametrize("value", ["", "/", "@", "relative", "/nowhere/at/all", "/" + "x" * 200, "@nobody"])
def test_odd_sockets(tmp_path: Path, value: str) -> None:
    """A socket that cannot be, or that nobody listens to, disturbs nothing."""
    environment = {
        "LD_PRELOAD": str(the_shim()),
        "NOTIFY_SOCKET": value,
        "MSWATCH_ECHO_SOCKET": value,
        "PATH": os.environ["PATH"],
    }
    (tmp_path / "cur").mkdir()
    script = "echo hello > cur/1 && mv cur/1 cur/2 && cat cur/2 && rm cur/2 && ! rm cur/2 2> cur/3 && ls cur"
    ended = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, timeout=DEADLINE_S
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"hello\n3\n", b"")
