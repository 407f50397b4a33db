"""tree: what is watched and what events mean, on a tree of directories that exists in a dictionary only.

What comes out on real directories is the business of test_contract; here are the decisions that cannot be
seen there.
"""

from collections.abc import Iterable

import pytest

from watch_maildirs import events as ev
from watch_maildirs.eyes import DIRECTORY, LINK, Eyes
from watch_maildirs.naming import MAILDIR_PLUS_PLUS, NESTED
from watch_maildirs.protocol import ALL, CONTENT, GONE, MADE, Change
from watch_maildirs.tree import Tree


class PaperEyes(Eyes):
    """Eyes for directories and links on paper; a watch's number is that of the directory, as with inotify."""

    def __init__(self, *directories: str) -> None:
        self.directories = {"/"}
        self.links: dict[str, str] = {}
        self.wds: dict[str, int] = {}
        self.masks: dict[str, int] = {}
        for path in directories:
            self.make(path)

    def make(self, path: str) -> None:
        """Make a directory and its parents."""
        steps = path.split("/")
        self.directories |= {"/".join(steps[: n + 1]) for n in range(1, len(steps))}

    def make_maildir(self, path: str) -> None:
        """Make a directory with cur and new."""
        self.make(path + "/cur")
        self.make(path + "/new")

    def remove(self, path: str) -> None:
        """Remove a directory with all in it; its watches are gone as well."""
        self.directories = {d for d in self.directories if not (d + "/").startswith(path + "/")}
        self.wds = {d: wd for d, wd in self.wds.items() if not (d + "/").startswith(path + "/")}

    def watch(self, path: str, mask: int) -> int:
        """See Eyes."""
        if path in self.links:
            if mask & ev.ONLYDIR:
                raise NotADirectoryError(path)
        elif path not in self.directories:
            raise FileNotFoundError(path)
        self.masks[path] = self.masks.get(path, 0) | mask
        return self.wds.setdefault(path, 1000 + len(self.masks) + len(self.wds) * 1000)

    def watch_name(self, directory: str, name: str) -> int:
        """See Eyes."""
        return self.watch(directory, ev.WATCH_ENTRIES)

    def leads_to(self, path: str, wd: int) -> bool:
        """See Eyes."""
        return self.wds.get(path) == wd

    def unwatch(self, wd: int) -> None:
        """See Eyes."""
        for path in [path for path, known in self.wds.items() if known == wd]:
            del self.wds[path], self.masks[path]

    def list(self, path: str, files: bool = False) -> Iterable[tuple[str, str]]:
        """See Eyes."""
        below = [p for p in sorted({*self.directories, *self.links}) if p.rpartition("/")[0] == path]
        return [(p.rpartition("/")[2], LINK if p in self.links else DIRECTORY) for p in below]

    def kind(self, path: str) -> str | None:
        """See Eyes."""
        return LINK if path in self.links else DIRECTORY if path in self.directories else None

    def link_target(self, path: str) -> str | None:
        """See Eyes."""
        return self.links.get(path)

    def event(self, path: str, mask: int, name: str = "") -> ev.Event:
        """Return an event of a watched directory."""
        return ev.Event(self.wds[path], mask, 0, name)


@pytest.fixture
def eyes() -> PaperEyes:
    """A Maildir /home/m with one folder."""
    eyes = PaperEyes()
    eyes.make_maildir("/home/m")
    eyes.make_maildir("/home/m/.one")
    return eyes


def started(eyes: PaperEyes, layout: str = MAILDIR_PLUS_PLUS) -> Tree:
    """Return a tree that was looked at."""
    tree = Tree(eyes, "/home/m", layout)
    assert [change for change in tree.start() if change.kind != "note"] == []
    return tree


def test_what_is_watched(eyes: PaperEyes) -> None:
    """Three directories of each folder, and of the way there only whether it stays where it is."""
    assert started(eyes).mailboxes() == ("INBOX", "one")
    assert eyes.masks == {
        "/home": ev.WATCH_SELF,
        "/home/m": ev.WATCH_SELF | ev.WATCH_ENTRIES,
        "/home/m/cur": ev.WATCH_CONTENT,
        "/home/m/new": ev.WATCH_CONTENT,
        "/home/m/.one": ev.WATCH_ENTRIES,
        "/home/m/.one/cur": ev.WATCH_CONTENT,
        "/home/m/.one/new": ev.WATCH_CONTENT,
    }


def test_base_that_comes_leaves_no_noise(eyes: PaperEyes) -> None:
    """The busy directory in which a base was waited for is not listened to any more when it has come."""
    eyes.remove("/home/m")
    tree = started(eyes)
    assert eyes.masks["/home"] & ev.CREATE
    eyes.make_maildir("/home/m")
    assert tree.handle([eyes.event("/home", ev.CREATE, "m")])[-1] == Change(ALL, mailboxes=("INBOX",))
    assert eyes.masks["/home"] == ev.WATCH_SELF


