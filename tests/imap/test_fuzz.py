"""Whatever a server sends, events or the two errors come of it, and the same however it is cut.

``corpus`` has inputs worth keeping: one that broke something goes there, and is tried ever after.  The long
form (MSWATCH_LONG=1) goes through more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mswatch.imap import commands
from mswatch.imap.connection import Connection, Event
from mswatch.imap.errors import EndedError, ProtocolError
from mswatch.imap.framing import BodyChunk, Framer
from mswatch.imap.secret import Secret
from tests.imap.feeding import bytewise
from tests.imap.test_framing import KNOWN as KNOWN_FRAMES
from tests.imap.test_parsing import KNOWN as KNOWN_RESPONSES

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
FRAGMENTS = [
    *(data + b"\r\n" for data, _ in KNOWN_RESPONSES),
    *(data for data, _ in KNOWN_FRAMES),
    *(b"* OK ready\r\n", b"* ", b"A1 ", b"A2 OK\r\n", b"A1 OK\r\n", b"+ \r\n", b"* 1 FETCH (", b"* LIST ("),
    *(
        b'"',
        b"\\",
        b"(",
        b")",
        b"[",
        b"]",
        b"{5}",
        b"{5}\r\n",
        b"~{2}\r\n",
        b"\r",
        b"\n",
        b"\0",
        b" ",
        b"NIL",
    ),
    *(b"UID 5", b"FLAGS (", b"BODY[]", b"<0>", b"4294967296", b"\xff\xfe", b"{99999999999999999999}\r\n"),
]
STREAMS = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=20)).map(b"".join)


def outcome(pieces: Sequence[bytes]) -> list[str]:
    """Return what comes of these pieces, chunks joined, the error last."""
    greeted = Connection(Framer(line_limit=1 << 16, stream_from=4))
    greeted.receive_data(b"* OK hi\r\n")
    greeted.next_event()
    greeted.send(commands.login("alice", Secret("secret")))
    greeted.send(commands.list_mailboxes())
    return [*heard(Connection(Framer(line_limit=1 << 16, stream_from=4)), pieces), *heard(greeted, pieces)]


def heard(connection: Connection, pieces: Sequence[bytes]) -> list[str]:
    """Return what comes of these pieces on a connection."""
    found: list[str] = []
    body = b""
    try:
        for piece in (*pieces, b""):
            connection.receive_data(piece)
            while (event := connection.next_event()) is not None:
                if isinstance(event, BodyChunk):
                    body += event.data
                else:
                    found.append(show(event, body))
                    body = b""
    except (ProtocolError, EndedError) as error:
        found.append(f"{type(error).__name__} {error}")
    return found


def show(event: Event, body: bytes) -> str:
    """Return an event with the body that came before it."""
    return f"{event!r} {body!r}"


@given(STREAMS)
@example(b"* OK ready\r\n* 1 FETCH (BODY[] {5}\r\nabcde UID 4)\r\nA2 OK\r\n")
def test_any_stream(stream: bytes) -> None:
    """No stream leads to another exception, and the way it is cut changes nothing."""
    whole = outcome([stream] if stream else [])
    assert outcome(bytewise(stream)) == whole
    assert "secret" not in " ".join(whole)


@given(STREAMS)
def test_greeted_stream(stream: bytes) -> None:
    """The same behind a greeting, where most of the protocol is."""
    test_any_stream.hypothesis.inner_test(b"* OK ready\r\n" + stream)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", CORPUS, ids=[path.name for path in CORPUS])
def test_corpus(path: Path) -> None:
    """What was found once is tried again."""
    stream = path.read_bytes()
    test_any_stream.hypothesis.inner_test(stream)  # type: ignore[attr-defined]
    test_any_stream.hypothesis.inner_test(b"* OK ready\r\n" + stream)  # type: ignore[attr-defined]
