"""Which messages may be the same and which are: candidates by header, pairs by bytes, as many as copies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.pairing import Candidates, candidates, header_digest, header_of, pair_by_content

HEADER = b"Message-ID: <1@x>\nDate: today\nSubject: one\nFrom: a@x\nTo: b@x\n"


def test_header_is_read_whatever_its_form() -> None:
    """Folding, the case of names, line ends and other fields make no difference; another subject does."""
    plain = header_digest(HEADER)
    assert header_digest(HEADER.replace(b"\n", b"\r\n")) == plain
    assert (
        header_digest(b"Received: x\n" + HEADER.replace(b"Subject", b"SUBJECT") + b"X-Status: R\n") == plain
    )
    assert header_digest(HEADER.replace(b"ID: <", b"ID:\n <")) == plain
    assert header_digest(HEADER.replace(b"one", b"two")) != plain


def test_header_ends_at_the_first_empty_line() -> None:
    """A body that looks like a header is none."""
    assert header_of(b"A: 1\n\nSubject: x\n\r\n\r\n") == b"A: 1"
    assert header_of(b"A: 1\r\n\r\nB: 2\n\n") == b"A: 1"
    assert header_of(b"A: 1\n") == b"A: 1\n"


def test_candidates_have_one_header() -> None:
    """Those that only one side has are none."""
    groups = list(candidates({b"1": b"a", b"2": b"b", b"3": b"a"}, {b"x": b"a", b"y": b"c"}))
    assert groups == [Candidates((b"1", b"3"), (b"x",))]
    assert not groups[0].is_single


messages = st.dictionaries(st.binary(min_size=1, max_size=3), st.sampled_from([b"x", b"y"]), max_size=8)


@given(messages, messages)
def test_pairs_are_of_equal_messages_and_as_many_as_can_be(
    near: dict[bytes, bytes], far: dict[bytes, bytes]
) -> None:
    """Nobody is in two pairs, pairs have the same bytes, and no two that are left have."""
    pairs = list(pair_by_content(near, far))
    left = {key for key, _ in pairs}, {key for _, key in pairs}
    assert len(left[0]) == len(left[1]) == len(pairs)
    assert all(near[near_key] == far[far_key] for near_key, far_key in pairs)
    unpaired = {near[key] for key in near.keys() - left[0]} & {far[key] for key in far.keys() - left[1]}
    assert not unpaired
