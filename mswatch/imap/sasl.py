"""SASL mechanisms, the client's side: challenge in, response out (RFC 4422); the connection adds base64.

A mechanism is used once.  ``finish`` is called when the server said that we are in: only SCRAM can then tell
whether the server knew the password too, and refuses one that did not prove it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping

from mswatch.imap.errors import ProtocolError
from mswatch.imap.secret import Secret

# RFC 7677: at least 4096; the upper bound keeps a server from having us compute for hours.
FEWEST_ITERATIONS, MOST_ITERATIONS = 4096, 1_000_000


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
        return f"n,a={_sasl_name(self._user)},\x01auth=Bearer {self._token.reveal()}\x01\x01".encode()


class Scram(Mechanism):
    """Both sides prove that they know the password, and nobody sends it (RFC 5802); no channel binding."""

    is_one_step = False
    _digest: str

    def __init__(self, user: str, password: Secret, nonce: str) -> None:
        """Take a nonce: at least 18 random bytes in base64, never used before."""
        self._password = password
        self._nonce = nonce
        self._bare = f"n={_sasl_name(_prepare(user))},r={nonce}"
        self._server_signature = b""
        self._is_proven = False

    def first(self) -> bytes:
        """Return the client-first-message."""
        return f"n,,{self._bare}".encode()

    def respond(self, challenge: bytes) -> bytes:
        """Prove our knowledge, then check theirs."""
        if not self._server_signature:
            return self._prove(challenge)
        given = _attributes(challenge).get("v", "")
        if not hmac.compare_digest(_from_base64(given, challenge), self._server_signature):
            raise ProtocolError(f"{self.name}: the server does not know the password")
        self._is_proven = True
        return b""

    def finish(self) -> None:
        """Refuse a server that lets us in without having proved itself."""
        if not self._is_proven:
            raise ProtocolError(f"{self.name}: the server did not prove that it knows the password")

    def _prove(self, challenge: bytes) -> bytes:
        given = _attributes(challenge)
        nonce, salt = given.get("r", ""), _from_base64(given.get("s", ""), challenge)
        count = given.get("i", "")
        if "m" in given or not nonce.startswith(self._nonce) or nonce == self._nonce or not salt:
            raise ProtocolError(f"{self.name}: not an answer to our message", challenge)
        if not re.fullmatch(r"[0-9]{1,7}", count) or not FEWEST_ITERATIONS <= int(count) <= MOST_ITERATIONS:
            raise ProtocolError(
                f"{self.name}: {FEWEST_ITERATIONS} to {MOST_ITERATIONS} iterations", challenge
            )
        without_proof = f"c=biws,r={nonce}"  # biws is n,, in base64
        signed = f"{self._bare},{challenge.decode()},{without_proof}".encode()
        password = _prepare(self._password.reveal()).encode()
        salted = hashlib.pbkdf2_hmac(self._digest, password, salt, int(count))
        client_key = hmac.digest(salted, b"Client Key", self._digest)
        signature = hmac.digest(hashlib.new(self._digest, client_key).digest(), signed, self._digest)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", self._digest)
        self._server_signature = hmac.digest(server_key, signed, self._digest)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


class ScramSha1(Scram):
    """RFC 5802."""

    name, _digest = "SCRAM-SHA-1", "sha1"


class ScramSha256(Scram):
    """RFC 7677."""

    name, _digest = "SCRAM-SHA-256", "sha256"


def _attributes(message: bytes) -> Mapping[str, str]:
    try:
        pairs = [part.partition("=") for part in message.decode().split(",")]
    except UnicodeDecodeError:
        raise ProtocolError("SCRAM: no text", message) from None
    return {key: value for key, _, value in pairs}


def _from_base64(text: str, message: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("SCRAM: no base64", message) from None


def _sasl_name(user: str) -> str:
    return user.replace("=", "=3D").replace(",", "=2C")


def _prepare(text: str) -> str:
    """Bring a user or password into the form that both sides compute with (SASLprep, RFC 4013, 2.1 and 2.2).

    What SASLprep prohibits is passed on: the server refuses it, or was less strict when it was set.
    """
    spaces = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    return unicodedata.normalize("NFKC", spaces.replace("\u00ad", ""))


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL in a user name or password")  # never the text itself
    return text


def _status(challenge: bytes) -> str:
    try:
        found = json.loads(challenge)
        return str(found.get("status", "")) or "refused"
    except (ValueError, AttributeError, RecursionError):
        return "refused"
