"""The promise itself: whatever happens in whatever order, each mailbox that is different afterwards was told.

Random operations are carried out by real system calls, without a pause, while the watcher runs.  After each
round what the mailboxes hold is compared with what they held before.  The seed is in the name of the test.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.watch_maildirs.conftest import Start
from tests.watch_maildirs.harness import make_maildir
from watch_maildirs.naming import MAILDIR_PLUS_PLUS, NESTED, mailbox_name

ROUNDS = 12
NAMES = ["a", "b", "c"]
Digest = dict[str, frozenset[tuple[str, int]]]


class Hands:
    """Does random things to a tree of mailboxes."""

    def __init__(self, base: Path, layout: str, seed: int) -> None:
        self._base = base
        self._layout = layout
        self._random = random.Random(seed)
        self._count = 0
        self.operations: list[Callable[[], object]] = [
            *[self.deliver] * 4,
            *[self.change_message] * 3,
            self.make_folder,
            self.make_half_a_folder,
            self.finish_folder,
            self.move_folder,
            self.remove_folder,
            self.make_folder_again,
            self.remove_part,
            self.replace_part,
            self.link_folder,
        ]

    def act(self) -> None:
        """Do something; what turns out to be impossible is left undone."""
        try:
            self._random.choice(self.operations)()
        except OSError:
            return

    def digest(self) -> Digest:
        """Return what each mailbox holds."""
        found: Digest = {}
        for directory in [self._base, *self._folders()]:
            entries = directory.relative_to(self._base).parts
            parts = [directory / "cur", directory / "new"]
            if all(part.is_dir() for part in parts):
                files = frozenset(
                    (p.name + "/" + e, (p / e).lstat().st_ino) for p in parts for e in names_in(p)
                )
                name = mailbox_name(self._layout, entries)
                found[name] = found.get(name, frozenset()) | files
        return found

    def deliver(self) -> None:
        """Deliver a message by the book."""
        self._count += 1
        folder = self._some_folder()
        (folder / "tmp" / str(self._count)).touch()
        (folder / "tmp" / str(self._count)).rename(folder / "new" / str(self._count))

    def change_message(self) -> None:
        """Delete a message, or move it to cur with a flag."""
        part = self._some_folder() / self._random.choice(["cur", "new"])
        message = part / self._random.choice(sorted(names_in(part)) or ["none"])
        target = message.parent.parent / "cur" / f"{message.name.partition(':')[0]}:2,S"
        if self._random.random() < 0.5:
            message.unlink()
        else:
            message.rename(target)

    def make_folder(self) -> None:
        """Make a folder."""
        make_maildir(self._some_path())

    def make_half_a_folder(self) -> None:
        """Begin a folder."""
        (self._some_path() / self._random.choice(["cur", "new"])).mkdir(parents=True)

    def finish_folder(self) -> None:
        """Give a folder what it lacks."""
        for part in ("cur", "new", "tmp"):
            (self._some_folder() / part).mkdir(exist_ok=True)

    def move_folder(self) -> None:
        """Rename a folder."""
        self._some_subfolder().rename(self._some_path())

    def remove_folder(self) -> None:
        """Delete a folder."""
        shutil.rmtree(self._some_subfolder())

    def make_folder_again(self) -> None:
        """Delete a folder and make it again at once."""
        folder = self._some_subfolder()
        shutil.rmtree(folder)
        make_maildir(folder)

    def remove_part(self) -> None:
        """Delete cur or new."""
        shutil.rmtree(self._some_folder() / self._random.choice(["cur", "new"]))

    def replace_part(self) -> None:
        """Replace cur or new by an empty one."""
        part = self._some_folder() / self._random.choice(["cur", "new"])
        part.rename(part.with_name(f"old{self._count}"))
        part.mkdir()

    def link_folder(self) -> None:
        """Make a folder a link to another, or point the link elsewhere."""
        link = self._base.with_name("link")
        link.unlink(missing_ok=True)
        link.symlink_to(self._some_folder())
        link.rename(self._some_path())

    def move_base(self) -> None:
        """Rename the base, and back."""
        aside = self._base.with_name("aside")
        self._base.rename(aside)
        aside.rename(self._base)

    def _folders(self) -> list[Path]:
        if self._layout == MAILDIR_PLUS_PLUS:
            return [path for path in self._base.iterdir() if path.name.startswith(".") and path.is_dir()]
        return [
            Path(top) / name
            for top, names, _ in os.walk(self._base)
            for name in names
            if name not in ("cur", "new", "tmp") and "cur/" not in top and "new/" not in top
        ]

    def _some_folder(self) -> Path:
        return self._random.choice([self._base, *sorted(self._folders())])

    def _some_subfolder(self) -> Path:
        return self._random.choice([*sorted(self._folders()), self._base / "none"])

    def _some_path(self) -> Path:
        name = self._random.choice(NAMES)
        if self._layout == MAILDIR_PLUS_PLUS:
            return self._base / f".{name}"
        parents = [path for path in self._folders() if len(path.relative_to(self._base).parts) < 3]
        return self._random.choice([self._base, *sorted(parents)]) / name


def names_in(directory: Path) -> list[str]:
    """Return the names in a directory."""
    return [path.name for path in directory.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize("layout", [MAILDIR_PLUS_PLUS, NESTED])
@pytest.mark.parametrize("seed", range(4))
def test_no_change_lost(start: Start, eyes: list[str], base: Path, layout: str, seed: int) -> None:
    """Each mailbox whose content changed, that came or that went in a round was told in it."""
    hands = Hands(base, layout, seed)
    watcher = start("--long", "--layout", layout, *eyes)
    before = hands.digest()
    for number in range(ROUNDS):
        for _ in range(1 + 3 * number):
            hands.act()
        if number % 4 == 3:  # seldom, because then all is told
            hands.move_base()
            hands.act()
        told = {mailbox if kind != "all" else "all" for kind, mailbox in watcher.told_of()}
        after = hands.digest()
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        assert changed <= told or "all" in told, f"round {number}: lost {changed - told}"
        before = after
