"""Lines of bounded length out of any stream of bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mswatch.lines import Lines

LIMIT = 5


def expected(data: bytes) -> list[bytes | None]:
    """Say, of a whole stream, what its lines are."""
    lines = data.split(b"\n")
    whole = [line if len(line) <= LIMIT else None for line in lines[:-1]]
    return whole + ([None] if len(lines[-1]) > LIMIT else [])


@given(st.lists(st.text("ab\n", max_size=20).map(str.encode), max_size=12))
def test_it_does_not_matter_how_the_bytes_come(pieces: list[bytes]) -> None:
    """However a stream is cut, the same lines come out, and one None for each that is too long."""
    lines = Lines(LIMIT)

    found = [line for piece in pieces for line in lines.feed(piece)]

    assert found == expected(b"".join(pieces))


@given(st.binary(max_size=200))
def test_byte_by_byte(data: bytes) -> None:
    """Single bytes give the same as all at once."""
    lines = Lines(LIMIT)

    found = [line for byte in data for line in lines.feed(bytes([byte]))]

    assert found == expected(data)


def test_the_end() -> None:
    """A last line without a newline is not lost."""
    lines = Lines(LIMIT)

    assert lines.take(b"a\nb") == [b"a"]
    assert lines.take(b"") == [b"b"]
    assert lines.take(b"") == []


def test_memory_is_bounded() -> None:
    """A line without end is not collected."""
    lines = Lines(LIMIT)

    for _ in range(1000):
        lines.feed(b"x" * 1000)

    assert len(lines._rest) <= LIMIT
