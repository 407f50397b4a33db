"""How a server is reached and who we are there: plain values, filled from a store's settings.

Named tuples and no dataclasses, because the start of every ``mailsync`` needs them: dataclasses cost 11 ms.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # so that who has no server needs nothing of mswatch.imap
    from mswatch.imap.secret import Secret

    File = str | os.PathLike[str]

Security = Literal["tls", "starttls", "plain"]
LOGIN_COMMAND = "LOGIN-COMMAND"  # LOGIN without SASL; SASL has a mechanism of that name
BY_PASSWORD = ("SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", LOGIN_COMMAND, "LOGIN")  # the strongest first
BY_TOKEN = ("OAUTHBEARER", "XOAUTH2")
PORTS: dict[Security, int] = {"tls": 993, "starttls": 143, "plain": 143}


class Login(NamedTuple):
    """Who we are, and where the proof comes from: one of four; none with EXTERNAL or a tunnel."""

    user: str = ""
    command: tuple[str, ...] = ()  # its first line is the password or token
    file: File | None = None  # its first line is
    asks: bool = False  # the person at the terminal
    given: Secret | None = None  # the proof itself, out of an old configuration that has it in clear text
    limit_s: float = 60.0  # how long the command or the person may take
    is_token: bool = False  # of OAuth 2.0
    mechanisms: tuple[str, ...] = ()  # the only ones to be used; empty: the best that the server has


class Server(NamedTuple):
    """Where the server is and how the way there is protected.

    With ``pins`` the certificate must be one of these and nothing else is asked of it: that is how a
    self-signed one is trusted.  With ``tunnel`` a command speaks IMAP on its stdin and stdout, and host and
    port say nothing.
    """

    host: str = ""
    port: int = 0  # 0: the usual one
    security: Security = "tls"
    authorities: File | None = None  # certificates to trust instead of the system's
    pins: tuple[str, ...] = ()  # SHA-256 in hex: of the certificate, or of its public key
    is_checked: bool = True  # False: any certificate will do; only an old configuration may say so
    client_certificate: File | None = None  # with its key; for EXTERNAL
    tunnel: tuple[str, ...] = ()
    timeout_s: float = 30.0  # how long the server may be silent when it has something to say
    connections: int = 1  # at most, at once

    @property
    def place(self) -> str:
        """How the server is called in messages."""
        if self.tunnel:
            return f"{self.tunnel[0]} ..."
        return f"{self.host}:{self.port or PORTS[self.security]}"
