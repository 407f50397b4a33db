"""protocol: the lines that are printed, and reading them back."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watch_maildirs.protocol import (
    ALL,
    CONTENT,
    GONE,
    HERE,
    KINDS,
    MADE,
    NOTE,
    TAKEN,
    WRITTEN,
    Change,
    Long,
    Plain,
    encode,
    parse,
)

on_disk = st.binary(min_size=1, max_size=40).map(os.fsdecode)
changes = st.one_of(
    st.tuples(st.sampled_from([CONTENT, TAKEN, WRITTEN]), on_disk, st.one_of(st.just(""), on_disk)),
    st.tuples(st.sampled_from([MADE, GONE]), on_disk),
    st.just((ALL,)),
    st.tuples(st.just(NOTE), st.just(""), on_disk),
).map(lambda fields: Change(*fields))


@given(changes)
def test_round_trip(change: Change) -> None:
    """What is encoded is one line, and parses to the same change, whatever bytes are in it."""
    line = encode(change)
    assert line.endswith(b"\n") and not any(byte < 32 and byte != 9 for byte in line[:-1])
    assert parse(line[:-1]) == change


@given(st.binary())
def test_any_bytes(line: bytes) -> None:
    """Any bytes are either a change, which encodes to them again, or refused with ValueError."""
    try:
        change = parse(line)
    except ValueError:
        return
    assert encode(change) == line + b"\n" or b"\\x" in line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (Change(CONTENT, "lists.python", "new/1700.M1.host"), b"lists.python\tcontent\tnew/1700.M1.host\n"),
        (Change(TAKEN, "INBOX", "cur/1700.M1.host:2,"), b"INBOX\ttaken\tcur/1700.M1.host:2,\n"),
        (Change(MADE, "a\\b\n"), b"a\\\\b\\n\tmade\t\n"),
        (Change(GONE, "\x01\x7f\r\t"), b"\\x01\\x7f\\r\\t\tgone\t\n"),
        (Change(ALL), b"\tall\t\n"),
        (Change(NOTE, "", "text"), b"\tnote\ttext\n"),
    ],
)
def test_known_lines(change: Change, line: bytes) -> None:
    """The lines are those of the documentation."""
    assert encode(change) == line
    assert parse(line[:-1]) == change


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"INBOX",
        b"INBOX\tcontent",
        b"INBOX\tcontent\tnew/x\t",
        b"INBOX\tmoved\t",
        b"\tcontent\tnew/x",
        b"INBOX\tall\t",
        b"INBOX\tmade\tnew/x",
        b"\tall\tx",
        b"IN\\BOX\tmade\t",
        b"INBOX\\\tmade\t",
        b"IN\\x0gBOX\tmade\t",
        b"IN\rBOX\tmade\t",
    ],
)
def test_refused(line: bytes) -> None:
    """What is no line of the protocol is refused with ValueError."""
    with pytest.raises(ValueError, match=r"."):
        parse(line)


def test_every_kind_has_a_line() -> None:
    """The parser knows all kinds."""
    assert {CONTENT, TAKEN, WRITTEN, MADE, GONE, ALL, NOTE, HERE} == KINDS


def test_plain_names() -> None:
    """The plain protocol names the mailbox whatever happened to it, and of `all` each known one."""
    plain = Plain()
    assert plain.tell(Change(CONTENT, "a", "new/x")) == ([b"a\n"], [])
    assert plain.tell(Change(GONE, "\udcff")) == ([b"\xff\n"], [])
    assert plain.tell(Change(ALL, mailboxes=("a", "b"))) == ([b"a\n", b"b\n"], [])
    assert plain.tell(Change(ALL)) == ([b"\n"], [])


def test_plain_notes() -> None:
    """A note, and a name with a newline when it is met first, go to standard error."""
    plain = Plain()
    assert plain.tell(Change(NOTE, "", "text")) == ([], ["text"])
    lines, notes = plain.tell(Change(MADE, "a\nb"))
    assert lines == [b"\n"] and len(notes) == 1
    assert plain.tell(Change(GONE, "a\nb")) == ([b"\n"], [])


def test_widen() -> None:
    """A widened line says that the mailbox changed, and no more; `made` and `gone` stay what they are."""
    long = Long()
    assert long.widen(encode(Change(CONTENT, "a", "new/x"))) == encode(Change(CONTENT, "a"))
    assert long.widen(encode(Change(MADE, "a"))) == encode(Change(MADE, "a"))
    assert long.widen(long.all_line) == long.all_line == encode(Change(ALL))
