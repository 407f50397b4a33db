"""The test machines themselves: they come and go without a trace, and reach each other only by a cable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.cgroups import own_groups
from tests.hosts.conftest import CHECKOUT
from tests.hosts.machine import Machine, Network
from tests.hosts.roots import SUITES, USER, base_root
from tests.servers.waiting import DEADLINE_S, read_line, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.server]

BOOT = """
import sys
from pathlib import Path
from tests.hosts.machine import Machine
with Machine(Path(sys.argv[1]), Path(sys.argv[2])) as machine:
    print(machine.path("/").parent.name, flush=True)
    sys.stdin.read()
"""


def test_boots(machine: Machine, suite: str) -> None:
    """A machine comes up with the systemd of its suite and nothing failed."""
    assert machine.run("root", "systemctl", "--version").startswith(f"systemd {SUITES[suite]} ")
    assert machine.run("root", "systemctl", "--failed", "--no-legend") == ""


def test_reboots(new_machine: Machine) -> None:
    """A machine that is shut down, or loses power, comes back with what was written."""
    new_machine.write("/home/alice/note", "kept\n")
    new_machine.run("root", "sync")
    new_machine.reboot()
    assert new_machine.run(USER, "cat", "note") == "kept\n"
    new_machine.kill()
    new_machine.boot()
    assert new_machine.run(USER, "cat", "note") == "kept\n"


def test_ends_with_its_test(suite: str, tmp_path: Path) -> None:
    """When a test is killed, its machine is gone too, and nothing is left mounted."""
    command = (sys.executable, "-c", BOOT, base_root(suite), tmp_path / "machine")
    with subprocess.Popen(
        command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as owner:
        assert owner.stdout is not None
        leader = Path("/proc", read_line(owner.stdout).decode().strip())
        assert leader.exists()
        owner.send_signal(signal.SIGKILL)
        wait_until(lambda: not leader.exists(), "the machine ends")
        groups = [path / f"mswatch-test-{owner.pid}-1" for path in own_groups()]
        wait_until(lambda: not any(path.exists() for path in groups), "its control groups are removed")
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_two_on_a_cable(suite: str, tmp_path: Path) -> None:
    """Two machines reach each other while the cable is plugged in."""
    root = base_root(suite)
    with Network(f"t{os.getpid()}") as cable:
        first, second = cable.ends
        with (
            Machine(root, tmp_path / "a", "desk", first) as desk,
            Machine(root, tmp_path / "b", "server", second),
        ):
            place = (cable.addresses[1], 25)
            connect = f"import socket; socket.create_connection({place}, {DEADLINE_S / 2})"
            refused = desk.result(USER, "python3", "-c", connect)
            assert "ConnectionRefusedError" in refused.stderr  # there is somebody who refuses
            cable.cut()
            lost = desk.result(USER, "python3", "-c", connect)
            assert "ConnectionRefusedError" not in lost.stderr
            cable.connect()
            assert "ConnectionRefusedError" in desk.result(USER, "python3", "-c", connect).stderr


def test_nothing_is_left(suite: str, tmp_path: Path) -> None:
    """A machine that ended has left no control group and no file."""
    before = groups_of_this_test()
    with Machine(base_root(suite), tmp_path / "machine"):
        assert groups_of_this_test() != before
    assert groups_of_this_test() == before
    assert list(tmp_path.iterdir()) == []


def groups_of_this_test() -> list[Path]:
    """Return the control groups of all machines of this process."""
    return sorted(found for path in own_groups() for found in path.glob(f"mswatch-test-{os.getpid()}-*"))
