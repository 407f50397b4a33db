r"""Mailboxes that are left out, or are the trash, for what a server says that they are for (RFC 6154).

A Dovecot is told by its settings which of its mailboxes is for what, and may be told otherwise between runs;
a Cyrus by its annotations.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from mswatch.errors import ConfigError
from mswatch.imap.commands import Command
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.options import TRASHED, Options
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.names import Pattern
from tests.imap_store.test_servers import cyrus  # noqa: F401 - a fixture
from tests.mailsync.worlds import World, acts
from tests.mailsync_imap.test_worlds import ImapWorld, after_each_kill, build_with, world_class
from tests.servers.cyrus import PASSWORD, Cyrus
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

SKIP = Options(skip_uses=frozenset({"\\All", "\\Flagged"}))
TRASH = Options(far_trash_use="\\Trash", skip=(Pattern("Alles"),))
NO_USES = "imap_capability = IMAP4rev1 CONDSTORE ENABLE QRESYNC UIDPLUS LIST-STATUS"


def said(**uses: str) -> str:
    """Return the setting that has Dovecot say what mailboxes are for."""
    boxes = "".join(f"  mailbox {name} {{\n    special_use = \\{use}\n  }}\n" for name, use in uses.items())
    return f"namespace inbox {{\n{boxes}}}"


ALLES = said(Alles="All")
TEXT = """
a       x  x  x  -> x
b       x  -  -  -> x
c       -  x  x  -> -
Alles/d x  x  x  -> x
Alles/e -  x  x  -> - x
Alles/f x  -  x  -> x -
Alles/g x  -  -  -> x -
Alles/h -  x  -  -> - x
other/i -  x  -  -> x
"""
LEFT = [{"d", "f", "g"}, {"d", "e", "h"}]


def world_of(directory: Path, dovecot: Dovecot, *settings: str, side: Side = "far") -> ImapWorld:
    """Build the world, whose server says what mailboxes are for as soon as it is built."""
    world = build_with(world_class(dovecot, side, uses=True), directory, TEXT)
    assert isinstance(world, ImapWorld)
    world.settings = settings
    return world


def alles(world: World) -> list[set[str]]:
    """Return which messages each side has in the mailbox for everything."""
    return [{name for name, _ in world.contents(side).get("Alles", {})} for side in SIDES]


def assert_left_out(world: World, options: Options = SKIP, others: Collection[str] = ("i",)) -> None:
    """Run dry, in earnest and again: nothing of that mailbox is touched, and all else is in step then."""
    foretold = world.dry_run(options)
    outcome, listening = world.sync(options)
    assert (outcome.failed, outcome.problems, outcome.refused, outcome.notes) == ({}, [], [], [])
    assert acts(foretold) == acts(listening.told)
    assert "Alles" not in {done.mailbox for done in listening.told}
    assert alles(world) == LEFT
    for side in SIDES:
        contents = world.contents(side)
        there = [{name for name, _ in contents[box]} for box in ("INBOX", "other")]
        assert there == [{"a", "b"}, set(others)]
    assert world.sync(options)[1].told == []


@pytest.mark.parametrize("side", SIDES)
def test_left_out_on_both_sides(side: Side, tmp_path: Path, dovecot: Dovecot) -> None:
    """A mailbox that one side says is for everything is left alone on both, though it was synced before."""
    assert_left_out(world_of(tmp_path / "world", dovecot, ALLES, side=side))


def test_new_mailboxes(tmp_path: Path, dovecot: Dovecot) -> None:
    """One is not made here; one that was made there, before the server could say anything of it, stays."""
    world = world_class(dovecot, "far", settings=(said(Alles="All", Stars="Flagged"),), uses=True)(tmp_path)
    for side in SIDES:
        world.make(side, "INBOX")
    world.put("far", "Alles", "a")
    world.put("near", "Stars", "b")
    world.sync(SKIP)
    assert [sorted(world.contents(side)) for side in SIDES] == [
        ["INBOX", "Stars"],
        ["Alles", "INBOX", "Stars"],
    ]
    world.put("near", "Stars", "c")
    world.delete("far", "Stars", "b")
    assert world.sync(SKIP)[1].told == []
    assert [len(world.contents(side)["Stars"]) for side in SIDES] == [2, 0]


def test_a_use_that_comes_and_goes(tmp_path: Path, dovecot: Dovecot) -> None:
    """When it goes, what is remembered counts, as with a pattern: what was deleted meanwhile is deleted."""
    world = world_of(tmp_path / "world", dovecot, ALLES)
    assert_left_out(world)
    for settings in ((said(Alles="Junk"),), (said(Alles="Flagged"),)):
        before = alles(world)
        world.settings = settings
        world.sync(SKIP)
        assert alles(world) == ([{"d", "g", "h"}] * 2 if "Junk" in settings[0] else before)
    world.settings = (said(other="All"),)
    world.put("near", "Alles", "k")
    world.put("near", "other", "l")
    world.sync(SKIP)
    assert len(world.contents("far")["other"]) == 1
    assert alles(world) == [{"d", "g", "h", "k"}] * 2


def test_what_was_told_stands(tmp_path: Path, dovecot: Dovecot) -> None:
    """Of a mailbox that the server no longer lists, and where it says nothing of uses at all."""
    world = world_of(tmp_path / "world", dovecot, ALLES)
    assert_left_out(world)
    box = world.path("far") / "Alles"
    box.rename(tmp_path / "elsewhere")
    world.sync(SKIP)
    assert alles(world) == [LEFT[0], set()]
    box.mkdir(exist_ok=True)
    box.rmdir()
    (tmp_path / "elsewhere").rename(box)
    world.settings = (NO_USES,)
    outcome, _ = world.sync(SKIP)
    assert "does not say what mailboxes are for" in outcome.notes[0]
    assert alles(world) == LEFT
    world.sync(Options(skip_uses=frozenset({"\\Junk"})))  # by other settings it is one like any
    assert alles(world) == [{"d", "g", "h"}] * 2


@pytest.mark.parametrize("told", [False, True])
def test_a_run_for_some_mailboxes(told: bool, tmp_path: Path, dovecot: Dovecot) -> None:
    """What they are for is asked with them, and without listing all."""
    world = world_of(tmp_path / "world", dovecot, ALLES)
    if told:
        world.sync(SKIP)
    _, listening = world.sync(SKIP, only=["Alles", "INBOX"])
    assert {done.mailbox for done in listening.told} == (set() if told else {"INBOX"})
    assert alles(world) == LEFT


def test_no_server_that_names_uses(tmp_path: Path, dovecot: Dovecot) -> None:
    """Where a server cannot tell, a run says so and syncs everything."""
    world = world_of(tmp_path / "world", dovecot, NO_USES)
    outcome, _ = world.sync(SKIP)
    (note,) = outcome.notes
    assert "store far: the server does not say what mailboxes are for" in note
    assert alles(world) == [{"d", "g", "h"}] * 2


def deleted(directory: Path, dovecot: Dovecot, **uses: str) -> ImapWorld:
    """Build the world and have the server say these uses; one message waits to be deleted on far."""
    world = world_of(directory, dovecot, said(**uses))
    world.sync(replace(TRASH, far_trash_use=""))
    world.delete("near", "INBOX", "b")
    return world


@pytest.mark.parametrize("only", [None, ["INBOX"]])
def test_trash_by_use(only: list[str] | None, tmp_path: Path, dovecot: Dovecot) -> None:
    """What was deleted here goes to the mailbox that the server calls the trash, and comes from there."""
    world = deleted(tmp_path / "world", dovecot, other="Trash")
    foretold = world.dry_run(TRASH) if only is None else None
    outcome, listening = world.sync(TRASH, only)
    assert outcome.failed == {}
    assert foretold is None or acts(foretold) == acts(listening.told)
    assert [done.side for done in listening.told if done.what == TRASHED] == ["far"]
    for side in SIDES:
        assert {name for name, _ in world.contents(side)["other"]} == {"i", "b"}
    assert world.sync(TRASH, only)[1].told == []


@pytest.mark.parametrize("settings", [said(other="Junk"), NO_USES])
@pytest.mark.parametrize("only", [None, ["INBOX"]])
def test_no_trash(only: list[str] | None, settings: str, tmp_path: Path, dovecot: Dovecot) -> None:
    """Without such a mailbox nothing is deleted, and the error says what to do."""
    world = deleted(tmp_path / "world", dovecot)
    world.settings = (settings,)
    with pytest.raises(
        ConfigError, match=r"store far: its server does not say that a mailbox is \\Trash"
    ) as told:
        world.sync(TRASH, only)
    assert "give the name of a mailbox as trash" in told.value.fix
    assert {name for name, _ in world.contents("far")["INBOX"]} == {"a", "b"}


@pytest.mark.parametrize("side", SIDES)
def test_killed_in_between(side: Side, tmp_path: Path, dovecot: Dovecot) -> None:
    """Wherever a run is killed in which uses appear, the next one comes to the same end."""
    trash = {f"{side}_trash_use": "\\Trash"}
    options = Options(skip_uses=SKIP.skip_uses, **trash)  # type: ignore[arg-type]
    start = world_of(tmp_path / "start", dovecot, side=side)

    def appear(world: ImapWorld) -> None:
        world.settings = (said(Alles="All", other="Trash"),)

    for world in after_each_kill(start, tmp_path / "world", options, itertools.count(0, 3), appear):
        assert_left_out(world, options, others={"i", "c"} if side == "far" else {"i"})


class TestCyrus:
    """A Cyrus, which tells uses by RETURN (SPECIAL-USE) where its administrator wants that."""

    def test_uses(self, cyrus: Cyrus, tmp_path: Path) -> None:  # noqa: F811 - the fixture
        """They are as its annotations have them."""
        cyrus.add_user("uses")
        password = tmp_path / "password"
        password.touch(mode=0o600)
        password.write_text(PASSWORD)
        login = Login("uses", file=password)
        store = ImapStore("far", lambda: log_in(cyrus.server, login), uses=True)
        store.open()
        for name in ("Alles", "Müll", "other"):
            store.make_mailbox(name)
        with log_in(cyrus.server, login) as session:
            assert session.can("SPECIAL-USE")
            for own, use in ((b"INBOX.Alles", b"\\\\Archive"), (b"INBOX.M&APw-ll", b"\\\\Trash")):
                words = b' "%b" (/private/specialuse "%b")' % (own, use)
                session.request(Command("SETMETADATA", (words,)))
        uses = {"INBOX": set[str](), "other": set(), "Alles": {"\\Archive"}, "Müll": {"\\Trash"}}
        for only in (None, list(uses)):
            there = store.mailboxes(only)
            assert {name: set(seen.uses or ()) for name, seen in there.items()} == uses
        store.close()
