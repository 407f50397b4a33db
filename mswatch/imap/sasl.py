"""SASL mechanisms, the client's side: challenge in, response out (RFC 4422); the connection adds base64.

A mechanism is used once.  ``finish`` is called when the server said that we are in: only SCRAM (``scram``)
can then tell whether the server knew the password too, and refuses one that did not prove it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from mswatch.imap.errors import ProtocolError
from mswatch.imap.secret import Secret


class Mechanism(ABC):
    """One login by one mechanism."""

    name: str
    # One message from us and nothing else: with SASL-IR, commands may follow it at once.
    is_one_step = True

    @abstractmethod
    def first(self) -> bytes | None:
        """Return the initial response; None when the server has to speak first."""

    def respond(self, challenge: bytes) -> bytes:
        """Answer a challenge that comes after the initial response."""
        raise ProtocolError(f"{self.name} has no further challenge", challenge)

    def finish(self) -> None:  # noqa: B027 - most have nothing to check
        """Hear that the login succeeded."""

    def explanation(self) -> str:
        """Return what the server said about a failure within the mechanism, if anything."""
        return ""


class Plain(Mechanism):
    """User and password as they are (RFC 4616)."""

    name = "PLAIN"

    def __init__(self, user: str, password: Secret) -> None:
        self._user, self._password = user, password

    def first(self) -> bytes:
        """Return both, with NULs before them."""
        return "\0".join(("", _no_nul(self._user), _no_nul(self._password.reveal()))).encode()


class Login(Mechanism):
    """The old mechanism LOGIN (draft-murchison-sasl-login): the server asks for user and password."""

    name = "LOGIN"
    is_one_step = False

    def __init__(self, user: str, password: Secret) -> None:
        self._answers = [lambda: user, password.reveal]

    def first(self) -> bytes | None:
        """Wait to be asked."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """Give the user first and then the password, whatever the words of the question are."""
        if not self._answers:
            raise ProtocolError("LOGIN asks a third time", challenge)
        return self._answers.pop(0)().encode()


class External(Mechanism):
    """We are who the TLS certificate or the socket says (RFC 4422, A)."""

    name = "EXTERNAL"

    def __init__(self, user: str = "") -> None:
        self._user = user

    def first(self) -> bytes:
        """Name who we want to be; empty for who we are."""
        return self._user.encode()


class _Token(Mechanism):
    """A token of OAuth 2.0.  A refusal comes as a challenge in JSON, which has to be answered first."""

    is_one_step = False

    def __init__(self, user: str, token: Secret) -> None:
        self._user, self._token = user, token
        self._explanation = ""

    @property
    @abstractmethod
    def _dummy(self) -> bytes:
        """The answer to the error (it means nothing)."""

    def respond(self, challenge: bytes) -> bytes:
        """Keep what is wrong with the token and let the server end the command."""
        if self._explanation:
            raise ProtocolError(f"{self.name} explains a second time", challenge)
        self._explanation = _status(challenge)
        return self._dummy

    def explanation(self) -> str:
        """Return the status of the JSON: ``invalid_token``, ``400`` and the like."""
        return self._explanation


class XOAuth2(_Token):
    """Google's and Microsoft's first form."""

    name = "XOAUTH2"
    _dummy = b""

    def first(self) -> bytes:
        """Return user and token."""
        return f"user={self._user}\x01auth=Bearer {self._token.reveal()}\x01\x01".encode()


class OAuthBearer(_Token):
    """RFC 7628."""

    name = "OAUTHBEARER"
    _dummy = b"\x01"

    def first(self) -> bytes:
        """Return user and token; host and port are optional there and are left out."""
        return f"n,a={sasl_name(self._user)},\x01auth=Bearer {self._token.reveal()}\x01\x01".encode()


def sasl_name(user: str) -> str:
    """Return a name as GS2 headers and SCRAM write it (RFC 5802, 5.1)."""
    return user.replace("=", "=3D").replace(",", "=2C")


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL in a user name or password")  # never the text itself
    return text


def _status(challenge: bytes) -> str:
    import json  # which nobody needs whose token is good

    try:
        found = json.loads(challenge)
        return str(found.get("status", "")) or "refused"
    except (ValueError, AttributeError, RecursionError):
        return "refused"
