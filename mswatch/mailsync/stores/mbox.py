"""mbox files as a store: a directory of them, at any depth, or a single one.

The key of a message is a digest of its first line (``From SENDER DATE``) and of its bytes: nothing else in
an mbox is left alone by all programs.  A message that we add gets a sender that no other one has.  Messages
that are alike even in this line (somebody joined files) are counted; when one of them goes the others count
anew, and the engine takes that for what it is, copies of one message.

Locks are short (``file_lock``): a message is taken out of a file into memory, or into a file of its own if it
is large, before the other store gets it.  Since others may write in between, whatever was found once is
looked at again under the lock.  What is written goes through ``rewriting``, which a cut cannot break.

The standard library's ``mailbox.mbox`` is not used: it begins a message at every line with ``From``, quotes
without ever unquoting, takes flags for part of the message, writes a new file in place of the old one, which
others have open, and gives no keys that outlast a run.

A mark is the file's inode, size and time of status change: mutt sets the time of modification back.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import IO, NamedTuple

from mswatch.errors import UnavailableError
from mswatch.mailsync import pulse
from mswatch.mailsync.flags import NONE, FlagChange, Flags
from mswatch.mailsync.stores import mbox_format as form_of
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
from mswatch.mailsync.stores.file_lock import locked, open_quietly, remove_left_over
from mswatch.mailsync.stores.rewriting import HEAD, Journals, Spool
from mswatch.mailsync.stores.synced import bring_to_disk
from mswatch.names import NameForm, canonical, own
from mswatch.showing import show

SETTLED_NS = 3_000_000_000  # a file this old has a time that no later change can have too
CHUNK = 1 << 20
LARGE = 1 << 20  # bytes of a message that is not held in memory
GROUP = 1 << 22  # bytes of messages that are taken out of a file at once
SPOOL = 1 << 26  # bytes of messages that are written into a file at once
BEGINNING = form_of.LINE_LIMIT + 200

INBOX = "INBOX"


class MboxStore(Store):
    """The mbox files below a directory; or one file, which is INBOX then."""

    def __init__(
        self,
        name: str,
        root: Path,
        form: NameForm,
        journals: Path,
        *,
        inbox: Path | None = None,
        looks_only: bool = False,
    ) -> None:
        """Make the object; nothing is touched.

        Args:
            name: For messages.
            root: The directory, or the file.
            form: How mailbox names are written below the directory.
            journals: A directory of ours, made when it is needed, for what is being written.
            inbox: INBOX, if it lies elsewhere.
            looks_only: What a run that was cut off left half done is not finished either.
        """
        self.name = name
        self.notes: list[str] = []
        self._root = os.fsencode(root)
        self._inbox = None if inbox is None else os.fsencode(inbox)
        self._form = form
        self._journals = Journals(os.fsencode(journals))
        self._looks_only = looks_only
        self._paths: dict[str, bytes] = {}  # by canonical name, as last listed
        self._unreadable: dict[bytes, str] = {}  # directories that had to be passed over, and why

    def open(self) -> bool:
        try:
            if self._is_single():
                if not self._is_mbox(self._root):
                    raise UnavailableError(
                        f"store {self.name}: {_shown(self._root)} is no mbox{_why_none(self._root)}"
                    )
            else:
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

    def _is_single(self) -> bool:
        return not stat.S_ISDIR(os.stat(self._root).st_mode)

    def make(self) -> None:
        os.makedirs(self._root, mode=0o700, exist_ok=True)

    def identity(self) -> bytes:
        return b"" if self._is_single() else b"%d" % os.stat(self._root).st_ino

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        self.notes.clear()
        self._paths.clear()
        self._unreadable.clear()
        found: dict[str, Seen] = {}
        if self._is_single():
            self._add_found(INBOX, self._root, found)
        else:
            if self._inbox is not None:
                self._add_found(INBOX, self._inbox, found)
            for entries, path in self._walk(self._root, (), set()):
                text = os.fsdecode(b"/".join(entries))
                self._add_found(canonical(text, self._form), path, found)
        return found if only is None else {name: seen for name, seen in found.items() if name in only}

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        found = {}
        for name in mailboxes:
            try:
                path = self._new_place(name)
            except MailboxError:
                continue  # by other settings it cannot have this name any more
            reasons = [why for above, why in self._unreadable.items() if path.startswith(above + b"/")]
            try:
                if stat.S_ISREG(os.stat(path).st_mode):
                    reasons.append(f"{_shown(path)} is no mbox any more")
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError as error:
                reasons.append(f"{_shown(path)} cannot be read: {error.strerror}")
            if reasons:
                found[name] = reasons[0]
        return found

    def _walk(
        self, directory: bytes, entries: tuple[bytes, ...], above: set[tuple[int, int]]
    ) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
        """Give all files that may be mailboxes; links are followed, but never in a circle."""
        try:
            status = os.stat(directory)
            listed = sorted(os.listdir(directory))
        except OSError as error:
            if not entries:
                raise
            self.notes.append(f"store {self.name}: passed over {_shown(directory)}: {error.strerror}")
            self._unreadable[directory] = f"{_shown(directory)} cannot be read: {error.strerror}"
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        for name in listed:
            path = directory + b"/" + name
            if name.startswith(b".") or name.endswith(b".lock"):
                continue
            if os.path.isdir(path):
                yield from self._walk(path, (*entries, name), above | {here})
            else:
                yield (*entries, name), path

    def _is_mbox(self, path: bytes) -> bool:
        """Tell whether a file is an mbox, or will be one when what a run was cut off from is done."""
        return form_of.begins_mbox(_beginning(path)) or self._journals.pending(os.path.realpath(path))

    def _add_found(self, name: str, path: bytes, found: dict[str, Seen]) -> None:
        """Add a file to the mailboxes if it is one; one that cannot be read is told when it is used."""
        try:
            status = os.stat(path)
        except OSError:  # gone, or a link that leads nowhere
            return
        if not stat.S_ISREG(status.st_mode):
            return
        try:
            if not self._is_mbox(path):
                return
        except FileNotFoundError:
            return
        except OSError:
            pass
        if name in found or not all(name.split("/")):
            why = (
                f"is called {show(name)}, like another one"
                if name in found
                else "has an empty level in its name"
            )
            self.notes.append(f"store {self.name}: passed over {_shown(path)}: it {why}")
            return
        found[name] = Seen(b"%d" % status.st_ino, _mark(status))
        self._paths[name] = path

    def _place(self, name: str) -> bytes:
        """Return the file of a mailbox, or where it would be made; links are followed to their end."""
        known = self._paths.get(name)
        if known is None:
            known = self._new_place(name)
        return os.path.realpath(known)

    def _new_place(self, name: str) -> bytes:
        if os.path.isfile(self._root):
            if name == INBOX:
                return self._root
            raise MailboxError(f"store {self.name} is a single file, and has no mailbox {show(name)!r}")
        if name == INBOX and self._inbox is not None:
            return self._inbox
        text = own(name, self._form)
        levels = [] if text is None else text.split("/")
        is_bad = any(
            level in ("", ".", "..") or level.startswith(".") or level.endswith(".lock") for level in levels
        )
        if text is None or "\0" in name or is_bad:
            raise MailboxError(
                f"store {self.name} cannot have a mailbox {show(name)!r}",
                "rename it, or leave it out by `skip`",
            )
        return self._root + b"/" + text.encode("utf-8", "surrogateescape")

    def make_mailbox(self, mailbox: str) -> None:
        path = self._place(mailbox)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise self._in_the_way(mailbox) from error
        if os.path.isdir(path):
            raise self._in_the_way(mailbox)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if not os.path.isfile(path) or not self._is_mbox(path):
                raise MailboxError(f"{_shown(path)} is no mbox, and left alone", "rename it") from None
        bring_to_disk(os.path.dirname(path))
        self._paths[mailbox] = path

    def _in_the_way(self, mailbox: str) -> MailboxError:
        return MailboxError(
            f"store {self.name} cannot have a mailbox {show(mailbox)!r}: an mbox is a file, and has "
            "no mailboxes below it",
            "leave it out by `skip`",
        )

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        if mailbox == INBOX:
            raise MailboxError(f"store {self.name}: INBOX cannot be renamed")
        old, new = self._place(mailbox), self._place(new_name)
        if os.path.lexists(new):
            raise MailboxError(f"store {self.name}: there is something called {_shown(new)} already")
        try:
            os.makedirs(os.path.dirname(new), mode=0o700, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise self._in_the_way(new_name) from error
        os.rename(old, new)
        bring_to_disk(os.path.dirname(old))
        bring_to_disk(os.path.dirname(new))
        self._paths.clear()

    def remove_mailbox(self, mailbox: str) -> None:
        path = self._place(mailbox)
        if mailbox == INBOX:
            raise MailboxError(f"store {self.name}: INBOX is not removed")
        with locked(path, writing=True) as fd:
            if _Index.of(fd, path).by_key:
                raise NotEmptyError(f"{_shown(path)} is not empty")
            os.unlink(path)
        self._paths.pop(mailbox, None)
        directory = os.path.dirname(path)
        bring_to_disk(directory)
        root = os.path.realpath(self._root)
        with contextlib.suppress(OSError):  # directories that held nothing else
            while directory != root and directory.startswith(root + b"/"):
                os.rmdir(directory)
                directory = os.path.dirname(directory)

    def open_mailbox(self, mailbox: str) -> Mailbox:
        path = self._place(mailbox)
        if not os.path.exists(path):
            raise MailboxError(f"store {self.name}: there is no mailbox {show(mailbox)}")
        return _MboxMailbox(path, self._journals, self._place, looks_only=self._looks_only)

    def close(self) -> None:
        pass


class _Entry(NamedTuple):
    """Where a message is in its file, and what is known of it."""

    key: Key
    flags: Flags
    size: int  # of the message as it is carried
    start: int  # of its first line
    header: int  # where its header begins
    end: int  # behind its last byte
    next: int  # where the next message begins, or the file ends
    is_literal: bool = False  # its length says where it ends, and no line of it is quoted


class _Index:
    """All messages of a file at one moment."""

    def __init__(self, signature: tuple[int, int, int], mark: Mark | None) -> None:
        self.signature = signature
        self.mark = mark
        self.entries: list[_Entry] = []
        self.by_key: dict[Key, _Entry] = {}
        self.pseudo: _Entry | None = None  # c-client's own message
        self._counts: Counter[bytes] = Counter()

    def all(self) -> list[_Entry]:
        """Return everything in the file, c-client's own message too."""
        return [*([self.pseudo] if self.pseudo else []), *self.entries]

    def flags(self) -> Flags:
        """Return all flags that any message has."""
        return NONE.union(*{entry.flags for entry in self.entries})

    @classmethod
    def of(cls, fd: int, path: bytes) -> _Index:
        """Read a file that is locked."""
        status = os.fstat(fd)
        index = cls(_signature(status), _mark(status))
        index.read(fd, path, 0, status.st_size)
        return index

    def read(self, fd: int, path: bytes, begin: int, end: int) -> None:
        """Take in the messages of a part of the file."""
        begins = [begin + each for each in form_of.starts(_pieces(fd, begin, end))]
        if os.pread(fd, min(BEGINNING, end - begin), begin)[: begins[0] - begin if begins else None].strip(
            b"\r\n"
        ):
            raise MailboxError(
                f"{_shown(path)} does not begin with a message", "mend it, or leave it out by `skip`"
            )
        place = 0
        while place < len(begins):
            following = self._take(fd, begins, place, end)
            place = bisect_left(begins, following)

    def _take(self, fd: int, begins: Sequence[int], place: int, end_of_file: int) -> int:
        """Take in a message; return where it ends."""
        start = begins[place]
        following = begins[place + 1] if place + 1 < len(begins) else end_of_file
        line, newline, text = os.pread(fd, min(CHUNK, following - start), start).partition(b"\n")
        header = start + len(line) + len(newline)
        raw, rest = form_of.split(text)
        tail = text if following - start <= CHUNK else os.pread(fd, 3, following - 3)
        end = max(header, following - form_of.end_of(tail))
        by_length = self._end_by_length(fd, raw, header + len(raw), rest, begins, end_of_file)
        if by_length is not None:
            end, following = by_length
        if not self.entries and form_of.is_pseudo(raw):
            self.pseudo = _Entry(b"", NONE, 0, start, header, end, following)
            return following
        entry = _Entry(b"", form_of.flags_of(raw), 0, start, header, end, following, by_length is not None)
        sizes: list[int] = []
        digest = form_of.digest(line, _counted(_carried(fd, entry), sizes))
        key = digest if not self._counts[digest] else b"%b-%d" % (digest, self._counts[digest] + 1)
        self._counts[digest] += 1
        entry = entry._replace(key=key, size=sum(sizes))
        self.entries.append(entry)
        self.by_key[key] = entry
        return following

    @staticmethod
    def _end_by_length(
        fd: int, header: bytes, end_of_header: int, rest: bytes, begins: Sequence[int], end_of_file: int
    ) -> tuple[int, int] | None:
        """Return the end by Content-Length, and where the next message begins; None if that is not true."""
        length = form_of.length_of(header)
        if length is None or not rest:
            return None
        end = end_of_header + len(rest.partition(b"\n")[0]) + 1 + length
        empty = form_of.end_of(b"\n" + os.pread(fd, 2, end).partition(b"\n")[0] + b"\n")
        if end == end_of_file:
            return end, end
        following = end + empty
        place = bisect_left(begins, following)
        is_true = following == end_of_file or (place < len(begins) and begins[place] == following)
        return (end, following) if is_true else None


