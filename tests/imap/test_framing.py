"""Frames are found wherever the stream is cut, and memory is bounded whatever the server sends."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap.errors import ProtocolError
from mswatch.imap.framing import BodyChunk, Frame, Framer, Streamed
from tests.imap.feeding import bytewise, frames

KNOWN: list[tuple[bytes, Frame]] = [
    (b"* OK ready\r\n", [b"* OK ready"]),
    (b"* OK bare line feed\n", [b"* OK bare line feed"]),
    (b"\r\n", [b""]),
    (b'* LIST () "/" {3}\r\na\r\n\r\n', [b'* LIST () "/" {3}', b"a\r\n", b""]),
    (b"* 1 FETCH (BODY[] {0}\r\n)\r\n", [b"* 1 FETCH (BODY[] {0}", b"", b")"]),
    (b"* 1 FETCH (A {1}\r\nx B ~{2+}\r\nyz)\r\n", [b"* 1 FETCH (A {1}", b"x", b" B ~{2+}", b"yz", b")"]),
    (b"* OK it says {5}\r\n", [b"* OK it says {5}"]),
    (b"* bye {1}\r\n", [b"* bye {1}"]),
    (b"A1 NO {99}\r\n", [b"A1 NO {99}"]),
    (b"+ {7}\r\n", [b"+ {7}"]),
    (b"* LIST () {}\r\n", [b"* LIST () {}"]),
]


@pytest.mark.parametrize(("data", "frame"), KNOWN)
def test_known_frames(data: bytes, frame: Frame) -> None:
    """A response ends where it ends: at once, byte by byte, and with more behind it."""
    assert frames(Framer(), [data]) == [frame]
    assert frames(Framer(), bytewise(data)) == [frame]
    for end in range(len(data)):
        assert frames(Framer(), [data[:end]]) == []
    framer = Framer()
    assert frames(framer, [data + b"* 2 EXI"]) == [frame]
    assert not framer.is_between_frames
    assert framer.take_rest() == b"* 2 EXI"
    assert framer.is_between_frames


@given(st.lists(st.sampled_from([data for data, _ in KNOWN])), st.data())
def test_any_cut(pieces: list[bytes], data: st.DataObject) -> None:
    """However a stream is cut, its frames are the same."""
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    parts = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert frames(Framer(), [part for part in parts if part]) == frames(Framer(), [stream] if stream else [])


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_body_is_streamed(pieces: int) -> None:
    """A long body comes in pieces, with its section, in order and whole; the frame says that it did."""
    body = bytes(range(256)) * 300
    stream = b"* 7 FETCH (UID 9 BODY[] {%d}\r\n%b FLAGS ())\r\n" % (len(body), body)
    step = -(-len(stream) // pieces)
    got = b""
    framer = Framer()
    rest: list[Frame | BodyChunk] = []
    for begin in range(0, len(stream), step):
        framer.receive_data(stream[begin : begin + step])
        while (found := framer.next_frame()) is not None:
            if isinstance(found, BodyChunk):
                assert (found.section, found.offset, found.size) == ("BODY[]", len(got), len(body))
                got += found.data
            else:
                rest.append(found)
    assert got == body
    assert rest == [[b"* 7 FETCH (UID 9 BODY[] {%d}" % len(body), Streamed(len(body)), b" FLAGS ())"]]


def test_only_bodies_are_streamed() -> None:
    """A long literal elsewhere is part of its response."""
    (frame,) = frames(Framer(), [b"* LIST () NIL {70000}\r\n" + b"x" * 70000 + b"\r\n"])
    assert isinstance(frame, list)
    assert frame[1] == b"x" * 70000


@pytest.mark.parametrize(
    "endless",
    [
        [b"x" * 4096],
        [b"* LIST () NIL {4096}\r\n" + b"y" * 4096],
        [b"* 1 FETCH (A {1}\r\n", b"x B {1}\r\n"],
        [b"* 1 FETCH (BODY[HEADER] {70000}\r\n" + b"z" * 70000],
    ],
)
def test_endless_response(endless: list[bytes]) -> None:
    """A response that does not end is an error long before memory is."""
    framer = Framer(line_limit=1 << 20)
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="longer than"):
        framer.receive_data(endless[0])
        while True:
            while framer.next_frame() is not None:
                pass
            framer.receive_data(endless[-1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("size", [b"4294967296", b"18446744073709551616", b"99999999999999999999"])
def test_impossible_literal(size: bytes) -> None:
    """A body of more bytes than IMAP can number is an error when it is announced."""
    framer = Framer()
    framer.receive_data(b"* 1 FETCH (BODY[] {" + size + b"}\r\n")
    with pytest.raises(ProtocolError):
        framer.next_frame()


def test_huge_literal_that_is_no_body() -> None:
    """A mailbox name of a gigabyte is an error when it is announced."""
    framer = Framer()
    framer.receive_data(b"* LIST () NIL {1000000000}\r\n")
    with pytest.raises(ProtocolError, match="longer than"):
        framer.next_frame()


def test_trickle_is_cheap() -> None:
    """A long line that comes byte by byte is not looked at again and again."""
    framer = Framer()
    for _ in range(300_000):
        framer.receive_data(b"x")
        assert framer.next_frame() is None
    framer.receive_data(b"\r\n")
    assert framer.next_frame() == [b"x" * 300_000]


@pytest.mark.parametrize("begun", [b"* 1 EXI", b"* 1 FETCH (A {9}\r\n12"])
def test_what_was_cut_is_put_together_alone(begun: bytes) -> None:
    """Of much data behind the rest of a line or literal nothing is copied for its sake."""
    rest = b"3456789)\r\n" if begun.endswith(b"12") else b"STS\r\n"
    data = rest + b"* 2 FETCH (BODY[] {%d}\r\n" % (8 << 20) + bytes(1 << 20)
    framer = Framer()
    assert frames(framer, [begun]) == []
    tracemalloc.start()
    try:
        framer.receive_data(data)
        assert framer.next_frame() in ([begun + b"STS"], [b"* 1 FETCH (A {9}", b"123456789", b")"])
        assert isinstance(framer.next_frame(), BodyChunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 10
    assert framer.take_rest() == b""
    framer = Framer()
    assert frames(framer, [begun]) == []
    framer.receive_data(rest + b"* 2 EXI")
    assert not framer.is_between_frames
    assert framer.take_rest() == begun.rpartition(b"\n")[2] + rest + b"* 2 EXI"
