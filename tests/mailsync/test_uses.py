"""What mailboxes are left out for, as it is decided and remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.stores.contract import Seen
from mswatch.mailsync.uses import from_bytes, renamed, to_bytes, told_now, without_gone
from mswatch.names import USES, as_use

ALL, JUNK, TRASH = frozenset({"\\All"}), frozenset({"\\Junk"}), frozenset({"\\Trash"})
NOTHING = frozenset[str]()


@pytest.mark.parametrize(
    ("before", "listed", "now"),
    [
        ({}, {"a": Seen(uses=ALL), "b": Seen(uses=TRASH), "c": Seen(uses=NOTHING), "d": Seen()}, {"a": ALL}),
        ({}, {"a": Seen(uses=ALL | TRASH)}, {"a": ALL}),
        ({"a": ALL}, {"a": Seen(uses=JUNK)}, {"a": JUNK}),
        ({"a": ALL}, {"a": Seen(uses=NOTHING)}, {}),
        ({"a": ALL}, {"a": Seen(uses=TRASH)}, {}),
        ({"a": ALL}, {"b": Seen(uses=ALL)}, {"a": ALL, "b": ALL}),
        ({"a": ALL}, {"a": Seen()}, {"a": ALL}),
        ({"a": ALL}, {}, {"a": ALL}),
        ({"a": TRASH}, {}, {}),  # it was left out by settings that are no more
    ],
)
def test_what_was_told_stands(
    before: dict[str, frozenset[str]], listed: dict[str, Seen], now: dict[str, frozenset[str]]
) -> None:
    """Until something else is told of a mailbox, and as long as that use is left out."""
    assert told_now(before, listed, ALL | JUNK) == now


def seen(identity: bytes, uses: frozenset[str] = NOTHING) -> Seen:
    """Return a mailbox in a list."""
    return Seen(identity, None, uses)


@pytest.mark.parametrize(
    ("before", "told", "listed", "now"),
    [
        ({}, {"b": ALL}, {"b": seen(b"1", ALL)}, {"a": ALL, "b": ALL}),
        ({}, {"b": ALL}, {"b": seen(b"2", ALL)}, {"b": ALL}),
        ({}, {"b": ALL}, {"b": seen(b"1", ALL), "a": seen(b"1")}, {"b": ALL}),
        ({"b": ALL}, {"b": ALL}, {"b": seen(b"1", ALL)}, {"b": ALL}),  # b was there before a went
        ({}, {"other": ALL}, {"other": seen(b"1", ALL)}, {"other": ALL}),  # it is remembered itself
        ({"a": ALL, "b": ALL}, {"a": ALL}, {"b": seen(b"1")}, {}),
        ({"a": ALL}, {"a": ALL}, {"other": seen(b"1")}, {"a": ALL}),
        ({"a": ALL}, {"a": ALL}, {}, {"a": ALL}),
        ({}, {"b": ALL}, {"b": seen(b"", ALL)}, {"b": ALL}),
    ],
)
def test_renamed_to_what_is_left_out(
    before: dict[str, frozenset[str]],
    told: dict[str, frozenset[str]],
    listed: dict[str, Seen],
    now: dict[str, frozenset[str]],
) -> None:
    """A mailbox that is gone is what it is called now, as far as identities tell."""
    assert renamed(told, before, listed, {"a": b"1", "other": b"3", "unknown": b""}) == now


def test_what_nobody_has_is_forgotten() -> None:
    """A mailbox that is nowhere needs no protection."""
    assert without_gone({"a": ALL, "b": JUNK}, ["b", "c"]) == {"b": JUNK}


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.dictionaries(NAMES | st.just("no utf-8: \udcff"), st.sets(st.sampled_from(USES), min_size=1)))
def test_it_is_remembered(told: dict[str, set[str]]) -> None:
    """Whatever a mailbox is called."""
    frozen = {name: frozenset(uses) for name, uses in told.items()}
    assert from_bytes(to_bytes(frozen)) == frozen


@given(st.binary())
def test_anything_can_be_remembered(data: bytes) -> None:
    """A state that another version wrote, or nobody, is no reason to fail."""
    told_now(from_bytes(data), {}, ALL)


def test_uses_are_known_in_any_case() -> None:
    """As servers write attributes."""
    assert [as_use(word) for word in ("\\all", "\\ALL", "\\Trash", "all", "\\haschildren", "")] == [
        *("\\All", "\\All", "\\Trash"),
        *(None, None, None),
    ]
