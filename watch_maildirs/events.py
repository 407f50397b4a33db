"""What a pair of eyes tells the tree: events, in the numbers of inotify(7).

The numbers are part of the Linux ABI.  They stand here because the tree and the polling eyes speak of them
too, on machines that have no inotify_simple.
"""

from typing import NamedTuple

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
UNMOUNT = 0x2000
Q_OVERFLOW = 0x4000
IGNORED = 0x8000
ONLYDIR = 0x1000000
DONT_FOLLOW = 0x2000000
MASK_ADD = 0x20000000

CHILD = CREATE | DELETE | MOVED_FROM | MOVED_TO  # a name in the directory came to mean something else
MOVED = MOVE_SELF | DELETE_SELF
LOST = IGNORED | UNMOUNT  # the watch itself is gone, and with it the directory

# The ways to watch a path.
WATCH_CONTENT = CHILD | CLOSE_WRITE | ONLYDIR | DONT_FOLLOW  # a cur or new: its entries, who writes into them
WATCH_ENTRIES = CHILD | ATTRIB | ONLYDIR | DONT_FOLLOW  # a folder: its entries and who may read them
WATCH_MESSAGES = WATCH_ENTRIES | MODIFY  # an MH folder: its messages lie beside its folders
WATCH_FILE = MODIFY | ATTRIB | MOVED | DONT_FOLLOW  # an mbox: what is in it, and (its links) whether it goes
WATCH_SELF = MOVED | DONT_FOLLOW  # a directory or link on the way: whether it stays where it is
WATCH_STATUS = ATTRIB | DONT_FOLLOW  # what may not be read, or is not there: always by polling


class Event(NamedTuple):
    """One event, as inotify_simple gives it.

    ``name`` is the entry of the directory that was watched; "" for the directory itself, and also where
    polling cannot tell which entry changed.
    """

    wd: int
    mask: int
    cookie: int
    name: str
