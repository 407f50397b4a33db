"""A dry run says exactly what the run after it does, and changes nothing at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES, Rules
from mswatch.mailsync.dry import DryStore
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import MADE, Options
from mswatch.mailsync.state import State
from mswatch.mailsync.stores.contract import Seen
from mswatch.mailsync.stores.maildir import MaildirStore
from tests.mailsync.kinds import KindWorld
from tests.mailsync.test_kinds import PAIRS, make
from tests.mailsync.test_worlds import WORLDS
from tests.mailsync.worlds import FORM, Listening, World, acts, body, build


def assert_foretold(world: World, options: Options | None = None) -> None:
    """Run dry, and then in earnest: the same must be told, and at first nothing be touched."""
    before = files(world)
    foretold = world.dry_run(options)
    assert files(world) == before
    outcome, listening = world.sync(options)
    assert not outcome.failed
    assert acts(foretold) == acts(listening.told)
    assert listening.told


def files(world: World) -> dict[str, tuple[int, int]]:
    """Return every file of a world, with what changes when it is touched."""
    found = {}
    for path in world.directory.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_ctime_ns)
    return found


@pytest.mark.parametrize("pair", [("maildir", "maildir"), *PAIRS], ids="-".join)
@pytest.mark.parametrize("name", WORLDS)
def test_every_world(name: str, pair: tuple[str, str], tmp_path: Path) -> None:
    """Whatever a run does in any world, the dry run says it, and nothing else."""
    assert_foretold(make(tmp_path / "world", name, pair), WORLDS[name][1])


ALONE = "a x x x -> x\n"


def test_stores_that_meet_for_the_first_time(tmp_path: Path) -> None:
    """A store and mailboxes that are not there yet would be made, and messages be copied into them."""
    world = World(tmp_path)
    world.put("near", "INBOX", "a")
    world.put("near", "lists/deep", "b", "F")
    assert_foretold(world)
    world.put("far", "other", "a")
    assert_foretold(world)


def test_equal_ids_with_different_bodies(tmp_path: Path) -> None:
    """What only the bodies tell apart is two messages in a dry run too."""
    world = build(tmp_path, ALONE)
    world.put("near", "INBOX", "one", data=body("b"))
    world.put("near", "INBOX", "two", data=body("b") + b"more\n")
    world.put("far", "INBOX", "three", "F", data=body("b") + b"more\n")
    world.put("far", "INBOX", "four", data=body("b") + b"other\n")
    assert_foretold(world)
    assert sum(world.contents("near")["INBOX"].values()) == 4


@pytest.mark.parametrize("trash", ["", "Trash", "lists/Trash"])
def test_deletions_on_both_sides(trash: str, tmp_path: Path) -> None:
    """What goes to a trash is copied from there to the other one's."""
    world = build(tmp_path, "a F x x -> x\nb x x S -> x\nc x x x -> x\nlists/d x x x -> x\n")
    world.delete("near", "INBOX", "a")
    world.delete("far", "INBOX", "b")
    world.delete("far", "lists", "d")
    assert_foretold(world, Options(near_trash=trash, far_trash=trash))


def test_mailboxes_that_were_removed(tmp_path: Path) -> None:
    """A mailbox that was removed on one side would be emptied and removed on the other one."""
    world = build(tmp_path, "a x x x -> x\nlists/b x x x -> x\nlists/c x x x -> x\nother/d x x x -> x\n")
    for path in [*(world.path("near") / "lists").rglob("*/*"), *(world.path("near") / "other").rglob("*/*")]:
        path.unlink()
    for mailbox in ("lists", "other"):
        box = world.path("near") / mailbox
        for path in [*box.iterdir()]:
            path.rmdir() if path.is_dir() else path.unlink()
        box.rmdir()
    world.put("far", "other", "new")
    assert_foretold(world)


@pytest.mark.parametrize("far", ["maildir", "mh"])
def test_renamed_mailboxes(far: str, tmp_path: Path) -> None:
    """A mailbox that was renamed, with others below it, and then worked on."""
    world = KindWorld(tmp_path, "maildir", far)
    build(tmp_path, "a x x x -> x\nlists/b x x x -> x\nlists/deep/c x x x -> x\nlists/d x x x -> x\n", world)
    world.sync()
    (world.path("near") / "lists").rename(world.path("near") / "groups")
    world.set("near", "groups", "b", "F")
    world.delete("near", "groups/deep", "c")
    world.put("near", "groups", "e")
    assert_foretold(world)
    assert world.contents("near") == world.contents("far")


def test_copies(tmp_path: Path) -> None:
    """Copies that both sides have would be taken away on one side, and then on the other one."""
    world = build(tmp_path, "a x x x -> x\nb=a F x x -> x\nc=a x x x -> x\nd x x x -> x\n")
    world.put("near", "INBOX", "not equal", data=body("a") + b"more\n")
    world.sync()
    for options in (Options(dedupe=True), Options(dedupe=True, near_trash="Trash")):
        assert_foretold(world, options)
        world.put("near", "INBOX", "again", data=body("a"))
        world.sync()


def test_what_was_lost_comes_back(tmp_path: Path) -> None:
    """With --undo-deletions."""
    world = build(tmp_path, "a - x x -> x\nb x x x -> x\nbox/c x - x -> x\n")
    assert_foretold(world, Options(rules=Rules(restore=True)))


def test_size_limit_and_what_is_no_message(tmp_path: Path) -> None:
    """What is too large, or no file, would not be copied."""
    world = build(tmp_path, ALONE)
    world.put("near", "INBOX", "large", data=body("large", 5000))
    world.put("near", "INBOX", "small")
    (world.path("near") / "INBOX/cur/dangling:2,").symlink_to("nowhere")
    assert_foretold(world, Options(size_limit=1000))


class Asked(MaildirStore):
    """A store that takes down for which mailboxes it was asked."""

    asked: list[Collection[str] | None]

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        self.asked.append(only)
        return super().mailboxes(only)


def test_only_what_is_wanted_is_asked_for(tmp_path: Path) -> None:
    """Stores are listed whole once, however many mailboxes would be made; what they told then stays told."""
    world = World(tmp_path)
    world.put("near", "INBOX", "a")
    for number in range(5):
        world.put("far", f"box{number}", str(number))
    world.path("near").joinpath("odd").mkdir(mode=0)
    near, far = (Asked(side, world.path(side), "nested", FORM) for side in SIDES)
    near.asked, far.asked = [], []
    listening = Listening()
    with State.opened(world.state_file) as (state, _):
        outcome = Engine(DryStore(near), DryStore(far), state, Options(), listening).run()
    assert len([each for each in listening.told if each.what == MADE]) == 6
    assert (near.asked[0], far.asked[0]) == (None, None)
    assert sorted(map(str, near.asked[1:])) == [str({f"box{number}"}) for number in range(5)]
    assert len(outcome.notes) == 1
    assert "odd" in outcome.notes[0]
