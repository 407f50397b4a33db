"""A store on another host: run as ``python3 -m tests.bench.remote``, as an ordinary user.

Measured in one run, with a proxy between ssh and sshd that adds a round trip of 0 or 50 ms:

* delivery: from before the rename into ``new/`` there to the exec of the syncer here (its file's IN_OPEN;
  base_delay 0), beside the floor: inotifywait's line through the same ssh;
* start: from the start of ssh to the watcher's first line, beside the end of ``ssh HOST true``, and what the
  round trip adds to each, in round trips;
* memory of the helper there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inotify_simple import INotify, flags

from mswatch.account import Ssh, Store
from mswatch.watchers.commands import watch_command
from mswatch.watchers.ssh import MARKER, over_ssh
from tests.bench.service import status
from tests.servers.distance import distant
from tests.servers.maildir import MaildirStore, deliver
from tests.servers.sshd import HOST, Sshd, running_sshd
from tests.servers.waiting import read_line, wait_until
from tests.service.harness import Service

WATCH = ("sh", "-c", "echo; exec inotifywait -q -m -e moved_to --format %f Maildir/new")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="a store on another host")
    parser.add_argument("--deliveries", type=int, default=100)
    parser.add_argument("--starts", type=int, default=20)
    options = parser.parse_args()
    # The server's log is printed at its end.
    with (
        contextlib.redirect_stdout(sys.stderr),
        running_sshd() as sshd,
        tempfile.TemporaryDirectory() as directory,
    ):
        MaildirStore(sshd.home / "Maildir").make()
        starts: dict[str, list[float]] = {}
        for round_trip in (0.0, 0.05):
            with delayed(sshd, round_trip):
                base = Path(directory, f"{round_trip}")
                base.mkdir()
                floor = floor_of_delivery(sshd, options.deliveries)
                ours = delivery(sshd, base, options.deliveries)
                tell(f"round trip {round_trip * 1000:g} ms")
                tell(f"  delivery to run       {spread(ours)}")
                tell(f"  floor: a line by ssh  {spread(floor)}")
                for name, start in (("our watcher", start_watcher), ("ssh HOST true", start_true)):
                    times = [start(sshd) for _ in range(options.starts)]
                    starts.setdefault(name, []).append(statistics.median(times))
                    tell(f"  start of {name:<13} {spread(times)}")
        for name, (without, with_delay) in starts.items():
            tell(f"round trips of a start: {(with_delay - without) / 0.05:.1f} {name}")
        tell(f"memory of the helper: {memory(sshd)}")


def tell(line: str) -> None:
    """Print a line of the table."""
    print(line, file=sys.__stdout__, flush=True)


def spread(times: list[float]) -> str:
    """Say the median and the 95th percentile, in milliseconds."""
    ordered = sorted(time * 1000 for time in times)
    return f"{statistics.median(ordered):6.1f} ms, 95 % {ordered[int(len(ordered) * 0.95)]:6.1f} ms"


# A network with a round trip.


@contextmanager
def delayed(sshd: Sshd, round_trip: float) -> Iterator[None]:
    """Have ssh go through a proxy that delays each direction by half a round trip."""
    with distant(sshd.port, round_trip) as port:
        sshd.write_config(port=port)
        known = sshd.directory / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {(sshd.directory / 'host_key.pub').read_text()}")
        yield


# What is measured.


def delivery(sshd: Sshd, base: Path, count: int) -> list[float]:
    """Return the times from a delivery there to the start of the syncer here."""
    shutil.copy("/bin/true", base / "syncer")
    MaildirStore(base / "near", "nested").make()
    file = base / "work.toml"
    file.write_text(
        f"base_delay = 0\ninter_delay = 0\n[sync]\ncommand = [{json.dumps(str(base / 'syncer'))}]\n"
        f"[store.near]\nmaildir = {json.dumps(str(base / 'near'))}\nlayout = 'nested'\n"
        f"[store.far]\nssh = '{HOST}'\nssh_config = '{sshd.config}'\nmaildir = '~/Maildir'\n"
    )
    inotify = INotify()
    with Service(base, "--config", str(file), "--quiet"):
        wait_until(lambda: is_in_step(base), "the service is in step")
        inotify.add_watch(str(base / "syncer"), flags.OPEN)
        return [timed_delivery(sshd, lambda: inotify.read(timeout=5000)) for _ in range(count)]


def is_in_step(base: Path) -> bool:
    """Tell whether both stores are watched and nothing is to be done."""
    try:
        found = status(base)
    except OSError:
        return False
    return bool(found and found["everything"]["in_step_at"] and not found["running"])


def timed_delivery(sshd: Sshd, wait: Callable[[], object]) -> float:
    """Deliver, and return how long it took to be told; then let the dust settle."""
    began = time.monotonic()
    deliver(MaildirStore(sshd.home / "Maildir").path())
    wait()
    took = time.monotonic() - began
    time.sleep(0.05)
    return took


def floor_of_delivery(sshd: Sshd, count: int) -> list[float]:
    """Return the times from a delivery there to a line here."""
    argv = over_ssh(Ssh(HOST, config=sshd.config), WATCH)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        assert read_line(process.stdout) == MARKER
        assert read_line(process.stdout) == b"\n"
        time.sleep(0.5)  # inotifywait has no word for being ready that goes to its output
        out = process.stdout
        times = [timed_delivery(sshd, lambda: read_line(out)) for _ in range(count)]
        process.terminate()
    return times


def start_true(sshd: Sshd) -> float:
    """Return how long a command that does nothing takes."""
    began = time.monotonic()
    subprocess.run(over_ssh(Ssh(HOST, config=sshd.config), ("true",)), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def start_watcher(sshd: Sshd) -> float:
    """Return how long our watcher takes until it is watching."""
    with watcher(sshd) as took:
        return took


@contextmanager
def watcher(sshd: Sshd) -> Iterator[float]:
    """Run our watcher; give how long it took until it was watching."""
    store = Store("far", Path("~/Maildir"), ssh=Ssh(HOST, config=sshd.config), answer_s=180.0)
    command = watch_command(store)
    began = time.monotonic()
    with subprocess.Popen(
        command.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(command.stdin)
        assert read_line(process.stdout) == MARKER
        assert read_line(process.stdout) == b"\n"
        yield time.monotonic() - began
        process.stdin.close()


def memory(sshd: Sshd) -> str:
    """Return what the helper takes, with what it shares and without."""
    with delayed(sshd, 0.0), watcher(sshd):
        lines = Path(f"/proc/{sshd.program()}/smaps_rollup").read_text().splitlines()
    sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines[1:])}
    own = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return f"{sizes['Rss'] / 1024:.1f} MiB resident, {own / 1024:.1f} MiB of its own"


if __name__ == "__main__":
    main()
