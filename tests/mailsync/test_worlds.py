"""Every world of the table: run, run again, killed at every step and resumed, a fault at every call."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mswatch.errors import MswatchError
from mswatch.mailsync.decide import READ_ONLY, SIDES, Permissions, Rules
from mswatch.mailsync.options import Options
from tests.mailsync.worlds import World, build, each_call, expected

NO_DELETE = Options(rules=Rules(near=Permissions(delete=False), far=Permissions(delete=False)))
NO_EXPUNGE = Options(rules=Rules(near=Permissions(expunge=False), far=Permissions(expunge=False)))
FAR_READ_ONLY = Options(rules=Rules(far=READ_ONLY))
NO_CREATE = Options(rules=Rules(near=Permissions(create=False)))

WORLDS: dict[str, tuple[str, Options]] = {
    "new messages go to the other side": (
        """
        a    x   -   -   -> x
        b    FS  -   -   -> FS
        c    -   x   -   -> x
        d    -   w   -   -> w
        """,
        Options(),
    ),
    "flags are merged, each by itself": (
        """
        a    S   x   x   -> S
        b    x   FS  S   -> F
        c    S   F   x   -> FS
        d    x   R   S   -> R
        e    w   D   x   -> Dw
        f    x   x   wS  -> x
        g    T   x   x   -> T
        h    S   S   x   -> S
        """,
        Options(),
    ),
    "a deletion is carried over": (
        """
        a    x   -   x   -> -
        b    -   x   x   -> -
        c    -   -   x   -> -
        d    -   S   S   -> -
        """,
        Options(),
    ),
    "deleted here, read or marked there: deleted": (
        """
        a    S   -   x   -> -
        b    -   T   x   -> -
        """,
        Options(),
    ),
    "deleted here, cared for there: it comes back": (
        """
        a    F   -   x   -> F
        b    -   R   x   -> R
        c    -   w   x   -> w
        d    S   -   TS  -> S
        """,
        Options(),
    ),
    "messages that meet for the first time are paired": (
        """
        a=m  x   -   -   -> x
        b=m  -   S   -   -> -
        c=n  T   -   -   -> x
        d=n  -   x   -   -> -
        """.replace("a=m  x   -   -   -> x", "a=m  x   -   -   -> S"),
        Options(),
    ),
    "copies of one message are as many as on the richer side": (
        """
        a=m  x   -   -   -> x
        b=m  x   -   -   -> x
        c=m  -   x   -   -> -
        """,
        Options(),
    ),
    "mailboxes, below others too": (
        """
        a          x   -   -   -> x
        one/b      x   -   -   -> x
        one/two/c  -   S   -   -> S
        """,
        Options(),
    ),
    "moved on one side, moved on the other": (
        """
        one/a    -   x   x   -> -
        two/b=a  x   -   -   -> x
        one/c    x   x   x   -> x
        """,
        Options(),
    ),
    "moved and read": (
        """
        one/a    -   x   x   -> -
        two/b=a  S   -   -   -> S
        """,
        Options(),
    ),
    "what may not be deleted stays, and is not copied back": (
        """
        a    x   -   x   -> x   -
        b    -   x   x   -> -   x
        c    F   -   x   -> F
        """,
        NO_DELETE,
    ),
    "what may not be expunged is marked": (
        """
        a    x   -   x   -> T   -
        b    -   S   x   -> -   ST
        """,
        NO_EXPUNGE,
    ),
    "a side that is only read": (
        """
        a    x   -   -   -> x   -
        b    -   x   -   -> x
        c    -   x   x   -> -   x
        d    S   x   x   -> S   x
        e    x   S   x   -> S
        f    x   -   x   -> -
        """,
        FAR_READ_ONLY,
    ),
    "a side where nothing is made": (
        """
        a    x   -   -   -> x
        b    -   x   -   -> -   x
        c    -   F   x   -> -   F
        """,
        NO_CREATE,
    ),
    "deleted messages go to the trash, which is synced too": (
        """
        a            x   -   x   -> -
        Trash/b=a    -   -   -   -> x
        c            x   x   x   -> x
        Trash/d      x   x   x   -> x
        """,
        Options(near_trash="Trash", far_trash="Trash"),
    ),
    "one header, two messages, new on both sides": (
        """
        a      x   -   -   -> x
        b~a    -   S   -   -> S
        c      x   x   x   -> x
        d~c    -   x   -   -> x
        """,
        Options(),
    ),
    "deleted here, another one of the same header came elsewhere": (
        """
        one/a      -   x   x   -> -
        two/b~a    x   -   -   -> x
        one/c      x   -   x   -> -
        one/d~c    -   S   -   -> S
        """,
        Options(),
    ),
    "everything at once": (
        """
        a    x   -   -   -> x
        b    -   F   -   -> F
        c    S   F   x   -> FS
        d    -   x   x   -> -
        e    w   -   x   -> w
        one/f    -   x   x   -> -
        two/g=f  S   -   -   -> S
        """,
        Options(),
    ),
}
ALL = pytest.mark.parametrize("name", WORLDS)


def assert_as_expected(world: World, name: str, text: str | None = None) -> None:
    """Compare both sides with what the world says, or its text with other mailboxes in it."""
    text = text or WORLDS[name][0]
    for side in SIDES:
        wanted = expected(text, side)
        found = world.contents(side)
        assert {box: found[box] for box in wanted} == wanted, side
        assert not any(found[box] for box in found.keys() - wanted.keys()), side
    assert world.leftovers() == []


def in_child(act: Callable[[], object]) -> int:
    """Do something in a child process, and return its status: 0 if it came to its end."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@ALL
