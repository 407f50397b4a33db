"""Measures watch_maildirs beside inotifywait, in one run: ``python3 tests/bench/watch.py [FOLDERS]``.

Both watch the same tree of Maildir folders (cur, new and tmp each).  Ready: from the start of the process
to the empty line, and to "Watches established" on standard error, which inotifywait prints when all its
watches are set.  Idle: voluntary context switches and CPU time over some seconds in which nothing happens.
Burst: 50,000 renames from tmp to new over 100 folders by another process; told: from the end of the renames
until each mailbox has a line that is younger than its last rename.  Latency: from just before a single
rename to the line.
"""

import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 5
IDLE_S = 5.0
BURST_FOLDERS = 100
BURST_RENAMES = 50_000
DELIVERIES = 200
DEADLINE_S = 60.0

RENAMER = """
import os, sys, time
base, folders, renames = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
last = {}
for n in range(renames):
    folder = "f%05d" % (n % folders)
    os.rename(f"{base}/.{folder}/tmp/b{n}", f"{base}/.{folder}/new/b{n}")
    last[folder] = time.monotonic()
print(repr(last))
"""


class Watcher:
    """A running watcher of one of the two kinds, watching the whole tree."""

    def __init__(self, command: list[str], is_ready: Callable[["subprocess.Popen[bytes]"], bool]) -> None:
        began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert is_ready(self.process)
        self.ready_s = time.monotonic() - began
        assert self.process.stdout is not None
        self._fd = self.process.stdout.fileno()
        self._left = b""

    def read_lines(self, timeout_s: float) -> list[str]:
        """Return the lines that come first within a time; none if nothing comes."""
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return []
        *lines, self._left = (self._left + os.read(self._fd, 1 << 20)).split(b"\n")
        return [os.fsdecode(line) for line in lines]

    def resident_mib(self) -> float:
        """Return the resident memory."""
        return self._status("VmRSS:") / 1024

    def wakeups(self) -> int:
        """Return how often the process was woken up so far."""
        return self._status("voluntary_ctxt_switches:")

    def cpu_s(self) -> float:
        """Return the CPU time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, key: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(key))


@contextmanager
def ours(base: Path) -> Iterator[Watcher]:
    """Run watch_maildirs in its plain protocol."""
    command = [sys.executable, "-m", "watch_maildirs", "-m", str(base)]
    yield from ended(
        Watcher(command, lambda process: bool(process.stdout and process.stdout.readline() == b"\n"))
    )


@contextmanager
def inotifywait(base: Path) -> Iterator[Watcher]:
    """Run inotifywait for the events that watch_maildirs counts as changes."""
    command = ["inotifywait", "-m", "-r", "--format", "%w", "-e", "create,delete,move", str(base)]
    yield from ended(
        Watcher(command, lambda process: any(b"established" in line for line in process.stderr or []))
    )


def ended(watcher: Watcher) -> Iterator[Watcher]:
    """Hand out a watcher, and end it."""
    try:
        yield watcher
    finally:
        watcher.process.kill()
        watcher.process.communicate()


def mailbox_of(line: str) -> str:
    """Return the folder that a line of either program is about."""
    return line.partition("/.")[2].partition("/")[0] or line


def make_tree(base: Path, folders: int) -> None:
    """Make a Maildir with so many folders."""
    for number in range(folders):
        for part in ("cur", "new", "tmp"):
            (base / f".f{number:05}" / part).mkdir(parents=True)
    for part in ("cur", "new", "tmp"):
        (base / part).mkdir()


def measure_start(
    watch: Callable[[Path], AbstractContextManager[Watcher]], base: Path
) -> tuple[float, float]:
    """Return median seconds until ready, and MiB then."""
    ready, resident = [], []
    for _ in range(RUNS):
        with watch(base) as watcher:
            ready.append(watcher.ready_s)
            resident.append(watcher.resident_mib())
    return statistics.median(ready), statistics.median(resident)


def measure_idle(watcher: Watcher) -> tuple[int, float]:
    """Return wake-ups and CPU milliseconds while nothing happens."""
    wakeups, cpu_s = watcher.wakeups(), watcher.cpu_s()
    time.sleep(IDLE_S)
    return watcher.wakeups() - wakeups, (watcher.cpu_s() - cpu_s) * 1000


def measure_latency(watcher: Watcher, base: Path) -> float:
    """Return the median of milliseconds from a rename to its line."""
    times = []
    for number in range(DELIVERIES):
        source, target = base / f".f00000/tmp/d{number}", base / f".f00000/new/d{number}"
        source.touch()
        while watcher.read_lines(0.03):  # what is left of the last one, and past its window
            pass
        began = time.monotonic()
        source.rename(target)
        assert watcher.read_lines(DEADLINE_S)
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def measure_burst(watcher: Watcher, base: Path) -> tuple[float, float, int, float, float]:
    """Return seconds of renaming, ms until all was told, lines, CPU seconds, and MiB afterwards."""
    for number in range(BURST_RENAMES):
        (base / f".f{number % BURST_FOLDERS:05}" / "tmp" / f"b{number}").touch()
    while watcher.read_lines(0.1):  # inotifywait tells of tmp as well
        pass
    cpu_s, began, count = watcher.cpu_s(), time.monotonic(), 0
    told: dict[str, float] = {}
    renamer = subprocess.Popen(
        [sys.executable, "-c", RENAMER, str(base), str(BURST_FOLDERS), str(BURST_RENAMES)],
        stdout=subprocess.PIPE,
    )
    while lines := watcher.read_lines(0.5):
        now = time.monotonic()
        count += len(lines)
        told.update((mailbox_of(line), now) for line in lines)
    last: dict[str, float] = eval(renamer.communicate()[0])  # the dictionary that RENAMER printed
    assert all(told.get(folder, 0) >= last[folder] for folder in last), (
        "a mailbox was not told after its last rename"
    )
    end = max(last.values())
    return (
        end - began,
        (max(told.values()) - end) * 1000,
        count,
        watcher.cpu_s() - cpu_s,
        watcher.resident_mib(),
    )


def clear(base: Path) -> None:
    """Remove all messages."""
    for folder in range(BURST_FOLDERS):
        shutil.rmtree(base / f".f{folder:05}/new")
        (base / f".f{folder:05}/new").mkdir()


def main(folders: int) -> None:
    """Measure both, and print a table with the ratios."""
    with tempfile.TemporaryDirectory(prefix="bench-watch-") as directory:
        big, small = Path(directory, "big"), Path(directory, "small")
        make_tree(big, folders)
        make_tree(small, BURST_FOLDERS)
        results = [measure(watch, big, small) for watch in (ours, inotifywait)]
    print(f"{'':42}{'watch_maildirs':>16}{'inotifywait':>14}{'ratio':>8}")
    for name in results[0]:
        mine, theirs = results[0][name], results[1][name]
        ratio = f"{mine / theirs:8.2f}" if theirs else ""
        print(f"{name:42}{mine:16.3f}{theirs:14.3f}{ratio}")


def measure(
    watch: Callable[[Path], AbstractContextManager[Watcher]], big: Path, small: Path
) -> dict[str, float]:
    """Return all figures of one of the two."""
    ready_s, resident_mib = measure_start(watch, big)
    with watch(big) as watcher:
        wakeups, idle_ms = measure_idle(watcher)
    with watch(small) as watcher:
        latency_ms = measure_latency(watcher, small)
    with watch(small) as watcher:
        renaming_s, told_ms, lines, cpu_s, after_mib = measure_burst(watcher, small)
    clear(small)
    return {
        "ready, s": ready_s,
        "resident when ready, MiB": resident_mib,
        f"idle {IDLE_S:g} s: wake-ups": wakeups,
        f"idle {IDLE_S:g} s: CPU, ms": idle_ms,
        "rename to line, median, ms": latency_ms,
        "burst: renaming, s": renaming_s,
        "burst: all told after its end, ms": told_ms,
        "burst: lines": lines,
        "burst: CPU, s": cpu_s,
        "burst: resident afterwards, MiB": after_mib,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
