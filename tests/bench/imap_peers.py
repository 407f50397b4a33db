"""Measures ``mailsync`` on an IMAP account beside mbsync, offlineimap and interimap.

    python3 -m tests.bench.imap_peers [--messages N] [--kilobytes N] [--boxes N] [--trips MS...]
        [--programs NAME...] [--rate KB] [--upload-only]

Run as an ordinary user, because it starts a Dovecot.  Each program is started as its users do, by itself, on
an account of its own with the same mail, near and at the end of a long way (a proxy that delays).  Said are
seconds, memory, and for ours the ratio to the best of the others; and how many round trips each took, from
the difference that the way makes.  The first upload is another first sync, with all mail here.  With
``--rate`` the server is slow, on each connection by itself: that is what several connections are for.
Modules are compiled, as an installed package has them.  What the runs leave is removed together at the end:
for some minutes ext4 passes over the inodes of files that were removed, one by one, and who makes files then
pays for it; so the figures of a first sync are good only some minutes after any large removal.  interimap is
measured where ``tests/servers/unpack`` has unpacked it; it has its own Dovecot for the near side, whose time
counts.  mbsync has its FSync, as by default; ours syncs too.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mswatch.mailsync import settled
from tests.bench.measuring import Figures, measured
from tests.imap_session.conftest import password_file
from tests.servers import mbsync, offlineimap
from tests.servers.distance import distant
from tests.servers.dovecot import Dovecot, ImapAccount, running_dovecot
from tests.servers.maildir import MaildirStore, deliver, make_message, messages, set_flags
from tests.servers.unpacked import ROOT

AGAIN = 3
REPOSITORY = Path(__file__).parents[2]
LINE = b"0123456789abcdef" * 4 + b"\n"
Start = Callable[[Path, ImapAccount, Dovecot], "Program"]


@dataclass(frozen=True)
class Program:
    """A program that is set up: how it is called, and its own Maildir, if it has one."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    near: MaildirStore | None

    def run(self) -> Figures:
        """Run it to its end, which must be a good one, and return what that cost."""
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        figures, words = measured(self.argv, {**inherited, **self.environment})
        if figures.status:
            raise SystemExit(f"{self.argv[0]} failed: {words[-2000:]}")
        return figures


def compiled(base: Path) -> Path:
    """Return where modules are compiled."""
    place = base / "pycache"
    if not place.exists():
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(place)}
        argv = (sys.executable, "-m", "compileall", "-q", str(REPOSITORY / "mswatch"))
        subprocess.run(argv, env=environment, check=True)
    return place


def by_one_connection(directory: Path, account: ImapAccount, dovecot: Dovecot) -> Program:
    """Set up mailsync with one connection, which is not what it does by default."""
    return ours(directory, account, dovecot, "connections = 1\n")


def ours(directory: Path, account: ImapAccount, dovecot: Dovecot, more: str = "") -> Program:
    """Set up mailsync."""
    password = password_file(directory / "password", account.password)
    file = directory / "work.toml"
    near = MaildirStore(directory / "near", "nested")
    file.write_text(
        f"[store.near]\nmaildir = {json.dumps(str(near.root))}\nlayout = 'nested'\n"
        f"[store.far]\nimap = '127.0.0.1:{account.port}'\nsecurity = 'plain'\nuser = '{account.user}'\n"
        f"password_file = {json.dumps(str(password))}\n{more}"
    )
    argv = (sys.executable, "-m", "mswatch.mailsync_entry", "--config", str(file), "--quiet")
    homes = {
        "XDG_STATE_HOME": str(directory / "state"),
        "PYTHONPYCACHEPREFIX": str(compiled(directory.parent)),
    }
    return Program(argv, homes, near)


def by_mbsync(directory: Path, account: ImapAccount, dovecot: Dovecot) -> Program:
    """Set up mbsync."""
    near = MaildirStore(directory / "near", "nested")
    near.make()
    path = mbsync.write_configuration(directory, near, account)
    path.write_text(path.read_text().replace("FSync no", "FSync yes"))
    return Program(mbsync.argv(path), {}, near)


