"""Measures mailsync beside mbsync, Maildir to Maildir: ``python3 tests/bench/mailsync.py [MESSAGES]...``.

For each number of messages (default 10000 50000) in one mailbox: the first sync; nothing changed; one new
message; 100 flags changed; and 200 mailboxes of 50: first and unchanged.  Both run with their defaults,
which is durable: mbsync calls fsync(2) for each message, mailsync syncfs(2) for each batch.  Before each
run the stores rest for three seconds, because both distrust a directory that has just changed (mbsync
would sleep, mailsync read it again).

Told: wall time, user and system time, the largest resident set, and mailsync's wall time as a share of
mbsync's.  A program in Python has to start, which a service that keeps it running does not pay for each run:
``running`` is the wall time of the same run in a process that is there already, on stores of its own, and the
last column its share.  Modules are compiled, as an installed package has them.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.measuring import Figures, measured  # noqa: E402
from tests.servers import mbsync  # noqa: E402
from tests.servers.maildir import MaildirStore, make_maildir  # noqa: E402

REST_S = 3.2
ACCOUNT = (
    '[store.near]\nmaildir = "near"\nlayout = "nested"\n[store.far]\nmaildir = "far"\nlayout = "nested"\n'
)
PROGRAM = "import sys; from mswatch.mailsync_entry import main; sys.exit(main())\n"
# A process that stays: a run for each line, answered with its seconds.
STAYS = """import sys, time
from mswatch.mailsync_entry import main
for line in sys.stdin:
    began = time.perf_counter()
    status = main()
    print(status, time.perf_counter() - began, flush=True)
"""
LINE = b"x" * 75 + b"\n"


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment of a program that lives there."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTHON")},
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": str(home / "pycache"),
    }


def run(argv: list[str], home: Path) -> Figures:
    """Run a program to its end, and return what it cost."""
    figures, _ = measured(argv, environment_of(home))
    assert figures.status == 0, argv
    return figures


def fill(mailbox: Path, count: int, median: int) -> None:
    """Make messages of random sizes."""
    pick = random.Random(count)
    make_maildir(mailbox)
    for number in range(count):
        head = (
            f"From: a{number}@example.org\nTo: b@example.org\nSubject: message {number}\n"
            f"Date: Mon, 2 Nov 2026 10:00:00 +0000\nMessage-ID: <{number}.{count}@example.org>\n\n"
        )
        lines = min(2500, int(pick.lognormvariate(0, 1.1) * median) // len(LINE))
        name = f"{1_700_000_000 + number}.M{number}.host:2,{pick.choice(['', 'S', 'RS'])}"
        (mailbox / "cur" / name).write_bytes(head.encode() + LINE * lines)


class Peer:
    """One of both programs, with two stores of its own."""

    def __init__(self, name: str, directory: Path, source: Path) -> None:
        self.name = name
        self.home = directory / name
        self.home.mkdir()
        shutil.copytree(source, self.home / "far")
        (self.home / "near").mkdir()
        if name == "mbsync":
            near, far = (MaildirStore(self.home / side, "nested") for side in ("near", "far"))
            near.make("INBOX")
            configuration = mbsync.write_configuration(self.home, near, far)
            configuration.write_text(configuration.read_text().replace("FSync no\n", ""))
            self.argv = list(mbsync.argv(configuration))
        else:
            account = self.home / ".config/mswatch/bench.toml"
            account.parent.mkdir(parents=True)
            account.write_text(ACCOUNT)
            program = self.home / "mailsync"
            program.write_text(PROGRAM)
            self.argv = [sys.executable, str(program), "bench"]
            run([*self.argv[:2], "--help"], self.home)

    def measure(self) -> Figures:
        """Run once, on stores that rest."""
        os.sync()
        time.sleep(REST_S)
        return run(self.argv, self.home)

    def deliver(self) -> None:
        """Put a new message into far's INBOX."""
        name = f"{time.time_ns()}.new.host"
        (self.home / "far/INBOX/new" / name).write_bytes(
            b"Subject: new\nMessage-ID: <%s@x>\n\nx\n" % name.encode()
        )

    def flag(self) -> None:
        """Flag 100 messages of far's INBOX."""
        cur = self.home / "far/INBOX/cur"
        for path in sorted(cur.iterdir())[:100]:
            base, _, flags = path.name.partition(":2,")
            path.rename(cur / f"{base}:2,{''.join(sorted(set(flags) ^ {'F'}))}")


