"""MH folders as a store: directories of files with numbers as names, and one file of sequences (mh(1)).

The key of a message is its file's inode, size and time of modification: numbers change when somebody packs
or sorts a folder, and are given again.  So are inodes, at once; and messages of one second have one date:
the time that we give a file is the date with a fraction of the second that no other file has.  A folder that
was copied to another place has other inodes; it has another epoch too, its directory's inode, and its
messages are found again by their headers.  A program that writes into a message (``anno``) makes another
message of it, which is right: it has other bytes.

Adding: the message is written under a name with a comma, which is no message for anybody; the sequences get
its number; then it gets its number as a name, by link(2), which never takes a name that somebody else has
taken meanwhile.  Who is killed in between leaves a number in the sequences that no message has; whoever
writes the sequences next drops it.

The standard library's ``mailbox.MH`` is not used: it identifies messages by their numbers, writes the
sequences so that a cut leaves half of them, knows three flags, and reads each file whole.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import randbelow

from mswatch.errors import UnavailableError
from mswatch.mailsync import pulse
from mswatch.mailsync.flags import NONE, FlagChange, Flags
from mswatch.mailsync.stores.contract import (
    Added,
    Key,
    Mailbox,
    MailboxError,
    Mark,
    Message,
    NotAdded,
    NotEmptyError,
    NotRead,
    Scan,
    Seen,
    Store,
)
from mswatch.mailsync.stores.file_lock import locked, remove_left_over
from mswatch.mailsync.stores.message_file import chunks, header_of, open_regular, write_all
from mswatch.mailsync.stores.mh_sequences import Sequences, storable
from mswatch.mailsync.stores.rewriting import HEAD, Journals
from mswatch.mailsync.stores.synced import bring_to_disk, bring_to_disk_all
from mswatch.names import NameForm, canonical, own
from mswatch.showing import show

SETTLED_NS = 3_000_000_000  # what is this old has a time that no later change can have too
LOOKS = 4  # at a folder in which files are renumbered
FEW = 8  # messages for which one fsync each is cheaper than one syncfs
SEQUENCES = b".mh_sequences"
SEQUENCES_LIMIT = 1 << 24  # bytes
UNFINISHED = b",mailsync-"  # a comma: no message, and cleaned up by whoever cleans up after rmm


class MhStore(Store):
    """The MH folders below one directory, which is none itself."""

    def __init__(
        self, name: str, root: Path, form: NameForm, journals: Path, *, looks_only: bool = False
    ) -> None:
        """Make the object; nothing is touched.  The arguments are those of ``MboxStore``."""
        self.name = name
        self.notes: list[str] = []
        self._root = os.fsencode(root)
        self._form = form
        self._journals = Journals(os.fsencode(journals))
        self._looks_only = looks_only
        self._directories: dict[str, bytes] = {}  # by canonical name, as last listed
        self._unreadable: dict[bytes, str] = {}  # directories that had to be passed over, and why

    def open(self) -> bool:
        try:
            os.listdir(self._root)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UnavailableError(
                f"store {self.name}: {_shown(self._root)} cannot be read: {error.strerror}"
            ) from error
        if not self._looks_only:
            self._journals.sweep()
        return True

    def make(self) -> None:
        os.makedirs(self._root, mode=0o700, exist_ok=True)

    def identity(self) -> bytes:
        return b"%d" % os.stat(self._root).st_ino

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        found: dict[str, Seen] = {}
        self.notes.clear()
        self._directories.clear()
        self._unreadable.clear()
        for directory, entries in self._walk(self._root, (), set()):
            name = canonical(os.fsdecode(b"/".join(entries)), self._form)
            if name in found or not all(name.split("/")):
                why = (
                    f"is called {show(name)}, like another one"
                    if name in found
                    else "has an empty level in its name"
                )
                self.notes.append(f"store {self.name}: passed over {_shown(directory)}: it {why}")
            else:
                found[name] = Seen(b"%d" % os.stat(directory).st_ino, _mark(directory))
                self._directories[name] = directory
        return found if only is None else {name: seen for name, seen in found.items() if name in only}

    def _walk(
        self, directory: bytes, entries: tuple[bytes, ...], above: set[tuple[int, int]]
    ) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        """Give all folders; one that only has others below it is none.  Links are followed, in no circle."""
        try:
            status = os.stat(directory)
            with os.scandir(directory) as listed:
                names = {entry.name: entry.is_dir() for entry in listed}
        except OSError as error:
            if not entries:
                raise
            self.notes.append(f"store {self.name}: passed over {_shown(directory)}: {error.strerror}")
            self._unreadable[directory] = f"{_shown(directory)} cannot be read: {error.strerror}"
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        below = sorted(name for name, is_directory in names.items() if is_directory and _may_be_folder(name))
        is_used = SEQUENCES in names or any(name.isdigit() and not names[name] for name in names)
        if entries and (is_used or not below):
            yield directory, entries
        for name in below:
            yield from self._walk(directory + b"/" + name, (*entries, name), above | {here})

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        found = {}
        for name in mailboxes:
            try:
                directory = self._place(name) + b"/"
            except MailboxError:
                continue  # by other settings it cannot have this name any more
            reasons = [why for above, why in self._unreadable.items() if directory.startswith(above + b"/")]
            if reasons:
                found[name] = reasons[0]
        return found

    def stamp_paths(self) -> Iterable[bytes] | None:
        if not self.open():
            return [self._root]
        return [*_with_all_above(self._walk(self._root, (), set()), self._root)]

    def _place(self, name: str) -> bytes:
        known = self._directories.get(name)
        if known is not None:
            return known
        text = own(name, self._form)
        levels = [] if text is None else text.encode("utf-8", "surrogateescape").split(b"/")
        is_bad = any(level in (b"", b".", b"..") or not _may_be_folder(level) for level in levels)
        if text is None or "\0" in name or is_bad:
            raise MailboxError(
                f"store {self.name} cannot have a mailbox {show(name)!r}",
                "rename it, or leave it out by `skip`",
            )
        return self._root + b"/" + b"/".join(levels)

    def make_mailbox(self, mailbox: str) -> None:
        directory = self._place(mailbox)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _make_sequences(directory)  # so that it is a folder also when it has others below it
        bring_to_disk(directory)
        bring_to_disk(os.path.dirname(directory))
        self._directories[mailbox] = directory

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        old, new = self._place(mailbox), self._place(new_name)
        if os.path.lexists(new):
            raise MailboxError(f"store {self.name}: there is something called {_shown(new)} already")
        os.makedirs(os.path.dirname(new), mode=0o700, exist_ok=True)
        os.rename(old, new)
        bring_to_disk(os.path.dirname(old))
        bring_to_disk(os.path.dirname(new))
        self._directories.clear()

    def remove_mailbox(self, mailbox: str) -> None:
        """Remove what rmf(1) removes: the sequences, and what was removed already (names with a comma)."""
        directory = self._place(mailbox)
        with os.scandir(directory) as listed:
            names = {entry.name: entry.is_dir() for entry in listed}
        ours = [name for name in names if name.startswith((SEQUENCES, b","))]
        if any(not (name in ours or (names[name] and _may_be_folder(name))) for name in names):
            raise NotEmptyError(f"{_shown(directory)} is not empty")
        for name in ours:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(directory + b"/" + name)
        self._directories.pop(mailbox, None)
        with contextlib.suppress(OSError):  # others below it stay
            os.rmdir(directory)
        bring_to_disk(os.path.dirname(directory))

    def open_mailbox(self, mailbox: str) -> Mailbox:
        directory = self._place(mailbox)
        if not os.path.isdir(directory):
            raise MailboxError(f"store {self.name}: there is no mailbox {show(mailbox)}")
        return _MhMailbox(directory, self._journals, self._place, looks_only=self._looks_only)

    def close(self) -> None:
        pass


class _MhMailbox(Mailbox):
    """One MH folder."""

    def __init__(
        self, directory: bytes, journals: Journals, place: Callable[[str], bytes], *, looks_only: bool
    ) -> None:
        self._directory = directory
        self._sequences = directory + b"/" + SEQUENCES
        self._journals = journals
        self._place = place
        self._looks_only = looks_only
        self._numbers: dict[Key, int] | None = None  # as last listed
        self._count = 0

    # Looking

    def scan(self, since: Mark | None) -> Scan:
        self._clear_up()
        epoch = b"%d" % os.stat(self._directory).st_ino
        mark = _mark(self._directory)
        if mark is not None and mark == since:
            return Scan(epoch, mark, False, {})
        for _ in range(LOOKS):
            # Flags go by numbers: what was renumbered between the two is read again.
            before = _moment(self._directory)
            numbers = self._list()
            flags = self._read_sequences().flags(numbers.values())
            if _moment(self._directory) == before:
                return Scan(epoch, mark, True, {key: flags[number] for key, number in numbers.items()})
        raise MailboxError(f"{_shown(self._directory)} is renumbered all the time", "wait for its end")

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        missing = set(keys)
        for _ in range(LOOKS - 1):
            missing -= self._list().keys()
            if not missing:
                break
        return missing

    def _list(self) -> dict[Key, int]:
        """List the messages; a file that has two numbers is two messages."""
        found: dict[Key, int] = {}
        with os.scandir(self._directory) as entries:
            for entry in sorted(entries, key=_number):
                if _number(entry):
                    pulse.RUN.beat()
                    try:
                        status = entry.stat()
                    except OSError:  # gone, or a link that leads nowhere
                        continue
                    if stat.S_ISREG(status.st_mode):
                        key = _key(status)
                        while key in found:
                            key += b"+"
                        found[key] = _number(entry)
        self._numbers = found
        return found

    def _read_sequences(self) -> Sequences:
        try:
            fd = os.open(self._sequences, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return Sequences(b"")
        with os.fdopen(fd, "rb") as file:
            return Sequences(file.read(min(os.fstat(fd).st_size, SEQUENCES_LIMIT)))

    def _clear_up(self) -> None:
        """End or take back what a run was cut off from."""
        is_pending = self._journals.pending(self._sequences)
        if self._looks_only:
            if is_pending:
                raise MailboxError(
                    f"{_shown(self._sequences)} is half written since a run was cut off", "run mailsync"
                )
            return
        if is_pending:
            with self._writing():
                pass
        remove_left_over(self._sequences)
        for name in os.listdir(self._directory):
            if name.startswith(UNFINISHED):
                pid = name[len(UNFINISHED) :].partition(b"-")[0]
                if pid == b"%d" % os.getpid() or not os.path.exists(b"/proc/" + pid):
                    _unlink_quietly(self._directory + b"/" + name)

    def _open(self, key: Key) -> int | NotRead | None:
        """Open a message, whatever its number is now; None if it is gone."""
        for numbers in (self._numbers, None, None):
            number = (self._list() if numbers is None else numbers).get(key)
            if number is None:
                if numbers is None:
                    return None
                continue
            try:
                fd = open_regular(key, self._path(number))
            except FileNotFoundError:
                continue
            if isinstance(fd, NotRead):
                return fd
            if _key(os.fstat(fd)) == key.rstrip(b"+"):
                return fd
            os.close(fd)
        return NotRead(key, f"{_shown(self._directory)} is renumbered all the time")

    def _path(self, number: int) -> bytes:
        return self._directory + b"/%d" % number

    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        for key in keys:
            fd = self._open(key)
            if isinstance(fd, NotRead):
                yield fd
            elif fd is not None:
                try:
                    yield key, header_of(fd)
                finally:
                    os.close(fd)

    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        numbers = self._list()
        flags = self._read_sequences().flags(numbers.values())
        for key in keys:
            fd = self._open(key)
            if fd is None:
                continue
            if isinstance(fd, NotRead):
                yield fd
                continue
            try:
                status = os.fstat(fd)
                if size_limit is not None and status.st_size > size_limit:
                    yield NotRead(key, f"{status.st_size} bytes are more than the limit", lasting=True)
                    continue
                its = flags.get(numbers.get(key, 0), NONE)
                yield Message(key, its, status.st_mtime_ns, status.st_size, chunks(fd, status.st_size))
            finally:
                os.close(fd)

    # Writing

    def propose(self, count: int) -> None:
        return None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[int]:
        """Hold the sequences for writing."""
        _make_sequences(self._directory)
        with locked(self._sequences, writing=True) as fd:
            if self._journals.pending(self._sequences):
                self._journals.recover(fd, self._sequences)
            yield fd

    def _change(self, fd: int, wanted: Mapping[int, Flags]) -> None:
        """Write the sequences so that these messages have these flags."""
        old = os.pread(fd, SEQUENCES_LIMIT, 0)
        new = Sequences(old).changed(self._list().values(), wanted)
        if new == old:
            return
        spool = self._journals.spool(self._sequences)
        try:
            spool.write(new)
            self._journals.write(fd, self._sequences, 0, spool, HEAD)
        finally:
            spool.drop()

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        written: list[tuple[Key, bytes, Flags]] = []
        failure: BaseException | None = None
        try:
            for message in messages:
                path = self._unfinished()
                try:
                    self._write(message, path)
                except BaseException:
                    _unlink_quietly(path)
                    raise
                written.append((message.key, path, storable(message.flags)))
        except Exception as error:  # what is written already is delivered all the same
            failure = error
        keys = self._number([(path, flags) for _, path, flags in written]) if written else []
        for (source, _, flags), key in zip(written, keys, strict=True):
            yield Added(source, key, flags)
        if failure is not None:
            raise failure

    def _unfinished(self) -> bytes:
        self._count += 1
        return self._directory + b"/%b%d-%d" % (UNFINISHED, os.getpid(), self._count)

    def _write(self, message: Message, path: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for chunk in message.chunks:
                write_all(fd, chunk)
            moment = message.date_ns // 10**9 * 10**9 + randbelow(10**9)
            os.utime(fd, ns=(moment, moment))
        finally:
            os.close(fd)

    def _number(self, files: Sequence[tuple[bytes, Flags]]) -> list[Key]:
        """Give files numbers of this folder, and flags; return their keys."""
        bring_to_disk_all([path for path, _ in files], few=FEW)
        left = list(files)
        with self._writing() as fd:
            while left:
                highest = max(
                    [0, *self._list().values(), Sequences(os.pread(fd, SEQUENCES_LIMIT, 0)).highest()]
                )
                self._change(fd, {highest + 1 + place: flags for place, (_, flags) in enumerate(left)})
                for number in range(highest + 1, highest + 1 + len(left)):
                    try:
                        os.link(left[0][0], self._path(number))
                    except FileExistsError:  # another program took this number: the rest gets others
                        break
                    left.pop(0)
            bring_to_disk(self._directory)
        keys = [_key(os.stat(path)) for path, _ in files]
        for path, _ in files:
            os.unlink(path)
        return keys

    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        with self._writing() as fd:
            numbers = self._list()
            agreed = {
                key: change.agreed(storable(change.added))
                for key, change in changes.items()
                if key in numbers
            }
            now = Sequences(os.pread(fd, SEQUENCES_LIMIT, 0)).flags(numbers[key] for key in agreed)
            become = {
                numbers[key]: FlagChange(changes[key].seen, flags).upon(now[numbers[key]])
                for key, flags in agreed.items()
            }
            self._change(fd, become)
        yield from agreed.items()

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        with self._writing() as fd:
            self._list()
            for key in keys:
                self._remove(key)
            bring_to_disk(self._directory)
            self._change(fd, {})
        yield from keys

    def _remove(self, key: Key) -> None:
        """Remove a message, and no other one that has its number meanwhile."""
        for _ in range(LOOKS):
            number = (self._numbers or {}).get(key)
            if number is None:
                return
            aside = self._unfinished()
            try:
                os.rename(self._path(number), aside)
            except FileNotFoundError:
                self._list()
                continue
            if _key(os.stat(aside)) == key.rstrip(b"+"):
                os.unlink(aside)
                return
            os.link(aside, self._path(number))
            os.unlink(aside)
            self._list()
        raise MailboxError(f"{_shown(self._directory)} is renumbered all the time", "wait for its end")

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        target = _MhMailbox(self._place(mailbox), self._journals, self._place, looks_only=self._looks_only)
        numbers = self._list()
        flags = self._read_sequences().flags(numbers.values())
        arrived = target._list().keys() & set(keys)  # by a run that was cut off between the two folders
        moved = [key for key in keys if key in numbers]
        files = []
        for key in moved:
            if key not in arrived:
                path = target._unfinished()
                os.link(self._path(numbers[key]), path)
                files.append((path, flags[numbers[key]]))
        if files:
            target._number(files)
        list(self.remove(moved))
        yield from ((key, key) for key in moved)

    def close(self) -> None:
        self._numbers = None


def _may_be_folder(name: bytes) -> bool:
    return not (name.startswith((b".", b",", b"#")) or name.isdigit())


def _number(entry: os.DirEntry[bytes]) -> int:
    """Return the number of a message; 0 for what is none."""
    return int(entry.name) if entry.name.isdigit() and len(entry.name) < 10 else 0


def _key(status: os.stat_result) -> Key:
    return b"%d.%d.%d" % (status.st_ino, status.st_size, status.st_mtime_ns)


def _moment(directory: bytes) -> list[tuple[int, int, int]]:
    """Return what changes when a message comes, goes, or gets another number or flag."""
    found = []
    for path in (directory, directory + b"/" + SEQUENCES):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return found


def _mark(directory: bytes) -> Mark | None:
    now = time.time_ns()
    moment = _moment(directory)
    if any(mtime_ns > now - SETTLED_NS for _, mtime_ns, _ in moment):
        return None
    return b" ".join(b"%d.%d.%d" % each for each in moment)


def _with_all_above(folders: Iterable[tuple[bytes, tuple[bytes, ...]]], root: bytes) -> Iterable[bytes]:
    """Return all directories on the way to folders, and the files of sequences."""
    found = {root: None}
    for directory, entries in folders:
        found |= {root + b"/" + b"/".join(entries[:level]): None for level in range(1, len(entries) + 1)}
        found[directory + b"/" + SEQUENCES] = None
    return found


def _make_sequences(directory: bytes) -> None:
    with contextlib.suppress(FileExistsError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(directory + b"/" + SEQUENCES, flags, 0o600))


def _unlink_quietly(path: bytes) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _shown(path: bytes) -> str:
    return repr(show(os.fsdecode(path)))
