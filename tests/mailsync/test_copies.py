"""Taking away copies: one of equal messages stays, on both sides, whatever the stores are."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync import copies
from mswatch.mailsync.copies import Held
from mswatch.mailsync.decide import READ_ONLY, SIDES, Permissions, Rules
from mswatch.mailsync.flags import DELETED, FLAGGED, SEEN
from mswatch.mailsync.options import MARKED, Options
from tests.mailsync.kinds import KindWorld
from tests.mailsync.test_kinds import PAIRS
from tests.mailsync.test_worlds import in_child, run_until
from tests.mailsync.worlds import World, body
from tests.mailsync_imap.test_worlds import world_class
from tests.servers.dovecot import Dovecot

LONG = bool(os.environ.get("MSWATCH_LONG"))
DEDUPE = Options(dedupe=True)
flag_sets = st.frozensets(st.sampled_from([SEEN, FLAGGED, DELETED, "work"]))


def fill(world: World) -> None:
    """Three copies of one message, its double with another body, one without an id twice, and others."""
    same_id = body("a") + b"Another end.\n"
    for name, flags, data in (
        ("a1", "S", body("a")),
        ("a2", "", body("a")),
        ("a3", "FS", body("a")),
        ("a4", "", same_id),
        ("b1", "", b"Subject: b\n\nNo id.\n"),
        ("b2", "R", b"Subject: b\n\nNo id.\n"),
        ("c", "", body("c")),
    ):
        world.put("near", "INBOX", name, flags, data)
    world.put("near", "other", "a5", "", body("a"))


WANTED = {
    "INBOX": Counter({("a", "FS"): 1, ("a", ""): 1, ("b", "R"): 1, ("c", ""): 1}),
    "other": Counter({("a", ""): 1}),
}


def assert_one_of_each(world: World) -> None:
    """Both sides hold what is wanted, and another run finds nothing to do."""
    for side in SIDES:
        assert world.contents(side) == WANTED
    outcome, listening = world.sync(DEDUPE)
    assert (outcome.failed, outcome.problems, outcome.refused, listening.told) == ({}, [], [], [])


@pytest.mark.parametrize("pair", [("maildir", "maildir"), *PAIRS], ids="-".join)
def test_one_stays(pair: tuple[str, str], tmp_path: Path) -> None:
    """Copies go on both sides, in the first run too; their flags are on the one that stays."""
    world = KindWorld(tmp_path, *pair)
    fill(world)
    outcome, _ = world.sync(DEDUPE)
    assert not outcome.failed
    assert_one_of_each(world)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.server
@pytest.mark.slow
def test_one_stays_on_a_server(side: str, tmp_path: Path, dovecot: Dovecot) -> None:
    """With an IMAP account on either side, too."""
    world = world_class(dovecot, "near" if side == "near" else "far")(tmp_path)
    fill(world)
    world.make("far", "INBOX")
    outcome, _ = world.sync(DEDUPE)
    assert not outcome.failed
    assert_one_of_each(world)


def test_without_being_asked_nothing_goes(tmp_path: Path) -> None:
    """A plain run leaves all copies."""
    world = World(tmp_path)
    fill(world)
    world.sync()
    assert sum(world.contents("far")["INBOX"].values()) == 7


@pytest.mark.slow
@pytest.mark.parametrize("pair", [("maildir", "mbox"), ("mh", "maildir")], ids="-".join)
def test_killed_at_every_step(pair: tuple[str, str], tmp_path: Path) -> None:
    """Wherever it is killed, a plain run keeps one of each, and asked again it comes to the same end."""
    stride = 1 if LONG else 23
    for step in itertools.count(0, stride):
        world = KindWorld(tmp_path / str(step), *pair)
        fill(world)
        world.sync()
        if in_child(partial(run_until, world, DEDUPE, step)) == 0:
            break
        assert not world.sync()[0].failed
        for side in SIDES:
            names = {name for name, _ in world.contents(side)["INBOX"]}
            assert names == {"a", "b", "c"}, step
        assert not world.sync(DEDUPE)[0].failed
        assert_one_of_each(world)
    assert step > 5


def test_copies_go_to_the_trash(tmp_path: Path) -> None:
    """Where deleted messages go to a trash, copies go there."""
    world = World(tmp_path)
    fill(world)
    world.sync(Options(dedupe=True, near_trash="Trash", far_trash="Trash"))
    for side in SIDES:
        assert world.contents(side)["INBOX"] == WANTED["INBOX"]
    assert world.contents("near")["Trash"] == world.contents("far")["Trash"]
    assert {name for name, _ in world.contents("near")["Trash"]} == {"a", "b"}


def test_side_where_nothing_is_deleted(tmp_path: Path) -> None:
    """A store that is only read keeps its copies; where nothing may be deleted at all that is told."""
    world = World(tmp_path)
    fill(world)
    world.sync(Options(dedupe=True, rules=Rules(far=Permissions(delete=False))))
    assert world.contents("near")["INBOX"] == WANTED["INBOX"]
    assert sum(world.contents("far")["INBOX"].values()) == 7
    _, listening = world.sync(Options(dedupe=True, rules=Rules(far=Permissions(delete=False))))
    assert listening.told == []
    outcome, _ = world.sync(Options(dedupe=True, rules=Rules(READ_ONLY, READ_ONLY)))
    assert "nothing may be deleted" in outcome.notes[0]


def test_copies_that_may_only_be_marked(tmp_path: Path) -> None:
    """Without expunge copies are marked as deleted, once."""
    world = World(tmp_path)
    fill(world)
    rules = Rules(Permissions(expunge=False), Permissions(expunge=False))
    _, listening = world.sync(Options(dedupe=True, rules=rules))
    assert sum(done.what == MARKED for done in listening.told) == 3
    assert sum(world.contents("far")["INBOX"].values()) == 7
    assert sum("T" in flags for _, flags in world.contents("far")["INBOX"].elements()) == 3
    _, listening = world.sync(Options(dedupe=True, rules=rules))
    assert listening.told == []


def test_very_many_copies_are_refused(tmp_path: Path) -> None:
    """More copies than largest_deletion are told and stay, until somebody says that they may go."""
    world = World(tmp_path)
    for number in range(25):
        world.put("near", "INBOX", f"a{number}", "", body("a"))
    outcome, listening = world.sync(DEDUPE)
    assert [each.seen for each in outcome.refused] == ["24 of 25 messages are copies of others"]
    assert {done.what for done in listening.told} == {"mailbox made", "copied"}
    outcome, _ = world.sync(Options(dedupe=True, believe=True))
    assert outcome.refused == []
    for side in SIDES:
        assert world.contents(side)["INBOX"] == Counter({("a", ""): 1})


def test_partners_that_differ_are_no_copies(tmp_path: Path) -> None:
    """What is equal on one side only is not taken away: the other side's bytes are there once."""
    world = World(tmp_path)
    fill(world)
    world.sync()
    with world.find("far", "INBOX", "b").open("ab") as file:
        file.write(b"One more line.\n")
    world.sync(DEDUPE)
    for side in SIDES:
        assert sum(count for (name, _), count in world.contents(side)["INBOX"].items() if name == "b") == 2


@given(
    st.lists(st.tuples(flag_sets, st.sampled_from([b"x", b"y"]), st.sampled_from([b"x", b"y"])), max_size=8)
)
def test_one_stays_of_each(messages: list[tuple[frozenset[str], bytes, bytes]]) -> None:
    """Of each kind that is not on its way out one stays, with the flags of all, and is none that goes."""
    here = {b"%d" % n: Held(flags, near) for n, (flags, near, _) in enumerate(messages)}
    there = {b"f%d" % n: Held(frozenset(), far) for n, (_, _, far) in enumerate(messages)}
    found = copies.equals(zip(here, there, strict=True), here, there)
    gone = {key for each in found for key in each.go}
    assert not gone & {each.stays for each in found}
    left = [messages[int(key)] for key in here if key not in gone]
    alive = [(near, far) for flags, near, far in messages if DELETED not in flags]
    assert Counter((near, far) for flags, near, far in left if DELETED not in flags) == Counter(set(alive))
    for each in found:
        equal = [here[key].flags for key in (each.stays, *each.go)]
        assert each.flags == frozenset().union(*equal)
