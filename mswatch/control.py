"""The control socket: one request and one answer, each a line of JSON.

    {"command": "status"}                     -> {"ok": true, "account": {...}}
    {"command": "sync", "mailboxes": [...]}   -> {"ok": true, "success": ..., "detail": ...}, when it is done;
                                                 null instead of a list: all mailboxes
    {"command": "changed", "mailboxes": [...]}-> {"ok": true}
    {"command": "reload"}                     -> {"ok": true}, or why the configuration cannot be used
    {"command": "become", "role", "name"}     -> {"ok": true, "argv": ..., "environment": ...};
                                                 see launch/units.py
    anything else                             -> {"ok": false, "error": ...}

"become" brings descriptors with it, and its answer may too (SCM_RIGHTS of unix(7)).

The socket has mode 0600, and a peer of another uid is sent away.  A client may send anything or nothing: a
request is bounded in size and in time, clients are bounded in number, an answer is never waited for, and
nothing that a client does ends the service.  The client half is here too, without asyncio, because short
commands shall start fast.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mswatch.errors import TemporaryError, UnavailableError

if TYPE_CHECKING:
    import asyncio

REQUEST_LIMIT = 1 << 20
ANSWER_LIMIT = 1 << 26
REQUEST_TIME_S = 10.0
CLIENT_LIMIT = 64
DESCRIPTOR_LIMIT = 8
Json = dict[str, Any]
Handler = Callable[["Client", Json], None]


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give an address for a path of any length (sun_path of unix(7) holds 108 bytes)."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


class Client:
    """One connection to the service."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._received = b""
        self._unsent = b""
        self._passing: tuple[int, ...] = ()
        self.descriptors: list[int] = []  # that came with the request; whoever takes one out must close it
        self.on_gone: Callable[[], None] | None = None  # called if it leaves before its answer
        loop = server.loop
        self._timer = loop.call_later(REQUEST_TIME_S, self.close)
        loop.add_reader(connection, self._read)

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, 65536, DESCRIPTOR_LIMIT)
            self.descriptors += descriptors
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if b"\n" in self._received:
            return  # one request for each connection; what follows is not looked at
        self._received += data
        line, newline, _ = self._received.partition(b"\n")
        if newline:
            self._timer.cancel()
            self._request(line)
        elif len(self._received) > REQUEST_LIMIT:
            self.refuse(f"a request of more than {REQUEST_LIMIT} bytes")

    def _request(self, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            self.refuse("a request is one JSON object on one line")
            return
        self._server.handle(self, request)

    def refuse(self, error: str) -> None:
        """Answer that the request cannot be served, and why."""
        self.answer({"ok": False, "error": error})

    @property
    def pid(self) -> int:
        """The process at the other end, as it was when it connected."""
        return _peer(self._connection)[0]

    def answer(self, answer: Json, descriptors: tuple[int, ...] = ()) -> None:
        """Send the answer, as fast as the client takes it, and close; descriptors are lent to it."""
        if self._connection.fileno() < 0:
            return
        self.on_gone = None
        self._unsent = json.dumps(answer).encode() + b"\n"
        self._passing = descriptors
        self._timer.cancel()
        self._timer = self._server.loop.call_later(REQUEST_TIME_S, self.close)
        self._write()

    def _write(self) -> None:
        try:
            sent = socket.send_fds(self._connection, [self._unsent], self._passing)
            self._passing = ()
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._server.loop.add_writer(self._connection, self._write)
        else:
            self.close()

    def close(self) -> None:
        """Let the client go."""
        if self._connection.fileno() < 0:
            return
        self._timer.cancel()
        self._server.loop.remove_reader(self._connection)
        self._server.loop.remove_writer(self._connection)
        self._connection.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()
        self._server.clients.discard(self)
        if self.on_gone is not None:
            self.on_gone()


class Server:
    """The service's end of the socket.  Whoever makes one must hold the account's service lock."""

    def __init__(self, path: Path, handle: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self.path = path
        self.handle = handle
        self.loop = loop
        self.clients: set[Client] = set()
        with suppress(FileNotFoundError):
            path.unlink()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            with _address(path) as address:
                self._socket.bind(address)
        except OSError as error:
            raise TemporaryError(
                f"cannot make the control socket {str(path)!r}: {error.strerror}",
                "make its directory writable",
            ) from error
        finally:
            os.umask(mask)
        self._socket.listen(CLIENT_LIMIT)
        loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return
        connection.setblocking(False)
        if _peer(connection)[1] not in (0, os.getuid()) or len(self.clients) >= CLIENT_LIMIT:
            connection.close()
            return
        self.clients.add(Client(self, connection))

    def close(self) -> None:
        """Take the socket away and let all clients go; answers on their way are lost."""
        self.loop.remove_reader(self._socket)
        self._socket.close()
        with suppress(FileNotFoundError):
            self.path.unlink()
        for client in list(self.clients):
            client.close()


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Return the pid and the uid at the other end (SO_PEERCRED in unix(7))."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", credentials)
    return pid, uid


def ask(
    path: Path,
    request: Json,
    timeout_s: float | None = REQUEST_TIME_S,
    *,
    send: tuple[int, ...] = (),
    received: list[int] | None = None,
) -> Json | None:
    """Ask the service, and return its answer; None if no service listens there.

    Args:
        path: the control socket.
        request: what is asked.
        timeout_s: how long the service may take to answer; None: for ever.
        send: descriptors that go with the request.
        received: takes the descriptors that come with the answer.

    Raises:
        UnavailableError: it did not answer in time, or refused.
        TemporaryError: it ended before it answered.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REQUEST_TIME_S)
        try:
            with _address(path) as address:
                connection.connect(address)
            _send(connection, json.dumps(request).encode() + b"\n", send)
            connection.settimeout(timeout_s)
            answer = _answer(connection, [] if received is None else received)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except TimeoutError as error:
            raise UnavailableError(
                f"the service at {str(path)!r} does not answer", "see its log, and restart it if it hangs"
            ) from error
        except OSError as error:
            raise TemporaryError(
                f"lost the service at {str(path)!r}: {error.strerror}", "try again"
            ) from error
    if not answer.get("ok"):
        raise UnavailableError(f"the service refused: {answer.get('error')}")
    return answer


def _send(connection: socket.socket, request: bytes, descriptors: tuple[int, ...]) -> None:
    sent = socket.send_fds(connection, [request], descriptors)
    if sent < len(request):  # sending nothing fails too, if the service has answered and closed by then
        connection.sendall(request[sent:])


def _answer(connection: socket.socket, received: list[int]) -> Json:
    data = bytearray()
    while not data.endswith(b"\n"):
        chunk, descriptors, _, _ = socket.recv_fds(connection, 65536, DESCRIPTOR_LIMIT)
        received += descriptors
        if not chunk or len(data) > ANSWER_LIMIT:
            raise TemporaryError("the service ended before it answered", "try again")
        data += chunk
    answer: Json = json.loads(data)
    return answer
