"""mbox files and MH folders: what counts as a change, on real files; tests hold for inotify and polling."""

from __future__ import annotations

import fcntl
import mailbox
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.watch_maildirs.conftest import Start
from tests.watch_maildirs.harness import Watcher
from watch_maildirs.outbox import WINDOW_S

MESSAGE = b"From sender@example.org Mon Nov  2 10:00:00 2026\nSubject: a\n\nText.\n\n"


def make_mbox(path: Path, content: bytes = MESSAGE) -> Path:
    """Make an mbox, with its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def append(path: Path) -> None:
    """Deliver a message as procmail does: under a dotlock and a lock of the kernel, at the end."""
    lock = path.with_name(path.name + ".lock")
    os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    with path.open("ab") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        file.write(MESSAGE)
    lock.unlink()


class Other:
    """A watcher of one of these layouts, and how to find out what it told."""

    def __init__(self, watcher: Watcher, fence: Callable[[int], bytes]) -> None:
        self.watcher = watcher
        self._fence = fence
        self._fences = 0

    def told(self) -> set[tuple[str, str]]:
        """Return the (mailbox, kind) of all that was told by now; notes and fences left out."""
        lines = self._up_to_fence()  # with polling, what is told after this one may be from before
        window_end = time.monotonic() + 2 * WINDOW_S  # for which repeats are held
        is_last = False
        while not is_last:
            is_last = time.monotonic() > window_end
            lines += self._up_to_fence()
        fields = [line.decode().split("\t") for line in lines if not line.startswith(b"fence")]
        return {(name, kind) for name, kind, _ in fields if kind != "note"}

    def _up_to_fence(self) -> list[bytes]:
        name = self._fence(self._fences)
        self._fences += 1
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(name + b"\t"):
            line = self.watcher.out.next()
            assert line is not None
            lines.append(line)
        return lines


@pytest.fixture
def mboxes(tmp_path: Path) -> Path:
    """A directory with an INBOX and a folder in a directory."""
    make_mbox(tmp_path / "mail/INBOX")
    make_mbox(tmp_path / "mail/lists/python")
    return tmp_path / "mail"


@pytest.fixture
def mbox(start: Start, eyes: list[str], mboxes: Path) -> Other:
    """A watcher of these."""
    watcher = start("--long", "--layout=mbox", *eyes, maildir=mboxes)

    def fence(number: int) -> bytes:
        name = f"fence{number}"
        make_mbox(mboxes / name)
        return name.encode()

    other = Other(watcher, fence)
    other.told()
    return other


class TestMbox:
    """mbox files."""

    def test_delivery(self, mbox: Other, mboxes: Path) -> None:
        """A message that is appended is a change of its mailbox, and a lock beside it is none."""
        append(mboxes / "lists/python")
        assert mbox.told() == {("lists/python", "content")}

    def test_rewritten(self, mbox: Other, mboxes: Path) -> None:
        """Flags that are written in place, and messages that are taken out, are changes."""
        with (mboxes / "INBOX").open("r+b") as file:
            file.write(MESSAGE.replace(b"Subject: a", b"Status: RO"))
        assert mbox.told() == {("INBOX", "content")}
        os.truncate(mboxes / "lists/python", 0)
        assert mbox.told() == {("lists/python", "content")}

    def test_replaced(self, mbox: Other, mboxes: Path) -> None:
        """A mailbox that is replaced by a new file is told, and so is what is appended to that."""
        make_mbox(mboxes / ".temporary").rename(mboxes / "INBOX")
        assert {name for name, _ in mbox.told()} == {"INBOX"}
        append(mboxes / "INBOX")
        assert mbox.told() == {("INBOX", "content")}

    def test_reading_is_no_change(self, mbox: Other, mboxes: Path) -> None:
        """Who reads, locks, or puts the times of access back, has changed nothing."""
        inbox = mboxes / "INBOX"
        times = inbox.stat()
        with inbox.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.read()
        os.utime(inbox, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert mbox.told() == set()
        append(inbox)
        assert mbox.told() == {("INBOX", "content")}

    def test_looking_leaves_no_trace(self, mbox: Other, mboxes: Path) -> None:
        """A new message stays new for mail readers that compare the times of access and modification."""
        new = make_mbox(mboxes / "fresh")
        os.utime(new, ns=(10**18, 10**18 + 10**9))
        mbox.told()
        assert new.stat().st_atime_ns == 10**18

    def test_made_and_gone(self, mbox: Other, mboxes: Path) -> None:
        """New mailboxes, empty ones and such in new directories, and those that are removed, are told."""
        (mboxes / "empty").touch()
        make_mbox(mboxes / "new/deep/one")
        # What is found before its events are read may be told twice.
        told = mbox.told() - {("new/deep/one", "content"), ("new/deep/one", "gone")}
        assert told == {("empty", "made"), ("new/deep/one", "made")}
        (mboxes / "new/deep/one").unlink()
        (mboxes / "INBOX").rename(mboxes / "old")
        assert mbox.told() == {("new/deep/one", "gone"), ("INBOX", "gone"), ("old", "made")}

    def test_what_is_no_mbox(self, mbox: Other, mboxes: Path) -> None:
        """Other files, hidden ones, FIFOs and dangling links are passed over."""
        (mboxes / "notes.txt").write_text("To do\n")
        make_mbox(mboxes / ".hidden")
        os.mkfifo(mboxes / "fifo")
        (mboxes / "dangling").symlink_to("nowhere")
        told = mbox.told()
        assert {name for name, _ in told} <= {"notes.txt"}  # which is an empty mbox for a moment
        assert (("notes.txt", "made") in told) == (("notes.txt", "gone") in told)

    def test_links(self, mbox: Other, mboxes: Path, tmp_path: Path) -> None:
        """A link to an mbox is one, and follows it when it is replaced."""
        target = make_mbox(tmp_path / "elsewhere/box")
        (mboxes / "link").symlink_to(target)
        assert mbox.told() == {("link", "made")}
        append(target)
        assert mbox.told() == {("link", "content")}
        make_mbox(target.with_name("other")).rename(target)
        assert {name for name, _ in mbox.told()} <= {"link", ""}
        append(target)
        assert mbox.told() == {("link", "content")}


class TestSpool:
    """A single mbox, alone or beside a directory of them."""

    def test_alone(self, start: Start, eyes: list[str], tmp_path: Path) -> None:
        """The base may be an mbox, and is INBOX then; it may come later, and be replaced while held open."""
        spool = tmp_path / "spool/alice"
        watcher = start("--long", "--layout=mbox", *eyes, maildir=spool)
        watcher.wait_for_note("waiting for it")
        make_mbox(spool)
        read_until(watcher, b"\tall\t")
        append(spool)
        read_until(watcher, b"INBOX\tcontent\t")
        with spool.open("rb"):
            spool.unlink()
            make_mbox(spool)
            read_until(watcher, b"\tall\t")
            append(spool)
            read_until(watcher, b"INBOX\tcontent\t")

    def test_beside(self, start: Start, eyes: list[str], mboxes: Path, tmp_path: Path) -> None:
        """An INBOX elsewhere belongs to the store as well."""
        (mboxes / "INBOX").unlink()
        spool = make_mbox(tmp_path / "spool/alice")
        watcher = start("--long", "--layout=mbox", f"--inbox={spool}", *eyes, maildir=mboxes)
        append(spool)
        read_until(watcher, b"INBOX\tcontent\t")
        append(mboxes / "lists/python")
        read_until(watcher, b"lists/python\tcontent\t")
        spool.unlink()
        read_until(watcher, b"\tall\t")
        make_mbox(spool)
        read_until(watcher, b"\tall\t")


def read_until(watcher: Watcher, wanted: bytes) -> None:
    """Read lines up to this one."""
    while (line := watcher.out.next()) != wanted:
        assert line is not None


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """An MH directory with two folders."""
    base = tmp_path / "Mail"
    for name in ("inbox", "lists/python"):
        (base / name).mkdir(parents=True)
        (base / name / "1").write_bytes(MESSAGE)
    return base


@pytest.fixture
def mh(start: Start, eyes: list[str], folders: Path) -> Other:
    """A watcher of these."""
    watcher = start("--long", "--layout=mh", *eyes, maildir=folders)

    def fence(number: int) -> bytes:
        name = f"fence{number}"
        (folders / name).mkdir()
        return name.encode()

    other = Other(watcher, fence)
    other.told()
    return other


class TestMh:
    """MH folders."""

    def test_delivery(self, mh: Other, folders: Path) -> None:
        """A message by the standard library is a change of its folder."""
        mailbox.MH(folders / "inbox", create=False).add(b"Subject: b\n\nText.\n")
        assert mh.told() == {("inbox", "content")}

    def test_removal(self, mh: Other, folders: Path) -> None:
        """A message that nmh's rmm renamed away, one that is moved to another folder: changes of each."""
        (folders / "inbox/1").rename(folders / "inbox/,1")
        assert mh.told() == {("inbox", "content")}
        (folders / "lists/python/1").rename(folders / "inbox/7")
        assert mh.told() == {("inbox", "content"), ("lists/python", "content")}

    def test_sequences(self, mh: Other, folders: Path) -> None:
        """What is noted of messages changes a folder, also when it is written in place."""
        sequences = folders / "inbox/.mh_sequences"
        sequences.write_text("unseen: 1\n")
        assert mh.told() == {("inbox", "content")}
        sequences.write_text("unseen: \nflagged: 1\n")
        assert mh.told() == {("inbox", "content")}

    def test_reading_is_no_change(self, mh: Other, folders: Path) -> None:
        """Who reads a message has changed nothing."""
        assert (folders / "inbox/1").read_bytes() == MESSAGE
        assert mh.told() == set()

    def test_folders(self, mh: Other, folders: Path) -> None:
        """New, nested, renamed and removed folders are told."""
        (folders / "lists/emacs").mkdir()
        assert mh.told() - {("lists", "content")} == {("lists/emacs", "made")}  # polling sees no names
        (folders / "lists/emacs/3").write_bytes(MESSAGE)
        assert ("lists/emacs", "content") in mh.told()
        (folders / "lists").rename(folders / "old")
        gone = {(f"lists{name}", "gone") for name in ("", "/emacs", "/python")}
        assert mh.told() == gone | {(f"old{name}", "made") for name in ("", "/emacs", "/python")}

    def test_other_files(self, mh: Other, folders: Path, eyes: list[str]) -> None:
        """Files of other programs in a folder are nothing to us; polling does not see which files changed."""
        (folders / "inbox/.overview").write_text("x")
        (folders / "context").write_text("Current-Folder: inbox\n")
        (folders / "inbox/draft~").write_text("x")
        assert mh.told() == ({("inbox", "content")} if eyes else set())
