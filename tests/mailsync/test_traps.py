"""Whole runs on what is unusual: other programs at work, odd files, full disks, large and many messages."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mswatch.mailsync.decide import SIDES
from mswatch.mailsync.options import Options, Outcome
from tests.mailsync.test_worlds import WORLDS, assert_as_expected, in_child
from tests.mailsync.worlds import World, body, build
from tests.servers import mbsync
from tests.servers.maildir import MaildirStore
from tests.servers.waiting import run_to_end
from tests.stores.test_maildir import make_old

LONG = bool(os.environ.get("MSWATCH_LONG"))

# Reads, flags, moves and delivers as mutt, mu4e and a delivery agent do, by renaming; deletes nothing.
EDITOR = """
import os, random, sys, time
root, seed, end = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
pick = random.Random(seed)
number = 0
while time.monotonic() < end:
    box = pick.choice(["INBOX", "one"])
    act = pick.random()
    if act < 0.2:
        number += 1
        name = f"e{seed}x{number}"
        text = f"Subject: {name}\\nMessage-ID: <{name}@example.org>\\n\\nBody of {name}.\\n"
        with open(f"{root}/{box}/tmp/{name}", "w") as file:
            file.write(text)
        os.rename(f"{root}/{box}/tmp/{name}", f"{root}/{box}/new/{name}.host")
        continue
    part = pick.choice(["cur", "new"])
    files = os.listdir(f"{root}/{box}/{part}")
    if not files:
        continue
    name = pick.choice(files)
    unique = name.partition(":")[0]
    flags = "".join(sorted(pick.sample("FRS", pick.randint(0, 3))))
    target = pick.choice(["INBOX", "one"]) if act > 0.9 else box
    try:
        os.rename(f"{root}/{box}/{part}/{name}", f"{root}/{target}/cur/{unique}:2,{flags}")
    except FileNotFoundError:
        pass
print(number)
"""


@pytest.mark.slow
def test_others_work_on_both_stores_meanwhile(tmp_path: Path) -> None:
    """While two programs deliver, flag and move all the time, nothing is lost; at rest both are equal."""
    world = World(tmp_path)
    for side in SIDES:
        for mailbox in ("INBOX", "one"):
            world.make(side, mailbox)
    for number in range(100):
        world.put("near", "INBOX", f"m{number}")
    seconds = 20.0 if LONG else 3.0
    editors = [
        subprocess.Popen(
            (sys.executable, "-c", EDITOR, str(world.path(side)), str(seed), str(seconds)),
            stdout=subprocess.PIPE,
        )
        for seed, side in enumerate(SIDES, 1)
    ]
    while any(editor.poll() is None for editor in editors):
        outcome, _ = world.sync()
        assert not outcome.refused
    made = sum(int(editor.communicate()[0]) for editor in editors)
    for _ in range(3):
        outcome, _ = world.sync()
        assert not outcome.failed
    near, far = world.contents("near"), world.contents("far")
    assert near == far
    names = {name for messages in near.values() for name, _ in messages}
    assert len(names) == 100 + made


def test_foreign_files_are_passed_over(tmp_path: Path) -> None:
    """FIFOs, directories and dangling links in a mailbox are told once, and hold nothing up."""
    world = World(tmp_path)
    for side in SIDES:
        world.make(side, "INBOX")
    world.put("near", "INBOX", "real")
    cur = world.path("near") / "INBOX" / "cur"
    os.mkfifo(cur / "fifo:2,S")
    (cur / "directory").mkdir()
    (cur / "dangling:2,").symlink_to("nowhere")
    outcome, _ = world.sync()
    assert (outcome.failed, outcome.problems, len(outcome.notes)) == ({}, [], 3)
    assert sum(world.contents("far")["INBOX"].values()) == 1
    make_old(world.path("near"))
    make_old(world.path("far"))
    world.sync()
    assert world.sync()[0].notes == []


def test_full_disk(tmp_path: Path) -> None:
    """What does not fit ends the mailbox's work; nothing half is left, and with room the rest comes."""
    world = World(tmp_path)
    world.make("far", "INBOX")
    for number in range(10):
        world.put(
            "near", "INBOX", f"m{number}", data=body(f"m{number}", size=200_000 if number == 5 else 100)
        )

    def run_with_small_files() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # write(2) fails with EFBIG then
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
        assert world.sync()[0].failed.keys() == {"INBOX"}

    assert in_child(run_with_small_files) == 0
    assert world.leftovers() == []
    assert all(count == 1 for count in world.contents("far")["INBOX"].values())
    assert world.sync()[0].failed == {}
    assert world.contents("near") == world.contents("far")


