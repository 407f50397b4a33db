"""The program as a whole: its ends, a reader that is slow or gone, and the limits of the kernel."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.waiting import DEADLINE_S
from tests.watch_maildirs.conftest import Start
from tests.watch_maildirs.harness import PYTHONPATH, Watcher, make_maildir, notes
from watch_maildirs import __version__
from watch_maildirs.protocol import ALL, CONTENT, parse

# In a user namespace of his own an ordinary user may lower the kernel's limits, and mount.
LOWERED = 'echo {} > /proc/sys/user/max_inotify_{} && exec "$@"'
QUICK = (
    "import sys; from watch_maildirs.cli import run; sys.exit(run(sys.argv[1:], fallback_interval_s=0.02))"
)


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end, with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, "-m", "watch_maildirs", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": PYTHONPATH, **environment},
    )


class TestCommandLine:
    """Options and exit statuses."""

    def test_version_and_help(self) -> None:
        """Version and help are printed, with status 0."""
        assert [run(option).stdout for option in ("-V", "--version")] == [
            f"watch_maildirs {__version__}\n"
        ] * 2
        for option in ("-h", "-?", "--help"):
            ended = run(option)
            assert ended.returncode == 0 and "--maildir=DIR" in ended.stdout

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["somewhere"], "--maildir=somewhere"),
            (["--nonsense"], "--nonsense"),
            (["-m"], "-m"),
            (["--maildir="], "--maildir"),
            (["--layout", "flat"], "maildir++, nested"),
            (["--poll", "soon"], "seconds"),
            (["--poll", "0"], "seconds"),
            (["--poll", "nan"], "seconds"),
            (["--long", "--answer", "0"], "seconds"),
            (["--answer", "9"], "--long"),
            ([], "neither MAILDIR nor HOME"),
        ],
    )
    def test_usage(self, arguments: list[str], said: str) -> None:
        """What cannot be is refused with status 64 and one line that says what to do."""
        ended = run(*arguments)
        assert (ended.returncode, ended.stdout) == (64, "")
        assert said in ended.stderr and len(ended.stderr.splitlines()) == 1

    def test_impossible_base(self) -> None:
        """A base that cannot even be waited for is status 69."""
        ended = run("-m", "/" + "x" * 5000)
        assert ended.returncode == 69 and "cannot wait" in ended.stderr

    @pytest.mark.parametrize(("name", "below"), [("MAILDIR", ""), ("HOME", "Maildir")])
    def test_default_base(self, base: Path, name: str, below: str) -> None:
        """Without an option the base is $MAILDIR, else ~/Maildir."""
        environment = {name: str(base if not below else base.parent)}
        ended = run("--stdin-eof", "--long", **environment)
        assert (ended.returncode, ended.stdout) == (0, "\n")

    def test_relative_base(self, base: Path) -> None:
        """A relative base is found from the directory that the program is started in."""
        ended = subprocess.run(
            [sys.executable, "-m", "watch_maildirs", "-m", "./Maildir", "--long", "--stdin-eof"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=base.parent,
            env={"PYTHONPATH": PYTHONPATH},
        )
        assert ended.stdout == b"\n"


class TestEnds:
    """When it ends."""

    def test_reader_gone(self, start: Start) -> None:
        """It ends quietly when nobody reads any more, though there is nothing to tell."""
        watcher = start()
        assert watcher.process.stdout is not None
        watcher.process.stdout.close()
        assert watcher.process.wait(DEADLINE_S) == 0
        assert watcher.errors.next() is None

    def test_end_of_input(self, start: Start) -> None:
        """With --stdin-eof it ends with its input, whatever was in there before."""
        watcher = start("--stdin-eof")
        assert watcher.process.stdin is not None
        watcher.process.stdin.write(b"nothing to us\n")
        watcher.process.stdin.flush()
        assert watcher.told_lines() == []
        watcher.process.stdin.close()
        watcher.process.stdin = None
        assert watcher.process.wait(DEADLINE_S) == 0

    def test_input_is_not_looked_at(self, start: Start, base: Path) -> None:
        """Without --stdin-eof the end of input is nothing to it."""
        watcher = start()
        assert watcher.process.stdin is not None
        watcher.process.stdin.close()
        watcher.process.stdin = None
        (base / "tmp/m1").touch()
        (base / "tmp/m1").rename(base / "new/m1")
        assert watcher.told_lines() == [b"INBOX"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_signals(self, start: Start, number: signal.Signals) -> None:
        """Signals end it in their own way, without a word."""
        watcher = start()
        watcher.process.send_signal(number)
        assert watcher.process.wait(DEADLINE_S) == -number
        assert watcher.errors.next() is None


class TestStorms:
    """More than can be told, or taken."""

    def test_delivery_is_told_once(self, start: Start, base: Path) -> None:
        """One delivery is one line."""
        watcher = start()
        (base / "tmp/m1").touch()
        (base / "tmp/m1").rename(base / "new/m1")
        assert watcher.told_lines() == [b"INBOX"]

    @pytest.mark.slow
    def test_burst(self, start: Start, base: Path) -> None:
        """Of thousands of changes that are there at once, each mailbox is told, in few lines."""
        watcher = start()
        for folder in range(10):
            make_maildir(base / f".f{folder}")
        watcher.told_lines()
        stop(watcher)  # how many come while it looks is the machine's business
        for number in range(500):
            for folder in range(10):
                (base / f".f{folder}/new/m{number}").touch()
        watcher.process.send_signal(signal.SIGCONT)
        lines = watcher.told_lines()
        assert set(lines) == {f"f{folder}".encode() for folder in range(10)}
        assert len(lines) <= 30

    @pytest.mark.slow
    @pytest.mark.parametrize("form", [[], ["--long"]])
    def test_overflow(self, start: Start, base: Path, form: list[str]) -> None:
        """When the kernel's queue runs over, all mailboxes may have changed, and all is looked at again."""
        watcher = start(*form)
        stop(watcher)
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for _ in range(limit // 2 + 100):
            (base / "new/m1").touch()
            (base / "new/m1").unlink()
        shutil.rmtree(base / ".one")
        make_maildir(base / ".two")
        watcher.process.send_signal(signal.SIGCONT)
        lines = watcher.told_lines()
        assert b"\tall\t" in lines if form else {b"INBOX", b"one", b"two"} <= set(lines)
        (base / ".two/tmp/m1").touch()
        (base / ".two/tmp/m1").rename(base / ".two/new/m1")
        assert watcher.told_lines() == [b"two\tcontent\tnew/m1" if form else b"two"]

    @pytest.mark.slow
    def test_slow_reader(self, start: Start, base: Path) -> None:
        """A reader that takes nothing costs a bounded memory, and is told less exactly, but told."""
        watcher = start("--long")
        for number in range(60000):
            (base / "new" / f"message-with-a-name-of-usual-length.{number}").touch()
        assert watcher.process.poll() is None
        changes = watcher.told()
        assert {(CONTENT, "INBOX", ""), (ALL, "", "")} & {(c.kind, c.mailbox, c.file) for c in changes}
        assert len(changes) < 60000
        status = Path(f"/proc/{watcher.process.pid}/status").read_text()
        peak_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        assert peak_kib < 40 * 1024


class TestLimits:
    """The kernel's limits, lowered for real."""

    @pytest.mark.parametrize(("name", "limit"), [("watches", 5), ("instances", 0)])
    def test_polls_until_raised(self, start: Start, base: Path, name: str, limit: int) -> None:
        """At a limit it says which and how to raise it, polls meanwhile, and goes back when it is raised."""
        shell = ["sh", "-c", LOWERED.format(limit, name), "sh"]
        watcher = start("--long", command=["unshare", "-Ur", *shell, sys.executable, "-c", QUICK])
        said = notes(watcher.told())
        assert len(said) == 1
        assert f"user.max_inotify_{name} = {limit} is reached" in said[0]
        assert f"sudo sysctl user.max_inotify_{name}=" in said[0] and "polled every 0.02 s" in said[0]
        (base / "new/m1").touch()
        (base / ".one/new/m1").touch()
        assert watcher.told_of() == {(CONTENT, "INBOX"), (CONTENT, "one")}
        enter(watcher, f"echo 1000 > /proc/sys/user/max_inotify_{name}")
        watcher.wait_for_note("inotify watches everything again")
        watcher.told()
        (base / ".one/new/m2").touch()
        assert {(c.mailbox, c.file) for c in watcher.told()} == {("one", "new/m2")}

    def test_mount(self, start: Start, base: Path) -> None:
        """A file system that is mounted on the base, or comes off it, is noticed."""
        program = [sys.executable, "-m", "watch_maildirs"]
        watcher = start("--long", command=["unshare", "-Urm", *program])
        enter(watcher, f"mount -t tmpfs none '{base}'", "-m")
        read_until(watcher, b"\tall\t")
        enter(watcher, f"mkdir '{base}/new' '{base}/cur'", "-m")
        read_until(watcher, b"INBOX\tmade\t")
        enter(watcher, f"umount '{base}'", "-m")
        read_until(watcher, b"\tall\t")
        (base / ".one/new/m1").touch()
        read_until(watcher, b"one\tcontent\tnew/m1")


def stop(watcher: Watcher) -> None:
    """Stop the process and wait until it has stopped."""
    watcher.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, watcher.process.pid, os.WSTOPPED | os.WNOWAIT)


def enter(watcher: Watcher, script: str, *namespaces: str) -> None:
    """Run a shell script in the watcher's user namespace."""
    target = ["-t", str(watcher.process.pid), "-U", "--preserve-credentials", *namespaces]
    subprocess.run(["nsenter", *target, "sh", "-c", script], check=True)


def read_until(watcher: Watcher, wanted: bytes) -> None:
    """Read lines up to this one."""
    while (line := watcher.out.next()) != wanted:
        assert line is not None and parse(line)
