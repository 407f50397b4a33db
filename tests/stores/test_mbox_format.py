"""The bytes of an mbox: what is written is read again, whatever bytes a message has, however they are cut."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.flags import ANSWERED, DRAFT, FLAGGED, NONE, SEEN
from mswatch.mailsync.stores import mbox_format as form

WORDS = [
    b"From ",
    b">From ",
    b">>From ",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"Status: RO\n",
    b"x-keywords: a b\n",
    b"Lines: 3\n",
]
WORDS += [
    b"X-Mailsync-Status: R\n",
    b"X-UID: 7\n",
    b"\tfolded\n",
    b"Subject: x\n",
    b"From a Mon Nov  2 10:00:00 2026\n",
]
WORDS += [b">", b"F", b"Fro", b"text", b"\0", b"Content-Length: 99\n", b"\xff"]
texts = st.lists(st.sampled_from(WORDS) | st.binary(max_size=5), max_size=30).map(b"".join)
cuts = st.lists(st.integers(0, 200), max_size=6)


def chunked(data: bytes, at: list[int]) -> list[bytes]:
    """Cut bytes into pieces."""
    places = sorted({0, *(each for each in at if each < len(data)), len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(texts, cuts, cuts)
def test_any_message_is_read_as_it_was(data: bytes, one: list[int], other: list[int]) -> None:
    """Quoting and unquoting, in any chunks, give the bytes again; no line of the result begins a message."""
    written = b"".join(form.quoted(chunked(data, one)))
    assert b"".join(form.unquoted(chunked(written, other))) == data
    assert list(form.starts([written])) == []


@given(st.lists(texts, max_size=4), cuts)
def test_messages_are_found(messages: list[bytes], at: list[int]) -> None:
    """Each message of a file is found where it begins, however the file is read in chunks."""
    file, begins = b"", []
    for each in messages:
        begins.append(len(file))
        quoted = b"".join(form.quoted([each]))
        file += (
            form.from_line(1_700_000_000_000_000_000, b"a")
            + quoted
            + (b"\n" if quoted.endswith(b"\n") else b"\n\n")
        )
    assert list(form.starts(chunked(file, at))) == begins


@given(texts, st.sets(st.sampled_from([SEEN, FLAGGED, ANSWERED, DRAFT, "work", "$Junk"])))
def test_flags_come_and_go(data: bytes, flags: set[str]) -> None:
    """A header from elsewhere gets flags, gets others, and is the same one when it leaves again."""
    header, _ = form.split(data)
    whole = header if header.endswith(b"\n") or not header else header + b"\n"
    stored = form.into_file(header)
    assert form.flags_of(stored) == NONE
    for wanted in (frozenset(flags), frozenset({SEEN}), frozenset(flags)):
        stored = form.with_flags(stored, wanted)
        assert form.flags_of(stored) == wanted
        assert form.from_file(stored) == whole


@given(st.binary(max_size=300))
def test_any_bytes_are_no_fault(data: bytes) -> None:
    """Whatever a file holds, looking at it ends."""
    header, rest = form.split(data)
    assert header + rest == data
    form.flags_of(header)
    form.is_pseudo(header)
    form.date_of(data)
    form.begins_mbox(data)
    list(form.starts([data]))


@pytest.mark.parametrize(
    "line",
    [
        b"From a@example.org Mon Nov  2 10:00:00 2026",
        b"From a@example.org Mon Nov 02 10:00 2026\r",
        b"From  Mon Nov  2 10:00:00 2026",
        b"From - Mon Nov 02 10:00:00 2026",
        b"From a b c Mon Nov  2 10:00:00 CET 2026",
        b"From 12@xxx Mon Nov 02 10:00:00 +0000 2026",
        b"From a@b Mon Nov  2 10:00:00 2026 +0100",
        b"From a@b Mon Nov  2 10:00:00 2026 remote from host",
        b"From a@b Mon, Nov  2 10:00:00 GMT+1 2026",
        b"From ???@??? Mon Nov  2 10:00:00 2026",
        b"From a@b Mon, 02 Nov 2026 10:00:00 +0100",
        b"From a@b Mon, 2 Nov 2026 10:00 GMT\r",
    ],
)
def test_lines_that_begin_a_message(line: bytes) -> None:
    """What the programs of this world write before a message."""
    assert form.is_from_line(line)
    assert form.date_of(line) > 0


@pytest.mark.parametrize(
    "line",
    [
        b"From the desk of a director",
        b"From: a@example.org Mon Nov  2 10:00:00 2026",
        b">From a@b Mon Nov  2 10:00:00 2026",
        b"from a@b Mon Nov  2 10:00:00 2026",
        b"From a@b Nov  2 10:00:00 2026",
        b"From a@b Mon Nov  2 2026",
        b"From " + b"x" * form.LINE_LIMIT + b" Mon Nov  2 10:00:00 2026",
        b"",
    ],
)
def test_lines_that_begin_none(line: bytes) -> None:
    """A line without a date is text."""
    assert not form.is_from_line(line)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Chatham"])
def test_dates(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date is written in local time, as mail programs do, and read as it was; a zone is heeded."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        for seconds in (0, 1, 1_700_000_000, 1_750_000_000, 253_000_000_000):
            assert form.date_of(form.from_line(seconds * 10**9, b"a")) == seconds * 10**9
        assert form.date_of(b"From a Thu Jan  1 01:00:00 1970 +0100") == 0
        assert form.date_of(b"From a Thu Jan  1 00:00:01 GMT 1970") == 10**9
        assert form.date_of(b"From a Thu Feb 99 00:00:01 GMT 1970") == 0
        assert form.date_of(b"From a Thu, 01 Jan 1970 01:00:01 +0100") == 10**9
        assert form.from_line(-5, b"a") == form.from_line(0, b"a")
        assert form.is_from_line(form.from_line(10**30, b"a"))
    finally:
        monkeypatch.undo()
        time.tzset()


def test_long_lines_are_quick() -> None:
    """A line that looks like one of ours again and again takes time that grows with its length only."""
    line = b"From " + b"Mon Nov  2 10:00 " * 100_000
    began = time.process_time()
    assert not form.is_from_line(line)
    assert list(form.starts([line * 3])) == []
    assert time.process_time() - began < 5


def test_pseudo_message() -> None:
    """What c-client leaves in an mbox is told from mail about it."""
    header = (
        b"Date: x\nFrom: Mail System Internal Data <MAILER-DAEMON@h>\nSubject: DON'T DELETE THIS MESSAGE -- "
    )
    assert form.is_pseudo(header + b"FOLDER INTERNAL DATA\nX-IMAP: 1 2\nStatus: RO\n")
    assert not form.is_pseudo(b"Subject: Re: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n")


def test_digest_ignores_what_programs_add() -> None:
    """A message that mutt, c-client or Dovecot wrote anew is the same message."""
    line = b"From a Mon Nov  2 10:00:00 2026\n"
    plain = b"Subject: x\n"
    noted = b"Subject: x\nContent-Length: 5\nLines: 1\nX-UID: 4\nStatus: RO\nX-Status: A\nX-Keywords:     \n"
    body = b"\nbody\n"
    assert form.digest(line, [form.from_file(plain) + body]) == form.digest(
        line, [form.from_file(noted) + body]
    )
    assert form.digest(line, [plain + body]) != form.digest(line, [plain + b"\nbody2\n"])
    assert form.digest(line, [b""]) != form.digest(b"From b\n", [b""])
