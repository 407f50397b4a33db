"""Stores that change nothing: what would be done is answered as if it were done, and seen by who looks again.

Reading goes through to the real store.  What was "made", "renamed", "moved" or "removed" is remembered over
it, because a run looks again at what it did: a trash is synced after messages were moved to it, a mailbox is
removed when it is empty.  So a dry run tells what a run would do, act by act.

Two things cannot be known before: what a server would refuse, and which of messages that are only copied
now would be copies of each other.  A message that would come has a key with a star in front: it is not there.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mswatch.mailsync.flags import NONE, FlagChange, Flags
from mswatch.mailsync.stores.contract import (
    Added,
    Content,
    Expected,
    Key,
    Mailbox,
    Mark,
    Message,
    NotAdded,
    NotEmptyError,
    NotRead,
    Scan,
    Seen,
    Store,
)

# ruff: noqa: D102 - what a method does is in contract.py

NOTHING = Scan(b"", None, True, {})


@dataclass
class _Changes:
    """What would be different in a mailbox."""

    flags: dict[Key, Flags] = field(default_factory=dict)
    added: dict[Key, tuple[Flags, bytes]] = field(default_factory=dict)  # flags and header
    moved: dict[Key, tuple[str, Key]] = field(default_factory=dict)  # of those: the real mailbox and key
    gone: set[Key] = field(default_factory=set)

    def any(self) -> bool:
        """Tell whether anything would be."""
        return bool(self.flags or self.added or self.gone)

    def take_away(self, key: Key) -> None:
        """A message would not be there."""
        if self.added.pop(key, None) is None:
            self.gone.add(key)


class DryStore(Store):
    """A store that is only looked at."""

    def __init__(self, store: Store) -> None:
        self.name = store.name
        self.notes = store.notes
        self._store = store
        self._there = False
        self._real: dict[str, str | None] = {}  # what mailboxes are called; None: there is none
        self._unmade: set[str] = set()  # real names that would be there no more
        self._changes: dict[str, _Changes] = {}

    def open(self) -> bool:
        self._there = self._store.open()
        return self._there

    def recall(self, remark: bytes) -> None:
        self._store.recall(remark)

    def remark(self) -> bytes:
        return self._store.remark()

    def mend(self) -> None:
        self._store.mend()

    def make(self) -> None:
        pass

    def identity(self) -> bytes:
        return self._store.identity() if self._there else b""

    def expect(self, plan: Sequence[Expected]) -> None:
        self._store.expect([replace(each, keys=()) for each in plan if each.scans and not each.makes])

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        wanted = None
        if only is not None:
            wanted = {its for name in only if (its := self._real.get(name, name)) is not None}
        real = self._store.mailboxes(wanted) if self._there else {}
        found = {name: seen for name, seen in real.items() if name not in self._unmade}
        for name, its in self._real.items():
            found[name] = real.get(its, Seen()) if its is not None else Seen()
        for name, changes in self._changes.items():
            if name in found and changes.any():
                found[name] = replace(found[name], mark=None)
        return {name: seen for name, seen in found.items() if only is None or name in only}

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        return self._store.hidden(mailboxes) if self._there else {}

    def key_of_file(self, file: str) -> Key | None:
        return self._store.key_of_file(file)

    @property
    def renames_below(self) -> bool:  # type: ignore[override]
        """As the real store does."""
        return self._store.renames_below

    @property
    def is_remote(self) -> bool:  # type: ignore[override]
        """As the real store is."""
        return self._store.is_remote

    def make_mailbox(self, mailbox: str) -> None:
        if mailbox not in self.mailboxes([mailbox]):
            self._real[mailbox] = None
            self._changes.pop(mailbox, None)

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        for name in list(self.mailboxes()):
            if name == mailbox or (self.renames_below and name.startswith(f"{mailbox}/")):
                renamed = new_name + name[len(mailbox) :]
                self._real[renamed] = self._take_away(name)
                self._changes[renamed] = self._changes.pop(name, _Changes())

    def _take_away(self, name: str) -> str | None:
        """A mailbox would not be there; return what is called so."""
        real = self._real.pop(name, name)
        if real is not None:
            self._unmade.add(real)
        return real

    def remove_mailbox(self, mailbox: str) -> None:
        box = self.open_mailbox(mailbox)
        try:
            if box.scan(None).present:
                raise NotEmptyError(f"store {self.name}: {mailbox} is not empty")
        finally:
            box.close()
        self._take_away(mailbox)
        self._changes.pop(mailbox, None)

    def open_mailbox(self, mailbox: str) -> Mailbox:
        real = self._real.get(mailbox, mailbox)
        box = self._store.open_mailbox(real) if real is not None else None
        return DryMailbox(box, real or "", self.changes_of(mailbox), self)

    def real_contents(self, mailbox: str, key: Key) -> Iterator[Content | NotRead]:
        """Say what the bytes of a message in a real mailbox come to."""
        box = self._store.open_mailbox(mailbox)
        try:
            yield from box.contents([key])
        finally:
            box.close()

    def changes_of(self, mailbox: str) -> _Changes:
        """Return what would be different in a mailbox."""
        return self._changes.setdefault(mailbox, _Changes())

    def close(self) -> None:
        self._store.close()


class DryMailbox(Mailbox):
    """A mailbox that is only looked at; without a real one, an empty one."""

    def __init__(self, mailbox: Mailbox | None, real: str, changes: _Changes, store: DryStore) -> None:
        self._mailbox = mailbox
        self._real = real
        self._changes = changes
        self._store = store

    def scan(self, since: Mark | None) -> Scan:
        if self._mailbox is None or self._changes.any():
            return self._scan_changed()
        return self._mailbox.scan(since)

    def scan_known(self, since: Mark | None) -> Scan:
        if self._mailbox is None or self._changes.any():
            return self._scan_changed()
        self._mailbox.known = self.known
        return self._mailbox.scan_known(since)

    def _scan_changed(self) -> Scan:
        scan = self._mailbox.scan(None) if self._mailbox is not None else NOTHING
        present = {key: flags for key, flags in scan.present.items() if key not in self._changes.gone}
        present |= {key: flags for key, flags in self._changes.flags.items() if key in present}
        present |= {key: flags for key, (flags, _) in self._changes.added.items()}
        return Scan(scan.epoch, None, True, present)

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        would_be = {key for key in keys if key in self._changes.gone}
        others = [key for key in keys if key not in would_be and key not in self._changes.added]
        return would_be | set(self._mailbox.absent(others) if self._mailbox is not None else others)

    def given(self, keys: Collection[Key]) -> Collection[Key]:
        would_be = [key for key in keys if key.startswith(b"*")]
        real = [key for key in keys if not key.startswith(b"*")]
        return [*would_be, *(self._mailbox.given(real) if real and self._mailbox is not None else ())]

    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        added = self._changes.added
        yield from ((key, added[key][1]) for key in keys if key in added)
        there = [key for key in keys if key not in added and key not in self._changes.gone]
        if there and self._mailbox is not None:
            yield from self._mailbox.headers(there)

    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        there = [key for key in keys if key not in self._changes.added and key not in self._changes.gone]
        if there and self._mailbox is not None:
            yield from self._mailbox.read(there, size_limit)

    def contents(self, keys: Sequence[Key]) -> Iterator[Content | NotRead]:
        yield from super().contents(keys)
        for key in keys:
            if key in self._changes.moved:
                for each in self._store.real_contents(*self._changes.moved[key]):
                    yield replace(each, key=key)

    def sizes(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        there = [key for key in keys if key not in self._changes.added and key not in self._changes.gone]
        return self._mailbox.sizes(there) if there and self._mailbox is not None else {}

    def carry(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        too_large = set()
        if size_limit is not None and self._mailbox is not None:
            for each in self._mailbox.larger(keys, size_limit):
                too_large.add(each.key)
                yield each
        wanted = [key for key in keys if key not in too_large]
        flags = self._flags_of(wanted)
        for answer in self.headers(wanted):  # no body is transferred
            if isinstance(answer, NotRead):
                yield answer
            else:
                key, header = answer
                yield Message(key, flags.get(key, NONE), 0, 0, iter((header + b"\n\n",)))

    def _flags_of(self, keys: Sequence[Key]) -> dict[Key, Flags]:
        """Return the flags of messages that are on their way to elsewhere in this store or the other one."""
        present = self._scan_changed().present if keys else {}
        return {key: present.get(key) or NONE for key in keys}

    def propose(self, count: int) -> None:
        return None

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        for message in messages:
            key = b"*" + message.key
            self._changes.added[key] = (message.flags, next(message.chunks, b""))
            yield Added(message.key, key, message.flags)

    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        for key, change in changes.items():
            flags = change.wanted
            if key in self._changes.added:
                self._changes.added[key] = (flags, self._changes.added[key][1])
            else:
                self._changes.flags[key] = flags
            yield key, flags

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        for key in keys:
            self._changes.take_away(key)
            yield key

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        flags = self._flags_of(keys)
        headers = dict(each for each in self.headers(keys) if not isinstance(each, NotRead))
        target = self._store.changes_of(mailbox)
        for key in keys:
            self._changes.take_away(key)
            new_key = b"*%b/%b" % (os.fsencode(self._real), key)  # in another mailbox it may be another one's
            target.added[new_key] = (flags[key], headers.get(key, b""))
            target.moved[new_key] = (self._real, key)
            yield key, new_key

    def close(self) -> None:
        if self._mailbox:
            self._mailbox.close()
