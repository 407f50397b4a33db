"""A control group of its own for each machine, which ends with the test.

Without a service manager to give it one, systemd-nspawn puts a machine below the control group that it is
started in, and two machines there would see, count and end each other's processes.  And a machine outlives a
systemd-nspawn that is killed; only its group takes all of it along.
"""

from __future__ import annotations

import itertools
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.servers.waiting import DEADLINE_S, TooLateError

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_numbers = itertools.count(1)


class ControlGroup:
    """A group in each hierarchy that systemd looks at: the unified one, and the old one of its own if any."""

    def __init__(self) -> None:
        self.name = f"mswatch-test-{os.getpid()}-{next(_numbers)}"
        self.paths = [path / self.name for path in own_groups()]
        for path in self.paths:
            path.mkdir()
        self._guard = subprocess.Popen(
            (sys.executable, "-m", "tests.hosts.cgroups", *self.paths),
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def kill(self) -> None:
        """End everything in it, and remove it."""
        self._guard.communicate(timeout=2 * DEADLINE_S)
        assert self._guard.returncode == 0


def _guard(paths: list[Path]) -> None:
    """Wait for the end of the test, however it comes, which ends standard input; then end the group."""
    sys.stdin.read()
    for path in paths:
        if (path / "cgroup.kill").exists():  # in the unified hierarchy; the other has the same processes
            (path / "cgroup.kill").write_text("1")
            _wait_until_empty(path / "cgroup.events")
    for path in paths:
        for directory, _, _ in os.walk(path, topdown=False):
            Path(directory).rmdir()


def own_groups() -> list[Path]:
    """Return where the groups of this process are."""
    memberships = [line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines()]
    groups = dict(memberships)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            found.append(Path(before.split(" ")[4] + groups[""]))
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            found.append(Path(before.split(" ")[4] + groups["name=systemd"]))
    return found


def _wait_until_empty(events: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    with events.open() as file:
        poll = select.poll()
        poll.register(file, select.POLLPRI)
        while "populated 1" in file.read():
            if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
                raise TooLateError(f"processes of a machine outlive it: {events.parent}")
            file.seek(0)


if __name__ == "__main__":
    _guard([Path(path) for path in sys.argv[1:]])
