"""Ways to give bytes to a connection, all of which must come to the same."""

from __future__ import annotations

from collections.abc import Iterable

from mswatch.imap.connection import Connection, Event
from mswatch.imap.framing import BodyChunk, Frame, Framer


def connected() -> Connection:
    """Return a connection that was greeted."""
    connection = Connection()
    connection.receive_data(b"* OK ready\r\n")
    assert connection.next_event() is not None
    return connection


def events(connection: Connection, *pieces: bytes) -> list[Event]:
    """Give these pieces to a connection and return all that happened; chunks are copied to last."""
    found: list[Event] = []
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            if isinstance(event, BodyChunk):
                event = event._replace(data=memoryview(bytes(event.data)))
            found.append(event)
    return found


def frames(framer: Framer, pieces: Iterable[bytes]) -> list[Frame | BodyChunk]:
    """Give pieces to a framer and return what it makes of them."""
    found = []
    for piece in pieces:
        framer.receive_data(piece)
        while (frame := framer.next_frame()) is not None:
            found.append(frame)
    return found


def bytewise(data: bytes) -> list[bytes]:
    """Return each byte by itself."""
    return [data[index : index + 1] for index in range(len(data))]
