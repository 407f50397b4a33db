"""Which messages of a mailbox are copies of others, byte for byte, and which of them stays.  Pure.

Only messages that both sides have are looked at, and only those are copies of each other that are equal on
both sides.  They are taken away on one side; what follows on the other one is what follows any deletion.
Were both sides looked at by themselves, each could keep what the other one gives up.

Of equal messages the one with the most flags stays, and gets the flags of all.  One that is marked as deleted
is on its way out already, and neither stays for others nor is it taken away again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mswatch.mailsync.decide import Permissions, Rules, Side
from mswatch.mailsync.flags import DELETED, Flags
from mswatch.mailsync.stores.contract import Key


@dataclass(frozen=True)
class Held:
    """A message as one side holds it: its flags, and a digest of all its bytes."""

    flags: Flags
    digest: bytes


@dataclass(frozen=True)
class Equals:
    """Equal messages, by their keys on the side where they are taken away: one stays, with these flags."""

    stays: Key
    flags: Flags
    go: tuple[Key, ...]


def where(rules: Rules) -> Side | None:
    """Return the side where copies are taken away; None if nothing may be deleted on either."""
    for may in (_removes, _deletes):
        if may(rules.near):
            return "near"
        if may(rules.far):
            return "far"
    return None


def _removes(may: Permissions) -> bool:
    return may.delete and may.expunge


def _deletes(may: Permissions) -> bool:
    return may.delete


def equals(
    pairs: Iterable[tuple[Key, Key]], here: Mapping[Key, Held], there: Mapping[Key, Held]
) -> list[Equals]:
    """Return the groups of equal messages among pairs of keys, here and there."""
    groups: dict[tuple[bytes, bytes], list[Key]] = defaultdict(list)
    for key, other_key in pairs:
        if key in here and other_key in there and DELETED not in here[key].flags:
            groups[here[key].digest, there[other_key].digest].append(key)
    found = []
    for keys in groups.values():
        stays = max(keys, key=lambda key: len(here[key].flags))  # the first one of those with the most
        if len(keys) > 1:
            flags: Flags = frozenset().union(*(here[key].flags for key in keys))
            found.append(Equals(stays, flags, tuple(key for key in keys if key != stays)))
    return found
