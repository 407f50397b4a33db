"""The mbox store: the contract, and what only mbox files have."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mswatch.errors import UnavailableError
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, SEEN
from mswatch.mailsync.stores import file_lock
from mswatch.mailsync.stores.contract import MailboxError, Store
from mswatch.mailsync.stores.mbox import MboxStore
from mswatch.names import NameForm
from tests.mailsync.kinds import KindWorld, at_work_on_both, names_made
from tests.mailsync.test_worlds import in_child
from tests.mailsync.worlds import body as mail
from tests.servers.waiting import read_line, wait_until
from tests.stores.contract import TreeContract, add, bodies, body, change_flags, whole

FROM = "From a@example.org Tue Nov 14 22:13:20 2023\n"
LONG_AGO_NS = 1_600_000_000_000_000_000
FORM = NameForm("/", "utf-7")


class TestMbox(TreeContract):
    """A directory of mbox files."""

    kept = frozenset({SEEN, FLAGGED, ANSWERED, DRAFT, DELETED, FORWARDED, "$Junk", "work"})
    no_names = frozenset({"lists"})  # there are mailboxes below it

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path) -> Path:
        """Where the store is."""
        self._root = tmp_path / "mail"
        return self._root

    def make_store(self) -> Store:
        return MboxStore("near", self._root, FORM, self._root.parent / "journals")

    def settle(self) -> None:
        """Wait until the file's time of change, which cannot be set, is old enough."""
        store = self.make_and_open()
        wait_until(lambda: store.mailboxes()["box"].mark is not None, "the mailbox is settled")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty directory for mbox files."""
    path = tmp_path / "mail"
    path.mkdir()
    return path


@pytest.fixture
def store(root: Path) -> MboxStore:
    """The store."""
    return make_store(root)


def make_store(root: Path, inbox: Path | None = None) -> MboxStore:
    """Return a store at a place."""
    store = MboxStore("near", root, FORM, root.parent / "journals", inbox=inbox)
    assert store.open()
    return store


def write(path: Path, *texts: str) -> None:
    """Write an mbox of messages, each text without its first line and the empty line behind it."""
    path.write_text("".join(f"{FROM}{text}\n" for text in texts))


def test_only_mboxes_are_found(store: MboxStore, root: Path) -> None:
    """A stray text, a FIFO, a lock, an index are no mailboxes; nothing is waited for."""
    write(root / "mail", "Subject: a\n\nx\n")
    (root / "empty").touch()
    (root / "deep/er").mkdir(parents=True)
    write(root / "deep/er/box", "Subject: a\n\nx\n")
    (root / "blank").write_text("\n\n" + (root / "mail").read_text())
    (root / "notes.txt").write_text("From the desk of a director\n\nNo mail.\n")
    (root / "mail.lock").touch()
    (root / ".subscriptions").touch()
    os.mkfifo(root / "fifo")
    (root / "dangling").symlink_to("nowhere")
    (root / "circle").symlink_to(root)
    assert set(store.mailboxes()) == {"mail", "empty", "deep/er/box", "blank"}
    with pytest.raises(MailboxError, match="left alone"):
        store.make_mailbox("notes.txt")
    with pytest.raises(MailboxError, match="below"):
        store.make_mailbox("mail/below")
    with pytest.raises(MailboxError, match="below"):
        store.make_mailbox("deep")


def test_single_file_is_inbox(root: Path) -> None:
    """A store may be one file, and then has one mailbox."""
    write(root / "mbox", "Subject: a\n\nx\n")
    store = make_store(root / "mbox")
    assert set(store.mailboxes()) == {"INBOX"}
    assert len(whole(store.open_mailbox("INBOX")).present) == 1
    with pytest.raises(MailboxError, match="single file"):
        store.make_mailbox("other")
    (root / "text").write_text("no mail\n")
    with pytest.raises(UnavailableError, match="no mbox"):
        make_store(root / "text")


def test_inbox_may_lie_elsewhere(root: Path) -> None:
    """INBOX in a spool, reached by a link, is read and written where it is; a missing one is not made up."""
    spool = root.parent / "spool"
    spool.mkdir()
    (root.parent / "link").symlink_to(spool / "me")
    store = make_store(root, inbox=root.parent / "link")
    assert set(store.mailboxes()) == set()
    write(spool / "me", "Subject: a\n\nx\n")
    assert set(store.mailboxes()) == {"INBOX"}
    add(store.open_mailbox("INBOX"), body())
    assert (spool / "me").read_text().count("\nFrom ") == 1
    assert (root.parent / "link").is_symlink()


def test_file_stays_the_same_one(store: MboxStore, root: Path) -> None:
    """Whatever is done, inode, mode and hard links stay: a program that has the file open goes on with it."""
    box = root / "box"
    write(box, "Subject: a\n\nx\n", "Subject: b\n\ny\n")
    box.chmod(0o640)
    (root.parent / "hard").hardlink_to(box)
    mailbox = store.open_mailbox("box")
    keys = list(whole(mailbox).present)
    change_flags(mailbox, {keys[0]: frozenset({SEEN, "work"})})
    list(mailbox.remove([keys[1]]))
    add(mailbox, body())
    assert (root.parent / "hard").samefile(box)
    assert box.stat().st_mode & 0o777 == 0o640
    assert not list((root.parent / "journals").iterdir())


def test_looking_leaves_the_time_of_access(store: MboxStore, root: Path) -> None:
    """New mail stays new for who knows it by times, and what is old does not become new by its flags."""
    box = root / "box"
    write(box, "Subject: a\n\nx\n")
    os.utime(box, ns=(LONG_AGO_NS, LONG_AGO_NS + 10**9))
    mailbox = store.open_mailbox("box")
    (key,) = whole(mailbox).present
    bodies(mailbox, [key])
    store.mailboxes()
    assert box.stat().st_atime_ns == LONG_AGO_NS
    change_flags(mailbox, {key: frozenset({FLAGGED})})
    assert box.stat().st_atime_ns < box.stat().st_mtime_ns
    os.utime(box, ns=(LONG_AGO_NS, LONG_AGO_NS))
    change_flags(mailbox, {key: frozenset()})
    assert box.stat().st_atime_ns == box.stat().st_mtime_ns > LONG_AGO_NS


def test_what_other_programs_keep_in_headers(store: MboxStore, root: Path) -> None:
    """Flags as c-client, Dovecot and mutt write them are read; UIDs stay in the file."""
    own = "X-IMAPbase: 1700000000 7 work\nX-UID: 6\nContent-Length: 2\n"
    write(
        root / "box",
        f"Subject: a\nStatus: RO\nX-Status: AF\nX-Keywords: work $Junk\n{own}\nx\n",
        "Subject: b\n\ny\n",
    )
    mailbox = store.open_mailbox("box")
    first, second = whole(mailbox).present
    assert whole(mailbox).present[first] == frozenset({SEEN, ANSWERED, FLAGGED, "work", "$Junk"})
    assert bodies(mailbox, [first]) == {first: b"Subject: a\n\nx\n"}
    change_flags(mailbox, {first: frozenset({DRAFT})})
    assert "\nX-UID: 6\n" in (root / "box").read_text()
    list(mailbox.remove([first]))
    assert (root / "box").read_text() == f"{FROM}X-IMAPbase: 1700000000 7 work $Junk\nSubject: b\n\ny\n\n"
    assert list(whole(mailbox).present) == [second]


def test_a_message_with_fields_of_an_mbox(store: MboxStore, root: Path) -> None:
    """A Status that came with a message is carried, and means nothing here."""
    store.make_mailbox("box")
    mailbox = store.open_mailbox("box")
    data = b"Subject: a\nStatus: RO\nX-UID: 5\nX-Mailsync-X-UID: 6\n\nFrom x\n>From y\n"
    key = add(mailbox, data)
    assert whole(mailbox).present == {key: frozenset()}
    assert bodies(mailbox, [key]) == {key: data}


def test_pseudo_message_is_no_mail(store: MboxStore, root: Path) -> None:
    """c-client's own message is neither carried nor removed."""
    pseudo = (
        "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\nStatus: RO\n\nThis text.\n"
    )
    write(root / "box", pseudo, "Subject: a\n\nx\n")
    mailbox = store.open_mailbox("box")
    (key,) = whole(mailbox).present
    list(mailbox.remove([key]))
    assert (root / "box").read_text() == f"{FROM}{pseudo}\n"
    assert whole(mailbox).present == {}
    store.remove_mailbox("box")


