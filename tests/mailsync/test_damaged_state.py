"""A state that is cut, overwritten, older than the stores, or half lost: messages are paired, not deleted."""

from __future__ import annotations

import os
import random
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from mswatch.errors import TemporaryError
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.options import Options, Outcome
from tests.mailsync.test_worlds import in_child, run_until
from tests.mailsync.worlds import World

MESSAGES = 60
ROUNDS = 600 if os.environ.get("MSWATCH_LONG") else 25


def cut(data: bytes, pick: random.Random) -> bytes:
    """The file ends somewhere."""
    return data[: pick.randrange(len(data))]


def zeros(data: bytes, pick: random.Random) -> bytes:
    """A block holds nothing."""
    return overwrite(data, pick, bytes(512))


def rubbish(data: bytes, pick: random.Random) -> bytes:
    """A block holds something else."""
    return overwrite(data, pick, pick.randbytes(512))


def exchanged(data: bytes, pick: random.Random) -> bytes:
    """A block holds what belongs into another one."""
    begin = pick.randrange(len(data) // 512) * 512
    return overwrite(data, pick, data[begin : begin + 512])


def flipped(data: bytes, pick: random.Random) -> bytes:
    """Single bytes are others."""
    changed = bytearray(data)
    for _ in range(20):
        changed[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, pick: random.Random, block: bytes) -> bytes:
    """Put a block where another one was."""
    begin = pick.randrange(len(data) // 512) * 512
    return data[:begin] + block + data[begin + 512 :]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two stores in step, with several pages of rows."""
    world = World(tmp_path / "start")
    for number in range(MESSAGES):
        world.put("near", ("INBOX", "lists")[number % 2], f"m{number}", ("", "S", "F")[number % 3])
    world.make("far", "INBOX")
    world.sync()
    world.sync()
    return world


def there(world: World) -> set[str]:
    """Return the names of all messages that are on both sides."""
    near, far = ({name for box in world.contents(side).values() for name, _ in box} for side in SIDES)
    assert near == far
    return near


def sync_to_the_end(world: World) -> None:
    """Run until a run comes to its end; a state that cannot be used is removed, as is told then."""
    for attempt in range(4):
        try:
            outcome, _ = world.sync()
        except TemporaryError as error:
            if attempt == 2:
                assert "remove" in error.fix
                world.state_file.unlink()
            continue
        if outcome.refused:
            world.state_file.unlink()
            continue
        assert not outcome.failed, outcome
        return
    raise AssertionError("no run came to its end")


@pytest.mark.parametrize("damage", [cut, zeros, rubbish, exchanged, flipped])
def test_damaged_at_random(
    damage: Callable[[bytes, random.Random], bytes], world: World, tmp_path: Path
) -> None:
    """However a state is damaged, every message that somebody has is on both sides afterwards.

    An index whose order is broken in the middle may hide a message from one run; the next one copies it.
    """
    for seed in range(ROUNDS):
        pick = random.Random(seed)
        damaged = world.copy(tmp_path / "copy")
        damaged.put("near", "INBOX", "new")
        damaged.put("far", "lists", "new too")
        damaged.set("far", "INBOX", "m0", "R")
        damaged.state_file.write_bytes(damage(damaged.state_file.read_bytes(), pick))
        for _ in range(2):
            sync_to_the_end(damaged)
        wanted = {f"m{number}" for number in range(MESSAGES)} | {"new", "new too"}
        assert there(damaged) == wanted, seed


CHANGES = {
    "one key twice on near": "UPDATE message SET near = (SELECT max(near) FROM message WHERE mailbox = 1)"
    " WHERE near = (SELECT min(near) FROM message WHERE mailbox = 1)",
    "one key twice on far": "UPDATE message SET far = (SELECT max(far) FROM message WHERE mailbox = 1)"
    " WHERE far = (SELECT min(far) FROM message WHERE mailbox = 1)",
    "flags that are no text": "UPDATE message SET near_flags = CAST(x'ff' AS TEXT), near_stamp = NULL",
    "a name that is a number": "UPDATE mailbox SET name = 5 WHERE id = 1",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rows_that_cannot_be(change: str, world: World) -> None:
    """What SQLite finds in order, and nobody wrote, is set aside; messages are paired, and none removed."""
    with closing(sqlite3.connect(world.state_file)) as database, database:
        database.execute(change)
        database.execute("UPDATE mailbox SET near_mark = NULL, far_mark = NULL")
        database.execute("UPDATE message SET near_stamp = NULL, far_stamp = NULL")
    with pytest.raises(TemporaryError, match="found damaged"):
        world.sync()
    outcome, listening = world.sync()
    assert outcome == Outcome()
    assert listening.told == []
    assert there(world) == {f"m{number}" for number in range(MESSAGES)}
    assert list(world.directory.glob("state.sqlite.damaged-*"))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("side", SIDES)
def test_a_key_that_is_another_in_one_place(side: Side, which: int, world: World) -> None:
    """A key in the table that its index does not have, or the other way round, removes no message."""
    with closing(sqlite3.connect(world.state_file)) as database:
        (key,) = database.execute(f"SELECT {side} FROM message WHERE mailbox = 1").fetchone()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = world.state_file.read_bytes()
    places = [place.start() for place in re.finditer(re.escape(key), data)]
    assert len(places) == 2
    begin = places[which] + len(key) - 1
    world.state_file.write_bytes(data[:begin] + b"#" + data[begin + 1 :])
    world.put("far", "INBOX", "new")  # so that it is looked at
    world.put("near", "INBOX", "new too")
    held = {side: set(world.path(side).rglob("m*")) for side in SIDES}
    sync_to_the_end(world)
    assert {side: set(world.path(side).rglob("m*")) for side in SIDES} == held
    assert there(world) == {f"m{number}" for number in range(MESSAGES)} | {"new", "new too"}


def test_a_column_that_has_another_name(world: World) -> None:
    """A schema that was changed under us is damage as well, whatever SQLite makes of it."""
    data = world.state_file.read_bytes()
    world.state_file.write_bytes(data.replace(b"near_identity", b"\xe9ear_identity"))
    for _ in range(2):
        with suppress(TemporaryError):
            world.sync()
    assert world.sync()[1].told == []
    assert there(world) == {f"m{number}" for number in range(MESSAGES)}
    assert list(world.directory.glob("state.sqlite.damaged-*"))


def test_log_is_lost(world: World, tmp_path: Path) -> None:
    """What a killed run had written down last is lost with its log: nothing comes twice, nothing goes."""
    for step in range(0, 120, 5):
        cut_off = world.copy(tmp_path / "copy")
        cut_off.put("near", "INBOX", "new")
        cut_off.set("far", "lists", "m1", "F")
        cut_off.delete("far", "INBOX", "m0")
        if in_child(partial(run_until, cut_off, Options(), step)) == 0:
            break
        for path in cut_off.directory.glob("state.sqlite-*"):
            path.unlink()
        sync_to_the_end(cut_off)
        assert there(cut_off) >= {f"m{number}" for number in range(1, MESSAGES)} | {"new"}
        assert sum(sum(box.values()) for box in cut_off.contents("near").values()) <= MESSAGES + 1


def test_older_than_the_stores(world: World) -> None:
    """A state from a backup: what came and went since is found out, and nothing is deleted for it."""
    backup = world.state_file.read_bytes()
    for number in range(5):
        world.put("near", "INBOX", f"since{number}")
        world.delete("far", "lists", f"m{2 * number + 1}")
    world.set("near", "INBOX", "m0", "RS")
    world.sync()
    world.find("far", "INBOX", "m2").rename(world.path("far") / "lists/cur/moved.far:2,")
    world.sync()
    before = there(world)
    world.state_file.write_bytes(backup)
    world.put("far", "INBOX", "newest")
    sync_to_the_end(world)
    assert there(world) == before | {"newest"}
    assert world.contents("near") == world.contents("far")
    assert sum(sum(box.values()) for box in world.contents("near").values()) == MESSAGES + 1
