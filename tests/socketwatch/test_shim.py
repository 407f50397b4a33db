"""When the shim reports, to whom, and when it keeps quiet."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mswatch.socketwatch import shim_environment
from tests.servers.waiting import DEADLINE_S
from tests.socketwatch.conftest import Compile
from tests.socketwatch.harness import finish, observe, take_reports, the_shim

# Writes for a while, and says how long, and what its longest pause was: a busy machine makes some.
WRITES_MUCH = """
import os, time
ours, theirs = os.pipe()
began = last = time.monotonic()
longest = 0.0
while last < began + 2.5:
    os.write(theirs, b"x")
    os.read(ours, 1)
    now = time.monotonic()
    longest = max(longest, now - last)
    last = now
print(last - began, longest)
"""


@pytest.mark.slow
def test_at_most_once_a_second(tmp_path: Path) -> None:
    """A program that moves bytes all the time reports at its start and then once in each second."""
    began = time.monotonic()
    observed = observe("writes", [sys.executable, "-c", WRITES_MUCH], tmp_path / "it")
    take_reports([observed])
    lived_s = time.monotonic() - began
    assert observed.process.stdout is not None
    wrote_s, longest_s = map(float, observed.process.stdout.read().split())
    finish([observed])
    assert wrote_s // (1 + longest_s) <= len(observed.report_times) - 1 <= lived_s


@pytest.mark.parametrize("name", ["ssh", "sshd", "ssh-agent", "gpg-agent"])
def test_quiet_programs(tmp_path: Path, name: str) -> None:
    """A program whose bytes are no progress never reports, known by the name it was called by."""
    program = tmp_path / name
    program.symlink_to("/bin/true")
    observed = observe(name, [str(program)], tmp_path / "it")
    take_reports([observed])
    finish([observed])
    assert observed.report_times == []


def test_abstract_socket(tmp_path: Path) -> None:
    """A socket without a place in the file system is written as systemd writes it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")
        name = listener.getsockname()
        added = shim_environment(os.environ, the_shim(), notify_socket="@" + os.fsdecode(name[1:]))
        subprocess.run(["/bin/true"], env={**os.environ, **added}, check=True)
        listener.settimeout(DEADLINE_S)
        assert listener.recv(100) == b"WATCHDOG=1"


def test_full_queue_blocks_nobody(tmp_path: Path) -> None:
    """A manager that reads nothing delays nothing."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    sender.sendto(b"x", str(path))
        added = shim_environment(os.environ, the_shim(), notify_socket=str(path), echo_socket=str(path))
        (tmp_path / "cur").mkdir()
        argv = ["touch", str(tmp_path / "cur" / "1")]
        subprocess.run(argv, env={**os.environ, **added}, check=True, timeout=DEADLINE_S)


@pytest.mark.slow
def test_nobody_listens_any_more(compiled: Compile, tmp_path: Path) -> None:
    """When the manager is gone, the program goes on and does not ask again."""
    program = compiled("calls.c", "-Wno-unused-result")
    directory = tmp_path / "it"
    directory.mkdir()
    added = shim_environment(os.environ, the_shim(), notify_socket=str(tmp_path / "gone"))
    strace = ["strace", "-f", "-e", "trace=sendto", "-o", str(tmp_path / "trace"), str(program), "recv"]
    subprocess.run(strace, cwd=directory, env={**os.environ, **added}, check=True, timeout=DEADLINE_S)
    asked = [line for line in (tmp_path / "trace").read_text().splitlines() if "WATCHDOG" in line]
    # strace was loaded with the shim as well; the trace holds what it runs.
    assert len(asked) == 1 and "ENOENT" in asked[0]
