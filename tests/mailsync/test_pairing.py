"""Which messages are the same: ids with repairs, digests, bodies; and as many pairs as copies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.pairing import (
    Identity,
    body_digest,
    header_of,
    identity,
    message_id,
    pair,
    pair_by_body,
)

HEADER = b"Message-ID: <1@x>\nDate: today\nSubject: one\nFrom: a@x\nTo: b@x\n"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"<a@x>", b"a@x"),
        (b" <a@x>", b"a@x"),
        (b"no brackets@x", b"no.brackets@x"),
        (b"<a@x", b"a@x"),
        (b"a@x>", b"a@x"),
        (b"<a@x> <b@x>", b"a@x"),
        (b"<a b@x>", b"a.b@x"),
        (b"<>", b""),
        (b"", b""),
        (b"  ", b""),
    ],
)
def test_message_id_is_repaired(value: bytes, found: bytes) -> None:
    """Ids are read as the old mailsync read them."""
    assert message_id(value) == found


def test_header_is_read_whatever_its_form() -> None:
    """Folding, the case of names, line ends and other fields make no difference; another subject does."""
    plain = identity(HEADER)
    assert identity(HEADER.replace(b"\n", b"\r\n")) == plain
    assert identity(b"Received: x\n" + HEADER.replace(b"Subject", b"SUBJECT") + b"X-Status: R\n") == plain
    assert identity(HEADER.replace(b"ID: <", b"ID:\n <")) == plain
    assert identity(HEADER.replace(b"one", b"two")).digest != plain.digest
    assert identity(b"").message_id == b""


def test_header_ends_at_the_first_empty_line() -> None:
    """A body that looks like a header is none."""
    assert header_of(b"A: 1\n\nSubject: x\n\r\n\r\n") == b"A: 1"
    assert header_of(b"A: 1\r\n\r\nB: 2\n\n") == b"A: 1"
    assert header_of(b"A: 1\n") == b"A: 1\n"


@given(st.binary(max_size=60), st.integers(1, 7))
def test_body_digest_does_not_depend_on_chunks(data: bytes, size: int) -> None:
    """However a message is cut into chunks, the digest is the same."""
    data = b"A: 1\n\n" + data
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert body_digest(chunks) == body_digest([data])


def test_body_digest_is_of_the_body() -> None:
    """Other headers, line ends and blank lines at the end make no difference; any other byte does."""
    digest = body_digest([b"A: 1\n\none\ntwo\n"])
    assert body_digest([b"B: 2\r\n\r\none\r\ntwo\r\n\r\n"]) == digest
    assert body_digest([b"A: 1\n\none\ntwo!\n"]) != digest


ids = st.sampled_from([b"", b"a", b"b"])
messages = st.dictionaries(
    st.binary(min_size=1, max_size=3),
    st.tuples(st.builds(Identity, ids, st.sampled_from([b"1", b"2"])), st.sampled_from([b"x", b"y"])),
    max_size=8,
)


@given(messages, messages)
def test_pairs_are_of_equal_messages_and_as_many_as_can_be(
    near: dict[bytes, tuple[Identity, bytes]], far: dict[bytes, tuple[Identity, bytes]]
) -> None:
    """Nobody is in two pairs, pairs share an id, and no two unpaired ones are the same in all."""
    pairs, (near_doubt, far_doubt) = pair(
        {key: each[0] for key, each in near.items()}, {key: each[0] for key, each in far.items()}
    )
    pairs += pair_by_body({key: near[key] for key in near_doubt}, {key: far[key] for key in far_doubt})
    left = {key for key, _ in pairs}, {key for _, key in pairs}
    assert len(left[0]) == len(left[1]) == len(pairs)
    for near_key, far_key in pairs:
        assert near[near_key][0].message_id == far[far_key][0].message_id
        assert near[near_key][0].message_id or near[near_key] == far[far_key]
    unpaired = {near[key] for key in near.keys() - left[0]} & {far[key] for key in far.keys() - left[1]}
    assert not unpaired
