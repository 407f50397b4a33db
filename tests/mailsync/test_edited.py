"""Messages that a program writes into in their place: when it is told, they are carried as they are now."""

from __future__ import annotations

import itertools
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from mswatch.errors import EXIT_USAGE
from mswatch.mailsync.decide import SIDES, Side, other
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Edited, Options
from mswatch.mailsync.state import State
from tests.mailsync.test_command import Home
from tests.mailsync.test_upgrade import names
from tests.mailsync.test_worlds import in_child
from tests.mailsync.worlds import Listening, World, body, build, each_call

WORLD = "a x x x -> x\nb FS FS FS -> FS\nc x x x -> x\n"


def sync(world: World, edited: Edited) -> Listening:
    """Run, being told of files."""
    listening = Listening()
    with State.opened(world.state_file) as (state, _):
        stores = world.store("near"), world.store("far")
        outcome = Engine(*stores, state, Options(), listening).run(None, edited)
    assert not outcome.failed
    assert not outcome.problems
    return listening


def edit(world: World, side: Side, name: str, new: str) -> Edited:
    """Write into a message; return what a watcher tells of it."""
    path = world.find(side, "INBOX", name)
    path.write_bytes(body(new))
    return {side: {"INBOX": [f"cur/{path.name}"]}}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("new", ["x~b", "other", "b"])
@pytest.mark.parametrize("names_files", [True, False])
def test_what_was_written_replaces_what_was_there(
    tmp_path: Path, side: Side, new: str, *, names_files: bool
) -> None:
    """The new one is carried with its flags, and only then the old one removed; nothing is left to do."""
    world = build(tmp_path, WORLD)
    world.sync()
    told = edit(world, side, "b", new)
    listening = sync(world, told if names_files else {side: {"INBOX": [""]}})
    acts = [(done.what, done.side) for done in listening.told]
    assert acts == ([("copied", other(side)), ("removed", other(side))] if new != "b" else [])
    for each in SIDES:
        assert names(world, each) == sorted(["a", "c", new])
        assert (new, "FS") in world.contents(each)["INBOX"]
    assert not world.sync()[1].told


def test_cared_for_meanwhile(tmp_path: Path) -> None:
    """The old one comes back beside the new one, if somebody answered it on the other side."""
    world = build(tmp_path, WORLD)
    told = edit(world, "near", "a", "x~a")
    world.set("far", "INBOX", "a", "R")
    sync(world, told)
    for side in SIDES:
        assert names(world, side) == ["a", "b", "c", "x~a"]


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Wherever the run is killed, the next one comes to the same end, with the same news or without it."""
    start = build(tmp_path / "start", WORLD)
    start.sync()
    told = edit(start, "near", "b", "x~b")
    for step in itertools.count():
        world = start.copy(tmp_path / "world")
        if in_child(partial(killed, world, told, step)) == 0:
            break
        sync(world, told)
        for side in SIDES:
            assert names(world, side) == ["a", "c", "x~b"], step
        assert not world.sync()[1].told
    assert step > 20


def killed(world: World, told: Edited, step: int) -> None:
    """Run until the call with this number."""
    calls = itertools.count()

    def die(call: str) -> None:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with each_call(die):
        sync(world, told)


def test_command(tmp_path: Path) -> None:
    """A watcher's words are an option of the command."""
    home = Home(tmp_path)
    home.fill()
    home.mailsync("work")
    path = home.world.find("near", "INBOX", "m1")
    path.write_bytes(body("x~m1"))
    assert home.mailsync("work") == ("", "")
    out, _ = home.mailsync(f"--written=near\tINBOX\tcur/{path.name}", "work", "INBOX")
    assert out == "INBOX: 1 copied in far, 1 removed in far\n"
    home.mailsync("--written=near INBOX", "work", status=EXIT_USAGE)
    home.mailsync("--written=there\tINBOX\t", "work", status=EXIT_USAGE)
