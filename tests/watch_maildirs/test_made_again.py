"""A base that is removed and made again at every moment of a look, while some process keeps it open.

A directory that is kept open tells nothing of its own removal, so only what its entries and its way told can
lead to the new one.  The eyes are the real ones, the directories too; just the moment is chosen: before the
n-th time that something is looked at, for every n.
"""

from __future__ import annotations

import os
import select
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.watch_maildirs.harness import make_maildir
from watch_maildirs.naming import MAILDIR_PLUS_PLUS, NESTED
from watch_maildirs.protocol import CONTENT, Change
from watch_maildirs.tree import Tree
from watch_maildirs.watch import Inotify

pytestmark = pytest.mark.slow

Act = Callable[[Path], object]


class Interrupted(Inotify):
    """The kernel's eyes, before whose n-th look something happens."""

    def __init__(self) -> None:
        super().__init__(10.0, time.monotonic())
        self.looks_left = -1
        self.act: Callable[[], object] = lambda: None

    def _look(self) -> None:
        if self.looks_left == 0:
            self.act()
        self.looks_left -= 1

    def watch(self, path: str, mask: int) -> int:
        """See Eyes."""
        self._look()
        return super().watch(path, mask)

    def watch_name(self, directory: str, name: str) -> int:
        """See Eyes."""
        self._look()
        return super().watch_name(directory, name)

    def list(self, path: str, files: bool = False) -> Iterable[tuple[str, str]]:
        """See Eyes."""
        self._look()
        return super().list(path, files)

    def kind(self, path: str) -> str | None:
        """See Eyes."""
        self._look()
        return super().kind(path)


def changes(tree: Tree, eyes: Interrupted) -> list[Change]:
    """Return what the tree makes of all events that are there."""
    told: list[Change] = []
    assert eyes.fd is not None
    while select.select([eyes.fd], [], [], 0)[0]:
        told += tree.handle(eyes.read(time.monotonic()))
    return told


def nothing(_base: Path) -> None:
    """Do nothing."""


def remove(base: Path) -> None:
    """Remove the base."""
    shutil.rmtree(base, ignore_errors=True)


def make(base: Path) -> None:
    """Make the base and a mailbox in it."""
    make_maildir(base / ("lists/python" if base.name == NESTED else ".one"))
    if base.name != NESTED:
        make_maildir(base)


def again(base: Path) -> None:
    """Remove and make the base."""
    remove(base)
    make(base)


def empty(base: Path) -> None:
    """Remove what is in the base."""
    for entry in base.iterdir():
        shutil.rmtree(entry)


SEQUENCES: dict[str, tuple[Act, Act]] = {
    "again": (again, nothing),
    "removed then made": (remove, make),
    "emptied then again": (empty, again),
    "again twice": (again, again),
}


@pytest.fixture(params=[MAILDIR_PLUS_PLUS, NESTED, "link"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A base that has the name of what it is: one of the layouts, or what is found behind a link."""
    base = tmp_path / "home" / str(request.param)
    make(base)
    return base


@pytest.fixture
def held(base: Path) -> Iterator[list[int]]:
    """The descriptors that keep the base open; more may be added."""
    fds = [os.open(path, os.O_RDONLY) for path in (base.parent, base)]
    yield fds
    for fd in fds:
        os.close(fd)


def tree_of(base: Path, eyes: Inotify) -> Tree:
    """Return the tree that is watched: the base, by a link if it is to be found behind one."""
    if base.name != "link":
        return Tree(eyes, str(base), base.name)
    way = base.parent.parent / "way"
    if not way.is_symlink():
        way.symlink_to(base)
    return Tree(eyes, str(way), MAILDIR_PLUS_PLUS)


def check(tree: Tree, eyes: Interrupted, base: Path) -> None:
    """Demand that all mailboxes are known, and that a delivery into the new base is told."""
    changes(tree, eyes)
    mailbox, folder = ("lists/python", "lists/python") if base.name == NESTED else ("one", ".one")
    assert tree.mailboxes() == ((mailbox,) if base.name == NESTED else ("INBOX", mailbox))
    (base / folder / "new/m1").touch()
    assert Change(CONTENT, mailbox, "new/m1") in changes(tree, eyes)
    make_maildir(base / (folder + ".x" if base.name != NESTED else "x"))
    changes(tree, eyes)
    assert len(tree.mailboxes()) == (2 if base.name == NESTED else 3)


@pytest.mark.parametrize("name", SEQUENCES)
def test_during_a_look(base: Path, held: list[int], name: str) -> None:
    """While events are looked into."""
    first, second = SEQUENCES[name]
    looks = 0
    is_over = False
    while not is_over:
        shutil.rmtree(base, ignore_errors=True)
        make(base)
        held.append(os.open(base, os.O_RDONLY))
        eyes = Interrupted()
        tree = tree_of(base, eyes)
        tree.start()
        first(base)
        held += [os.open(base, os.O_RDONLY)] if base.exists() else []
        eyes.looks_left, eyes.act = looks, lambda: second(base)
        changes(tree, eyes)
        is_over = eyes.looks_left >= 0
        eyes.looks_left = -1
        if is_over:
            second(base)

        check(tree, eyes, base)
        looks += 1
    assert looks > 3


def test_during_the_first_look(base: Path, held: list[int]) -> None:
    """While everything is looked at for the first time."""
    looks = 0
    is_over = False
    while not is_over:
        shutil.rmtree(base, ignore_errors=True)
        make(base)
        held.append(os.open(base, os.O_RDONLY))
        eyes = Interrupted()
        eyes.looks_left, eyes.act = looks, lambda: again(base)
        tree = tree_of(base, eyes)
        tree.start()
        is_over = eyes.looks_left >= 0
        eyes.looks_left = -1

        check(tree, eyes, base)
        looks += 1
    assert looks > 3
