"""Keywords of the messages in a Maildir, as Dovecot and Courier keep them; maildir(5) knows none.

Dovecot: the small letters a to z in the file name stand for the names that the file ``dovecot-keywords``
gives them, lines ``0 $Junk``; there is room for 26.  We add names as Dovecot does, under its lock, and
never change one.

Courier: where there is a directory ``courierimapkeywords``, its file ``:list`` has the names, an empty
line, and for each message with keywords a line ``NAME:0 2`` with their numbers; a file called like the
message (names, one on a line) has newer ones than the list.  We write such a file and leave the list to
Courier, which takes it in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from mswatch.mailsync.flags import NONE, FlagChange, Flags
from mswatch.mailsync.stores.contract import Key, MailboxError
from mswatch.mailsync.stores.file_lock import make_lock, remove_left_over_lock
from mswatch.mailsync.stores.synced import bring_to_disk

ROOM = 26
LONGEST = 200  # bytes of a keyword
FILE_LIMIT = 1 << 26
LOCK_WAIT_S = 10.0
LOCK_STALE_S = 120.0  # Dovecot's own limit for a lock without a living owner

_FIRST = ord("a")
_LIST = b"dovecot-keywords"
_LOCK = b"dovecot-uidlist.lock"
_COURIER = b"/courierimapkeywords"


class Keywords:
    """The keywords of one Maildir.  ``by_message`` has those that are not in file names (Courier)."""

    MARK_FILES = (b"/" + _LIST, _COURIER, _COURIER + b"/:list")  # which a scan depends on

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._names: list[str] | None = None
        self.by_message: dict[Key, Flags] = {}
        self._courier = False

    def read(self) -> None:
        """Read anew what the mailbox has."""
        self._names = _read_list(self._directory + b"/" + _LIST)
        self._courier = os.path.isdir(self._directory + _COURIER)
        self.by_message = _read_courier(self._directory + _COURIER) if self._courier else {}

    @property
    def in_names(self) -> bool:
        """Whether names tell all flags, as Dovecot has it."""
        return not self._courier

    def meaning(self, letters: bytes) -> bytes:
        """Return what the letters of keywords among the flags of a name mean, in a form to be compared."""
        if not letters or max(letters) < _FIRST:  # as in most messages
            return b""
        names = " ".join(self.name(letters[i : i + 1]) for i in range(len(letters)))
        return b"\0" + names.encode("utf-8", "surrogateescape")

    def name(self, letter: bytes) -> str:
        """Return what a letter in a file name stands for; empty if for no keyword."""
        names = self._list()
        index = letter[0] - _FIRST
        return names[index] if 0 <= index < min(len(names), ROOM) else ""

    def letter(self, keyword: str) -> bytes:
        """Return the letter of a keyword; empty if it has none."""
        names = self._list()
        index = names.index(keyword) if keyword in names else ROOM
        return bytes([_FIRST + index]) if index < ROOM else b""

    def storable(self, flags: Flags) -> Flags:
        """Return which of these flags can be kept, after making room for new keywords."""
        new = {flag for flag in flags if not flag.startswith("\\") and flag != "$Forwarded"}
        new -= set(self._list())
        if new and not self._courier:
            self._add(sorted(filter(is_keyword, new)))
        return frozenset(flag for flag in flags if self._has(flag))

    def _has(self, flag: str) -> bool:
        if flag in _SYSTEM:
            return True
        return is_keyword(flag) if self._courier else bool(self.letter(flag))

    def _list(self) -> list[str]:
        if self._names is None:
            self.read()
        return self._names or []

    def _add(self, keywords: list[str]) -> None:
        if not keywords or len(self._list()) >= ROOM:
            return
        with _Lock(self._directory + b"/" + _LOCK):
            names = _read_list(self._directory + b"/" + _LIST)
            names += [keyword for keyword in keywords if keyword not in names]
            self._names = names[:ROOM]
            lines = "".join(f"{index} {name}\n" for index, name in enumerate(self._names) if name)
            _replace(self._directory + b"/" + _LIST, lines.encode())

    def change(self, changes: Mapping[Key, FlagChange]) -> None:
        """Change the keywords that are not in file names, as they are now."""
        if not self._courier or not any(
            (change.added | change.removed) - _SYSTEM for change in changes.values()
        ):
            return
        self.by_message = _read_courier(self._directory + _COURIER)
        for key, change in changes.items():
            now = self.by_message.get(key, NONE)
            keywords = change.upon(now) - _SYSTEM
            if keywords != now:
                lines = "".join(f"{keyword}\n" for keyword in sorted(keywords))
                _replace(self._directory + _COURIER + b"/" + key, lines.encode())
                self.by_message[key] = keywords


_SYSTEM = frozenset([r"\Seen", r"\Answered", r"\Flagged", r"\Deleted", r"\Draft", "$Forwarded"])


def is_keyword(flag: str) -> bool:
    r"""Tell whether both programs can keep it: an atom of IMAP, that is no system flag (``\Recent``)."""
    return (
        0 < len(flag) <= LONGEST
        and flag.isascii()
        and flag.isprintable()
        and not set(flag) & set('\\(){ %*"]')
    )


def _read_list(path: bytes) -> list[str]:
    """Return the names by number; a number without a name has an empty one."""
    names: dict[int, str] = {}
    for line in _read(path).split(b"\n"):
        number, blank, name = line.partition(b" ")
        if blank and number.isdigit() and len(number) < 4 and int(number) < ROOM:
            text = name.decode("ascii", "replace")
            if is_keyword(text):
                names[int(number)] = text
    return [names.get(index, "") for index in range(max(names, default=-1) + 1)]


def _read_courier(directory: bytes) -> dict[Key, Flags]:
    head, _, lines = _read(directory + b"/:list").partition(b"\n\n")
    names = [name.decode("ascii", "replace") for name in head.split(b"\n")]
    found: dict[Key, Flags] = {}
    for line in lines.split(b"\n"):
        name, _, numbers = line.rpartition(b":")
        indexes = [int(number) for number in numbers.split() if number.isdigit() and len(number) < 6]
        found[_key(name)] = frozenset(names[i] for i in indexes if i < len(names) and is_keyword(names[i]))
    for name in os.listdir(directory):
        if not name.startswith((b":", b".")):
            keywords = _read(directory + b"/" + name).decode("ascii", "replace").split("\n")
            found[_key(name)] = frozenset(filter(is_keyword, keywords))
    return found


def _key(name: bytes) -> Key:
    return name.partition(b":")[0].partition(b",")[0] or name


def _read(path: bytes) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with os.fdopen(fd, "rb") as file:
        return file.read(min(os.fstat(fd).st_size, FILE_LIMIT))  # read() makes room for what is asked


def _replace(path: bytes, data: bytes) -> None:
    written = path + b".mailsync"
    with open(written, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(written, path)
    bring_to_disk(os.path.dirname(path))


class _Lock:
    """Dovecot's lock for the files beside a Maildir: a file that only one can make.

    It names its owner as Dovecot's own does, so that neither waits for a program that was killed.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._owner = b"%d:%b" % (os.getpid(), os.fsencode(os.uname().nodename))

    def __enter__(self) -> None:
        end = time.monotonic() + LOCK_WAIT_S
        while not make_lock(self._path, self._owner):
            remove_left_over_lock(self._path, self._owner, LOCK_STALE_S)
            if time.monotonic() > end:
                raise MailboxError(
                    f"{os.fsdecode(self._path)!r} has been there for {LOCK_WAIT_S:g} s",
                    "remove it if no mail program is at work",
                )
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        os.unlink(self._path)
