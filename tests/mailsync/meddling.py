"""Somebody who changes flags while a run is at work on them, and what both sides hold when all is over."""

from __future__ import annotations

from collections.abc import Mapping

from mswatch.mailsync.decide import SIDES, Side
from tests.mailsync.worlds import Contents, World, expected

# Flags that both sides changed, each by itself, before the run; d is new.
WORLD = """
    a  FS  x   S   -> F
    b  F   FS  F   -> FS
    c  x   FS  FS  -> x
    d  S   -   -   -> S
    e  Fw  FS  F   -> FSw
"""
# What is added to the flags of messages during the run, and what is taken away.
Meddling = Mapping[str, tuple[str, str]]
MEDDLING: dict[Side, Meddling] = {
    "near": {"a": ("D", ""), "b": ("R", "F"), "c": ("R", ""), "d": ("F", "S"), "e": ("", "w")},
    "far": {"a": ("R", ""), "b": ("D", "F"), "c": ("D", "F"), "d": ("F", "S"), "e": ("R", "F")},
}


def changed(flags: str, change: tuple[str, str]) -> str:
    """Return flags after a change."""
    added, removed = change
    return "".join(sorted((set(flags) - set(removed)) | set(added)))


def meddle(world: World, side: Side, *, skip: str = "") -> list[str]:
    """Change flags as another program on the Maildir does; return the messages that were there."""
    met = []
    for name, change in MEDDLING[side].items():
        try:
            path = world.find(side, "INBOX", name)
        except FileNotFoundError:
            continue
        letters = path.name.partition(":2,")[2].replace("a", "w")
        if name not in skip:
            world.set(side, "INBOX", name, changed(letters, change))
            met.append(name)
    return met


def assert_both(world: World, side: Side, met: list[str], why: object) -> None:
    """Assert that both sides hold what the world says and the meddling made of it."""
    wanted: Contents = expected(WORLD, side)
    for name in met:
        ((_, flags),) = [each for each in wanted["INBOX"] if each[0] == name]
        del wanted["INBOX"][name, flags]
        wanted["INBOX"][name, changed(flags, MEDDLING[side][name])] += 1
    for each in SIDES:
        assert world.contents(each) == wanted, (why, side, each)
