"""Servers on loopback that behave badly, each a thread that ends with its block.

A peer that has vanished from the network looks to a program like a silent one: it waits in a read, or in a
write when the kernel's buffers are full.  While it connects, packets are dropped by a queue that is full.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator

IMAP_GREETING = b"* OK [CAPABILITY IMAP4rev1] at your service\r\n"
SELECTED = (
    b"* %d EXISTS\r\n* 0 RECENT\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 2] x\r\n"
)

LONG = bool(os.environ.get("MSWATCH_LONG"))
DRIPS = 150 if LONG else 5  # one each second

Behaviour = Callable[[socket.socket, threading.Event], None]


def silent(connection: socket.socket, end: threading.Event) -> None:
    """Accept, and say nothing."""


def greets(connection: socket.socket, end: threading.Event) -> None:
    """Greet, and say nothing more."""
    connection.sendall(IMAP_GREETING)


def in_a_literal(connection: socket.socket, end: threading.Event) -> None:
    """Serve a mailbox, and stop in the middle of a message."""
    _speak_imap(
        connection, b"* 1 FETCH (UID 1 FLAGS () BODY[] {100000}\r\nSubject: half\r\n\r\n" + b"x" * 500
    )


def in_a_handshake(connection: socket.socket, end: threading.Event) -> None:
    """Take the beginning of TLS, and answer with the beginning of a long record (RFC 8446, 5.1)."""
    connection.recv(1)
    connection.sendall(b"\x16\x03\x03\x10\x00\x02")


def drips(connection: socket.socket, end: threading.Event) -> None:
    """Send one byte each second, for a while, and close."""
    for _ in range(DRIPS):
        connection.sendall(b"x")
        end.wait(1.0)
    connection.close()


def handshake_drips(connection: socket.socket, end: threading.Event) -> None:
    """Take the beginning of TLS, send a byte of a long record each second, for a while, and close."""
    connection.recv(1)
    for byte in (b"\x16\x03\x03\x10\x00" + bytes(DRIPS))[:DRIPS]:
        connection.sendall(bytes([byte]))
        end.wait(1.0)
    connection.close()


def dripping(port: int) -> Behaviour:
    """Be the server at a port of loopback, whose first bytes take most of a second each."""

    def behave(connection: socket.socket, end: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            for _ in range(6):
                connection.sendall(server.recv(1))
                end.wait(0.9)
            other = {connection: server, server: connection}
            while True:
                for each in select.select(list(other), [], [])[0]:
                    data = each.recv(1 << 16)
                    if not data:
                        connection.close()
                        return
                    other[each].sendall(data)

    return behave


def imap_drips(connection: socket.socket, end: threading.Event) -> None:
    """Serve an empty mailbox, after a greeting whose first bytes take most of a second each."""
    for byte in IMAP_GREETING[:5]:
        connection.sendall(bytes([byte]))
        end.wait(0.8)
    connection.sendall(IMAP_GREETING[5:])
    _speak_imap(connection, None)


def _speak_imap(connection: socket.socket, answer: bytes | None) -> None:
    """Answer mbsync: a mailbox of one message, for which `answer` is sent and no more; or an empty one."""
    if answer is not None:
        connection.sendall(IMAP_GREETING)
    messages = 1 if answer is not None else 0
    for line in connection.makefile("rb"):
        tag, _, command = line.strip().partition(b" ")
        words = command.upper()
        if words.startswith(b"SELECT"):
            connection.sendall(SELECTED % messages)
        elif words.startswith(b"UID FETCH") and b"BODY" in words and answer is not None:
            connection.sendall(answer)
            return
        elif words.startswith(b"UID FETCH") and messages:
            connection.sendall(b"* 1 FETCH (UID 1 FLAGS ())\r\n")
        connection.sendall(tag + b" OK done\r\n")
        if words.startswith(b"LOGOUT"):
            connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def peer(behaviour: Behaviour) -> Iterator[int]:
    """Serve with a behaviour, every connection in a thread of its own; give the port."""
    end = threading.Event()
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def behave(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            behaviour(connection, end)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                connections.append(connection)
                threads.append(threading.Thread(target=behave, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads.append(threading.Thread(target=serve, args=(listener,)))
        threads[0].start()
        try:
            yield listener.getsockname()[1]
        finally:
            end.set()
            listener.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for connection in connections:
                connection.close()


@contextlib.contextmanager
def full_queue() -> Iterator[int]:
    """Listen with a queue that is full: a further connection is never made."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        first = socket.create_connection(("127.0.0.1", port))
        with first:
            yield port
