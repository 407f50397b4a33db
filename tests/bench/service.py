"""What the service adds to the syncer: run as ``python3 -m tests.bench.service``.

Measured in one run, beside the loop that people write by hand (``inotifywait`` and a shell):

* delivery: from before the rename into ``new/`` to the exec of the syncer (its file's IN_OPEN), less
  base_delay;
* burst: 50,000 renames over 100 folders, how long ``status`` takes meanwhile, and whether each folder was in
  step after its last rename;
* idle: how often any of our processes wakes up in a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inotify_simple import INotify, flags

from mswatch.control import ask
from tests.servers.maildir import deliver, make_maildir
from tests.service.harness import Service


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="what the service adds to the syncer")
    parser.add_argument("--deliveries", type=int, default=200)
    parser.add_argument("--renames", type=int, default=50_000)
    parser.add_argument("--idle", type=int, default=60, metavar="SECONDS")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        compare_deliveries(base / "deliveries", options.deliveries)
        burst(base / "burst", options.renames)
        idle(base / "idle", options.idle)


def account(base: Path, base_delay: float, inter_delay: float) -> Path:
    """Write an account of two nested Maildirs whose syncer is a copy of true."""
    shutil.copy("/bin/true", base / "syncer")
    file = base / "work.toml"
    file.write_text(
        f"base_delay = {base_delay}\ninter_delay = {inter_delay}\n"
        f"[sync]\ncommand = [{json.dumps(str(base / 'syncer'))}]\n"
        + "".join(
            f"[store.{side}]\nmaildir = {json.dumps(str(base / side))}\nlayout = 'nested'\n"
            for side in ("near", "far")
        )
    )
    return file


@contextmanager
def service(base: Path, base_delay: float, inter_delay: float) -> Iterator[Service]:
    """Run a service that is in step."""
    file = account(base, base_delay, inter_delay)
    with Service(base, "--config", str(file), "--quiet") as running:
        while not _is_ready(base):
            time.sleep(0.05)
        yield running


def status(base: Path) -> dict[str, Any] | None:
    """Ask the service itself, without a process for it."""
    answer = ask(base / "runtime/mswatch/work.sock", {"command": "status"})
    return None if answer is None else answer["account"]


def _is_ready(base: Path) -> bool:
    try:
        found = status(base)
    except OSError:
        return False
    return found is not None and found["everything"]["in_step_at"] is not None and found["running"] is None


def folders(base: Path, count: int) -> list[Path]:
    """Make both stores, with so many folders besides INBOX."""
    base.mkdir()
    for side in ("near", "far"):
        make_maildir(base / side / "INBOX")
    return [make_maildir(base / "near" / f"folder{number:03}") for number in range(count)]


def compare_deliveries(base: Path, count: int) -> None:
    """Measure single deliveries: ours with two settings, and the loop by hand."""
    (folder,) = folders(base, 1)
    for base_delay in (0.0, 0.1):
        with service(base, base_delay, base_delay):
            tell(f"rename to exec, base_delay {base_delay:g} s", deliveries(base, folder, count, base_delay))
    loop = f"inotifywait -q -m -e moved_to {folder}/new | while read -r line; do {base}/syncer; done"
    with subprocess.Popen(["sh", "-c", loop], start_new_session=True) as by_hand:
        time.sleep(1)
        tell("the same, inotifywait and sh by hand", deliveries(base, folder, count, 0))
        os.killpg(by_hand.pid, 15)


def deliveries(base: Path, folder: Path, count: int, delay_s: float) -> list[float]:
    """Deliver one message after the other, and return how long each took to the syncer's exec, in ms."""
    inotify = INotify()
    inotify.add_watch(str(base / "syncer"), flags.OPEN)
    took = []
    for _ in range(count):
        start = time.perf_counter()
        deliver(folder, b"Subject: x\n\nx\n")
        if not inotify.read(timeout=5000):
            raise SystemExit("the syncer was not started")
        took.append((time.perf_counter() - start - delay_s) * 1000)
        inotify.read(timeout=20)
        time.sleep(0.03 + delay_s)
    inotify.close()
    return took


def tell(what: str, took: list[float]) -> None:
    """Print median and spread."""
    ordered = sorted(took)
    print(
        f"{what:45} median {statistics.median(took):7.2f} ms   90 % {ordered[len(took) * 9 // 10]:7.2f}   "
        f"max {ordered[-1]:7.2f}   n {len(took)}"
    )


def burst(base: Path, renames: int) -> None:
    """Rename many messages as fast as it goes, in a process of its own, and ask for the status meanwhile."""
    paths = folders(base, 100)
    with service(base, 0.3, 1.0) as running:
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(renames), *map(str, paths)], stdout=subprocess.PIPE, text=True
        )
        asked = []
        while writer.poll() is None or not _all_in_step(base, paths):
            start = time.perf_counter()
            status(base)
            asked.append((time.perf_counter() - start) * 1000)
            time.sleep(0.02)
        assert writer.stdout is not None
        ended = json.loads(writer.stdout.read())
        found = status(base)
        assert found is not None
        late = [name for name, at in ended.items() if (found["mailboxes"][name]["in_step_at"] or 0) < at]
        print(f"{'burst of ' + str(renames) + ' renames over 100 folders':45} changes lost {len(late)}")
        tell("status meanwhile", asked)
        runs = found["runs"]["started"] - 2  # but those of the start
        print(f"{'runs for the burst':45} {runs}; memory {_memory(running.process.pid)} MiB")


_WRITER = """
import json, os, sys, time
count, folders = int(sys.argv[1]), sys.argv[2:]
ended = {}
for number in range(count):
    folder = folders[number % len(folders)]
    name = f"{number}.bench"
    os.close(os.open(f"{folder}/tmp/{name}", os.O_CREAT | os.O_WRONLY))
    os.rename(f"{folder}/tmp/{name}", f"{folder}/new/{name}")
    ended[os.path.basename(folder)] = time.time()
print(json.dumps(ended))
"""


def _all_in_step(base: Path, paths: list[Path]) -> bool:
    found = status(base)
    return (
        found is not None
        and found["running"] is None
        and not any(target["pending_since"] for target in found["mailboxes"].values())
    )


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)


def idle(base: Path, seconds: int) -> None:
    """Count how often our processes go to sleep, which they do once for each time they wake."""
    folders(base, 10)
    with service(base, 0.3, 1.0) as running:
        found = status(base)
        assert found is not None
        time.sleep(2)
        pids = {"coordinator": running.process.pid}
        pids |= {f"watcher {name}": store["pid"] for name, store in found["stores"].items()}
        before = {name: _switches(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        for name, pid in pids.items():
            woken = _switches(pid) - before[name]
            print(f"{name + f', wake-ups in {seconds} s idle':45} {woken}; {_memory(pid)} MiB")


def _switches(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary_ctxt")).split()[1])


if __name__ == "__main__":
    main()