def by_offlineimap(directory: Path, account: ImapAccount, dovecot: Dovecot) -> Program:
    """Set up offlineimap."""
    near = MaildirStore(directory / "near", "nested")
    near.make()
    return Program(offlineimap.argv(offlineimap.write_configuration(directory, near, account)), {}, near)


def by_interimap(directory: Path, account: ImapAccount, dovecot: Dovecot) -> Program:
    """Set up interimap, with another user of the same Dovecot as its near side, by a tunnel."""
    near = dovecot.account(f"{account.user}-near").store
    near.make()
    (directory / "interimap").mkdir(mode=0o700)
    configuration = directory / "interimap/config"
    configuration.write_text(
        f"database = mail.db\n\n[local]\ntype = tunnel\n"
        f"command = {shlex.join(dovecot.tunnel(f'{account.user}-near'))}\n\n"
        f"[remote]\ntype = imap\nhost = 127.0.0.1\nport = {account.port}\nSTARTTLS = NO\n"
        f"username = {account.user}\npassword = {account.password}\n"
    )
    configuration.chmod(0o600)
    libraries = [str(path) for path in (ROOT / "usr/share/perl5", *ROOT.glob("usr/lib/*/perl5/5.*"))]
    include = [word for path in libraries for word in ("-I", path)]
    argv = ("perl", "-T", *include, str(ROOT / "usr/bin/interimap"), "--config", str(configuration))
    homes = {"XDG_DATA_HOME": str(directory), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return Program(argv, homes, near)


PROGRAMS: dict[str, Start] = {
    "mailsync": ours,
    "mailsync-1": by_one_connection,
    "mbsync": by_mbsync,
    "offlineimap": by_offlineimap,
}
if (ROOT / "usr/bin/interimap").exists():
    PROGRAMS["interimap"] = by_interimap


def fill(store: MaildirStore, messages_in_inbox: int, kilobytes: int, boxes: int) -> None:
    """Deliver what each account begins with: INBOX, of messages so large on average, and boxes of 50 each."""
    chance = random.Random(1)
    inbox = store.make()
    for _ in range(messages_in_inbox):
        lines = chance.randrange(kilobytes * 8, kilobytes * 23) if kilobytes else 0
        deliver(inbox, make_message() + LINE * lines)
    for number in range(boxes):
        box = store.make(f"box{number:03}")
        for _ in range(50):
            deliver(box, make_message() + LINE * chance.randrange(10, 40))


def scenarios(program: Program, far: MaildirStore) -> Iterator[tuple[str, Figures]]:
    """Run a program through everything, one after the other."""
    yield "first sync", program.run()
    for _ in range(2):  # some look again at what has just changed
        program.run()
        time.sleep(settled.YOUNG_NS / 1e9)
    program.run()
    yield (
        "nothing changed",
        sorted((program.run() for _ in range(AGAIN)), key=lambda cost: cost.wall_s)[AGAIN // 2],
    )
    deliver(far.path())
    yield "one new on the server", program.run()
    if program.near is not None:
        deliver(program.near.path())
        yield "one new here", program.run()
    program.run()
    for path in messages(far.path())[:100]:
        set_flags(path, "FS")
    yield "100 flags on the server", program.run()


def measure(
    base: Path, dovecot: Dovecot, trip_s: float, rate: float, source: MaildirStore, programs: list[str]
) -> dict[str, dict[str, Figures]]:
    """Return what each scenario costs, by program."""
    found: dict[str, dict[str, Figures]] = {}
    for name in programs:
        user = f"{name}-{trip_s * 1000:.0f}-{os.getpid()}-{id(source)}"
        account = dovecot.account(user)
        shutil.copytree(source.root, account.store.root)
        os.sync()  # or whoever syncs the file system pays for the server's copy
        directory = base / account.user
        directory.mkdir()
        with distant(dovecot.port, trip_s, rate) as port:
            program = PROGRAMS[name](directory, replace(account, port=port), dovecot)
            for scenario, cost in scenarios(program, account.store):
                found.setdefault(scenario, {})[name] = cost
    return found


def measure_upload(
    base: Path, dovecot: Dovecot, trip_s: float, rate: float, boxes: int, programs: list[str]
) -> dict[str, dict[str, Figures]]:
    """Return what a first sync costs in which all mail is here and none on the server, by program."""
    found: dict[str, Figures] = {}
    for name in programs:
        account = dovecot.account(f"up-{name}-{trip_s * 1000:.0f}-{os.getpid()}")
        account.store.make()
        directory = base / account.user
        directory.mkdir()
        with distant(dovecot.port, trip_s, rate) as port:
            program = PROGRAMS[name](directory, replace(account, port=port), dovecot)
            if program.near is not None:
                fill(program.near, 0, 0, boxes)
                os.sync()
                found[name] = program.run()
        there = sum(1 for _ in account.store.root.glob(".box*/*/*"))
        if name in found and there != boxes * 50:
            raise SystemExit(f"{name}: {there} messages are on the server, and not {boxes * 50}")
    return {"first upload": found}


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description="mailsync on IMAP beside others")
    parser.add_argument("--messages", type=int, default=10_000, help="in the one large mailbox")
    parser.add_argument("--kilobytes", type=int, default=20, help="of each of these; 0: small ones")
    parser.add_argument("--boxes", type=int, default=200, help="of 50 messages each")
    parser.add_argument("--trips", type=float, nargs="*", default=[0, 50], metavar="MS")
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=list(PROGRAMS))
    parser.add_argument("--upload-only", action="store_true")
    parser.add_argument("--rate", type=float, default=0, metavar="KB", help="a second, for each connection")
    options = parser.parse_args()
    with running_dovecot(more="log_path = /dev/null\n") as dovecot, tempfile.TemporaryDirectory() as base:
        for count, boxes in ((options.messages, 0), (0, options.boxes)):
            if not count and not boxes:
                continue
            source = MaildirStore(Path(base, f"{count}-{boxes}"))
            fill(source, count, options.kilobytes, boxes)
            results: dict[float, dict[str, dict[str, Figures]]] = {}
            for trip in options.trips:
                way = (trip / 1000, options.rate * 1000)
                results[trip] = (
                    {}
                    if options.upload_only
                    else measure(Path(base), dovecot, *way, source, options.programs)
                )
                if boxes:
                    results[trip] |= measure_upload(Path(base), dovecot, *way, boxes, options.programs)
                print(f"\n{count} messages in INBOX, {boxes} mailboxes of 50, round trip {trip:g} ms")
                for scenario, costs in results[trip].items():
                    print(f"  {scenario:<24} {row(costs)}")
            if len(results) > 1:
                print("  round trips, from the difference:")
                near, far = min(results), max(results)
                for scenario, costs in results[far].items():
                    trips = {
                        name: (cost.wall_s - results[near][scenario][name].wall_s) * 1000 / (far - near)
                        for name, cost in costs.items()
                    }
                    print(f"  {scenario:<24} " + ", ".join(f"{n} {count:.1f}" for n, count in trips.items()))
    print(f"load average {os.getloadavg()[0]:.1f}")


def row(costs: dict[str, Figures]) -> str:
    """Say the seconds and MiB of each program, and how our seconds compare to the best of the others."""
    times = {name: cost.wall_s for name, cost in costs.items()}
    words = [f"{name} {cost.wall_s:.3f} ({cost.rss_mib:.0f} MiB)" for name, cost in costs.items()]
    best = min((seconds for name, seconds in times.items() if not name.startswith("mailsync")), default=None)
    ratio = "" if best is None else f"; ours is {times['mailsync'] / best:.2f} of the best"
    return ", ".join(words) + ratio


if __name__ == "__main__":
    main()