def test_copies_are_counted(store: MboxStore, root: Path) -> None:
    """Equal messages are different ones; when one goes the others are still there."""
    write(root / "box", *["Subject: a\n\nx\n"] * 3)
    mailbox = store.open_mailbox("box")
    keys = list(whole(mailbox).present)
    assert len(keys) == 3
    list(mailbox.remove([keys[0]]))
    assert list(whole(mailbox).present) == keys[:2]


@pytest.mark.parametrize(
    "text", ["", "\n", f"{FROM}Subject: a", f"{FROM}Subject: a\n", f"{FROM}Subject: a\n\n"]
)
def test_files_without_their_end(store: MboxStore, root: Path, text: str) -> None:
    """Whatever a file ends with, a message added behind it is one, and the one before stays as it was."""
    (root / "box").write_text(text)
    mailbox = store.open_mailbox("box")
    before = bodies(mailbox, list(whole(mailbox).present))
    data = body()
    key = add(mailbox, data)
    after = bodies(mailbox, list(whole(mailbox).present))
    assert after.pop(key) == data
    assert [text.rstrip(b"\n") for text in after.values()] == [text.rstrip(b"\n") for text in before.values()]


def test_junk_is_no_empty_mailbox(store: MboxStore, root: Path) -> None:
    """A file that is an mbox no more fails; it is not taken for one without messages."""
    write(root / "box", "Subject: a\n\nx\n")
    mailbox = store.open_mailbox("box")
    (root / "box").write_text("rubbish\n" + (root / "box").read_text())
    with pytest.raises(MailboxError, match="does not begin"):
        mailbox.scan(None)
    assert "box" in store.hidden(["box"])


