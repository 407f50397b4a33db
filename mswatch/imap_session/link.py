"""Bytes to and from a server: a TCP socket with or without TLS, or a command on a socket pair.

``step`` is the only wait: it sends what can be sent, takes what has come, and gives up when neither was
possible for the timeout.  It reads while it writes, so that a server that answers before it has read
everything cannot block us for ever.  While one link waits, what comes on those ``beside`` it is taken
in, up to a limit, so that none of them has to stop for another one.

A link can be begun by one and gone on with by another (``glance``): all that was said is on ``record``, and
``replay`` has it said again to who comes second, without a byte on the way.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections import deque
from collections.abc import Sequence

from mswatch.errors import TemporaryError
from mswatch.imap_session.resolving import addresses
from mswatch.imap_session.settings import PORTS, Server
from mswatch.showing import show

READ_AT_ONCE = 256 << 10
EARLY_BYTES = 4 << 20  # taken in while another link waits
LEAST_FOR_AN_ADDRESS_S = 2.0
RECORD_BYTES = 4 << 20  # more is not kept
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 60, 15, 4


class Turn:
    """What was sent to a server, and what came until more was sent."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.received = bytearray()


class Link:
    """An open way to a server.  ``connect_s`` is how long opening took: one round trip, for a socket."""

    def __init__(self, server: Server, connection: socket.socket, connect_s: float) -> None:
        self.server = server
        self.connect_s = connect_s
        self.is_local = connection.family not in (socket.AF_INET, socket.AF_INET6) or _is_loopback(connection)
        self._socket = connection
        self._socket.setblocking(False)
        self._not_yet: tuple[type[OSError], ...] = (BlockingIOError,)
        self._over: tuple[type[OSError], ...] = (ConnectionResetError,)
        self.record: list[Turn] | None = None  # what is said, while somebody wants to know
        self._replayed: deque[Turn] = deque()  # what was said, and is to be said again
        self.beside: Sequence[Link] = ()
        self._early: deque[bytes] = deque()  # what came while another one waited
        self._early_bytes = 0
        self._is_quiet = False  # nothing more comes, or why is told by the next step

    def start_tls(self) -> None:
        """Put TLS around what follows, and check who is there."""
        if self._replayed:
            return  # it stands, or more could not have been said
        from mswatch.imap_session import tls  # 6 ms, which nobody needs behind a tunnel

        wrapped = tls.wrap(self._socket, self.server)
        self._socket, self._not_yet, self._over = wrapped, tls.NOT_YET, tls.OVER
        tls.shake_hands(wrapped, self.server, self._wait)

    def step(self, data: memoryview, timeout_s: float | None = None) -> tuple[int, bytes | None]:
        """Send some of the data or receive some: return how much was sent and what came.

        Without data it waits for the server.  What came is None when nothing did, and empty when the server
        ended the connection.

        Raises:
            TemporaryError: nothing could be sent or received for the timeout, or the link broke.
        """
        end = time.monotonic() + (self.server.timeout_s if timeout_s is None else timeout_s)
        try:
            while True:
                received = self._receive()
                sent = self._send(data) if data else 0
                if sent or received is not None:
                    return sent, received
                self._wait(bool(data), end)
        except OSError as error:  # TLS errors are among them
            raise TemporaryError(
                f"the connection to {self.server.place} broke: {words(error)}", "it is tried again"
            ) from None

    def push(self, data: memoryview) -> int:
        """Send what can be sent at once; return how much that was.  What is wrong the next step tells."""
        try:
            return self._send(data)
        except OSError:
            return 0

    def replay(self) -> None:
        """Have all that is on record said again, to somebody else who says the same."""
        self._replayed = deque(self.record or ())
        self.record = []
        self._hear_replayed()

    def close(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def complaint(self) -> str:
        """Return what a tunnel's command had to say; nothing for a socket."""
        return ""

    def _receive(self) -> bytes | None:
        data: bytes | None
        if self._early:
            data = self._early.popleft()
            self._early_bytes -= len(data)
        else:
            data = None if self._replayed else self._receive_now()
        if data:
            self._note(data, is_sent=False)
        return data

    def _take_in(self) -> None:
        """Receive something while another link waits."""
        try:
            data = self._receive_now()
        except OSError:
            self._is_quiet = True
            return
        if data is not None:
            self._is_quiet = not data
            self._early.append(data)
            self._early_bytes += len(data)

    @property
    def _has_room(self) -> bool:
        return not self._is_quiet and self._early_bytes < EARLY_BYTES

    def _receive_now(self) -> bytes | None:
        try:
            return self._socket.recv(READ_AT_ONCE)
        except self._not_yet:
            return None
        except self._over:
            return b""

    def _send(self, data: memoryview) -> int:
        try:
            sent = self._send_again(data) if self._replayed else self._socket.send(data)
        except self._not_yet:
            return 0
        self._note(data[:sent], is_sent=True)
        return sent

    def _send_again(self, data: memoryview) -> int:
        """Take what was sent already, and let its answer be heard."""
        expected = self._replayed[0].sent
        sent = min(len(data), len(expected))
        if data[:sent] != expected[:sent]:
            raise _other_words(self.server)
        del expected[:sent]
        self._hear_replayed()
        return sent

    def _hear_replayed(self) -> None:
        while self._replayed and not self._replayed[0].sent:
            received = bytes(self._replayed.popleft().received)
            if received:
                self._early.append(received)
                self._early_bytes += len(received)

    def _note(self, data: bytes | memoryview, *, is_sent: bool) -> None:
        record = self.record
        if record is None:
            return
        if not record or (is_sent and record[-1].received):
            record.append(Turn())
        turn = record[-1]
        (turn.sent if is_sent else turn.received).extend(data)
        if sum(len(turn.sent) + len(turn.received) for turn in record) > RECORD_BYTES:
            self.record = None

    def _wait(self, to_write: bool, end: float) -> None:
        if self._replayed:
            raise _other_words(self.server)
        while True:
            poll = select.poll()
            poll.register(self._socket, select.POLLIN | (select.POLLOUT if to_write else 0))
            others = {link._socket.fileno(): link for link in self.beside if link._has_room}
            for number in others:
                poll.register(number, select.POLLIN)
            left = end - time.monotonic()
            ready = [number for number, _ in poll.poll(left * 1000)] if left > 0 else []
            if not ready:
                raise TemporaryError(
                    f"{self.server.place} is silent for {self.server.timeout_s:g} s", "it is tried again"
                )
            for number in ready:
                if number in others:
                    others[number]._take_in()
            if self._socket.fileno() in ready:
                return


def connect(server: Server) -> Link:
    """Open the way to a server; with ``security = "tls"`` TLS stands when this returns."""
    if server.tunnel:
        from mswatch.imap_session.tunnel import Tunnel

        return Tunnel(server)
    began = time.monotonic()
    link = Link(server, _connected(server), time.monotonic() - began)
    if server.security == "tls":
        try:
            link.start_tls()
        except BaseException:
            link.close()
            raise
    return link


def _connected(server: Server) -> socket.socket:
    found = addresses(server.host, server.port or PORTS[server.security], server.timeout_s)
    share = max(server.timeout_s / len(found), LEAST_FOR_AN_ADDRESS_S)
    failures = []
    for family, kind, protocol, address in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(share)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            failures.append(words(error))
            continue
        _prepare(connection, server)
        return connection
    raise TemporaryError(
        f"no connection to {server.place}: {', '.join(dict.fromkeys(failures))}", "it is tried again"
    )


def _prepare(connection: socket.socket, server: Server) -> None:
    """Have the kernel notice a dead link, also one that nobody sends on."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
    # Longer than ours, which can say more than "timed out".
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(server.timeout_s * 2000))


def _other_words(server: Server) -> TemporaryError:
    return TemporaryError(f"{server.place} was asked something else before", "it is tried again")


def _is_loopback(connection: socket.socket) -> bool:
    host = str(connection.getpeername()[0])
    return host.startswith("127.") or host == "::1"


def words(error: BaseException) -> str:
    """Return what an error says, in one line."""
    return show(getattr(error, "strerror", None) or str(error) or type(error).__name__)
