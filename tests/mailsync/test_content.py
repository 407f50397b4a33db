"""All bytes of a message make its digest, but for what stores do to every message on its way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.content import Digesting, content_digest
from mswatch.mailsync.stores.mbox_format import META

PLAIN = b"From: a@x\nSubject: one\n\none\n\ntwo\n"
text = st.lists(
    st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"\n\n", b"Status: R\n", b": "]), max_size=12
).map(b"".join)


@pytest.mark.parametrize(
    "same",
    [
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.rstrip(b"\n"),
        PLAIN + b"\n\r\n",
        b"Status: RO\n" + PLAIN,
        PLAIN.replace(b"\n\none", b"\nX-Keywords: a\n b\nContent-Length: 9\n\none"),
        PLAIN.replace(b"Subject", b"X-TUID: abc\nSubject"),
        PLAIN.replace(b"\n\none", b"\nX-OfflineIMAP: 1-2\n\none"),
    ],
)
def test_what_stores_do_makes_no_difference(same: bytes) -> None:
    """Line ends, those at the end, and the fields of mboxes and of synchronisers."""
    assert content_digest([same]) == content_digest([PLAIN])


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(b"two", b"three"),
        PLAIN.replace(b"a@x", b"b@x"),
        PLAIN.replace(b"one\n\ntwo", b"one\ntwo"),
        PLAIN.replace(b"one\n\n", b"one\n\nStatus: R\n"),
        PLAIN.replace(b"two", b"t\rwo"),
        b"\n" + PLAIN,
        b"X-Other: 1\n" + PLAIN,
        PLAIN.replace(b"\n\n", b"\n \n"),
        b"",
    ],
)
def test_any_other_byte_does(other: bytes) -> None:
    """In the body and in the header; a field that an mbox owns in the body, a CR that ends no line."""
    assert content_digest([other]) != content_digest([PLAIN])


@given(text, st.integers(1, 7))
def test_chunks_make_no_difference(data: bytes, size: int) -> None:
    """However a message is cut into chunks, and whoever takes them, digest and size are the same."""
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    whole = Digesting([data], counts=True).exhaust()
    passed = Digesting(chunks, counts=True)
    assert b"".join(passed) == data
    assert passed.digest == whole.digest == content_digest([data])
    assert whole.size == len(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


@given(text)
def test_line_ends_make_no_difference(data: bytes) -> None:
    """A message is the same with CRLF, and when it has been carried to a server and back."""
    carried = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert content_digest([data]) == content_digest([carried])


def test_long_headers_and_many_empty_lines() -> None:
    """What is no header any more, and more line ends than are written at once, are read like the rest."""
    long = b"A: " + b"x" * 300_000 + b"\nStatus: R\n\nbody\n"
    assert content_digest([long]) != content_digest([long.replace(b"Status: R\n", b"")])
    gap = b"A: 1\n\none" + b"\n" * 20_000 + b"two"
    assert content_digest([gap]) != content_digest([gap.replace(b"\n\n\ntwo", b"\n\ntwo")])


def test_fields_of_an_mbox_are_known() -> None:
    """Whatever an mbox takes out of a message makes no difference."""
    for name in (
        b"Status",
        b"X-Status",
        b"X-Keywords",
        b"X-UID",
        b"X-IMAP",
        b"X-IMAPbase",
        b"Content-Length",
    ):
        field = name + b": 1\n"
        assert META.match(field)
        assert content_digest([field + PLAIN]) == content_digest([PLAIN])
