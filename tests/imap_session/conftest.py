"""A Dovecot with TLS and every mechanism that it has, for the tests of sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.imap_session.settings import Login
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot

# Who guesses passwords is made to wait; tests that are refused need not be.
NO_PENALTY = """\
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""
SETTINGS = f"""\
{NO_PENALTY}
auth_mechanisms = plain login scram-sha-1 scram-sha-256 external
auth_ssl_username_from_cert = yes
passdb {{
  driver = static
  mechanisms = external
  args = nopassword
}}
"""


@pytest.fixture(scope="session")
def tls_dovecot() -> Iterator[Dovecot]:
    """A Dovecot with TLS."""
    with running_dovecot(with_tls=True, more=SETTINGS) as server:
        yield server


@pytest.fixture
def login(tmp_path: Path, user: str) -> Login:
    """How a user whom nobody else uses logs in."""
    return Login(user, file=password_file(tmp_path / "password", PASSWORD))


def password_file(path: Path, password: str) -> Path:
    """Write a password where only we can read it."""
    path.touch(mode=0o600)
    path.write_text(f"{password}\n")
    return path
