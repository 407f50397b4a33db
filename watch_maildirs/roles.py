"""Folders, and the roles that watches play for them.

A watch (its number, wd) may play several roles: one directory that several paths lead to has one wd, and a
change in it is a change under each name.  A watch without a role is ended.
"""

from typing import AbstractSet, Dict, Iterable, List, Optional, Set, Tuple

from watch_maildirs.eyes import Eyes
from watch_maildirs.naming import mailbox_name

# What a watch is used for.
IN_PART = 0  # to see the entries of cur or new
IN_FOLDER = 1  # to see the entries of the folder itself
STEP = 2  # to see whether a directory or link on the way stays where it is
NAME = 3  # to see what a name on the way comes to mean
IN_FILE = 4  # to see what is written into an mbox
ALL_USES = (IN_PART, IN_FOLDER, STEP, NAME, IN_FILE)


class Folder:
    """A directory, or an mbox, that is, holds or may become a mailbox."""

    __slots__ = (
        "blocked",
        "children",
        "complete",
        "entries",
        "forgotten",
        "is_empty",
        "mailbox",
        "parent",
        "path",
        "watch",
        "way",
        "wds",
    )

    def __init__(self, layout: str, parent: "Optional[Folder]", entries: Tuple[str, ...], path: str) -> None:
        self.parent = parent
        self.entries = entries
        self.mailbox = mailbox_name(layout, entries)
        self.path = path  # with all links resolved, once `there`
        self.way = ""  # for the base and for links: the path as given, to be followed to find `path`
        self.watch: Optional[int] = None  # the number of the watch on its entries, or on the mbox
        self.complete = False  # it is a mailbox: has cur and new, both watched, or is one as it is
        self.blocked = False  # something in it could not be opened
        self.forgotten = False
        self.is_empty = False  # an mbox in which nothing was written yet, so that it may turn out to be none
        self.children: Dict[str, Folder] = {}
        self.wds: List[int] = []

    @property
    def there(self) -> bool:
        """Whether it is there and watched."""
        return self.watch is not None

    def is_loop(self) -> bool:
        """Tell whether this is, by way of links, a folder that it lies in itself."""
        above = self.parent
        while above is not None:
            if above.path == self.path:
                return True
            above = above.parent
        return False


Role = Tuple[Folder, int, str]  # folder, use, and: the part, or the name that is waited for


class Roles:
    """All watches of a tree, and what each is for."""

    def __init__(self, eyes: Eyes) -> None:
        self._eyes = eyes
        self._of: Dict[int, Tuple[Role, ...]] = {}

    def of(self, wd: int) -> Tuple[Role, ...]:
        """Return the roles of a watch; none if it was ended, and an event of it was still on its way."""
        return self._of.get(wd, ())

    def add(self, wd: int, role: Role) -> int:
        """Give a watch one more role; return its number."""
        known = self._of.get(wd)
        if known is None:
            self._of[wd] = (role,)
            role[0].wds.append(wd)
        elif role not in known:
            self._of[wd] = (*known, role)
            if not any(other[0] is role[0] for other in known):
                role[0].wds.append(wd)
        return wd

    def drop(
        self, folder: Folder, uses: Iterable[int], but: AbstractSet[Tuple[int, str]] = frozenset()
    ) -> None:
        """Take away a folder's roles of some uses, except some (wd, part); end watches left without one."""
        kept = []
        for wd in folder.wds:
            roles = self._of[wd]
            left = tuple(
                role for role in roles if role[0] is not folder or role[1] not in uses or (wd, role[2]) in but
            )
            if any(role[0] is folder for role in left):
                kept.append(wd)
            if left:
                self._of[wd] = left
            else:
                del self._of[wd]
                self._eyes.unwatch(wd)
        folder.wds = kept

    def parts_of(self, folder: Folder) -> Set[Tuple[int, str]]:
        """Return the (wd, part) of a folder's cur and new."""
        return {
            (wd, own)
            for wd in folder.wds
            for role_of, use, own in self._of[wd]
            if role_of is folder and use == IN_PART
        }

    def end_way(self) -> None:
        """End the watches on the way: while something is looked for they are on busy directories."""
        for wd, roles in self._of.items():
            if any(use in (STEP, NAME) for _, use, _ in roles):
                self._eyes.unwatch(wd)

    def end_unless_in(self, other: "Roles") -> None:
        """End the watches that have no role in another table."""
        for wd in self._of:
            if wd not in other._of:
                self._eyes.unwatch(wd)