class _MboxMailbox(Mailbox):
    """One mbox file."""

    def __init__(
        self, path: bytes, journals: Journals, place: Callable[[str], bytes], *, looks_only: bool
    ) -> None:
        self._path = path
        self._journals = journals
        self._place = place
        self._looks_only = looks_only
        self._index: _Index | None = None

    # Looking

    def scan(self, since: Mark | None) -> Scan:
        mark = _mark(os.stat(self._path))
        if mark is not None and mark == since:
            return Scan(b"", mark, False, {})
        with self._reading(anew=True) as (fd, index):
            mark = index.mark if _signature(os.fstat(fd)) == index.signature else None
        return Scan(b"", mark, True, {entry.key: entry.flags for entry in index.entries})

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        with self._reading(anew=True) as (_, index):
            return [key for key in keys if key not in index.by_key]

    @contextlib.contextmanager
    def _reading(self, *, anew: bool = False) -> Iterator[tuple[int, _Index]]:
        """Hold the file for reading, with an index of what it holds now.

        ``anew``: also what somebody may have changed within the grain of the file's times.
        """
        if self._journals.pending(self._path):
            self._finish_what_was_cut_off()
        if not self._looks_only:
            remove_left_over(self._path)
        with locked(self._path, writing=False) as fd:
            index = self._index
            if index is None or (anew and not index.mark) or index.signature != _signature(os.fstat(fd)):
                index = self._index = _Index.of(fd, self._path)
            yield fd, index

    def _finish_what_was_cut_off(self) -> None:
        if self._looks_only:
            raise MailboxError(
                f"{_shown(self._path)} is half written since a run was cut off", "run mailsync"
            )
        with locked(self._path, writing=True) as fd:
            if self._journals.pending(self._path):
                self._journals.recover(fd, self._path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[tuple[int, _Index]]:
        """Hold the file for writing, with an index of what it holds now."""
        with locked(self._path, writing=True) as fd:
            if self._journals.pending(self._path):
                self._journals.recover(fd, self._path)
                self._index = None
            index = self._index
            if index is None or index.signature != _signature(os.fstat(fd)):
                index = self._index = _Index.of(fd, self._path)
            yield fd, index

    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        left = list(keys)
        while left:
            found: list[tuple[Key, bytes]] = []
            size = 0
            with self._reading() as (fd, index):
                while left and size < GROUP:
                    entry = index.by_key.get(left.pop(0))
                    if entry is not None:
                        header = form_of.split(_first(_carried(fd, entry)))[0]
                        size += len(header)
                        found.append((entry.key, header))
            yield from found

    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        left = list(reversed(keys))
        while left:
            found: list[Message | NotRead] = []
            size = 0
            with self._reading() as (fd, index):
                while left and size < GROUP:
                    entry = index.by_key.get(left.pop())
                    if entry is None:
                        continue
                    if size_limit is not None and entry.size > size_limit:
                        reason = f"{entry.size} bytes are more than the limit"
                        found.append(NotRead(entry.key, reason, lasting=True))
                        continue
                    if entry.size > LARGE and found:
                        left.append(entry.key)  # by itself, as the first of the next group
                        break
                    found.append(self._taken_out(fd, entry))
                    size += entry.size
            yield from found

    def _taken_out(self, fd: int, entry: _Entry) -> Message | NotRead:
        line = os.pread(fd, entry.header - entry.start, entry.start)
        pieces = _carried(fd, entry)
        if entry.size > LARGE:
            os.makedirs(self._journals.directory, mode=0o700, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._journals.directory)  # noqa: SIM115 - closed when it was read
            digest = form_of.digest(line, _written(file.fileno(), pieces))
            chunks = _read_and_closed(file)
        else:
            whole = b"".join(pieces)
            digest = form_of.digest(line, [whole])
            chunks = iter([whole])
        if digest != entry.key.partition(b"-")[0]:
            return NotRead(
                entry.key, f"{_shown(self._path)} is written to by a program that does not lock it"
            )
        return Message(entry.key, entry.flags, form_of.date_of(line), entry.size, chunks)

    # Writing

    def propose(self, count: int) -> None:
        return None

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        failure: BaseException | None = None
        coming = iter(messages)
        is_over = False
        while not is_over:
            taken: list[tuple[Message, Flags, int]] = []
            refused: list[NotAdded] = []
            spool = self._journals.spool(self._path)
            try:
                spool.write(b"\n\n")  # for what may be missing at the end of the file
                try:
                    while not is_over and spool.size < SPOOL:
                        message = next(coming, None)
                        is_over = message is None
                        if message is not None:
                            flags = form_of.storable(message.flags)
                            reason = _spool(spool, message, flags)
                            if reason:
                                refused.append(NotAdded(message.key, reason))
                            else:
                                taken.append((message, flags, spool.size))
                except Exception as error:  # what is there already is delivered all the same
                    failure, is_over = error, True
                    spool.cut(taken[-1][2] if taken else HEAD + 2)
                keys = self._append(spool) if taken else []
            finally:
                spool.drop()
            yield from refused
            for (message, flags, _), key in zip(taken, keys, strict=True):
                yield Added(message.key, key, flags)
        if failure is not None:
            raise failure

    def _append(self, spool: Spool) -> list[Key]:
        """Write messages behind the others; return their keys."""
        with self._writing() as (fd, index):
            size = os.fstat(fd).st_size
            missing = _missing_end(os.pread(fd, 3, max(0, size - 3)))
            self._journals.write(fd, self._path, size, spool, HEAD + 2 - missing)
            known = len(index.entries)
            status = os.fstat(fd)
            if known:
                index.entries[-1] = index.entries[-1]._replace(next=size + missing)
            elif index.pseudo:
                index.pseudo = index.pseudo._replace(next=size + missing)
            index.read(fd, self._path, size, status.st_size)
            index.signature, index.mark = _signature(status), None
            added = index.entries[known:]
            if any(form_of.keywords(flags) for flags in {entry.flags for entry in added}):
                self._rewrite(fd, index, lambda entry, header: header, index.flags())
            return [entry.key for entry in added]

    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        with self._writing() as (fd, index):
            there = {key: change for key, change in changes.items() if key in index.by_key}
            agreed = {key: change.agreed(form_of.storable(change.added)) for key, change in there.items()}
            changed = {}
            for key, flags in agreed.items():
                now = index.by_key[key].flags
                become = FlagChange(there[key].seen, flags).upon(now)
                if become == now:
                    continue
                if _has_no_end_of_header(fd, index.by_key[key]):
                    agreed[key] = there[key].seen
                else:
                    changed[key] = become

            def flagged(entry: _Entry, header: bytes) -> bytes:
                return form_of.with_flags(header, changed[entry.key]) if entry.key in changed else header

            if changed:
                self._rewrite(fd, index, flagged, index.flags().union(*changed.values()))
        yield from agreed.items()

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        doomed = set(keys)
        with self._writing() as (fd, index):
            if doomed & index.by_key.keys():
                self._rewrite(
                    fd, index, lambda entry, header: None if entry.key in doomed else header, index.flags()
                )
        yield from keys

    def _rewrite(
        self, fd: int, index: _Index, edit: Callable[[_Entry, bytes], bytes | None], flags: Flags
    ) -> None:
        """Write the file anew from the first message on whose header ``edit`` changes; None: it goes.

        What the first message has to say about the whole file goes to the one that is the first then,
        with the names of all keywords: c-client and Dovecot know no others.
        """
        spool = self._journals.spool(self._path)
        at: int | None = None
        base: bytes | None = None
        new_base: bytes | None = None
        try:
            for entry in index.all():
                first = os.pread(fd, min(CHUNK, entry.next - entry.header), entry.header)
                header, rest = _split_whole(first, is_all=entry.header + len(first) == entry.next)
                new_header = header if entry is index.pseudo else edit(entry, header)
                if base is None:
                    base = b"".join(each[0] for each in form_of.BASE.finditer(header))
                    new_base = form_of.with_keywords(base, flags, int(time.time()))
                    if new_header is not None and new_base == base:
                        new_base = None  # where it is already
                if new_header is not None and new_base is not None:
                    new_header, new_base = form_of.with_base(new_base, new_header), None
                if at is None and new_header == header:
                    continue
                at = entry.start if at is None else at
                if new_header is None:
                    continue
                spool.write(_from_line(fd, entry) + new_header + rest)
                for chunk in _pieces(fd, entry.header + len(first), entry.next):
                    spool.write(chunk)
            if at is not None:
                self._journals.write(fd, self._path, at, spool, HEAD)
                self._index = None
        finally:
            spool.drop()

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        target = _MboxMailbox(self._place(mailbox), self._journals, self._place, looks_only=self._looks_only)
        with target._reading() as (_, index):
            arrived = index.by_key.keys() & set(keys)  # by a run that was cut off between the two files
        moved: list[tuple[Key, Key | None]] = [(key, key) for key in keys if key in arrived]
        moved += target._take_in(self, [key for key in keys if key not in arrived])
        list(self.remove([key for key, _ in moved]))
        yield from moved

    def _take_in(self, source: _MboxMailbox, keys: Sequence[Key]) -> list[tuple[Key, Key]]:
        """Append messages of another file as they are there; return both keys."""
        spool = self._journals.spool(self._path)
        taken = []
        try:
            spool.write(b"\n\n")
            with source._reading() as (fd, index):
                for entry in filter(None, map(index.by_key.get, keys)):
                    taken.append(entry.key)
                    first = os.pread(fd, min(CHUNK, entry.end - entry.header), entry.header)
                    header, rest = _split_whole(first, is_all=entry.header + len(first) == entry.end)
                    spool.write(_from_line(fd, entry))
                    header = form_of.with_flags(form_of.META.sub(b"", header), entry.flags)
                    pieces = chain((header + rest,), _pieces(fd, entry.header + len(first), entry.end))
                    for chunk in form_of.quoted(pieces) if entry.is_literal else pieces:
                        spool.write(chunk)
                    spool.write(_message_end(spool))
            return list(zip(taken, self._append(spool) if taken else [], strict=True))
        finally:
            spool.drop()

    def close(self) -> None:
        self._index = None


def _signature(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_ctime_ns, status.st_size


def _mark(status: os.stat_result) -> Mark | None:
    if status.st_ctime_ns > time.time_ns() - SETTLED_NS:
        return None  # it may change once more and keep this time
    return b"%d.%d.%d" % _signature(status)


def _beginning(path: bytes) -> bytes:
    fd = open_quietly(path)
    try:
        return os.pread(fd, BEGINNING, 0)
    finally:
        os.close(fd)


def _pieces(fd: int, begin: int, end: int) -> Iterator[bytes]:
    """Read a part of a file that is locked."""
    while begin < end:
        data = os.pread(fd, min(CHUNK, end - begin), begin)
        if not data:
            raise MailboxError(
                "the file became shorter while it was locked", "end the program that does not lock it"
            )
        pulse.RUN.beat()
        yield data
        begin += len(data)


def _carried(fd: int, entry: _Entry) -> Iterator[bytes]:
    """Read a message as it is carried elsewhere; the first piece holds the header."""
    pieces = _pieces(fd, entry.header, entry.end)
    text, rest = form_of.split(next(pieces, b""))
    if not entry.is_literal and text + rest:  # an mbox cannot say that there is no newline
        text, rest = _split_whole(text + rest, is_all=entry.end - entry.header <= CHUNK)
        if entry.end - entry.header > CHUNK and os.pread(fd, 1, entry.end - 1) != b"\n":
            pieces = chain(pieces, (b"\n",))
    whole = chain((form_of.from_file(text) + rest,), pieces)
    return whole if entry.is_literal else form_of.unquoted(whole)


def _split_whole(first: bytes, *, is_all: bool) -> tuple[bytes, bytes]:
    """Split a message's first bytes; one that is all there ends with a newline, which its file may lack."""
    return form_of.split(first + b"\n" if is_all and first and not first.endswith(b"\n") else first)


def _from_line(fd: int, entry: _Entry) -> bytes:
    """Return the line that begins a message, with its newline, which the end of a file may lack."""
    line = os.pread(fd, entry.header - entry.start, entry.start)
    return line if line.endswith(b"\n") else line + b"\n"


def _has_no_end_of_header(fd: int, entry: _Entry) -> bool:
    """Tell whether there is no place for flags: a message that is no message."""
    if entry.end - entry.header <= CHUNK:
        return False
    return not form_of.split(os.pread(fd, CHUNK, entry.header))[1]


def _first(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")


def _counted(pieces: Iterator[bytes], sizes: list[int]) -> Iterator[bytes]:
    for piece in pieces:
        sizes.append(len(piece))
        yield piece


def _written(fd: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        done = 0
        while done < len(piece):
            done += os.write(fd, piece[done:])
        yield piece


def _read_and_closed(file: IO[bytes]) -> Iterator[bytes]:
    """Give what was written into a file."""
    with file:
        file.seek(0)
        while chunk := file.read(CHUNK):
            yield chunk


def _spool(spool: Spool, message: Message, flags: Flags) -> str:
    """Write a message as it is in a file; return why it cannot be."""
    begin = spool.size
    text, chunks = b"", iter(message.chunks)
    rest = b""
    for chunk in chunks:
        text, rest = form_of.split(text + rest + chunk)
        if rest or len(text) > form_of.HEADER_LIMIT:
            break
    if len(text) > form_of.HEADER_LIMIT:
        spool.cut(begin)
        return f"a header of more than {form_of.HEADER_LIMIT} bytes: this is no message"
    header = form_of.with_flags(form_of.into_file(text), flags, is_new=True)
    sender = b"mailsync-" + token_hex(6).encode()  # another one for each message, so that its key stays
    spool.write(form_of.from_line(message.date_ns, sender))
    for chunk in form_of.quoted(chain((header + rest,), chunks)):
        spool.write(chunk)
    spool.write(_message_end(spool))
    return ""


def _message_end(spool: Spool) -> bytes:
    """Return what is missing at the end of a message: its newline, and the empty line."""
    return b"\n" if os.pread(spool.fd, 1, spool.size - 1) == b"\n" else b"\n\n"


def _missing_end(tail: bytes) -> int:
    """Return how many newlines a file needs before another message."""
    if tail.endswith(b"\r"):
        return 1 if form_of.end_of(tail) or not tail.strip(b"\r\n") else 2
    if not tail.strip(b"\r\n") or form_of.end_of(tail):
        return 0
    return 1 if tail.endswith(b"\n") else 2


def _why_none(path: bytes) -> str:
    line = _beginning(path).lstrip(b"\r\n").partition(b"\n")[0][:80]
    return f": it begins with {show(line.decode('ascii', 'backslashreplace'))!r}"


def _shown(path: bytes) -> str:
    return repr(show(os.fsdecode(path)))
