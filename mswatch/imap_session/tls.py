"""TLS around a socket, and who is at the other end: a certificate that is trusted, or pinned.

Nothing is sent before that is certain.
"""

from __future__ import annotations

import shlex
import socket
import ssl
import time
from collections.abc import Callable

from mswatch.errors import ConfigError, TemporaryError, UnavailableError
from mswatch.imap_session.link import words
from mswatch.imap_session.pins import fingerprints, normal
from mswatch.imap_session.settings import Server
from mswatch.showing import show

# What a socket says when it has to be waited for, and when the other side is gone.
NOT_YET: tuple[type[OSError], ...] = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
OVER: tuple[type[OSError], ...] = (ssl.SSLEOFError, ConnectionResetError)


def wrap(connection: socket.socket, server: Server) -> ssl.SSLSocket:
    """Return the socket with TLS around it, which begins with ``shake_hands``."""
    context = _context(server)
    try:
        return context.wrap_socket(connection, server_hostname=server.host, do_handshake_on_connect=False)
    except (OSError, ValueError) as error:
        raise _no_tls(server, error) from None


def shake_hands(wrapped: ssl.SSLSocket, server: Server, wait: Callable[[bool, float], None]) -> None:
    """Begin, and check who is there; ``wait`` waits until the socket can be read, or written, or for an end.

    Raises:
        UnavailableError: it is not the right server.
        TemporaryError: TLS is not spoken there, or nothing is.
    """
    try:
        _shake_hands(wrapped, server, wait)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(server, error.verify_message) from None
    except (OSError, ValueError) as error:
        raise _no_tls(server, error) from None
    certificate = wrapped.getpeercert(binary_form=True) or b""
    if server.pins and not set(fingerprints(certificate)) & {normal(pin) for pin in server.pins}:
        raise _untrusted(server, "it is none of those that are pinned")


def _shake_hands(wrapped: ssl.SSLSocket, server: Server, wait: Callable[[bool, float], None]) -> None:
    end = time.monotonic() + server.timeout_s
    while True:
        try:
            return wrapped.do_handshake()
        except ssl.SSLWantReadError:
            wait(False, end)
        except ssl.SSLWantWriteError:
            wait(True, end)


def _context(server: Server) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=server.authorities)
        if server.client_certificate is not None:
            context.load_cert_chain(server.client_certificate)
    except OSError as error:
        raise ConfigError([f"certificates cannot be read: {words(error)}"]) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.pins or not server.is_checked:  # pins by shake_hands
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_tls(server: Server, error: Exception) -> TemporaryError:
    return TemporaryError(f"no TLS with {server.place}: {words(error)}", "is TLS spoken on this port?")


def _untrusted(server: Server, why: str) -> UnavailableError:
    shown = "openssl x509 -noout -fingerprint -sha256"
    if not server.tunnel:
        first = " -starttls imap" if server.security == "starttls" else ""
        shown = f"openssl s_client -connect {shlex.quote(server.place)}{first} </dev/null | {shown}"
    return UnavailableError(
        f"the certificate of {server.place} is not to be trusted: {show(why)}",
        f"if this is the right server, name it in `fingerprints` as this tells it: `{shown}`; else somebody "
        "is in between",
    )
