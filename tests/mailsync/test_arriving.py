"""Batches of several mailboxes that arrive together: what is spared, and what becomes of one that fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES
from mswatch.mailsync.stores import synced
from tests.mailsync.worlds import World

BOXES = [f"box{number:02}" for number in range(12)]


def small_mailboxes(directory: Path, messages: int = 3) -> World:
    """Make a world of small mailboxes on near, and nothing on far but an INBOX."""
    world = World(directory)
    for side in SIDES:
        world.make(side, "INBOX")
    for box in BOXES:
        for number in range(messages):
            world.put("near", box, f"{box}x{number}")
    return world


def count_syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each call that brings files to the disk."""
    calls: list[str] = []

    def counted(name: str, call: Callable[[int], None]) -> Callable[[int], None]:
        def count(fd: int) -> None:
            calls.append(name)
            call(fd)

        return count

    monkeypatch.setattr(os, "fsync", counted("fsync", os.fsync))
    monkeypatch.setattr(synced, "_syncfs", counted("syncfs", synced._syncfs))
    return calls


def test_small_mailboxes_are_brought_to_the_disk_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the messages and once their new names; new mailboxes one by one."""
    world = small_mailboxes(tmp_path)
    calls = count_syncs(monkeypatch)
    outcome, listening = world.sync()
    assert not outcome.failed
    assert calls.count("syncfs") == 2
    assert calls.count("fsync") == 2 * len(BOXES)  # of each that is made, itself and where it is
    assert sum(done.what == "copied" for done in listening.told) == 3 * len(BOXES)
    assert world.contents("near") == world.contents("far")
    assert world.leftovers() == []


def test_a_delivery_that_fails_is_that_of_all_who_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them is remembered, and the next run finds what arrived all the same: nothing is doubled."""
    world = small_mailboxes(tmp_path)
    real_rename, renames = os.rename, 0

    def rename(source: bytes, target: bytes) -> None:
        nonlocal renames
        renames += 1
        if renames == 20:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real_rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        outcome, _ = world.sync()
    assert sorted(outcome.failed) == BOXES
    outcome, _ = world.sync()
    assert not outcome.failed
    assert world.contents("near") == world.contents("far")
    assert world.leftovers() == []


def test_a_mailbox_that_cannot_be_written_does_not_hold_up_others(tmp_path: Path) -> None:
    """Its messages are missing, and those of the others arrive."""
    world = small_mailboxes(tmp_path)
    for box in BOXES:
        world.make("far", box)
    (tmp_path / "far" / BOXES[5] / "tmp").chmod(0o500)
    outcome, _ = world.sync()
    assert list(outcome.failed) == [BOXES[5]]
    there = world.contents("far")
    assert {box: sum(there[box].values()) for box in BOXES} == {
        box: 0 if box == BOXES[5] else 3 for box in BOXES
    }
    (tmp_path / "far" / BOXES[5] / "tmp").chmod(0o700)
    outcome, _ = world.sync()
    assert not outcome.failed
    assert world.contents("near") == world.contents("far")


def test_each_file_system_is_brought_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox may be a link to elsewhere."""
    elsewhere = Path("/dev/shm")
    if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.fail("/dev/shm is no file system of its own")
    calls = count_syncs(monkeypatch)
    here = [os.fsencode(tmp_path / f"{number}") for number in range(10)]
    synced.bring_to_disk_all([*here, b"/dev/shm/x"], few=8)
    assert calls == ["syncfs", "syncfs"]
