"""Ours beside the old program, on the same mboxes: the same words, and the same mail at the end.

Each row of its table of cases is a test, with what it remembers made by itself, by the old program, and with
the memory of the old one taken over by ours.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.oldmailsync.homes import CONFIGURATION, Home, Mail

pytestmark = pytest.mark.server

WRITTEN = datetime(2026, 11, 2, 10, tzinfo=timezone.utc).timestamp()  # all messages of these tests
BOTH = (["x", "y"], ["x", "y"])

# A and B after the last time; what is different now; what both hold at the end.
ROWS = [
    pytest.param(((), ()), (["x"], []), ["x"], id="x--"),
    pytest.param(((), ()), ([], ["x"]), ["x"], id="-x-"),
    pytest.param(((), ()), (["x"], ["x"]), ["x"], id="xx-"),
    pytest.param((("x", "y"), ()), BOTH, ["x", "y"], id="xxx"),
    pytest.param((("x", "y"), ()), (["x", "y"], ["y"]), ["y"], id="x-x"),
    pytest.param((("x", "y"), ()), (["y"], ["x", "y"]), ["y"], id="-xx"),
    pytest.param((("x", "y"), ()), (["y"], ["y"]), ["y"], id="--x"),
]


def _begin(directory: Path, last: tuple[tuple[str, ...], tuple[str, ...]]) -> Home:
    home = Home(directory)
    home.write("A/box", *last[0])
    home.write("B/box", *last[1])
    return home


def _change(home: Home, now: tuple[list[str], list[str]]) -> None:
    for store, names in zip("AB", now, strict=True):
        there = home.contents(store)["box"]
        home.remove(f"{store}/box", *(set(there) - set(names)))
        with (home.directory / store / "box").open("a") as file:
            file.writelines(Mail(name).text() for name in names if name not in there)


@pytest.mark.parametrize(("last", "now", "after"), ROWS)
def test_row(
    tmp_path: Path,
    last: tuple[tuple[str, ...], tuple[str, ...]],
    now: tuple[list[str], list[str]],
    after: list[str],
) -> None:
    """Both do and say the same; so does ours with what the old one remembers; a second run does nothing."""
    old = _begin(tmp_path / "old", last)
    ours = old.copy(tmp_path / "new")
    _do_row(old, ours, now, after, ("-m",))


@pytest.mark.parametrize("options", [("-M",), ("-D",), ("-t", "md5")], ids=" ".join)
@pytest.mark.parametrize(("last", "now", "after"), ROWS[4:5])
def test_row_by_other_options(
    tmp_path: Path,
    last: tuple[tuple[str, ...], tuple[str, ...]],
    now: tuple[list[str], list[str]],
    after: list[str],
    options: tuple[str, ...],
) -> None:
    """A deletion by each of the other options."""
    old = _begin(tmp_path / "old", last)
    _do_row(old, old.copy(tmp_path / "new"), now, after, options)


def _do_row(
    old: Home, ours: Home, now: tuple[list[str], list[str]], after: list[str], options: tuple[str, ...]
) -> None:
    assert ours.new(*options, "ab")[0] == old.old(*options, "ab")[0]
    _change(old, now)
    _change(ours, now)
    heir = old.copy(old.directory.with_name("heir"))
    # By md5 only, so that the old one does not take everything for new.
    by = options if "md5" in options else ()
    for words in ((*by, "ab", "a"), (*options, "ab", "b")):
        assert ours.new(*words)[0] == old.old(*words)[0] == heir.new(*words)[0]
    assert ours.new("-s", *options, "ab")[0] == old.old("-s", *options, "ab")[0]
    said = old.old(*options, "ab")[0]
    assert ours.new(*options, "ab")[0] == said
    assert heir.new(*options, "ab")[0] == said
    left = {"box": after} if after else old.contents("A")
    for home in (old, ours, heir):
        assert (home.contents("A"), home.contents("B")) == (left, left)
    again = old.old(*options, "ab")[0]
    before = heir.files()
    assert heir.new(*options, "ab") == (again, "")
    after_that = heir.files()
    assert {name: after_that[name] for name in ("A/box", "B/box") if name in before} == {
        name: before[name] for name in ("A/box", "B/box") if name in before
    }


def test_several_mailboxes(tmp_path: Path) -> None:
    """Mailboxes are visited in the old order, made where they are missing, and listed alike."""
    old = Home(tmp_path / "old")
    for box in ("A/long-name", "A/b", "A/a", "B/another", "B/a"):
        old.write(box, box.replace("/", "-"), "common")
    ours = old.copy(tmp_path / "new")
    for line in ("-s ab", "ab", "-M ab", "ab b", "-m ab a"):
        assert ours.new(*line.split())[0] == old.old(*line.split())[0], line
    for line in ("a", "-M b", "-M -t md5 a"):
        words = line.split()
        listed = [home(*words)[0] for home in (ours.new, old.old)]
        # The old one lists as the directory does, and the directory itself as a mailbox without a name.
        blocks = [sorted(text.split("\n\n" if len(words) > 1 else "\n")) for text in listed]
        found, expected = (
            [block.strip() for block in each if block.strip() and "not selectable" not in block]
            for each in blocks
        )
        assert found == expected
    assert ours.contents("A") == ours.contents("B") == old.contents("A")


def test_size_limit_and_marked_messages(tmp_path: Path) -> None:
    """What is not copied is told in the same words; with -cd it is copied."""
    old = Home(tmp_path / "old", CONFIGURATION.replace("msinfo msinfo", "msinfo msinfo sizelimit 2000"))
    old.write("A/box", "first", Mail("big", size=3000), Mail("gone", "RD"), Mail("answered", "RA"))
    old.write("B/box", "other", Mail("gone too", "RD"))
    ours = old.copy(tmp_path / "new")
    for words in (("-s", "-M", "ab"), ("-s", "ab"), ("-s", "-cd", "ab")):
        assert ours.new(*words)[0] == old.old(*words)[0]
    told, _ = old.old("-M", "ab")
    # The old one expunged what was marked, although nobody asked for it.
    said, _ = ours.new("-M", "ab")
    assert said == told.partition("Expunged")[0]
    assert ours.contents("A")["box"] == ["answered", "big", "first", "gone", "other"]
    assert ours.contents("B")["box"] == ["answered", "first", "gone too", "other"]
    copied, _ = ours.new("-m", "-cd", "ab")
    assert "1 copied a->b.\n1 copied b->a.\n" in copied
    assert ours.contents("B")["box"] == ["answered", "first", "gone", "gone too", "other"]


def test_empty_boxname(tmp_path: Path) -> None:
    """Two single mailboxes with different names are a pair, if the prefix is the whole name."""
    text = (
        "store a { pat A/x prefix A/x }\nstore b { pat B/y prefix B/y }\nchannel ab a b { msinfo msinfo }\n"
    )
    old = Home(tmp_path / "old", text)
    old.write("A/x", "one")
    old.write("B/y", "two")
    ours = old.copy(tmp_path / "new")
    assert ours.new("a")[0] == old.old("a")[0]
    assert ours.new("ab")[0] == old.old("ab")[0]
    heir = old.copy(tmp_path / "heir")
    for home in (old, ours, heir):
        home.remove("B/y", "one")
    assert ours.new("ab")[0] == old.old("ab")[0] == heir.new("ab")[0]
    assert ours.contents("A") == heir.contents("A") == old.contents("A") == {"x": ["two"]}


def test_mailbox_that_was_removed(tmp_path: Path) -> None:
    """Without -D a removed mailbox is emptied and made again, with it both are removed; in the same words.

    The old one fails to remove the mailbox that it had open last, the one with the shortest name.
    """
    old = Home(tmp_path / "old")
    old.write("A/emptied", "one")
    old.write("A/box", "two")
    old.old("ab")
    (old.directory / "B/emptied").unlink()
    ours = old.copy(tmp_path / "new")
    said, _ = ours.new("ab")
    assert said == old.old("ab")[0]
    assert ours.contents("A") == ours.contents("B") == {"box": ["two"], "emptied": []}
    assert ours.new("-D", "ab")[0] == old.old("-D", "ab")[0]
    assert ours.contents("A") == ours.contents("B") == {"box": ["two"]}


def test_moved_messages(tmp_path: Path) -> None:
    """A message that went to another mailbox goes there on the other side too, and is told as it was."""
    old = Home(tmp_path / "old")
    old.write("A/box", "x", "y")
    old.write("A/trash", "z")
    old.old("ab")
    old.remove("B/box", "x")
    with (old.directory / "B/trash").open("a") as file:
        file.write(Mail("x").text())
    ours = old.copy(tmp_path / "new")
    for words in (("ab", "a"), ("ab", "b"), ("-m", "ab"), ("-m", "ab")):
        assert ours.new(*words)[0] == old.old(*words)[0]
    assert ours.contents("A") == ours.contents("B") == old.contents("A")
    assert ours.contents("A") == {"box": ["y"], "trash": ["x", "z"]}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40 if os.environ.get("MSWATCH_LONG") else 3))
def test_random_edits(tmp_path: Path, seed: int) -> None:
    """Whatever is added, removed and moved on both sides: both programs say and leave the same."""
    chance = random.Random(seed)
    names = itertools.count()
    old = Home(tmp_path / "old")
    boxes = [f"{store}/{box}" for store in "AB" for box in ("one", "second", "the-third")]
    for box in boxes:
        old.write(box, *(f"m{next(names)}" for _ in range(chance.randrange(3))))
    ours = old.copy(tmp_path / "new")
    for turn in range(6):
        options = chance.choice(([], ["-m"], ["-M"], ["-n", "-m"] if turn == 5 else []))
        assert ours.new(*options, "ab")[0] == old.old(*options, "ab")[0], turn
        assert (ours.contents("A"), ours.contents("B")) == (old.contents("A"), old.contents("B")), turn
        if turn == 2:
            ours = old.copy(tmp_path / "heir")
        touched: set[str] = set()
        for box in chance.sample(boxes, 4):
            touched.add(_edit(chance, old, ours, box, boxes, names, touched))


def _edit(
    chance: random.Random,
    old: Home,
    ours: Home,
    box: str,
    boxes: list[str],
    names: Iterator[int],
    touched: set[str],
) -> str:
    """Do the same to a mailbox of both homes: add a message, remove one, or move it; return which.

    One that was moved is left alone for this turn: what is away and comes back is another one for ours.
    """
    there = sorted({*old.contents(box[0])[box[2:]]} & {*ours.contents(box[0])[box[2:]]} - touched)
    act = chance.choice(("add", "remove", "move")) if there else "add"
    name = f"m{next(names)}" if act == "add" else chance.choice(there)
    target = (
        box if act == "add" else chance.choice([each for each in boxes if each[0] == box[0] and each != box])
    )
    for home in (old, ours):
        if act != "add":
            home.remove(box, name)
        if act != "remove":
            with (home.directory / target).open("a") as file:
                file.write(Mail(name).text())
    return name


def test_mh_folders(tmp_path: Path) -> None:
    """MH folders, below the directory of the profile, and the inbox of them with an mbox."""
    text = CONFIGURATION.replace("pat A/% prefix A/", "pat \\#mh/% prefix \\#mh/") + (
        "store in { pat \\#mhinbox prefix \\#mhinbox }\nstore box { pat one prefix one }\n"
        "channel inbox in box { msinfo msinfo }\n"
    )
    old = Home(tmp_path / "old", text)
    (old.directory / ".mh_profile").write_text("Path: A\n")
    for folder, names in (("inbox", ("x", "y")), ("lists", ("z",))):
        directory = old.directory / "A" / folder
        directory.mkdir()
        for number, name in enumerate(names, 1):
            mail = Mail(name).text().partition("\n")[2]
            path = directory / str(number)
            path.write_text(mail.rstrip("\n") + "\n")
            os.utime(path, (WRITTEN, WRITTEN))  # the old program prints when a message came
    old.write("B/lists", "w")
    ours = old.copy(tmp_path / "new")
    for words in (("a",), ("-m", "ab"), ("ab", "a"), ("inbox",), ("ab",)):
        expected = [line for line in old.old(*words)[0].splitlines() if line]
        found = [line for line in ours.new(*words)[0].splitlines() if line]
        assert sorted(found) == sorted(expected), words
    assert ours.contents("B") == old.contents("B")
    for home in (old, ours):
        home.remove("one", "x")
    assert ours.new("-m", "inbox")[0] == old.old("-m", "inbox")[0]
    left = [sorted(path.name for path in (home.directory / "A/inbox").glob("[0-9]*")) for home in (old, ours)]
    assert left == [["2"], ["2"]]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40 if os.environ.get("MSWATCH_LONG") else 5))
def test_going_back_and_forth(tmp_path: Path, seed: int) -> None:
    """Each run may be of the other program: nothing is lost or doubled.

    What was deleted since a program's own last run comes back, if it came by the other one.
    """
    chance = random.Random(seed)
    names = itertools.count()
    home = Home(tmp_path / "home")
    boxes = ("one", "second", "the-third")
    wanted: dict[str, set[str]] = {box: set() for box in boxes}
    for box in boxes:
        for store in "AB":
            added = [f"m{next(names)}" for _ in range(chance.randrange(3))]
            home.write(f"{store}/{box}", *added)
            wanted[box] |= set(added)
    run = home.old
    for turn in range(7):
        before, run = run, chance.choice((home.old, home.new))
        run("ab")
        found = home.contents("A")
        assert home.contents("B") == found
        for box in boxes:
            assert len(found[box]) == len(set(found[box])), turn
            assert wanted[box] <= set(found[box]), turn
            assert run != before or wanted[box] == set(found[box]), turn
            wanted[box] = set(found[box])
        for box in boxes:
            store = chance.choice("AB")
            if wanted[box] and chance.random() < 0.6:
                gone = chance.choice(sorted(wanted[box]))
                home.remove(f"{store}/{box}", gone)
                wanted[box].remove(gone)
            name = f"m{next(names)}"
            with (home.directory / chance.choice("AB") / box).open("a") as file:
                file.write(Mail(name).text())
            wanted[box].add(name)