def test_large_message_within_bounds(tmp_path: Path) -> None:
    """A message of 200 MB is copied byte for byte, with memory for a part of it only."""
    size = 200_000_000 if LONG else 80_000_000
    world = World(tmp_path)
    world.make("far", "INBOX")
    world.put("near", "INBOX", "large", data=body("large", size=size))

    def run_with_little_memory() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 32_000_000, used + 32_000_000))
        assert world.sync()[0].failed == {}

    assert in_child(run_with_little_memory) == 0
    copied = world.find("far", "INBOX", "large")
    assert copied.stat().st_size == world.find("near", "INBOX", "large").stat().st_size


@pytest.mark.slow
def test_many_messages(tmp_path: Path) -> None:
    """A large folder is copied, found unchanged, and after the state is lost paired and not doubled."""
    count = 100_000 if LONG else 3_000
    world = World(tmp_path)
    world.make("far", "INBOX")
    cur = world.make("near", "INBOX") / "cur"
    for number in range(count):
        (cur / f"m{number}.near:2,").write_bytes(b"Subject: %d\nMessage-ID: <%d@x>\n\nx\n" % (number, number))
    world.sync()
    world.state_file.unlink()
    outcome, listening = world.sync()
    assert listening.told == []
    assert not outcome.problems
    assert len(list((world.path("far") / "INBOX").rglob("*/*"))) == count
    assert len(world.remembered()) == count


