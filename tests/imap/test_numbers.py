"""Sets of message numbers say what RFC 9051 says, and never cost more than their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap.errors import ProtocolError
from mswatch.imap.numbers import LARGEST, NumberSet, from_on

UIDS = st.integers(1, 300) | st.integers(1, LARGEST)


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (b"1", [(1, 1)]),
        (b"1:3,5", [(1, 3), (5, 5)]),
        (b"3:1", [(1, 3)]),
        (b"5,1:3", [(1, 3), (5, 5)]),
        (b"1,2,3", [(1, 3)]),
        (b"2,2,1:9,4", [(1, 9)]),
        (b"1:4294967295", [(1, LARGEST)]),
    ],
)
def test_known_sets(text: bytes, ranges: list[tuple[int, int]]) -> None:
    """A set is read in any order, with bounds in any order, and merged."""
    assert list(NumberSet.parse(text).ranges) == ranges


@pytest.mark.parametrize(
    "text",
    [b"", b",", b"1,", b",1", b"1:", b":1", b"0", b"1:0", b"4294967296", b"*", b"1:*", b"1 2", b"a", b"-1"],
)
def test_broken_sets(text: bytes) -> None:
    """What is no set of numbers, or names a number that no message has, is an error of the server."""
    with pytest.raises(ProtocolError):
        NumberSet.parse(text)


@given(st.sets(UIDS))
def test_agrees_with_plain_sets(uids: set[int]) -> None:
    """A set made of numbers holds these and no others, in order, whatever way it went."""
    numbers = NumberSet.of(uids)
    assert list(numbers) == sorted(uids)
    assert len(numbers) == len(uids)
    assert bool(numbers) == bool(uids)
    assert all(uid in numbers for uid in uids)
    assert all((uid + 1 in numbers) == (uid + 1 in uids) for uid in uids)
    assert NumberSet.merged((uid, uid) for uid in uids) == numbers
    if uids:
        assert NumberSet.parse(str(numbers).encode()) == numbers
        assert hash(NumberSet.parse(str(numbers).encode())) == hash(numbers)


@given(st.sets(UIDS, min_size=1), st.integers(22, 60))
def test_pieces(uids: set[int], length: int) -> None:
    """A set is cut into texts that are short enough and together say the same."""
    pieces = list(NumberSet.of(uids).pieces(length))
    assert all(len(piece) <= length for piece in pieces)
    assert NumberSet.merged(
        bounds for piece in pieces for bounds in NumberSet.parse(piece.encode()).ranges
    ) == NumberSet.of(uids)


def test_ranges_out_of_order_are_refused() -> None:
    """The cheap constructor takes ranges in order only, and says so."""
    with pytest.raises(ValueError, match="order"):
        NumberSet([(5, 6), (1, 2)])


def test_shown_short() -> None:
    """A long set does not fill a log."""
    assert len(repr(NumberSet.of(range(1, 2000, 2)))) < 150
    assert from_on(7) == "7:*"
