"""What units cost against children: run as root, ``python3 -m tests.bench.units``; needs the Debian packages.

On a booted machine, in one run: how long a run of ``true`` takes from its decision to its end as a unit, as a
child of the service, and started by hand; how long ``systemctl start`` takes until the service is ready; and
the memory of the coordinator with one account and with twenty.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.hosts.conftest import install
from tests.hosts.machine import Machine
from tests.hosts.roots import USER, base_root

HOME = f"/home/{USER}"
CONFIGURATION = """base_delay = 0
inter_delay = 0
[sync]
command = ["true"]
[store.near]
maildir = "~/near"
layout = "nested"
[store.far]
maildir = "~/far"
layout = "nested"
"""
BY_HAND = """
import subprocess, time
for _ in range({0}):
    start = time.perf_counter()
    subprocess.run(["true", "INBOX"])
    print(time.perf_counter() - start)
"""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="what units cost against children")
    parser.add_argument(
        "packages", type=Path, help="the directory of the Debian packages (packaging/build-deb)"
    )
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    packages = [path for path in options.packages.glob("*.deb") if "dbgsym" not in path.name]
    with (
        tempfile.TemporaryDirectory() as directory,
        Machine(base_root(options.suite), Path(directory) / "machine") as machine,
    ):
        install(machine, packages)
        measure(machine, options.runs)


def measure(machine: Machine, runs: int) -> None:
    """Measure everything on a machine with our packages."""
    for part in ("near", "far"):
        machine.run(USER, "mkdir", "-p", *(f"{HOME}/{part}/INBOX/{name}" for name in ("cur", "new", "tmp")))
    configure(machine, "work")
    by_hand = [float(line) for line in machine.run(USER, "python3", "-c", BY_HAND.format(runs)).split()]
    tell("run of true, by hand", by_hand)
    started = []
    for _ in range(10):
        machine.systemctl_user("stop", "mswatch@work.service")
        began = time.perf_counter()
        machine.systemctl_user("start", "mswatch@work.service")
        started.append(time.perf_counter() - began)
    tell("systemctl start until ready", started)
    tell("run of true, as a unit", run_times(machine, runs))
    print(f"{'memory of a coordinator, 1 account':40} {memory(machine, ['work'])} MiB")
    machine.systemctl_user("stop", "mswatch@work.service")
    with machine.running(USER, "mswatch", "run", "--launch", "children", "work"):
        while not status(machine, "work"):
            time.sleep(0.1)
        tell("run of true, as a child", run_times(machine, runs))
    names = [f"account{number}" for number in range(20)]
    for name in names:
        configure(machine, name)
        machine.systemctl_user("start", f"mswatch@{name}.service")
    print(f"{'memory of each coordinator, 20 accounts':40} {memory(machine, names)} MiB")


def configure(machine: Machine, name: str) -> None:
    """Write an account."""
    machine.write(f"{HOME}/.config/mswatch/{name}.toml", CONFIGURATION)


def status(machine: Machine, *names: str) -> list[dict[str, Any]]:
    """Return the status of accounts; nothing if one is not there yet."""
    result = machine.result(USER, "mswatch", "status", "--json", *names)
    found: list[dict[str, Any]] = json.loads(result.stdout)["accounts"] if result.returncode == 0 else []
    return found


def run_times(machine: Machine, runs: int) -> list[float]:
    """Ask for one run after the other, and return how long each took from its start to its end."""
    while status(machine, "work")[0]["running"]:
        time.sleep(0.1)
    script = f"""
import time
from pathlib import Path
from mswatch.control import ask
path = Path("/run/user/1000/mswatch/work.sock")
for _ in range({runs}):
    start = time.perf_counter()
    ask(path, {{"command": "sync", "mailboxes": ["INBOX"]}}, timeout_s=60)
    print(time.perf_counter() - start)
"""
    return [float(line) for line in machine.run(USER, "python3", "-c", script, deadline_s=120).split()]


def memory(machine: Machine, names: list[str]) -> str:
    """Return the resident memory, smallest and largest."""
    sizes = [found["memory_bytes"] / 2**20 for found in status(machine, *names)]
    return f"{min(sizes):.1f}" if len(sizes) == 1 else f"{min(sizes):.1f} to {max(sizes):.1f}"


def tell(what: str, seconds: list[float]) -> None:
    """Print median and spread."""
    ordered = [value * 1000 for value in sorted(seconds)]
    print(
        f"{what:40} median {statistics.median(ordered):7.1f} ms   max {ordered[-1]:7.1f}   n {len(ordered)}"
    )


if __name__ == "__main__":
    main()
