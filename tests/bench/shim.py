"""What the shim costs: run as an ordinary user with ``python3 -m tests.bench.shim``.

The first sync of 10,000 messages by the distribution's mbsync: from Maildir to Maildir, which is little but
system calls and so the dearest case, and from a Dovecot on loopback.  Three ways take turns, in another order
each round: without the shim; with it, reporting to a socket that is read; and with the names of all messages
told as well.  What counts is the median of the ratios within a round, as the machine is not the same from
one minute to the next.  The shim never waits, so that all it can cost is time of the processor: that, for one
message and as a share of how long the sync takes, is told as its cost.

Where two equal ways differ by more than what is looked for, no clock can tell.  ``--instructions`` counts
instead, under valgrind, what the program itself executes for each message; the kernel's work is the same in
all ways but for one datagram a second and one for some two hundred messages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mswatch.socketwatch import shim_environment, shim_path
from mswatch.socketwatch.notify import NotifySocket
from tests.servers import mbsync
from tests.servers.dovecot import ImapAccount, running_dovecot
from tests.servers.maildir import MaildirStore
from tests.socketwatch.harness import EchoSocket

Environments = dict[str, Mapping[str, str]]
WAYS = ("without", "shim", "shim and echo")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="what the shim costs mbsync")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--instructions", action="store_true", help="count them, instead of the time")
    options = parser.parse_args()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base) as directory, listeners(Path(directory)) as environments:
        far = MaildirStore(Path(directory, "far"), "nested")
        fill(far.make("INBOX"), options.messages)
        if options.instructions:
            count(Path(directory), far, environments, options.messages)
            return
        compare("Maildir", Path(directory), far, environments, options.rounds, options.messages)
        # Dovecot's log is printed at its end.
        with contextlib.redirect_stdout(sys.stderr), running_dovecot() as dovecot:
            account = dovecot.account("bench")
            fill(account.store.make("INBOX"), options.messages)
            compare("Dovecot", Path(directory), account, environments, options.rounds, options.messages)


def compare(
    what: str,
    base: Path,
    far: MaildirStore | ImapAccount,
    environments: Environments,
    rounds: int,
    messages: int,
) -> None:
    """Measure all ways in each round, after one that fills the caches."""
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    first_sync(base, far, environments["without"])
    for _ in range(rounds):
        for way in random.sample(WAYS, len(WAYS)):
            took[way].append(first_sync(base, far, environments[way]))
    for way in WAYS:
        tell(f"{what}, {way}", took[way], took["without"], messages)


def count(base: Path, far: MaildirStore, environments: Environments, messages: int) -> None:
    """Print the instructions of mbsync for each message, from Maildir to Maildir."""
    first_sync(base, far, environments["without"])
    for way in WAYS:
        log = base / "valgrind.log"
        first_sync(
            base,
            far,
            environments[way],
            ("valgrind", "--tool=callgrind", f"--log-file={log}", "--callgrind-out-file=/dev/null"),
        )
        told = re.search(r"Collected : (\d+)", log.read_text())
        if told is None:
            raise SystemExit(f"valgrind said nothing of what it counted:\n{log.read_text()}")
        print(f"{way:14} {int(told[1]) / messages:8.0f} instructions for each message")


def fill(mailbox: Path, messages: int) -> None:
    """Put messages of 2 kB into a Maildir."""
    body = "x" * 76 + "\n"
    for number in range(messages):
        text = f"From: a@example.org\nMessage-ID: <{number}@example.org>\nSubject: {number}\n\n{body * 25}"
        (mailbox / "cur" / f"{1_700_000_000 + number}.M{number}.bench:2,S").write_text(text)


@contextmanager
def listeners(base: Path) -> Iterator[Environments]:
    """Read what the shim sends, as the service and the manager do; give the environment of each way."""
    notify, echo = NotifySocket(str(base / "notify")), EchoSocket(base / "echo")
    end = threading.Event()

    def read() -> None:
        while not end.wait(0.002):
            notify.reports()
            echo.records()

    reader = threading.Thread(target=read)
    reader.start()
    environment = dict(os.environ)
    shim = shim_path()
    yield {
        "without": environment,
        "shim": environment | shim_environment(environment, shim, notify_socket=notify.path),
        "shim and echo": environment
        | shim_environment(environment, shim, notify_socket=notify.path, echo_socket=echo.path),
    }
    end.set()
    reader.join()
    notify.close()
    echo.close()


def first_sync(
    base: Path,
    far: MaildirStore | ImapAccount,
    environment: Mapping[str, str],
    prefix: tuple[str, ...] = (),
) -> tuple[float, float]:
    """Sync everything into an empty store; return the seconds it took, and mbsync's of the processor."""
    work = base / "work"
    work.mkdir()
    if isinstance(far, MaildirStore):  # a copy, because mbsync renames what it has seen
        copy = MaildirStore(work / "far", "nested")
        shutil.copytree(far.root, copy.root, copy_function=os.link)
        far = copy
    near = MaildirStore(work / "near", "nested")
    near.make("INBOX")
    for part in work.glob("*/INBOX/*/"):  # mbsync waits for a second beside a Maildir that was just changed
        os.utime(part, (0, 0))
    argv = [*prefix, *mbsync.argv(mbsync.write_configuration(work, near, far), "INBOX")]
    start = time.perf_counter()
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"mbsync ended with {process.returncode}")
    shutil.rmtree(work)
    return wall, used.ru_utime + used.ru_stime


def tell(
    way: str, took: list[tuple[float, float]], without: list[tuple[float, float]], messages: int
) -> None:
    """Print medians: wall, processor, both as ratios to the same round without the shim, and the cost."""
    wall, processor = (statistics.median(values) for values in zip(*took, strict=True))
    rounds = list(zip(took, without, strict=True))
    ratios = [statistics.median(mine[kind] / other[kind] for mine, other in rounds) for kind in (0, 1)]
    cost = statistics.median(mine[1] - other[1] for mine, other in rounds)
    share = statistics.median((mine[1] - other[1]) / other[0] for mine, other in rounds)
    print(
        f"{way:23} wall {wall:6.3f} s ({ratios[0]:.4f})   processor {processor:6.3f} s ({ratios[1]:.4f})   "
        f"cost {cost / messages * 1e6:5.2f} us a message, {share:6.2%}   n {len(took)}",
        file=sys.__stdout__,
        flush=True,
    )


if __name__ == "__main__":
    main()
