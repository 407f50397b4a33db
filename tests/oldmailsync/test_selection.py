"""Patterns, prefixes and boxnames."""

from __future__ import annotations

import pytest

from mswatch.names import NameForm
from mswatch.oldmailsync.rc import OldStore
from mswatch.oldmailsync.selection import by_boxname, is_boxname, selection

DOTTED = NameForm(".", "utf-7")


def _store(pat: str, prefix: str = "", ref: str = "") -> OldStore:
    return OldStore("s", 1, ref=ref, pat=pat, prefix=prefix)


@pytest.mark.parametrize(
    ("pat", "names", "wanted"),
    [
        ("a/%", ["a/x", "a/x/y", "b/x", "a"], ["a/x"]),
        ("a/*", ["a/x", "a/x/y", "b/x", "a"], ["a/x", "a/x/y"]),
        ("a%", ["a", "ab", "ab/c"], ["a", "ab"]),
        ("%", ["INBOX", "x", "x/y"], ["INBOX", "x"]),
        ("inbox", ["INBOX", "inbox2"], ["INBOX"]),
        ("box", ["box", "boxes"], ["box"]),
        ("", ["", "a"], [""]),
        ("#mh/%", ["#mh/x", "#mh/x/y", "x"], ["#mh/x"]),
    ],
)
def test_pattern(pat: str, names: list[str], wanted: list[str]) -> None:
    """What LIST would list."""
    chosen = selection(_store(pat))
    assert [name for name in names if chosen.wants(name)] == wanted


def test_parts_of_a_pattern() -> None:
    """Both ref and pat are one pattern; what stands before the first wildcard is common to all names."""
    chosen = selection(_store("%", "Mail/lists/", "Mail/lists/"))
    assert (chosen.pattern, chosen.top, chosen.single) == ("Mail/lists/%", "Mail/lists", None)
    assert selection(_store("/abs/%", ref="Mail/")).pattern == "/abs/%"
    assert selection(_store("dir/box")).single == "dir/box"
    assert selection(_store("dir/b%")).top == "dir"
    assert selection(_store("box")).top == ""


def test_server_names() -> None:
    """The server's separator and encoding are translated, in pattern and prefix."""
    chosen = selection(_store("INBOX.Entw&APw-rfe.%", "{h}INBOX.", "{h}"), DOTTED)
    assert (chosen.pattern, chosen.prefix) == ("INBOX/Entwürfe/%", "INBOX/")
    assert chosen.boxname("INBOX/Entwürfe/x") == "Entwürfe/x"
    assert chosen.full("new/deep") == "INBOX/new/deep"


@pytest.mark.parametrize(
    ("prefix", "names", "found"),
    [
        ("a/", ["a/x", "a/y"], {"x": "a/x", "y": "a/y"}),
        ("a/box", ["a/box"], {"": "a/box"}),
        ("other/", ["a/x"], {"a/x": "a/x"}),
        ("", ["INBOX"], {"INBOX": "INBOX"}),
        ("INBOX", ["INBOX"], {"": "INBOX"}),
    ],
)
def test_boxnames(prefix: str, names: list[str], found: dict[str, str]) -> None:
    """The prefix is taken away only if it is there in full; what remains may be empty."""
    assert by_boxname(names, selection(_store("*", prefix))) == (found, [])


def test_names_that_meet() -> None:
    """Of two mailboxes with one boxname the second is left out, and told."""
    found, wrong = by_boxname(["a/x", "x"], selection(_store("*", "a/")))
    assert found == {"x": "a/x"}
    assert wrong == ["left out x: without its prefix it is called like a/x"]


@pytest.mark.parametrize("name", ["../x", "a/../b", "/x", "~/x", "#mh/x", "{h}x", "a//b", "x\0", "."])
def test_dangerous_boxnames(name: str) -> None:
    """A name that could lead elsewhere on the other side is left out, and told."""
    assert not is_boxname(name)
    found, wrong = by_boxname([f"p{name}"], selection(_store("*", "p")))
    assert not found
    assert len(wrong) == 1
