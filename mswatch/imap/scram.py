"""The SCRAM mechanisms: both sides prove that they know the password, and nobody sends it (RFC 5802).

A server that does not prove itself is refused, also when it lets us in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping

from mswatch.imap.errors import ProtocolError
from mswatch.imap.sasl import Mechanism, sasl_name
from mswatch.imap.secret import Secret

# RFC 7677: at least 4096; the upper bound keeps a server from having us compute for hours.
FEWEST_ITERATIONS, MOST_ITERATIONS = 4096, 1_000_000


class Scram(Mechanism):
    """Both sides prove that they know the password, and nobody sends it (RFC 5802); no channel binding."""

    is_one_step = False
    _digest: str

    def __init__(self, user: str, password: Secret, nonce: str) -> None:
        """Take a nonce: at least 18 random bytes in base64, never used before."""
        self._password = password
        self._nonce = nonce
        self._bare = f"n={sasl_name(_prepare(user))},r={nonce}"
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


def _prepare(text: str) -> str:
    """Bring a user or password into the form that both sides compute with (SASLprep, RFC 4013, 2.1 and 2.2).

    What SASLprep prohibits is passed on: the server refuses it, or was less strict when it was set.
    """
    spaces = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    return unicodedata.normalize("NFKC", spaces.replace("\u00ad", ""))
