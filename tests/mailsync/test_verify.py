"""Both sides compared by content: all differences are told, nothing is changed, a break is gone on from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from mswatch.errors import EXIT_PARTIAL, EXIT_USAGE
from mswatch.mailsync import verifying
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.options import Options
from mswatch.mailsync.state import State
from mswatch.mailsync.verifying import Verification, Verified
from tests.mailsync.test_command import Home
from tests.mailsync.test_upgrade import known, make_old, names
from tests.mailsync.worlds import Listening, World, body, build

WORLD = "a x x x -> x\nb x x x -> x\nlists/c x x x -> x\nlists/d x x x -> x\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An account in step."""
    home = Home(tmp_path)
    home.fill()
    home.mailsync("work")
    return home


def verify(world: World, only: Iterable[str] = ()) -> dict[str, Verified]:
    """Verify a world to the end."""
    with State.opened(world.state_file) as (state, _):
        verification = Verification(world.store("near"), world.store("far"), state, Options(), Listening())
        found = dict(verification.run(list(only)))
    assert not any(isinstance(each, Exception) for each in found.values())
    return found  # type: ignore[return-value]


def files(world: World) -> dict[str, tuple[int, int]]:
    """Return everything of both stores."""
    return world.snapshot()


def test_equal_stores(home: Home) -> None:
    """What is equal is said to be, a mailbox in a line, and how much is known."""
    before = files(home.world)
    out, err = home.mailsync("--verify", "work")
    assert out == "INBOX: 3 pairs compared, all equal\n3 of 3 pairs of messages are known to be equal\n"
    assert not err
    assert home.mailsync("--verify", "--quiet", "work", "INBOX") == ("", "")
    assert files(home.world) == before


@pytest.mark.parametrize("side", SIDES)
def test_what_was_changed_in_its_place_is_told(home: Home, side: Side) -> None:
    """Whoever edits a file leaves two messages that differ; which one was changed is known."""
    home.world.find(side, "INBOX", "m1").write_bytes(body("x~m1"))
    out, _ = home.mailsync("--verify", "work", status=EXIT_PARTIAL)
    first, second, _ = out.splitlines()
    assert first == "INBOX: 3 pairs compared, 1 differ"
    assert f"changed in {side} since both were the same: near m1.near and far " in second
    assert second.endswith('("m1")')


def test_what_only_one_side_has_is_told(home: Home) -> None:
    """New, gone and flagged messages are counted, as JSON too."""
    home.world.put("near", "INBOX", "m9")
    home.world.delete("far", "INBOX", "m1")
    home.world.set("far", "INBOX", "m2", "F")
    out, _ = home.mailsync("--verify", "work", status=EXIT_PARTIAL)
    assert out.splitlines()[0] == (
        "INBOX: 2 pairs compared, all equal, 1 only in near, 1 gone from far, 1 with other flags in far"
    )
    out, _ = home.mailsync("--verify", "--json", "work", status=EXIT_PARTIAL)
    found = json.loads(out)
    assert found["verified"]["INBOX"]["stores"]["near"]["new"] == 1
    assert (found["compared"], found["pairs"]) == (3, 3)


def test_changes_nothing(home: Home) -> None:
    """It goes with no option that would."""
    for option in ("--dry-run", "--dedupe", "--accept-deletions", "--undo-deletions"):
        home.mailsync("--verify", option, "work", status=EXIT_USAGE)


def test_two_messages_that_were_taken_for_one(tmp_path: Path) -> None:
    """They are told; the next run carries both."""
    world = build(tmp_path, WORLD)
    make_old(world)
    world.find("far", "INBOX", "b").write_bytes(body("x~b"))
    found = verify(world)
    ((differing,), others) = found["INBOX"].differing, found["lists"].differing
    assert differing.changed == ()
    assert differing.subject == "b"
    assert not others
    world.sync()
    for side in SIDES:
        assert names(world, side) == ["a", "b", "x~b"]
    assert all(each.is_certain for each in known(world))


def test_broken_off_and_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compared is not compared again until all mailboxes are through; then all of it is."""
    monkeypatch.setattr(verifying, "PORTION", 1)
    world = build(tmp_path, WORLD)
    make_old(world)
    with State.opened(world.state_file) as (state, _):
        listening = Listening()
        broken = 0

        def advance(messages: int = 1) -> None:
            nonlocal broken
            broken += 1
            if broken == 7:  # in the second message of the second mailbox
                raise KeyboardInterrupt

        listening.advance = advance  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            dict(Verification(world.store("near"), world.store("far"), state, Options(), listening).run())
    assert sum(each.is_certain for each in known(world)) == 3
    found = verify(world)
    assert {name: each.pairs for name, each in found.items()} == {"lists": 1}
    assert all(each.is_certain for each in known(world))
    assert {name: each.pairs for name, each in verify(world).items()} == {"INBOX": 2, "lists": 2}


def test_mailboxes_by_name(tmp_path: Path) -> None:
    """Only those that are named are compared."""
    world = build(tmp_path, WORLD)
    assert list(verify(world, ["lists"])) == ["lists"]
    with closing(sqlite3.connect(world.state_file)) as database:
        assert database.execute("SELECT sum(verified) FROM mailbox").fetchone() == (0,)
