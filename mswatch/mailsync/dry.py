"""Stores that change nothing: what would be done is answered as if it were done.

Reading goes through to the real store.  What was "made" is remembered as far as the same run asks for it
again: a mailbox that would be made can be opened, and is empty.  Nothing else is, so a dry run says of a
trash or of what a rename would lead to only the first step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from mswatch.mailsync.flags import NONE, Flags
from mswatch.mailsync.stores.contract import (
    Added,
    Key,
    Mailbox,
    Mark,
    Message,
    NotAdded,
    NotRead,
    Scan,
    Seen,
    Store,
)

# ruff: noqa: D102 - what a method does is in contract.py


class DryStore(Store):
    """A store that is only looked at."""

    changes = False

    def __init__(self, store: Store) -> None:
        self.name = store.name
        self.notes = store.notes
        self._store = store
        self._there = False
        self._made: set[str] = set()

    def open(self) -> bool:
        self._there = self._store.open()
        return self._there

    def mend(self) -> None:
        self._store.mend()

    def make(self) -> None:
        pass

    def identity(self) -> bytes:
        return self._store.identity() if self._there else b""

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        return self._store.mailboxes(only) if self._there else {}

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        return self._store.hidden(mailboxes) if self._there else {}

    def make_mailbox(self, mailbox: str) -> None:
        self._made.add(mailbox)

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        pass

    def remove_mailbox(self, mailbox: str) -> None:
        pass

    def open_mailbox(self, mailbox: str) -> Mailbox:
        exists = self._there and mailbox in self._store.mailboxes([mailbox])
        return DryMailbox(None if not exists and mailbox in self._made else self._store.open_mailbox(mailbox))

    def close(self) -> None:
        self._store.close()


class DryMailbox(Mailbox):
    """A mailbox that is only looked at; without a real one, an empty one."""

    def __init__(self, mailbox: Mailbox | None) -> None:
        self._mailbox = mailbox

    def scan(self, since: Mark | None) -> Scan:
        return self._mailbox.scan(since) if self._mailbox else Scan(b"", None, True, {})

    def scan_known(self, since: Mark | None) -> Scan:
        if self._mailbox:
            self._mailbox.known = self.known
        return self._mailbox.scan_known(since) if self._mailbox else self.scan(since)

    def absent(self, keys: Collection[Key]) -> Collection[Key]:
        return self._mailbox.absent(keys) if self._mailbox else keys

    def headers(self, keys: Sequence[Key]) -> Iterator[tuple[Key, bytes] | NotRead]:
        return self._mailbox.headers(keys) if self._mailbox else iter(())

    def read(self, keys: Sequence[Key], size_limit: int | None = None) -> Iterator[Message | NotRead]:
        if self._mailbox is not None and size_limit is not None:
            yield from self._mailbox.read(keys, size_limit)  # only that tells what is too large
        elif self._mailbox is not None:
            yield from (Message(key, NONE, 0, 0, iter((b"",))) for key in keys)  # nothing is transferred

    def propose(self, count: int) -> None:
        return None

    def add(self, messages: Iterable[Message]) -> Iterator[Added | NotAdded]:
        for message in messages:
            yield Added(message.key, message.key, message.flags)

    def set_flags(self, wanted: Mapping[Key, Flags]) -> Iterator[tuple[Key, Flags]]:
        yield from wanted.items()

    def remove(self, keys: Sequence[Key]) -> Iterator[Key]:
        yield from keys

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        yield from ((key, None) for key in keys)

    def close(self) -> None:
        if self._mailbox:
            self._mailbox.close()
