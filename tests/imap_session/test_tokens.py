"""Logging in with access tokens to a real Dovecot, which checks their signature and their time by itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mswatch.imap.connection import State
from mswatch.imap.quirks import Refusal
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import RefusedError
from mswatch.imap_session.settings import BY_TOKEN, Login, Server
from tests.imap_session.conftest import NO_PENALTY
from tests.servers.dovecot import Dovecot, running_dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

KEY = b"a key that only the issuer and the server know"


@dataclass(frozen=True)
class Issuer:
    """A server, and who issues tokens for it."""

    dovecot: Dovecot

    @property
    def server(self) -> Server:
        """How it is reached."""
        return Server("127.0.0.1", self.dovecot.tls_port, authorities=self.dovecot.authority)

    def token(self, user: str, valid_s: float = 3600.0) -> str:
        """Issue a token (RFC 7519), signed with HMAC-SHA256."""
        now = int(time.time())
        parts = [
            {"alg": "HS256", "typ": "JWT"},
            {"sub": user, "email": user, "iat": now - 7200, "exp": now + int(valid_s)},
        ]
        signed = b".".join(encoded(json.dumps(part).encode()) for part in parts)
        return (signed + b"." + encoded(hmac.digest(KEY, signed, hashlib.sha256))).decode()


def encoded(data: bytes) -> bytes:
    """Encode as such tokens are."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    """A Dovecot that takes tokens and nothing else."""
    directory = tmp_path_factory.mktemp("oauth2")
    key = directory / "keys/default/HS256/default"
    key.parent.mkdir(parents=True)
    key.write_bytes(base64.b64encode(KEY))
    settings = directory / "oauth2.conf"
    settings.write_text(
        f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={directory}/keys/\n"
    )
    more = (
        f"{NO_PENALTY}auth_mechanisms = xoauth2 oauthbearer\n"
        f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {settings}\n}}\n"
    )
    with running_dovecot(with_tls=True, more=more) as dovecot:
        yield Issuer(dovecot)


def login(tmp_path: Path, user: str, token: str, *mechanisms: str) -> Login:
    """Return a login whose token comes from a command."""
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    return Login(user, command=("cat", str(file)), is_token=True, mechanisms=mechanisms)


@pytest.mark.parametrize("mechanism", BY_TOKEN)
def test_token(issuer: Issuer, user: str, tmp_path: Path, mechanism: str) -> None:
    """A good token is a login, by either mechanism."""
    with log_in(issuer.server, login(tmp_path, user, issuer.token(user), mechanism)) as session:
        assert session.connection.state is State.AUTHENTICATED
        assert session.can("QRESYNC")


@pytest.mark.parametrize("mechanism", BY_TOKEN)
@pytest.mark.parametrize("what", ["expired", "another's", "rubbish"])
def test_token_that_is_no_good(issuer: Issuer, user: str, tmp_path: Path, mechanism: str, what: str) -> None:
    """A token that is refused is told as one to be renewed, and is not shown."""
    token = {
        "expired": issuer.token(user, -60),
        "another's": issuer.token("somebody else"),
        "rubbish": "rubbish",
    }[what]
    with pytest.raises(RefusedError) as caught:
        log_in(issuer.server, login(tmp_path, user, token, mechanism))
    assert caught.value.refusal is Refusal.EXPIRED
    assert "new password or token" in caught.value.fix
    assert token not in str(caught.value)


def test_next_token(issuer: Issuer, user: str, tmp_path: Path) -> None:
    """The command is asked anew: a token that was renewed meanwhile is used."""
    way_in = login(tmp_path, user, issuer.token(user, -60))
    with pytest.raises(RefusedError):
        log_in(issuer.server, way_in)
    (tmp_path / "token").write_text(issuer.token(user))
    with log_in(issuer.server, way_in):
        pass
