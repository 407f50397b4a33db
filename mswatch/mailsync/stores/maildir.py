"""A tree of Maildirs as a store.

The key of a message is the unique part of its file name: all before the first ``,`` or ``:``, because
Dovecot and mbsync append sizes and UIDs behind a comma, and flags follow the colon (maildir(5)).  Files
are never looked at one by one for a scan: two directory listings are all it reads, and two times of
directories are the mark.

What others do at the same time: a file that is renamed meanwhile is found again by its key; a file in
``cur`` that is no message (a FIFO, a directory, a dangling link) is passed over, and never waited for.

Delivery.  State of a message that is being added, and who clears up:

    written down | tmp/KEY | new/ or cur/ | meaning
    no           | no      | no           | not begun
    yes          | yes     | no           | being written; the next run removes it and adds the message again
    yes          | no      | yes          | delivered; the next run finds it under its key
    no           | yes     | no           | a run that lost its state; who sweeps tmp (after 36 hours)
    removes it

A batch, which may be for several mailboxes, is written into ``tmp``, brought to the disk by one syncfs(2),
renamed, and the directories are brought to the disk before anything is reported: a tenth of what one
fsync(2) for each message costs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import filterfalse
from pathlib import Path

from mswatch.errors import UnavailableError
from mswatch.mailsync.derived import Derived
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, NONE, SEEN, FlagChange, Flags
from mswatch.mailsync.stores.contract import (
    Added,
    Key,
    Known,
    Mailbox,
    MailboxError,
    Mark,
    Message,
    NameTakenError,
    NotAdded,
    NotEmptyError,
    NotRead,
    Prepared,
    Scan,
    Seen,
    Stamp,
    Store,
)
from mswatch.mailsync.stores.keywords import Keywords
from mswatch.mailsync.stores.message_file import chunks, header_of, open_regular, write_all
from mswatch.mailsync.stores.synced import bring_to_disk, bring_to_disk_all
from mswatch.names import NameForm, canonical, own
from mswatch.showing import show

SETTLED_NS = 3_000_000_000  # a directory this old has a time that no later change can have too (FAT: 2 s)
LISTINGS = 4  # that a message must be missing from, if the directory changes all the time
FIND_AGAIN = 20  # times that a file is looked for which others rename all the time
ALIKE = 12  # bytes of the end of a name that is likely to be that of many: ``:2,`` and all letters are nine
FEW = 8  # messages for which one fsync each is cheaper than one syncfs

Place = bytes  # of a message: what follows its key in its name in cur, or a slash and what follows it in new

_PARTS = (b"tmp", b"cur", b"new")
_LETTERS = {b"D": DRAFT, b"F": FLAGGED, b"P": FORWARDED, b"R": ANSWERED, b"S": SEEN, b"T": DELETED}
_LETTER_OF = {flag: letter for letter, flag in _LETTERS.items()}
_CONTROL_FILES = (b"dovecot", b"courier", b"maildir", b".uidvalidity", b".mbsyncstate", b".mailsync")


def key_of(file_name: bytes) -> Key:
    """Return the unique part of a file's name; the whole name, if it begins with a separator."""
    return file_name.partition(b":")[0].partition(b",")[0] or file_name


