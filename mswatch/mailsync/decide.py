r"""What becomes of one message: the three-way decision.  Pure.

``near`` and ``far`` are the flags that the message has there now, None where it is not; ``base`` is what
both sides had when they last agreed, None if they never did.  A dash is absence, x presence, x' presence
with other flags than in the base:

    near  far   base  what is done
    x     -     none  copied to far
    -     x     none  copied to near
    x     x     none  they belong together (``pairing`` said so): flags are united
    x     x     x x   nothing
    x'    x     x x   flags are merged, each by itself (``flags.merged``); so if both changed
    x     -     x x   deleted on far: removed from near
    x'    -     x x   deleted on far, cared for on near (``flags.cared_for``): copied to far again
    -     x     x x   as above, the other way round
    x     -     x x   deleted on far, not certain to be this message (``Base.is_certain``): copied to far
    -     -     any   forgotten
    x     -     x -   far was deleted before, and near was to stay: nothing, or removed if that is allowed now
    x'    -     x -   and now somebody cares for it: copied to far again
    x     x     x -   it is back: flags are united

A message that is on either side is never lost by this: it is removed from one side only if it was deleted
on the other one since both had it, it is certain that both were one message, and nobody cared for it on this
side meanwhile.  What a side does not permit is left out; a deletion that is not permitted is remembered, so
that it is neither undone nor forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mswatch.mailsync.flags import DELETED, Flags, cared_for, merged, united

Side = Literal["near", "far"]
SIDES: tuple[Side, Side] = ("near", "far")


def other(side: Side) -> Side:
    """Return the other side."""
    return "far" if side == "near" else "near"


@dataclass(frozen=True)
class Permissions:
    r"""What may be done to one side.  Without ``expunge`` a deleted message is only marked ``\Deleted``."""

    create: bool = True
    delete: bool = True
    expunge: bool = True
    flags: bool = True


READ_ONLY = Permissions(create=False, delete=False, expunge=False, flags=False)


@dataclass(frozen=True)
class Rules:
    r"""What may be done to both sides.

    ``restore``: what is gone on one side comes back from the other one.  ``copy_deleted``: messages that are
    marked as ``\Deleted`` are copied like all others; otherwise they wait until the mark is taken away.
    """

    near: Permissions = Permissions()
    far: Permissions = Permissions()
    restore: bool = False
    copy_deleted: bool = True

    def of(self, side: Side) -> Permissions:
        """Return what may be done to a side."""
        return self.near if side == "near" else self.far


ANYTHING_GOES = Rules()


@dataclass(frozen=True, slots=True)
class Base:
    """The flags on which both sides agreed; None where the message was gone already."""

    near: Flags | None
    far: Flags | None
    is_certain: bool = True  # that what one side has now is the message that the other one had


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy the message to a side where it is not."""

    to: Side


@dataclass(frozen=True, slots=True)
class Agree:
    """Give both sides these flags, and remember what they hold then."""

    near: Flags
    far: Flags


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the message from the side that still has it."""

    side: Side


@dataclass(frozen=True, slots=True)
class Bury:
    """Leave the message on the one side that has it, with these flags; remember that the other has not."""

    side: Side
    flags: Flags


@dataclass(frozen=True)
class Forget:
    """Both sides deleted it."""


Action = Copy | Agree | Remove | Bury | Forget


def is_copied(flags: Flags, to: Side, rules: Rules) -> bool:
    """Tell whether a message with these flags, which a side has not, is copied there."""
    return rules.of(to).create and (rules.copy_deleted or DELETED not in flags)


def decide(near: Flags | None, far: Flags | None, base: Base | None, rules: Rules) -> Action | None:
    """Return what is to be done with a message; None for nothing."""
    if near is not None and far is not None:
        return _both(near, far, base, rules)
    if near is not None:
        return _one("near", near, base, rules)
    if far is not None:
        return _one("far", far, base, rules)
    return Forget() if base is not None else None


def _both(near: Flags, far: Flags, base: Base | None, rules: Rules) -> Agree | None:
    if base is None or base.near is None or base.far is None:
        wanted_near = wanted_far = united(near, far)
    elif near == base.near and far == base.far:
        return None
    else:
        wanted_near = merged(near, base.near, far, base.far)
        wanted_far = merged(far, base.far, near, base.near)
    return Agree(wanted_near if rules.near.flags else near, wanted_far if rules.far.flags else far)


def _one(side: Side, now: Flags, base: Base | None, rules: Rules) -> Action | None:
    """Decide on a message that only one side has."""
    missing = other(side)
    was, gone = (None, None) if base is None else _turned(base, side)
    buried = base is not None and gone is None
    is_certain = base is None or base.is_certain
    if was is None or rules.restore or cared_for(now, was) or not (is_certain or buried):
        return Copy(missing) if is_copied(now, missing, rules) else None
    may = rules.of(side)
    if may.delete and may.expunge and is_certain:
        return Remove(side)
    flags = now | {DELETED} if may.delete and is_certain else now
    return None if buried and flags == was else Bury(side, flags)


def _turned(base: Base, side: Side) -> tuple[Flags | None, Flags | None]:
    """Return the flags in the base on a side, and on the other one."""
    return (base.near, base.far) if side == "near" else (base.far, base.near)
