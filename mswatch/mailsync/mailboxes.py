"""What becomes of the mailboxes: which of two stores belong together, are new, renamed or gone.  Pure.

    near  far   base    what is done
    A     A     any     synced
    A     -     none    made on far, then synced
    A     -     A       deleted on far: synced with nothing there; without messages it is removed on near
    B     A     A       renamed on near, if B has A's identity and messages: renamed on far, synced as B
    B     C     A       renamed differently: far's C is renamed to B
    -     -     A       forgotten

INBOX is never renamed nor removed: a store without it is no store in order (``safety``).

What becomes of a mailbox when all is done and neither side has a message in it:

    near  far   leaving  what is done
    A     A     clear    removed on both; otherwise nothing
    A     -     keep     made on far again; otherwise removed on near
    A     never any      nothing: it was not removed on far, it may just not be made there
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mswatch.mailsync.decide import SIDES, Side, other

INBOX = "INBOX"

# What one side has removed is removed on the other one; or made again; or all without messages are removed.
Leaving = Literal["follow", "keep", "clear"]


@dataclass(frozen=True)
class Remembered:
    """What the state has of a mailbox: the identity it had on each side, empty if unknown."""

    near: bytes
    far: bytes

    def of(self, side: Side) -> bytes:
        """Return the identity on a side."""
        return self.near if side == "near" else self.far


@dataclass(frozen=True)
class Rename:
    """A mailbox that was renamed, as its identity says; ``name`` is what the side to follow calls it."""

    side: Side  # which is to follow
    base: str
    name: str
    new_name: str


@dataclass(frozen=True)
class Sync:
    """Mailboxes of one name; ``near`` and ``far`` say where there is one."""

    name: str
    near: bool
    far: bool
    known: bool


@dataclass(frozen=True)
class Drop:
    """A mailbox that neither side has any more."""

    name: str


def renames(
    near: Mapping[str, bytes], far: Mapping[str, bytes], base: Mapping[str, Remembered]
) -> Iterator[Rename]:
    """Give the renames that identities suggest; the caller makes sure that the messages moved along."""
    there = {"near": near, "far": far}
    for name, remembered in sorted(base.items()):
        if name == INBOX or (name in near and name in far):
            continue
        now = {side: _where(name, remembered.of(side), there[side], base) for side in SIDES}
        if now["near"] == now["far"]:
            if now["near"] is not None and now["near"] != name:
                yield Rename("far", name, now["near"], now["near"])
            continue
        side: Side = "near" if now["near"] in (name, None) else "far"  # who did not rename it follows
        new_name, old_name = now[other(side)], now[side]
        if new_name and old_name and new_name != name and new_name not in there[side]:
            yield Rename(side, name, old_name, new_name)


class Renamed:
    """The renames that were followed in a run: where they have taken what lies below."""

    def __init__(self) -> None:
        self._followed: list[Rename] = []

    def note(self, rename: Rename) -> None:
        """A rename was followed."""
        self._followed.append(rename)

    def moves_along(self, rename: Rename) -> bool:
        """Tell whether a mailbox has the new name that it got with one above it."""
        return any(
            _below(rename.base, each.base, each.new_name) == rename.new_name
            for each in self._followed
            if each.side == rename.side
        )

    def now(self, rename: Rename, *, renames_below: bool) -> Rename:
        """Return a rename with the name that the mailbox has by now on the side to follow."""
        name = rename.name
        for each in self._followed if renames_below else ():
            if each.side == rename.side:
                name = _below(name, each.name, each.new_name) or name
        return replace(rename, name=name)


def _below(name: str, old: str, new: str) -> str | None:
    """Return what a mailbox below a renamed one is called then; None if it lies elsewhere."""
    return new + name[len(old) :] if name.startswith(f"{old}/") else None


def _where(
    name: str, identity: bytes, there: Mapping[str, bytes], base: Mapping[str, Remembered]
) -> str | None:
    """Return what a mailbox is called now; None if it is gone."""
    if name in there:
        return name
    found = [new for new, its in sorted(there.items()) if identity and its == identity and new not in base]
    return found[0] if len(found) == 1 and found[0] != INBOX else None


def to_sync(near: Collection[str], far: Collection[str], base: Collection[str]) -> Iterator[Sync | Drop]:
    """Give each mailbox once, those above others first."""
    for name in sorted({*near, *far, *base}):
        if name in near or name in far:
            yield Sync(name, name in near, name in far, name in base)
        else:
            yield Drop(name)


@dataclass(frozen=True)
class Make:
    """Make a mailbox where the other side has one."""

    side: Side


@dataclass(frozen=True)
class Unmake:
    """Remove a mailbox."""

    side: Side


def afterwards(
    name: str, there: Collection[Side], was_there: Collection[Side], leaving: Leaving
) -> list[Make | Unmake]:
    """Return what becomes of a mailbox that holds no message.

    ``there`` are the sides that have it, ``was_there`` those that ever had it.
    """
    if any(side not in there and side not in was_there for side in SIDES):
        return []
    if len(there) == 1 and (name == INBOX or leaving == "keep"):
        return [Make(side) for side in SIDES if side not in there]
    if name != INBOX and (leaving == "clear" or len(there) == 1):
        return [Unmake(side) for side in SIDES if side in there]
    return []