class MaildirStore(Store):
    """The Maildirs below one directory."""

    def __init__(self, name: str, root: Path, layout: str, form: NameForm) -> None:
        self.name = name
        self.notes: list[str] = []
        self._root = os.fsencode(root)
        self._nested = self.renames_below = layout == "nested"
        self._form = form
        self._directories: dict[str, bytes] = {}  # by canonical name, as last listed
        self._unreadable: dict[bytes, str] = {}  # directories that the last listing had to pass over, and why
        self._names = _UniqueNames()

    def open(self) -> bool:
        try:
            if not stat.S_ISDIR(os.stat(self._root).st_mode):
                raise UnavailableError(f"store {self.name}: {_shown(self._root)} is no directory")
            os.listdir(self._root)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UnavailableError(
                f"store {self.name}: {_shown(self._root)} cannot be read: {error.strerror}"
            ) from error
        return True

    def make(self) -> None:
        _make_directory(self._root)

    def identity(self) -> bytes:
        # The device's number may be another one after a restart, the inode's is not.
        return b"%d" % os.stat(self._root).st_ino

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        found: dict[str, Seen] = {}
        if only is not None and all(self._add_named(name, found) for name in only):
            return found
        found.clear()
        self.notes.clear()
        self._directories.clear()
        self._unreadable.clear()
        for directory, entries in self._walk(self._root, (), set()):
            self._add_found(directory, entries, found)
        return found if only is None else {name: seen for name, seen in found.items() if name in only}

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        found = {}
        for name in mailboxes:
            try:
                directory = self._place(name)
            except MailboxError:
                continue  # by other settings it cannot have this name any more
            reasons = [why for above, why in self._unreadable.items() if directory.startswith(above + b"/")]
            try:
                os.stat(directory + b"/cur")
            except (FileNotFoundError, NotADirectoryError):
                if _is_directory(directory + b"/new"):  # we remove new first, and make it last
                    reasons.append(f"{_shown(directory)} has new, but no cur: half of a mailbox")
            except OSError as error:
                reasons.append(f"{_shown(directory)} cannot be read: {error.strerror}")
            if reasons:
                found[name] = reasons[0]
        return found

    def key_of_file(self, file: str) -> Key | None:
        return key_of(os.fsencode(file.rpartition("/")[2]))

    def stamp_paths(self) -> Iterable[bytes] | None:
        if not self.open():
            return [self._root]
        parts = (b"", b"/cur", b"/new", *Keywords.MARK_FILES)
        return [directory + part for directory, _ in self._walk(self._root, (), set()) for part in parts]

    def _add_named(self, name: str, found: dict[str, Seen]) -> bool:
        """Look where a mailbox would be made; tell whether that settles it."""
        try:
            directory = self._place(name)
        except MailboxError:
            return False
        seen = _seen(directory)
        if seen is not None:
            found[name] = seen
            self._directories[name] = directory
        return seen is not None

    def _add_found(self, directory: bytes, entries: tuple[bytes, ...], found: dict[str, Seen]) -> None:
        name = self._canonical(entries)
        seen = _seen(directory)
        if seen is None:
            return
        if name in found or (entries and not all(name.split("/"))):
            why = (
                f"is called {show(name)}, like another one"
                if name in found
                else "has an empty level in its name"
            )
            self.notes.append(f"store {self.name}: passed over {_shown(directory)}: it {why}")
            return
        found[name] = seen
        self._directories[name] = directory

    def _walk(
        self, directory: bytes, entries: tuple[bytes, ...], above: set[tuple[int, int]]
    ) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        """Give all directories that may be mailboxes; links are followed, but never in a circle."""
        yield directory, entries
        if entries and not self._nested:
            return
        try:
            status = os.stat(directory)
            listed = sorted(_directories_in(directory))
        except OSError as error:
            if not entries:
                raise
            self.notes.append(f"store {self.name}: passed over {_shown(directory)}: {error.strerror}")
            self._unreadable[directory] = f"{_shown(directory)} cannot be read: {error.strerror}"
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        for entry in listed:
            if self._may_be_folder(entry):
                yield from self._walk(directory + b"/" + entry, (*entries, entry), above | {here})

    def _may_be_folder(self, entry: bytes) -> bool:
        if self._nested:
            return entry not in _PARTS
        return len(entry) > 1 and entry.startswith(b".")

    def _canonical(self, entries: tuple[bytes, ...]) -> str:
        if not entries:
            return "INBOX"
        text = b"/".join(entries) if self._nested else entries[0][1:]
        return canonical(text.decode("utf-8", "surrogateescape"), self._form)

    def _place(self, name: str) -> bytes:
        """Return the directory where a mailbox is, or would be made."""
        known = self._directories.get(name)
        if known is not None:
            return known
        if name == "INBOX" and (not self._nested or _is_directory(self._root + b"/cur")):
            return self._root
        text = own(name, self._form)
        levels = [] if text is None else text.split(self._form.separator)
        forbidden = ("", ".", "..", *(["cur", "new", "tmp"] if self._nested else []))
        if text is None or "\0" in name or any(level in forbidden or "/" in level for level in levels):
            raise MailboxError(
                f"store {self.name} cannot have a mailbox {show(name)!r}",
                "rename it, or leave it out by `skip`",
            )
        encoded = text.encode("utf-8", "surrogateescape")
        return self._root + (b"/" if self._nested else b"/.") + encoded

    def make_mailbox(self, mailbox: str) -> None:
        directory = self._place(mailbox)
        made = not _is_directory(directory)
        _make_directory(directory)
        _complete(directory)
        if made and not self._nested and directory != self._root:
            _touch(
                directory + b"/maildirfolder"
            )  # Maildir++: tells a delivery agent that this is no user's root
        bring_to_disk(directory)
        bring_to_disk(os.path.dirname(directory))
        self._directories[mailbox] = directory

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        old, new = self._place(mailbox), self._place(new_name)
        if old == self._root:
            raise MailboxError(
                f"store {self.name}: {show(mailbox)} is the store itself, and cannot be renamed"
            )
        if _is_directory(new) and not _is_directory(new + b"/cur"):
            raise NameTakenError(f"store {self.name}: {_shown(new)} is a directory of others")
        if os.path.lexists(new):
            raise MailboxError(f"store {self.name}: there is something called {_shown(new)} already")
        _make_directory(os.path.dirname(new))
        os.rename(old, new)
        bring_to_disk(os.path.dirname(old))
        bring_to_disk(os.path.dirname(new))
        self._directories.clear()

    def remove_mailbox(self, mailbox: str) -> None:
        directory = self._place(mailbox)
        if directory == self._root:
            raise MailboxError(f"store {self.name}: {show(mailbox)} is the store itself, and is not removed")
        self._remove_part(directory, b"new")
        try:
            self._remove_part(directory, b"cur")
        except NotEmptyError:
            _make_directory(directory + b"/new")
            raise
        self._directories.pop(mailbox, None)
        _remove_files(directory + b"/tmp", lambda name: True)
        _remove_quietly(os.rmdir, directory + b"/tmp")
        _remove_files(directory, lambda name: name.startswith(_CONTROL_FILES))
        _remove_quietly(os.rmdir, directory)  # what else is in it, mailboxes below it too, stays
        bring_to_disk(os.path.dirname(directory))

    def _remove_part(self, directory: bytes, part: bytes) -> None:
        try:
            os.rmdir(directory + b"/" + part)  # the kernel knows best whether something is in it
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise NotEmptyError(f"{_shown(directory)} is not empty") from error

    def deliver(self, prepared: Sequence[Prepared]) -> Iterator[tuple[int, Added | NotAdded]]:
        return _deliver(prepared)

    def open_mailbox(self, mailbox: str) -> Mailbox:
        directory = self._place(mailbox)
        if not _is_directory(directory):
            raise MailboxError(f"store {self.name}: there is no mailbox {show(mailbox)}")
        return _MaildirMailbox(directory, self._names, self._place)

    def close(self) -> None:
        pass