def test_all_flags_change(tmp_path: Path) -> None:
    """Flags of more messages than are worked on at once are merged, each with those of its partner."""
    count = 100_000 if LONG else 5_000
    world = World(tmp_path)
    boxes = {side: world.make(side, "INBOX") / "cur" for side in SIDES}
    for number in range(count):
        (boxes["near"] / f"m{number}.near:2,R").write_bytes(b"Subject: %d\n\nx\n" % number)
    world.sync()
    for side, letters, changed in zip(SIDES, ("FR", "RS"), (count // 2, count), strict=True):
        for path in sorted(boxes[side].iterdir())[:changed]:
            path.rename(path.with_name(path.name.replace(":2,R", f":2,{letters}")))
    outcome, _ = world.sync()
    assert outcome == Outcome()
    assert world.contents("near") == world.contents("far")
    ends = [path.name.partition(":2,")[2] for path in boxes["far"].iterdir()]
    assert (ends.count("FRS"), ends.count("RS")) == (count // 2, count - count // 2)
    _, listening = world.sync()
    assert listening.told == []


@pytest.mark.parametrize(
    "name", ["everything at once", "deleted messages go to the trash, which is synced too"]
)
def test_clock_that_jumps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock says from one moment to the next, the end is the same, and then nothing is done."""
    text, options = WORLDS[name]
    year_s = 365 * 24 * 3600
    for seed in range(10):
        pick, real = random.Random(seed), time.time_ns
        monkeypatch.setattr(
            time,
            "time_ns",
            lambda pick=pick, real=real: real() + pick.choice([0, 5, -5, year_s, -year_s]) * 10**9,
        )
        world = build(tmp_path / str(seed), text)
        assert world.sync(options)[0] == Outcome()
        assert_as_expected(world, name)
        for _ in range(2):
            assert world.sync(options)[1].told == []
        monkeypatch.undo()


def test_dates_that_cannot_be(tmp_path: Path) -> None:
    """A message from before 1970 or from the future keeps its date, and stands in no one's way."""
    world = build(tmp_path, "a x x x -> x\n")
    dates_s = (-86_400, 0, 1, 2**31 + 5, 4_000_000_000)
    for number, date_s in enumerate(dates_s):
        os.utime(world.put("near", "INBOX", f"d{number}"), (date_s, date_s))
    os.utime(world.path("near") / "INBOX/cur", (4_000_000_000, 4_000_000_000))
    assert world.sync()[0] == Outcome()
    found = {
        name: world.find("far", "INBOX", name).stat().st_mtime for name in ("d0", "d1", "d2", "d3", "d4")
    }
    assert list(found.values()) == list(dates_s)
    world.put("near", "INBOX", "later")
    world.sync()
    assert world.contents("near") == world.contents("far")


def test_what_may_not_be_written(tmp_path: Path) -> None:
    """Files that are only read are flagged and removed; where a directory is, nothing is done, and told."""
    world = build(tmp_path, "a x x x -> x\nb x x x -> x\nlists/c x x x -> x\n")
    for path in world.path("near").rglob("cur/*"):
        path.chmod(0o400)
    world.set("far", "INBOX", "a", "F")
    world.delete("far", "INBOX", "b")
    assert world.sync()[0] == Outcome()
    assert world.contents("near") == world.contents("far")
    world.set("far", "lists", "c", "S")
    world.put("far", "lists", "d")
    world.put("far", "INBOX", "e")
    closed = [world.path("near") / "lists" / part for part in ("cur", "new", "tmp")]
    for path in closed:
        path.chmod(0o500)
    assert world.sync()[0].failed.keys() == {"lists"}
    for path in closed:
        path.chmod(0o700)
    assert world.sync()[0] == Outcome()
    assert world.contents("near") == world.contents("far")


def test_message_that_cannot_be_read(tmp_path: Path) -> None:
    """A message that nobody may read is told each time, and is neither lost nor doubled."""
    world = build(tmp_path, "a x x x -> x\nb x x x -> x\n")
    path = world.put("near", "INBOX", "secret")
    path.chmod(0)
    outcome, listening = world.sync()
    assert len(outcome.problems) == 1
    assert listening.told == []
    world.state_file.unlink()  # the first meeting: any message over there might be this one
    assert world.sync()[0].failed.keys() == {"INBOX"}
    path.chmod(0o600)
    assert world.sync()[0] == Outcome()
    assert world.contents("near") == world.contents("far")
    assert sum(world.contents("far")["INBOX"].values()) == 3


def test_trash_on_another_file_system(tmp_path: Path) -> None:
    """A trash may be a link to another disk; what is deleted gets there, and to the other trash."""
    world = build(tmp_path, "a x x x -> x\nb x x x -> x\nTrash/old x x x -> x\n")
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        trash = world.path("near") / "Trash"
        assert Path(elsewhere).stat().st_dev != trash.stat().st_dev
        shutil.move(trash, elsewhere)
        trash.symlink_to(Path(elsewhere, "Trash"))
        world.delete("far", "INBOX", "a")
        outcome, listening = world.sync(Options(near_trash="Trash"))
        assert outcome == Outcome()
        assert [done.what for done in listening.told] == ["moved to the trash", "copied"]
        assert world.contents("near") == world.contents("far")
        assert world.contents("far")["Trash"] == {("old", ""): 1, ("a", ""): 1}


@pytest.mark.server
@pytest.mark.slow
def test_mbsync_agrees(tmp_path: Path) -> None:
    """From the same edits mbsync and mailsync make the same stores."""
    pick = random.Random(7)
    ours = World(tmp_path / "ours")
    for side in SIDES:
        for mailbox in ("INBOX", "one"):
            ours.make(side, mailbox)
            for number in range(10):
                name = f"{side}{mailbox}{number}"
                ours.put(side, mailbox, name, pick.choice(["", "S", "FS"]))
    theirs = ours.copy_stores(tmp_path / "theirs")
    near, far = (MaildirStore(theirs.path(side), "nested") for side in SIDES)
    call = mbsync.argv(mbsync.write_configuration(tmp_path, near, far))
    assert_same_end(ours, theirs, call)
    for world in (ours, theirs):
        for mailbox in ("INBOX", "one"):
            world.set("near", mailbox, f"near{mailbox}1", "RS")
            world.set("far", mailbox, f"far{mailbox}2", "F")
            world.find("near", mailbox, f"far{mailbox}3").unlink()
            world.find("far", mailbox, f"near{mailbox}4").unlink()
            world.put("far", mailbox, f"late{mailbox}", "R")
    assert_same_end(ours, theirs, call)


def assert_same_end(ours: World, theirs: World, call: tuple[str, ...]) -> None:
    """Run both programs, and compare what they have made."""
    outcome, _ = ours.sync()
    assert not outcome.failed
    run_to_end(call, 60.0)
    for side in SIDES:
        assert ours.contents(side) == theirs.contents(side)
