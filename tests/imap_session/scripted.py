"""A server that follows a script, for what no real server can be made to do: silence, half a line, lies.

It is on loopback, in a thread of its own, and serves one connection.  A step is bytes to be sent, ``Heard``
(wait for these bytes from the client), ``SILENT`` (until the client goes away), ``DEAF`` (until the end of
the test, and read nothing) or certificates (TLS from here on); after the last step it closes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mswatch.imap_session.settings import Server
from tests.servers.certificates import Certificates
from tests.servers.waiting import DEADLINE_S

GREETING = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ STARTTLS] ready\r\n"


@dataclass(frozen=True)
class Heard:
    """Wait until the client has said this."""

    text: bytes


SILENT = Heard(b"(never)")
DEAF = Heard(b"")
Step = bytes | Heard | Certificates


@dataclass
class Scripted:
    """The server; ``heard`` is all that the client said."""

    port: int
    heard: bytearray = field(default_factory=bytearray)
    is_over: threading.Event = field(default_factory=threading.Event)

    def server(self, timeout_s: float = DEADLINE_S) -> Server:
        """Return how it is reached, in clear."""
        return Server("127.0.0.1", self.port, "plain", timeout_s=timeout_s)


@contextmanager
def scripted(*steps: Step) -> Iterator[Scripted]:
    """Run the script while the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_S)
        server = Scripted(listener.getsockname()[1])
        thread = threading.Thread(target=_serve, args=(listener, steps, server), daemon=True)
        thread.start()
        yield server
        server.is_over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def _serve(listener: socket.socket, steps: tuple[Step, ...], server: Scripted) -> None:
    with contextlib.suppress(OSError):
        connection, _ = listener.accept()
        connection.settimeout(DEADLINE_S)
        try:
            for step in steps:
                connection = _take(connection, step, server)
        finally:
            connection.close()


def _take(connection: socket.socket, step: Step, server: Scripted) -> socket.socket:
    if isinstance(step, bytes):
        connection.sendall(step)
    elif step is DEAF:
        server.is_over.wait(DEADLINE_S)
    elif isinstance(step, Heard):
        begin = len(server.heard)
        while step.text not in server.heard[begin:]:
            data = connection.recv(65536)
            if not data:
                raise OSError
            server.heard += data
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(step.certificate, step.key)
        return context.wrap_socket(connection, server_side=True)
    return connection
