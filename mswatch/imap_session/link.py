"""Bytes to and from a server: a TCP socket with or without TLS, or a command on a socket pair.

``step`` is the only wait: it sends what can be sent, takes what has come, and gives up when neither was
possible for the timeout.  It reads while it writes, so that a server that answers before it has read
everything cannot block us for ever.  While one link waits, what comes on those ``beside`` it is taken
in, up to a limit, so that none of them has to stop for another one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from typing import IO

from mswatch.errors import ConfigError, TemporaryError, UnavailableError
from mswatch.imap_session.pins import fingerprints, normal
from mswatch.imap_session.resolving import addresses
from mswatch.imap_session.settings import PORTS, Server
from mswatch.names import show

READ_AT_ONCE = 256 << 10
EARLY_BYTES = 4 << 20  # taken in while another link waits
LEAST_FOR_AN_ADDRESS_S = 2.0
TUNNEL_ENDS_WITHIN_S = 3.0
COMPLAINT_BYTES = 1000
KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 60, 15, 4


class Link:
    """An open way to a server.  ``connect_s`` is how long opening took: one round trip, for a socket."""

    def __init__(self, server: Server, connection: socket.socket, connect_s: float) -> None:
        self.server = server
        self.connect_s = connect_s
        self.is_local = connection.family not in (socket.AF_INET, socket.AF_INET6) or _is_loopback(connection)
        self._socket = connection
        self._socket.setblocking(False)
        self.beside: Sequence[Link] = ()
        self._early: deque[bytes] = deque()  # what came while another one waited
        self._early_bytes = 0
        self._is_quiet = False  # nothing more comes, or why is told by the next step

    def start_tls(self) -> None:
        """Put TLS around what follows, and check who is there."""
        context = _context(self.server)
        name = self.server.host
        try:
            wrapped = context.wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
            self._socket = wrapped
            self._shake_hands(wrapped)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error.verify_message) from None
        except (OSError, ValueError) as error:
            raise TemporaryError(
                f"no TLS with {self.server.place}: {_words(error)}", "is TLS spoken on this port?"
            ) from None
        self._check_pins(wrapped)

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
                f"the connection to {self.server.place} broke: {_words(error)}", "it is tried again"
            ) from None

    def push(self, data: memoryview) -> int:
        """Send what can be sent at once; return how much that was.  What is wrong the next step tells."""
        try:
            return self._send(data)
        except OSError:
            return 0

    def close(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def complaint(self) -> str:
        """Return what a tunnel's command had to say; nothing for a socket."""
        return ""

    def _receive(self) -> bytes | None:
        if self._early:
            data = self._early.popleft()
            self._early_bytes -= len(data)
            return data
        return self._receive_now()

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
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except (ssl.SSLEOFError, ConnectionResetError):
            return b""

    def _send(self, data: memoryview) -> int:
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def _shake_hands(self, wrapped: ssl.SSLSocket) -> None:
        end = time.monotonic() + self.server.timeout_s
        while True:
            try:
                return wrapped.do_handshake()
            except ssl.SSLWantReadError:
                self._wait(False, end)
            except ssl.SSLWantWriteError:
                self._wait(True, end)

    def _wait(self, to_write: bool, end: float) -> None:
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

    def _check_pins(self, wrapped: ssl.SSLSocket) -> None:
        if not self.server.pins:
            return
        certificate = wrapped.getpeercert(binary_form=True) or b""
        if not set(fingerprints(certificate)) & {normal(pin) for pin in self.server.pins}:
            raise self._untrusted("it is none of those that are pinned")

    def _untrusted(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"the certificate of {self.server.place} is not to be trusted: {show(why)}",
            "if this is the right server, pin its certificate (`openssl s_client` shows it); else somebody "
            "is in between",
        )


class Tunnel(Link):
    """A command that speaks IMAP, such as ssh to the mail server; it ends with the link."""

    def __init__(self, server: Server) -> None:
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the link
        with theirs:
            try:
                self._process = subprocess.Popen(
                    server.tunnel,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._complaints,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ConfigError(
                    [f"the tunnel {show(server.tunnel[0])} cannot be started: {error.strerror}"]
                ) from None
        super().__init__(server, ours, time.monotonic() - began)

    def close(self) -> None:
        """Let the command see the end of its input; end it when it does not go by itself."""
        super().close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(TUNNEL_ENDS_WITHIN_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # its own session: the command and what it left
        self._process.wait()
        self._complaints.close()

    def complaint(self) -> str:
        """Return the end of what the command wrote on its stderr."""
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - COMPLAINT_BYTES))
        return show(self._complaints.read().decode("utf-8", "surrogateescape").strip())


def connect(server: Server) -> Link:
    """Open the way to a server; with ``security = "tls"`` TLS stands when this returns."""
    if server.tunnel:
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
            failures.append(_words(error))
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


def _context(server: Server) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=server.authorities)
        if server.client_certificate is not None:
            context.load_cert_chain(server.client_certificate)
    except OSError as error:
        raise ConfigError([f"certificates cannot be read: {_words(error)}"]) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.pins or not server.is_checked:  # pins by _check_pins, before anything is sent
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(connection: socket.socket) -> bool:
    host = str(connection.getpeername()[0])
    return host.startswith("127.") or host == "::1"


def _words(error: BaseException) -> str:
    return show(getattr(error, "strerror", None) or str(error) or type(error).__name__)
