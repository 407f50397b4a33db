"""What a run is asked to do, and what it tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mswatch.mailsync.decide import ANYTHING_GOES, Rules, Side
from mswatch.mailsync.mailboxes import Leaving
from mswatch.mailsync.safety import Refusal
from mswatch.names import Pattern


@dataclass(frozen=True)
class Options:
    """How two stores are synced.

    Attributes:
        near_trash: The mailbox that messages are moved to instead of being deleted on near; empty: none.
        far_trash: The same for far.
        near_trash_use: In place of its name: what the store says that mailbox is for; empty: nothing.
        far_trash_use: The same for far.
        size_limit: Messages of more bytes are not copied.
        largest_share: More of a mailbox or a store than this must not be gone at once.
        believe: Every deletion is meant, however many there are.
        only: Patterns of the mailboxes that are synced at all; none: all of them.
        skip: Patterns of those that are not.
        skip_uses: Nor are those that either store says are for one of these.
        dedupe: Of messages in a mailbox that are equal byte for byte, one stays.
        leaving: What becomes of mailboxes without messages.
        compare_limit: Bytes that a run transfers only to compare messages; then it goes by sizes.
    """

    rules: Rules = ANYTHING_GOES
    near_trash: str = ""
    far_trash: str = ""
    near_trash_use: str = ""
    far_trash_use: str = ""
    size_limit: int | None = None
    largest_share: float = 0.5
    believe: bool = False
    only: tuple[Pattern, ...] = ()
    skip: tuple[Pattern, ...] = ()
    skip_uses: frozenset[str] = frozenset()
    dedupe: bool = False
    leaving: Leaving = "follow"
    compare_limit: int = 64 << 20

    def trash(self, side: Side) -> str:
        """Return the name of a side's trash."""
        return self.near_trash if side == "near" else self.far_trash

    def trash_use(self, side: Side) -> str:
        """Return what a side's trash is found by."""
        return self.near_trash_use if side == "near" else self.far_trash_use

    def wants(self, mailbox: str) -> bool:
        """Tell whether a mailbox is synced at all, as far as its name goes."""
        if self.only and not any(pattern.matches(mailbox) for pattern in self.only):
            return False
        return not any(pattern.matches(mailbox) for pattern in self.skip)

    def settled_by(self) -> bytes:
        """Return what marks depend on: by other rules, what was left alone has to be looked at again."""
        return repr((self.rules, self.size_limit)).encode()


# What somebody wrote into: by side and mailbox the files, as a watcher names them; an empty name: any.
Edited = Mapping[Side, Mapping[str, Collection[str]]]


@dataclass(frozen=True)
class Done:
    """One thing that was done to ``side``: to a message, or with an empty key to a mailbox."""

    what: str  # one of WHAT
    side: Side
    mailbox: str
    key: bytes = b""
    detail: str = ""


COPIED = "copied"
FLAGGED = "flags changed"
MOVED = "moved"
REMOVED = "removed"
TRASHED = "moved to the trash"
MARKED = "marked as deleted"
LEFT = "not copied, being marked as deleted"
MADE = "mailbox made"
RENAMED = "mailbox renamed"
UNMADE = "mailbox removed"
WHAT = (COPIED, FLAGGED, MOVED, REMOVED, TRASHED, MARKED, LEFT, MADE, RENAMED, UNMADE)


class Listener(Protocol):
    """Who is told what happens, while it happens."""

    def expect(self, messages: int) -> None:
        """So many more messages are to be read."""

    def advance(self, messages: int = 1) -> None:
        """So many of them are; 0 while others are read and compared: the run goes on."""

    def done(self, done: Done) -> None:
        """Something was done."""


@dataclass
class Outcome:
    """How a run went.

    Attributes:
        failed: Mailboxes that could not be brought into step, and why; the next run tries them again.
        problems: Single messages that could not be carried.
        refused: Deletions that were not believed.
        notes: What a person should know although nothing is wrong.
        compared: Known pairs of which bytes were read that nobody had seen.
    """

    failed: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: int = 0
