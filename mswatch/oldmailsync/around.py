"""A store and a mailbox around other ones: everything goes through, for those who change a part of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from mswatch.mailsync.flags import FlagChange, Flags
from mswatch.mailsync.stores.contract import (
    Added,
    Content,
    Key,
    Mailbox,
    Mark,
    Message,
    NotAdded,
    NotRead,
    Prepared,
    Scan,
    Seen,
    Stamp,
    Store,
)

# ruff: noqa: D102 - what a method does is in contract.py


class StoreAround(Store):
    """A store that is another one."""

    def __init__(self, inner: Store) -> None:
        self.name = inner.name
        self.inner = inner
        self.notes = inner.notes
        self.renames_below = inner.renames_below
        self.is_remote = inner.is_remote

    def open(self) -> bool:
        return self.inner.open()

    def mend(self) -> None:
        self.inner.mend()

    def make(self) -> None:
        self.inner.make()

    def identity(self) -> bytes:
        return self.inner.identity()

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        return self.inner.mailboxes(only)

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        return self.inner.hidden(mailboxes)

    def key_of_file(self, file: str) -> Key | None:
        return self.inner.key_of_file(file)

    def make_mailbox(self, mailbox: str) -> None:
        self.inner.make_mailbox(mailbox)

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        self.inner.rename_mailbox(mailbox, new_name)

    def remove_mailbox(self, mailbox: str) -> None:
        self.inner.remove_mailbox(mailbox)

    def open_mailbox(self, mailbox: str) -> Mailbox:
        return self.inner.open_mailbox(mailbox)

    def close(self) -> None:
        self.inner.close()


class MailboxAround(Mailbox):
    """A mailbox that is another one."""

    def __init__(self, inner: Mailbox) -> None:
        self.inner = inner

    def scan(self, since: Mark | None) -> Scan:
        return self.inner.scan(since)

    def scan_known(self, since: Mark | None) -> Scan:
        self.inner.known = self.known
        return self.inner.scan_known(since)

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        return self.inner.absent(keys)

    def given(self, keys: Collection[Key]) -> Collection[Key]:
        return self.inner.given(keys)

    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        return self.inner.headers(keys)

    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        return self.inner.read(keys, size_limit)

    def contents(self, keys: Sequence[Key]) -> Iterator[Content | NotRead]:
        return self.inner.contents(keys)

    def sizes(self, keys: Sequence[Key]) -> Mapping[Key, int]:
        return self.inner.sizes(keys)

    def carry(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        return self.inner.carry(keys, size_limit)

    def larger(self, keys: Sequence[Key], size_limit: int) -> Iterator[NotRead]:
        return self.inner.larger(keys, size_limit)

    def propose(self, count: int) -> Sequence[Key] | None:
        return self.inner.propose(count)

    def discard(self, keys: Sequence[Key]) -> None:
        self.inner.discard(keys)

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        return self.inner.add(messages)

    def set_flags(self, changes: Mapping[Key, FlagChange]) -> Iterator[tuple[Key, Flags]]:
        return self.inner.set_flags(changes)

    def prepare(self, messages: Iterable[Message], prepared: Callable[[Prepared], None]) -> bool:
        return False  # what arrives is told mailbox by mailbox, as the old program does

    def stamp(self, key: Key) -> Stamp | None:
        return self.inner.stamp(key)

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        return self.inner.remove(keys)

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        return self.inner.move(keys, mailbox)

    def close(self) -> None:
        self.inner.close()
