"""naming: directory names as mailbox names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watch_maildirs.naming import (
    LAYOUTS,
    MAILDIR_PLUS_PLUS,
    NESTED,
    folders_called,
    holds_folders,
    mailbox_name,
    may_be_folder,
)

names = st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@pytest.mark.parametrize(
    ("entries", "mailbox"),
    [
        ((), "INBOX"),
        ((".x",), "x"),
        ((".a.b",), "a.b"),
        ((".sp ace",), "sp ace"),
        ((".&AOk-t",), "&AOk-t"),
        (("..x",), ".x"),
        ((".INBOX.sub",), "INBOX.sub"),
        ((".\udcff",), "\udcff"),
    ],
)
def test_maildir_plus_plus(entries: tuple[str, ...], mailbox: str) -> None:
    """Maildir++ names lose their first dot and nothing else."""
    assert may_be_folder(MAILDIR_PLUS_PLUS, entries)
    assert mailbox_name(MAILDIR_PLUS_PLUS, entries) == mailbox


@pytest.mark.parametrize("entries", [("x",), (".",), ("cur",), (".x", ".y")])
def test_no_maildir_plus_plus(entries: tuple[str, ...]) -> None:
    """Without a leading dot, or inside another folder, nothing is a Maildir++ folder."""
    assert not may_be_folder(MAILDIR_PLUS_PLUS, entries)


def test_nested() -> None:
    """Nested names are paths, and cur, new and tmp are none."""
    assert mailbox_name(NESTED, ("lists", ".python")) == "lists/.python"
    assert mailbox_name(NESTED, ()) == "INBOX"
    assert not any(may_be_folder(NESTED, ("lists", name)) for name in ("cur", "new", "tmp"))
    assert holds_folders(NESTED, ("lists",)) and not holds_folders(MAILDIR_PLUS_PLUS, (".lists",))


@given(st.sets(st.lists(names, min_size=1, max_size=3).map(tuple), max_size=20))
def test_names_differ(paths: set[tuple[str, ...]]) -> None:
    """Different directories below the base have different names, in both layouts."""
    assert len({mailbox_name(NESTED, path) for path in paths}) == len(paths)
    plus_plus = {("." + path[0],) for path in paths}
    assert len({mailbox_name(MAILDIR_PLUS_PLUS, path) for path in plus_plus}) == len(plus_plus)


@given(st.sampled_from(LAYOUTS), st.lists(names, max_size=3).map(tuple))
def test_names_lead_back(layout: str, entries: tuple[str, ...]) -> None:
    """Among the directories with a name is the one that it came from; they all have it."""
    if layout == MAILDIR_PLUS_PLUS:
        entries = tuple("." + entry for entry in entries[:1])
    name = mailbox_name(layout, entries)
    assert entries in folders_called(layout, name)
    assert {mailbox_name(layout, folder) for folder in folders_called(layout, name)} == {name}