def test_read_only_file(store: MboxStore, root: Path) -> None:
    """A file that may not be written to is read, and writing fails without a trace."""
    write(root / "box", "Subject: a\n\nx\n")
    (root / "box").chmod(0o400)
    mailbox = store.open_mailbox("box")
    assert len(whole(mailbox).present) == 1
    with pytest.raises(PermissionError):
        add(mailbox, body())
    assert not list((root.parent / "journals").iterdir())


def test_spool_where_no_lock_can_be_made(store: MboxStore, root: Path) -> None:
    """In a directory that belongs to others the kernel's lock has to do."""
    write(root / "box", "Subject: a\n\nx\n")
    root.chmod(0o500)
    try:
        add(store.open_mailbox("box"), body())
    finally:
        root.chmod(0o700)
    assert len(whole(store.open_mailbox("box")).present) == 2


@pytest.fixture
def short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of others are not waited for long."""
    monkeypatch.setattr(file_lock, "WAIT_S", 0.2)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.mark.usefixtures("short_wait")
def test_lock_of_the_kernel_is_heeded(store: MboxStore, root: Path) -> None:
    """A mailbox that another program has locked is neither read nor written, and is as soon as it is free."""
    write(root / "box", "Subject: a\n\nx\n")
    argv = (sys.executable, "-c", HOLD, str(root / "box"))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        read_line(holder.stdout)
        mailbox = store.open_mailbox("box")
        for act in (lambda: mailbox.scan(None), lambda: add(mailbox, body())):
            with pytest.raises(MailboxError, match="locked"):
                act()
        holder.stdin.close()
    add(mailbox, body())


@pytest.mark.usefixtures("short_wait")
def test_dot_lock_is_heeded(store: MboxStore, root: Path) -> None:
    """A dot lock keeps writers out, except one that a dead process or nobody for long left behind."""
    write(root / "box", "Subject: a\n\nx\n")
    lock = root / "box.lock"
    lock.write_text("0")
    mailbox = store.open_mailbox("box")
    assert len(whole(mailbox).present) == 1
    with pytest.raises(MailboxError, match=r"box\.lock"):
        add(mailbox, body())
    assert lock.exists()
    os.utime(lock, ns=(LONG_AGO_NS, LONG_AGO_NS))
    add(mailbox, body())
    assert not lock.exists()
    dead = subprocess.Popen(("true",))
    dead.wait()
    lock.write_text(f"{dead.pid}\n{os.uname().nodename}\n")
    add(mailbox, body())
    assert len(whole(mailbox).present) == 3


# Delivers as an agent that locks in Debian's way, and says how many messages.
DELIVER = """
import fcntl, os, sys, time
path, end, number = sys.argv[1], time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    try:
        os.close(os.open(path + ".lock", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        time.sleep(0.001)
        continue
    with open(path, "a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        number += 1
        subject = f"Subject: {sys.argv[3]}{number}"
        file.write(f"From a Mon Nov  2 10:00:00 2026\\n{subject}\\n\\nDelivered as {number}.\\n\\n")
    os.unlink(path + ".lock")
    time.sleep(0.002)
print(number)
"""


@pytest.mark.slow
def test_delivery_meanwhile(tmp_path: Path) -> None:
    """While an agent delivers into both sides, and runs rewrite both, nothing is lost and nothing doubled."""
    world = KindWorld(tmp_path, "mbox", "mbox")
    seconds = "20" if os.environ.get("MSWATCH_LONG") else "3"
    agents = at_work_on_both(world, DELIVER, seconds)
    marked = itertools.count(1)
    while any(agent.poll() is None for agent in agents):
        outcome, _ = world.sync()
        assert not outcome.failed
        with contextlib.suppress(FileNotFoundError):
            world.flag("near", "INBOX", f"near{next(marked)}")
    made = names_made(agents)
    world.sync()
    assert world.contents("near") == world.contents("far")
    names = [name for name, _ in world.contents("near")["INBOX"].elements()]
    assert sorted(names) == sorted(made)


@pytest.mark.slow
def test_large_message_within_bounds(tmp_path: Path) -> None:
    """A large message is copied both ways with memory for a part of it only."""
    size = 200_000_000 if os.environ.get("MSWATCH_LONG") else 60_000_000
    world = KindWorld(tmp_path, "mbox", "mbox")
    world.make("far", "INBOX")
    data = mail("large", size=size)
    with (world.make("near", "INBOX")).open("wb") as file:
        file.write(FROM.encode() + data + b"\n")

    def run_with_little_memory() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000, used + 40_000_000))
        assert world.sync()[0].failed == {}

    assert in_child(run_with_little_memory) == 0
    copied = (world.path("far") / "INBOX").read_bytes()
    assert copied[copied.index(b"\n") + 1 :] == data + b"\n"


def test_full_disk(tmp_path: Path) -> None:
    """What does not fit is not begun; the file is as it was, and with room the rest comes."""
    world = KindWorld(tmp_path, "mbox", "mbox")
    world.put("far", "INBOX", "there")
    for number in range(10):
        world.put("near", "INBOX", f"m{number}", data=mail(f"m{number}", size=20_000))
    before = (world.path("far") / "INBOX").read_bytes()

    def run_with_small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write(2) fails with EFBIG then
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        assert world.sync()[0].failed.keys() == {"INBOX"}

    assert in_child(run_with_small_files) == 0
    assert (world.path("far") / "INBOX").read_bytes() == before
    assert world.leftovers() == []
    assert world.sync()[0].failed == {}
    assert world.contents("near") == world.contents("far")


@pytest.mark.parametrize("what", ["unreadable", "junk", "unreadable directory"])
def test_what_cannot_be_seen_is_not_taken_for_removed(tmp_path: Path, what: str) -> None:
    """A mailbox that cannot be read, or is none any more, is told; on the other side nothing is removed."""
    world = KindWorld(tmp_path, "mbox", "maildir")
    world.put("near", "INBOX", "a")
    path = world.put("near", "deep/box", "b")
    world.sync()
    place = path.parent if what.endswith("directory") else path
    kept = path.read_bytes()
    if what == "junk":
        path.write_bytes(b"rubbish\n")
    else:
        place.chmod(0)
    outcome, listening = world.sync()
    assert outcome.failed.keys() == {"deep/box"}
    assert listening.told == []
    place.chmod(0o700)
    path.write_bytes(kept)
    assert world.sync()[0].failed == {}
    assert world.contents("near") == world.contents("far")


def test_length_is_believed_where_it_is_true(store: MboxStore, root: Path) -> None:
    """A message with a true Content-Length ends there, unquoted; a false one says nothing."""
    text = "From a\n>From b\nFrom a@b Mon Nov  2 10:00:00 2026\n"
    head = "Subject: a\nContent-Length: {}\n\n"
    for length, count in ((len(text), 3), (len(text) + 2, 4), (7, 4), (10**9, 4)):
        write(root / "box", "Subject: first\n\nx\n", head.format(length) + text, "Subject: last\n\ny\n")
        mailbox = store.open_mailbox("box")
        found = list(bodies(mailbox, list(whole(mailbox).present)).values())
        assert len(found) == count, length
        if count == 3:
            assert found[1] == b"Subject: a\n\n" + text.encode()
            store.make_mailbox("other")
            key = list(whole(mailbox).present)[1]
            list(mailbox.move([key], "other"))
            other = store.open_mailbox("other")
            assert bodies(other, [key]) == {key: found[1]}
    (root / "box").write_text(FROM + head.format(len(text)) + text)
    mailbox = store.open_mailbox("box")
    assert len(whole(mailbox).present) == 1
    add(mailbox, body())
    assert len(whole(mailbox).present) == 2


def test_any_bytes_in_names(tmp_path: Path) -> None:
    """A mailbox whose file has any byte in its name is carried like others."""
    world = KindWorld(tmp_path, "mbox", "mbox")
    world.make("near", "INBOX")
    names = [b"x" + bytes([byte]) + b"y" for byte in range(1, 256) if byte not in b"/"]
    for name in names:
        (world.path("near") / os.fsdecode(name)).write_text(f"{FROM}Subject: {name.hex()}\n\nx\n\n")
    outcome, _ = world.sync()
    assert (outcome.failed, outcome.problems) == ({}, [])
    assert world.contents("near") == world.contents("far")
    assert len(world.contents("far")) == 1 + len(names)
    assert world.sync()[1].told == []


ODD_ENDS = [
    "From a@example.org Tue Nov 14 22:13:20 2023",  # without a newline
    FROM,
    f"{FROM}Subject: x",
    f"{FROM}Subject: x\n",
    f"{FROM}Subject: x\n\r",
    f"{FROM}Subject: x\r",
    f"{FROM}Subject: x\r\n",
    f"{FROM} folded",
    f"{FROM} folded\nSubject: x\n\nbody",
    f"{FROM}\tfolded\n\tmore\nSubject: x\n\nbody\n",
    f"{FROM}\nbody\r",
]


@pytest.mark.parametrize("before", ["", f"{FROM}Subject: a\n\na\n\n"], ids=["alone", "behind another"])
@pytest.mark.parametrize("text", ODD_ENDS)
def test_flags_and_additions_change_no_message(root: Path, before: str, text: str) -> None:
    """However a file ends or its first header begins: no message gets other bytes, or another key."""
    (root / "box").write_bytes((before + text).encode())
    box = make_store(root).open_mailbox("box")
    keys = list(whole(box).present)
    held = bodies(box, keys)
    for flags in (frozenset({SEEN, "work"}), frozenset({FLAGGED, "later"})):
        assert change_flags(box, dict.fromkeys(keys, flags)) == dict.fromkeys(keys, flags)
        assert whole(box).present == dict.fromkeys(keys, flags)
        assert bodies(box, keys) == held
    added = add(box, mail("late"))
    assert list(whole(box).present) == [*keys, added]
    assert bodies(box, keys) == held
    (root / "box").write_bytes((before + text).encode())
    add(box, mail("late"))
    assert list(whole(box).present)[:-1] == keys
    assert bodies(box, keys) == held


def test_no_mbox_is_told_with_its_line(root: Path) -> None:
    """A file that is none is called so, with the line by which that is seen."""
    (root / "file").write_text("something else\n")
    with pytest.raises(UnavailableError, match="it begins with 'something else'"):
        MboxStore("near", root / "file", FORM, root.parent / "journals").open()