class Running(Peer):
    """mailsync in a process that stays, with its own stores too."""

    def __init__(self, directory: Path, source: Path) -> None:
        super().__init__("running", directory, source)
        argv = [sys.executable, "-c", STAYS, "--quiet", "bench"]
        pipe, environment = subprocess.PIPE, environment_of(self.home)
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=environment)

    def measure(self) -> Figures:
        """Have it run once, on stores that rest; only the wall time is known."""
        os.sync()
        time.sleep(REST_S)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        status, seconds = self.process.stdout.readline().split()
        assert status == "0"
        return Figures(0, float(seconds), 0.0, 0.0)

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def tell(what: str, ours: Figures, running: Figures, theirs: Figures) -> None:
    """Print a line of the table."""
    cells = [f"{each.wall_s:9.3f}{each.cpu_s:8.3f}{each.rss_mib:7.1f}" for each in (ours, theirs)]
    shares = [f"{each.wall_s / theirs.wall_s:8.2f}" for each in (ours, running)]
    print(f"{what:<28}{cells[0]}{running.wall_s:9.3f}{cells[1]}{''.join(shares)}", flush=True)


def compare(
    what: str, peers: list[Peer], change: Callable[[Peer], None] | None = None, rounds: int = 9
) -> None:
    """Measure all, several times where it is cheap, and tell the medians."""
    figures: list[list[Figures]] = [[] for _ in peers]
    for _ in range(rounds):
        for peer, found in zip(peers, figures, strict=True):
            if change is not None:
                change(peer)
            found.append(peer.measure())
    tell(what, *(sorted(found, key=lambda each: each.wall_s)[rounds // 2] for found in figures))


@contextmanager
def peers_with(directory: Path) -> Iterator[list[Peer]]:
    """Give the programs that are compared, with what is in ``source`` on one side."""
    source = directory / "source"
    running = Running(directory, source)
    try:
        yield [Peer("mailsync", directory, source), running, Peer("mbsync", directory, source)]
    finally:
        running.close()


def settle(peers: list[Peer]) -> None:
    """Let both find out that nothing is left to do."""
    for _ in range(2):
        for peer in peers:
            peer.measure()


def main() -> None:
    """Measure, and tell."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    counts = [int(word) for word in sys.argv[1:]] or [10_000, 50_000]
    head = f"{'':<28}{'mailsync':>9}{'cpu':>8}{'MiB':>7}{'running':>9}"
    print(f"{head}{'mbsync':>9}{'cpu':>8}{'MiB':>7}{'share':>8}{'running':>8}")
    # Removed together at the end: for some minutes ext4 passes over the inodes of files that were removed,
    # one by one, and who makes files then pays for it.
    with tempfile.TemporaryDirectory(prefix="bench.") as name:
        for count in counts:
            directory = Path(name, str(count))
            fill(directory / "source/INBOX", count, 9000 if count <= 10_000 else 1200)
            with peers_with(directory) as peers:
                compare(f"{count}: first", peers, rounds=1)
                settle(peers)
                compare(f"{count}: nothing changed", peers)
                compare(f"{count}: one new", peers, Peer.deliver)
                compare(f"{count}: 100 flags", peers, Peer.flag)
        directory = Path(name, "many")
        for number in range(200):
            fill(directory / f"source/box{number}", 50, 3000)
        make_maildir(directory / "source/INBOX")
        with peers_with(directory) as peers:
            compare("200 x 50: first", peers, rounds=1)
            settle(peers)
            compare("200 x 50: nothing changed", peers)


if __name__ == "__main__":
    main()