class _UniqueNames:
    """Names for new messages that nobody else uses (maildir(5)): time, process and a count, and the host."""

    def __init__(self) -> None:
        host = os.fsencode(os.uname().nodename)
        for character in b"/:,":  # as maildir(5) has it, and the comma that ends a key
            host = host.replace(bytes([character]), b"\\%03o" % character)
        self._host = host
        self._count = 0

    def next(self) -> Key:
        self._count += 1
        now = time.time_ns() // 1000
        return b"%d.M%dP%dQ%d.%b" % (now // 1_000_000, now % 1_000_000, os.getpid(), self._count, self._host)


class _MaildirMailbox(Mailbox):
    """One Maildir."""

    def __init__(self, directory: bytes, names: _UniqueNames, place: Callable[[str], bytes]) -> None:
        self._directory = directory
        self._new = directory + b"/new/"
        self._cur = directory + b"/cur/"
        self._tmp = directory + b"/tmp/"
        self._names = names
        self._place_of = place
        # The first two are given away with a scan, and never changed.
        self._listed: Mapping[Key, Place] | None = None  # all messages, as last listed
        self._different: Mapping[Key, Place] = {}  # without a list: those that a scan had to tell
        self._moved: dict[Key, Place] = {}  # where messages were put or found since then
        self._stamps: dict[Key, Stamp] = {}  # of those whose flags were set last
        self._left_new = False  # by one of the messages whose flags were set last
        self._looked_at: Mark | None = None  # the mark before the last scan
        self._keywords = Keywords(directory)
        self._flags_by_info: dict[bytes, Flags] = {}
        self._alike: dict[Place, Place] = {}

    def scan(self, since: Mark | None) -> Scan:
        mark = self._looked_at = _mark(self._directory)
        if mark is not None and mark == since:
            return Scan(b"", mark, False, {})
        self._read_keywords()
        return self._told(mark, self._list(), complete=True)

    def _told(
        self, mark: Mark | None, places: Mapping[Key, Place], *, complete: bool, gone: Collection[Key] = ()
    ) -> Scan:
        """Tell of these messages; what names say is read out of them when somebody asks."""
        by_message = self._keywords.by_message
        if not self._keywords.in_names:
            flags = Derived(places, lambda key, place: self._flags(place) | by_message.get(key, NONE))
            return Scan(b"", mark, complete, flags, gone)
        flags = Derived(places, lambda _, place: self._flags(place))
        return Scan(b"", mark, complete, flags, gone, Derived(places, lambda _, place: self._stamp(place)))

    def scan_known(self, since: Mark | None) -> Scan:
        mark = self._looked_at = _mark(self._directory)
        if mark is not None and mark == since:
            return Scan(b"", mark, False, {})
        self._read_keywords()
        if self.known is None or not self._keywords.in_names or self.known.is_empty():
            return self.scan(None)
        return self._scan_names(mark, self.known) or self.scan(None)

    def _scan_names(self, mark: Mark | None, known: Known) -> Scan | None:
        """Tell which names are different from the known ones; None where keys are not unique, or files move.

        What is done for each message is done by the interpreter's own sets.
        """
        delivered = set(_names_in(self._new))
        names = set(os.listdir(self._cur))
        count = len(names) + len(delivered)
        names.update(delivered)
        if len(names) != count:
            return None
        missing: set[bytes | None] = set()
        for portion in known.names():
            missing.update(filterfalse(names.__contains__, portion))
            names.difference_update(portion)
        delivered &= names
        unknown = sorted((name for name in names if name[0] != 46), reverse=True)  # a dot: never a message
        names.clear()
        count = len(unknown)
        places = {}
        while unknown:  # a name is let go of once its key is known
            name = unknown.pop()
            key = key_of(name)
            places[key] = self._place(name, key, delivered=name in delivered)
        if len(places) != count:
            return None
        same = set()
        for key, was in known.stamps(places):
            if was is not None:
                if key + was not in missing:
                    return None
                missing.remove(key + was)
                if was == self._stamp(places[key]):  # it can be where keywords are part of it
                    same.add(key)
        doubtful = {key_of(name) for name in missing if name is not None}
        if None in missing:
            doubtful.update(known.unstamped())
        if known.has_longer(doubtful, b",") or known.has_longer(places, b","):
            return None
        missing.clear()
        self._listed, self._different = None, places
        self._moved.clear()
        different = {key: at for key, at in places.items() if key not in same} if same else places
        doubtful -= places.keys()
        return self._told(mark, different, complete=False, gone=doubtful)

    def _place(self, name: bytes, key: Key, *, delivered: bool) -> Place:
        place = b"/" + name[len(key) :] if delivered else name[len(key) :]
        return self._alike.setdefault(place, place) if len(place) <= ALIKE else place

    def _stamp(self, place: Place) -> Stamp:
        """Return what follows the key in a name, and what the letters of keywords in it mean at present."""
        ending = place.removeprefix(b"/")
        return ending + self._keywords.meaning(ending.partition(b":2,")[2])

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        if self._looked_at is not None and _mark(self._directory) == self._looked_at:
            return keys  # nothing was renamed while they were listed, so the listing was exact
        missing = set(keys)
        for _ in range(LISTINGS - 1):
            missing -= self._list().keys()
            if not missing:
                break
        return missing

    def _list(self) -> Mapping[Key, Place]:
        """List both directories; ``new`` first, so that what moves to ``cur`` is seen once at least.

        In order of the names, which is that of their delivery: what is written down one after the other then
        lies side by side, and what changes together does so.
        """
        places: dict[Key, Place] = {}
        names = 0
        for directory in (self._new, self._cur):
            try:
                listed = os.listdir(directory)
            except FileNotFoundError:
                if directory == self._cur:
                    raise
                continue
            listed.sort(reverse=True)
            delivered = directory == self._new
            while listed:  # a name is let go of once its key is known
                name = listed.pop()
                if name[0] != 46:  # a dot: never a message
                    names += 1
                    key = name.partition(b":")[0].partition(b",")[0] or name
                    places[key] = self._place(name, key, delivered=delivered)
        if len(places) != names:
            places = self._list_whole_names()
        self._listed, self._different = places, {}
        self._moved.clear()
        return places

    def _list_whole_names(self) -> dict[Key, Place]:
        """List where names are not unique up to the comma: those that clash go by all before the colon."""
        by_key: dict[Key, dict[Key, Place]] = {}
        for directory in (self._new, self._cur):
            for name in sorted(_names_in(directory)):
                if name[0] != 46:
                    longer = name.partition(b":")[0] or name
                    place = self._place(name, longer, delivered=directory == self._new)
                    by_key.setdefault(key_of(name), {})[longer] = place
        places = {}
        for key, files in by_key.items():
            if len(files) > 1:
                places.update(files)
            else:
                ((longer, place),) = files.items()
                start = place[:1] if place.startswith(b"/") else b""
                places[key] = start + longer[len(key) :] + place[len(start) :]
        return places

    def _flags(self, place: Place) -> Flags:
        """Return what the end of a name says; the same object for the same end, because messages are many."""
        info = place.partition(b":")[2]
        found = self._flags_by_info.get(info)
        if found is None:
            letters = [info[i : i + 1] for i in range(2, len(info))] if info.startswith(b"2,") else []
            flags = {_LETTERS[letter] for letter in letters if letter in _LETTERS}
            keywords = {name for letter in letters if (name := self._keywords.name(letter))}
            found = self._flags_by_info[info] = frozenset(flags | keywords)
        return found

    def _read_keywords(self) -> None:
        self._keywords.read()
        self._flags_by_info.clear()

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
                flags = self._flags(self._last_seen(key) or b"") | self._keywords.by_message.get(key, NONE)
                yield Message(key, flags, status.st_mtime_ns, status.st_size, chunks(fd, status.st_size))
            finally:
                os.close(fd)

    def _open(self, key: Key) -> int | NotRead | None:
        """Open a message wherever it is now; None if it is gone."""
        return self._where_it_is(key, lambda key, place: open_regular(key, self._path(key, place)))

    def _where_it_is(
        self, key: Key, act: Callable[[Key, Place], int | NotRead | None]
    ) -> int | NotRead | None:
        """Do something with a message's file, finding it again if it was renamed; None if it is gone."""
        seen = self._last_seen(key)
        if seen is None and self._listed is not None:
            return None
        for likely in self._likely_places(key):
            if likely != self._last_seen(key):
                self._moved[key] = likely
            try:
                return act(key, likely)
            except FileNotFoundError:
                self._moved.pop(key, None)
        before: Place | None = None
        for _ in range(FIND_AGAIN):
            place = self._list().get(key)
            if place is None:
                return None
            path = self._path(key, place)
            try:
                return act(key, place)
            except FileNotFoundError:
                if place == before and os.path.islink(path):
                    return NotRead(key, f"{_shown(path)} is a link that leads nowhere", lasting=True)
            before = place
        return NotRead(key, f"{_shown(path)} is renamed all the time")

    def _path(self, key: Key, place: Place) -> bytes:
        return self._new + key + place[1:] if place.startswith(b"/") else self._cur + key + place

    def _last_seen(self, key: Key) -> Place | None:
        moved = self._moved.get(key)
        if moved is not None:
            return moved
        return (self._different if self._listed is None else self._listed).get(key)

    def _likely_places(self, key: Key) -> Iterator[Place]:
        """Give where a message was last seen, or when its stamp was learnt."""
        seen = self._last_seen(key)
        if seen is not None:
            yield seen
        if self._listed is not None or self.known is None:
            return
        stamp = dict(self.known.stamps([key])).get(key)
        if stamp is not None:
            ending = stamp.partition(b"\0")[0]
            yield from (ending, b"/" + ending)

    def propose(self, count: int) -> Sequence[Key]:
        return [self._names.next() for _ in range(count)]

    def discard(self, keys: Sequence[Key]) -> None:
        for key in keys:
            _remove_quietly(os.unlink, self._tmp + key)

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        written: list[Prepared] = []
        failure: BaseException | None = None
        try:
            self.prepare(messages, written.append)
        except Exception as error:  # what is written already is delivered all the same
            failure = error
        for _, answer in _deliver(written):
            yield answer
        if failure is not None:
            raise failure

    def prepare(self, messages: Iterable[Message], prepared: Callable[[Prepared], None]) -> bool:
        written = _Written(mailbox=self)
        _complete(self._directory)
        try:
            for message in messages:
                key = message.proposed or self._names.next()
                flags = self._keywords.storable(message.flags)
                try:
                    self._write(message, self._tmp + key)
                except BaseException:
                    _remove_quietly(os.unlink, self._tmp + key)
                    raise
                place = b":2," + b"".join(sorted(self._letters(flags))) if flags else b"/"
                stamp = self._stamp(place) if self._keywords.in_names else None
                written.messages.append((place, Added(message.key, key, flags, stamp)))
        except BaseException as error:
            written.is_part = True
            if isinstance(error, Exception):
                prepared(written)
            raise
        prepared(written)
        return True

    def _write(self, message: Message, path: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for chunk in message.chunks:
                write_all(fd, chunk)
            os.utime(fd, ns=(message.date_ns, message.date_ns))
        finally:
            os.close(fd)

    def unfinished(self, written: _Written) -> list[bytes]:
        """Return the files of messages that are not delivered yet."""
        return [self._tmp + added.key for _, added in written.messages]

    def show(self, written: _Written) -> list[bytes]:
        """Have everybody see the messages; return the directories that have to be brought to the disk."""
        for place, added in written.messages:
            os.rename(self._tmp + added.key, self._path(added.key, place))
        if self._listed is not None:
            self._different = self._listed
            self._listed = None  # it is not complete any more
        return [self._new, self._cur]

    def _letters(self, flags: Flags) -> set[bytes]:
        return {_LETTER_OF.get(flag) or self._keywords.letter(flag) for flag in flags} - {b""}

    def _letters_upon(self, letters: bytes, change: FlagChange) -> bytes | None:
        """Return the letters after a change in the order of maildir(5); None if they stay the same.

        All others stay, whatever they mean.
        """
        were = {letters[i : i + 1] for i in range(len(letters))}
        become = (were - self._letters(change.removed)) | self._letters(change.added)
        return b"".join(sorted(become)) if become != were else None

    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        done = []
        _complete(self._directory)
        self._left_new = False
        self._stamps.clear()
        self._recall(changes)
        for key, change in changes.items():
            agreed = change.agreed(self._keywords.storable(change.added))
            result = self._where_it_is(key, partial(self._rename, FlagChange(change.seen, agreed)))
            if isinstance(result, NotRead):
                raise MailboxError(result.reason)
            if result is not None:
                done.append((key, agreed))
                # At once: others may give it other flags, which a list made for another message tells.
                place = self._last_seen(key)
                if place is not None and self._keywords.in_names and self._flags(place) == agreed:
                    self._stamps[key] = self._stamp(place)
        self._keywords.change({key: FlagChange(changes[key].seen, agreed) for key, agreed in done})
        if self._left_new:
            bring_to_disk(self._new)
        bring_to_disk(self._cur)
        yield from done

    def stamp(self, key: Key) -> Stamp | None:
        return self._stamps.get(key)

    def _recall(self, keys: Collection[Key]) -> None:
        """Look up at once where messages probably are; one that is elsewhere is looked for by itself."""
        if self._listed is None and self.known is not None:
            for key, stamp in self.known.stamps([k for k in keys if self._last_seen(k) is None]):
                if stamp is not None:
                    ending = stamp.partition(b"\0")[0]
                    self._moved[key] = ending if b":" in ending else b"/" + ending

    def _rename(self, change: FlagChange, key: Key, place: Place) -> int:
        """Rename a file from this name, if it still has it, to that with the letters of other flags."""
        base, _, info = place.partition(b":")
        letters = self._letters_upon(info[2:] if info.startswith(b"2,") else b"", change)
        if letters is not None:
            new_place = base.removeprefix(b"/") + b":2," + letters
            os.rename(self._path(key, place), self._path(key, new_place))
            self._left_new |= place.startswith(b"/")
            self._moved[key] = new_place
        return 0

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        _complete(self._directory)
        self._recall(keys)
        for key in keys:
            result = self._where_it_is(key, lambda key, place: _unlink(self._path(key, place)))
            if isinstance(result, NotRead):
                raise MailboxError(result.reason)
            self._moved.pop(key, None)
        bring_to_disk(self._new)
        bring_to_disk(self._cur)
        yield from keys

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        target = self._place_of(mailbox)
        moved: list[tuple[Key, Key]] = []
        _complete(self._directory)
        _complete(target)
        self._recall(keys)
        for key in keys:
            result = self._where_it_is(key, lambda key, place: _move(self._path(key, place), target))
            if isinstance(result, NotRead):
                raise MailboxError(result.reason)
            if result is not None:
                moved.append((key, key))
        for directory in (target + b"/cur", target + b"/new", self._cur, self._new):
            bring_to_disk(directory)
        yield from moved

    def close(self) -> None:
        self._listed, self._different = None, {}
        self._moved.clear()


@dataclass
class _Written(Prepared):
    """Messages of a mailbox that are in ``tmp``: where each shall be, and what is then answered."""

    mailbox: _MaildirMailbox = field(kw_only=True)
    messages: list[tuple[Place, Added]] = field(default_factory=list)


def _deliver(prepared: Sequence[Prepared]) -> Iterator[tuple[int, Added]]:
    """Bring what is in ``tmp`` of mailboxes to the disk, then have it seen, then bring that to the disk."""
    written = [each for each in prepared if isinstance(each, _Written)]
    bring_to_disk_all([file for each in written for file in each.mailbox.unfinished(each)], few=FEW)
    directories = [directory for each in written if each.messages for directory in each.mailbox.show(each)]
    bring_to_disk_all(directories, few=FEW)
    for number, each in enumerate(written):
        for _, added in each.messages:
            yield number, added


def _seen(directory: bytes) -> Seen | None:
    """Return what is known of a mailbox without reading it; None if the directory is none."""
    try:
        cur = os.stat(directory + b"/cur")
    except OSError:
        return None
    if not stat.S_ISDIR(cur.st_mode):
        return None
    return Seen(b"%d" % cur.st_ino, _mark(directory))


def _mark(directory: bytes) -> Mark | None:
    now = time.time_ns()
    parts = []
    for name in (b"/cur", b"/new", *Keywords.MARK_FILES):
        try:
            status = os.stat(directory + name)
        except FileNotFoundError:
            parts.append(b"-")
            continue
        if status.st_mtime_ns > now - SETTLED_NS:
            return None  # it may change once more and keep this time
        parts.append(b"%d.%d" % (status.st_ino, status.st_mtime_ns))
    return b" ".join(parts)


def _is_directory(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return False


def _directories_in(directory: bytes) -> list[bytes]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir()]


def _names_in(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _make_directory(path: bytes) -> None:
    os.makedirs(path, mode=0o700, exist_ok=True)


def _complete(directory: bytes) -> None:
    """Make what is missing of a mailbox: whoever made it may have been cut off, or have made a part only.

    One that is gone as a whole is not made again.
    """
    for part in _PARTS:  # new last: who sees it may rely on the others
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory + b"/" + part, 0o700)


def _touch(path: bytes) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _remove_quietly(remove: Callable[[bytes], None], path: bytes) -> None:
    with contextlib.suppress(OSError):
        remove(path)


def _remove_files(directory: bytes, is_ours: Callable[[bytes], bool]) -> None:
    for name in _names_in(directory):
        if is_ours(name):
            _remove_quietly(os.unlink, directory + b"/" + name)


def _unlink(path: bytes) -> int:
    os.unlink(path)
    return 0


def _move(path: bytes, mailbox: bytes) -> int:
    """Move a file into the same part of another mailbox; to another file system it is copied."""
    part, name = path.split(b"/")[-2:]
    target = mailbox + b"/" + part + b"/" + name
    if os.path.lexists(target):  # from a run that was cut off between copying and removing, or a stranger
        import filecmp  # seldom needed, like shutil

        if not filecmp.cmp(path, target, shallow=False):
            raise MailboxError(f"{_shown(target)} is there already")
        os.unlink(path)
        return 0
    try:
        os.rename(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _carry(path, mailbox + b"/tmp/" + name, target)
    return 0


def _carry(path: bytes, on_the_way: bytes, target: bytes) -> None:
    """Move a file to another file system; it is on the disk there before it is removed here."""
    import shutil

    _remove_quietly(os.unlink, on_the_way)
    shutil.copy2(path, on_the_way)
    bring_to_disk(on_the_way)
    os.rename(on_the_way, target)
    bring_to_disk(os.path.dirname(target))
    os.unlink(path)


def _shown(path: bytes) -> str:
    return repr(show(os.fsdecode(path)))