def test_other_names_beside_a_missing_base(eyes: PaperEyes) -> None:
    """What happens beside a base that is waited for is nothing to us."""
    eyes.remove("/home/m")
    assert started(eyes).handle([eyes.event("/home", ev.CREATE, "other")]) == []


def test_content(eyes: PaperEyes) -> None:
    """An entry of cur or new is told with its name."""
    assert started(eyes).handle([eyes.event("/home/m/.one/new", ev.MOVED_TO, "m1")]) == [
        Change(CONTENT, "one", "new/m1")
    ]


def test_unknown_watch(eyes: PaperEyes) -> None:
    """Events that were on their way when their watch ended mean nothing any more."""
    assert started(eyes).handle([ev.Event(999999, ev.CREATE, 0, "m1")]) == []


def test_overflow(eyes: PaperEyes) -> None:
    """After an overflow all is looked at again, and one change stands for all mailboxes, old and new."""
    tree = started(eyes)
    eyes.remove("/home/m/.one")
    eyes.make_maildir("/home/m/.two")
    assert tree.handle([ev.Event(-1, ev.Q_OVERFLOW, 0, "")]) == [
        Change(ALL, mailboxes=("INBOX", "one", "two"))
    ]
    assert tree.mailboxes() == ("INBOX", "two")


def test_made_when_both_are_there(eyes: PaperEyes) -> None:
    """A folder that was complete at the first look is not told again for the events of its making."""
    tree = started(eyes)
    eyes.make_maildir("/home/m/.two")
    assert tree.handle([eyes.event("/home/m", ev.CREATE, ".two")]) == [Change(MADE, "two")]
    assert tree.handle([eyes.event("/home/m/.two", ev.CREATE, "new")]) == []


def test_removed_watches_are_ended(eyes: PaperEyes) -> None:
    """A folder that is gone leaves no watch behind."""
    tree = started(eyes)
    before = dict(eyes.wds)
    eyes.make_maildir("/home/m/.two")
    tree.handle([eyes.event("/home/m", ev.CREATE, ".two")])
    eyes.directories -= {"/home/m/.two", "/home/m/.two/cur", "/home/m/.two/new"}
    assert tree.handle([eyes.event("/home/m", ev.MOVED_FROM, ".two")]) == [Change(GONE, "two")]
    assert eyes.wds == before


def test_one_watch_two_names(eyes: PaperEyes) -> None:
    """A watch that serves two folders goes on serving one when the other is gone."""
    eyes.links["/home/m/.link"] = ".one"
    tree = started(eyes)
    both = [Change(CONTENT, "one", "cur/x"), Change(CONTENT, "link", "cur/x")]
    assert sorted(tree.handle([eyes.event("/home/m/.one/cur", ev.DELETE, "x")])) == sorted(both)
    del eyes.links["/home/m/.link"]
    tree.handle([eyes.event("/home/m", ev.DELETE, ".link")])
    assert tree.handle([eyes.event("/home/m/.one/cur", ev.DELETE, "x")]) == [Change(CONTENT, "one", "cur/x")]


def test_circle_of_links(eyes: PaperEyes) -> None:
    """A link to itself leads nowhere, and is no fault."""
    eyes.links["/home/m/.a"] = ".b"
    eyes.links["/home/m/.b"] = ".a"
    assert started(eyes).mailboxes() == ("INBOX", "one")


@pytest.mark.slow
def test_deep_tree() -> None:
    """A tree deeper than Python's stack is walked, renamed and forgotten."""
    eyes = PaperEyes()
    deep = "/home/m" + "/d" * 1100
    eyes.make_maildir(deep)
    tree = started(eyes, NESTED)
    assert len(tree.mailboxes()) == 1
    eyes.remove("/home/m/d")
    assert [change.kind for change in tree.handle([eyes.event("/home/m", ev.DELETE, "d")])] == [GONE]


def test_unmount(eyes: PaperEyes) -> None:
    """A base that is unmounted is waited for, and all its mailboxes may have changed."""
    tree = started(eyes)
    told = [eyes.event("/home/m/cur", ev.UNMOUNT), eyes.event("/home/m", ev.UNMOUNT)]
    eyes.remove("/home/m/cur")
    eyes.remove("/home/m/new")
    eyes.remove("/home/m/.one")
    assert tree.handle(told)[-1] == Change(ALL, mailboxes=("INBOX", "one"))
    eyes.make_maildir("/home/m")
    assert Change(MADE, "INBOX") in tree.handle([eyes.event("/home/m", ev.CREATE, "new")])
