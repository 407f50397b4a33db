"""Measures the IMAP client and store beside mbsync: ``python3 -m tests.bench.imap [MESSAGES]``.

Run as an ordinary user, because it starts a Dovecot.  Parsing: 100,000 FETCH responses with flags, and
bodies, from memory.  First sync: all messages of a mailbox (20 kB on average, and 2 kB) into a Maildir,
durable, in one process; the bare loop fetches the same with one command and throws it away.  Connected: a
scan of a mailbox in which nothing changed, one new message, and 100 changed flags.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from mswatch.imap import commands
from mswatch.imap.framing import BodyChunk, Framer
from mswatch.imap.parsing import parse
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Options
from mswatch.mailsync.state import State
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.mailsync.stores.maildir import MaildirStore
from mswatch.names import NameForm
from tests.mailsync.worlds import Listening
from tests.servers import mbsync
from tests.servers.dovecot import Dovecot, running_dovecot
from tests.servers.maildir import MaildirStore as TestMaildir
from tests.servers.maildir import deliver, make_message, messages, set_flags
from tests.servers.waiting import run_to_end

RECEIVED = 256 << 10
RUNS = 5


def timed(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def middle(act: Callable[[], object]) -> float:
    """Return the median of some times."""
    return statistics.median(timed(act) for _ in range(RUNS))


def parsed(data: bytes) -> None:
    """Frame and parse all of it, as it would be received."""
    framer = Framer()
    for begin in range(0, len(data), RECEIVED):
        framer.receive_data(data[begin : begin + RECEIVED])
        while (frame := framer.next_frame()) is not None:
            if not isinstance(frame, BodyChunk):
                parse(frame)


def bench_parsing() -> None:
    """Print what parsing costs."""
    flags = b"".join(b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (n, n + 1000) for n in range(1, 100_001))
    small = b"* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {2000}\r\n" + b"x" * 2000 + b")\r\n"
    large = b"* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {1000000}\r\n" + b"x" * 1_000_000 + b")\r\n"
    for name, data in (
        ("100,000 FETCH (UID FLAGS)", flags),
        ("50,000 bodies of 2 kB", small * 50_000),
        ("200 bodies of 1 MB", large * 200),
    ):
        seconds = min(timed(lambda data=data: parsed(data)) for _ in range(3))  # type: ignore[misc]
        print(f"parse {name}: {seconds:.3f} s, {len(data) / seconds / 1e6:.0f} MB/s")


def fill(dovecot: Dovecot, user: str, count: int, size: int) -> None:
    """Deliver messages to a user."""
    inbox = dovecot.account(user).store.make()
    line = b"0123456789abcdef" * 4 + b"\n"
    for _ in range(count):
        body = line * (random.randint(size // 2, size * 3 // 2) // len(line))
        deliver(inbox, make_message() + body)


class Pair:
    """A Maildir and an account, in one process that stays connected."""

    def __init__(self, dovecot: Dovecot, user: str, directory: Path) -> None:
        password = directory / "password"
        password.touch(mode=0o600)
        password.write_text("secret")
        server, login = Server("127.0.0.1", dovecot.port, "plain"), Login(user, file=password)
        self.near = MaildirStore("near", directory / "near", "nested", NameForm("/", "utf-7"))
        self.far = ImapStore("far", lambda: log_in(server, login))
        self._open = ExitStack()
        self.state, _ = self._open.enter_context(State.opened(directory / "state.sqlite"))

    def sync(self) -> None:
        """Run once."""
        outcome = Engine(self.near, self.far, self.state, Options(), Listening()).run(None)
        assert not (outcome.failed or outcome.problems or outcome.refused), outcome


def bench_first_sync(dovecot: Dovecot, count: int, size: int) -> None:
    """Print how long the first sync takes, ours and others'."""
    user = f"first{count}x{size}"
    fill(dovecot, user, count, size)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        pair = Pair(dovecot, user, directory)
        bare = [timed(lambda: bare_loop(pair)) for _ in range(2)][-1]
        ours = timed(pair.sync)
        print(f"first sync of {count} x {size} B: bare loop {bare:.2f} s, ours {ours:.2f} s", end="")
        near = TestMaildir(directory / "mbsync", "nested")
        near.make()
        account = dovecot.account(user)
        configuration = mbsync.write_configuration(directory, near, account)
        text = configuration.read_text().replace("FSync no", "FSync yes")
        configuration.write_text(text)
        theirs = timed(lambda: run_to_end(mbsync.argv(configuration), 600))
        print(f", mbsync (with fsync) {theirs:.2f} s: {ours / theirs:.2f} of it")
        ours = middle(pair.sync)
        theirs = middle(lambda: run_to_end(mbsync.argv(configuration)))
        print(f"  again, nothing changed, connecting anew: {ours * 1e3:.1f} ms, mbsync {theirs * 1e3:.0f} ms")


def bare_loop(pair: Pair) -> None:
    """Fetch everything and throw it away."""
    pair.far.open()
    session = pair.far._account.session
    session.request(commands.select("INBOX"))
    session.send(commands.uid_fetch("1:*", ["UID", "FLAGS", "INTERNALDATE", "BODY.PEEK[]"]))
    for _ in session.events():
        pass
    pair.far.close()


def bench_connected(dovecot: Dovecot, count: int) -> None:
    """Print what a connected store costs when little or nothing changed."""
    user = f"connected{count}"
    fill(dovecot, user, count, 500)
    inbox = dovecot.account(user).store.path()
    with tempfile.TemporaryDirectory() as name:
        store = Pair(dovecot, user, Path(name)).far
        store.open()
        mailbox = store.open_mailbox("INBOX")
        mark = mailbox.scan(None).mark
        marks_s, scan_s = middle(store.mailboxes), middle(lambda: mailbox.scan(mark))
        print(
            f"connected, {count} messages, nothing changed: marks of all mailboxes {marks_s * 1e3:.2f} ms,"
            f" scan {scan_s * 1e3:.2f} ms (most of it the server's, while its Maildir is new)"
        )
        deliver(inbox)
        seconds = timed(lambda: look_and_read(store, mark))
        print(f"  one new message: {seconds * 1e3:.1f} ms (with the server's own scan)")
        mark = mailbox.scan(None).mark
        for path in messages(inbox)[:100]:
            set_flags(path, "FS")
        print(f"  100 flags changed: {timed(lambda: mailbox.scan(mark)) * 1e3:.1f} ms")
        store.close()


def look_and_read(store: ImapStore, mark: bytes | None) -> None:
    """Find out what is new, and read it."""
    mailbox = store.open_mailbox("INBOX")
    keys = list(mailbox.scan(mark).present)
    assert keys
    for each in mailbox.read(keys):
        list(each.chunks)  # type: ignore[union-attr]


def main() -> None:
    """Measure everything."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    bench_parsing()
    with running_dovecot(more="log_path = /dev/null\n") as dovecot:
        bench_first_sync(dovecot, count, 20_000)
        bench_first_sync(dovecot, count, 2_000)
        for number in (count, count * 5):
            bench_connected(dovecot, number)
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