def test_run_and_run_again(name: str, tmp_path: Path) -> None:
    """A run leads to the end that is written down, and a second one touches nothing at all."""
    text, options = WORLDS[name]
    world = build(tmp_path / "world", text)
    outcome, _ = world.sync(options)
    assert not outcome.failed
    assert not outcome.problems
    assert not outcome.refused
    assert_as_expected(world, name)
    before, remembered = world.snapshot(), world.remembered()
    for _ in range(2):
        outcome, listening = world.sync(options)
        assert listening.told == []
        assert world.snapshot() == before
        assert world.remembered() == remembered


@ALL
def test_sides_are_alike(name: str, tmp_path: Path) -> None:
    """With near and far exchanged the same happens, exchanged."""
    text, options = WORLDS[name]
    if options.rules != Rules():
        return  # these rules are not symmetric, or tested both ways above
    world = build(tmp_path / "world", text)
    (tmp_path / "world" / "near").rename(tmp_path / "world" / "aside")
    (tmp_path / "world" / "far").rename(tmp_path / "world" / "near")
    (tmp_path / "world" / "aside").rename(tmp_path / "world" / "far")
    world.exchange()
    outcome, _ = world.sync(options)
    assert not outcome.refused
    assert_as_expected(world, name)


# The short form takes every fourth step, another one in each world; all steps: MSWATCH_LONG=1.
STRIDE = 1 if os.environ.get("MSWATCH_LONG") else 4


def first_step(name: str) -> int:
    """Return the step that a world begins with in the short form."""
    return list(WORLDS).index(name) % STRIDE


@ALL
@pytest.mark.slow
def test_killed_at_every_step(name: str, tmp_path: Path) -> None:
    """Wherever a run is killed, the next one comes to the same end, and another one touches nothing."""
    text, options = WORLDS[name]
    start = build(tmp_path / "start", text)
    for step in itertools.count(first_step(name), STRIDE):
        world = start.copy(tmp_path / "world")
        if in_child(partial(run_until, world, options, step)) == 0:
            break
        outcome, _ = world.sync(options)
        assert not outcome.failed, step
        assert_as_expected(world, name)
        before = world.snapshot()
        world.sync(options)
        assert world.snapshot() == before, step
    assert step > 5


def run_until(world: World, options: Options, step: int) -> None:
    """Run, and be killed before the call with this number."""
    calls = itertools.count()

    def die(call: str) -> None:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with each_call(die):
        world.sync(options)


@ALL
@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_fault_at_every_call(name: str, number: int, tmp_path: Path) -> None:
    """Whichever call fails, nothing is lost, and the next run comes to the same end."""
    text, options = WORLDS[name]
    start = build(tmp_path / "start", text)
    for step in itertools.count(first_step(name), STRIDE * 2):
        world = start.copy(tmp_path / "world")
        if not run_with_fault(world, options, step, number):
            break
        outcome, _ = world.sync(options)
        assert not outcome.failed, (step, outcome)
        assert_as_expected(world, name)
    assert step > 5


def run_with_fault(world: World, options: Options, step: int, number: int) -> bool:
    """Run, with a fault at the call with this number; tell whether there were that many."""
    calls = itertools.count()

    def fail(call: str) -> None:
        if next(calls) == step and not call.startswith("commit"):
            raise OSError(number, os.strerror(number))

    with each_call(fail), contextlib.suppress(OSError, MswatchError):
        world.sync(options)
    return next(calls) > step
