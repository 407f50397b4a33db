"""Logging in to a real Dovecot: every protection, mechanism and refusal, and the round trips of each."""

from __future__ import annotations

import subprocess
import traceback
from pathlib import Path

import pytest

from mswatch.errors import ConfigError, TemporaryError, UnavailableError
from mswatch.imap import commands
from mswatch.imap.connection import State
from mswatch.imap.quirks import Refusal
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import RefusedError
from mswatch.imap_session.settings import LOGIN_COMMAND, Login, Server
from tests.imap_session.conftest import password_file
from tests.servers.certificates import Certificates, sign
from tests.servers.dovecot import Dovecot, running_dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", LOGIN_COMMAND, "LOGIN"]
# Times that we wait for the server, TCP and TLS left out: the greeting, and these.
TURNS = {"SCRAM-SHA-256": 3, "SCRAM-SHA-1": 3, "PLAIN": 1, LOGIN_COMMAND: 1, "LOGIN": 3}


def by_tls(dovecot: Dovecot) -> Server:
    """Return how it is reached by TLS."""
    return Server("127.0.0.1", dovecot.tls_port, authorities=dovecot.authority)


def by_starttls(dovecot: Dovecot) -> Server:
    """Return how it is reached by STARTTLS."""
    return Server("127.0.0.1", dovecot.port, "starttls", authorities=dovecot.authority)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_mechanisms(tls_dovecot: Dovecot, login: Login, mechanism: str) -> None:
    """Each mechanism logs in, by TLS, STARTTLS and in clear, in as few round trips as it has steps."""
    login = login._replace(mechanisms=(mechanism,))
    plain = Server("127.0.0.1", tls_dovecot.port, "plain")
    for server, more in ((by_tls(tls_dovecot), 0), (plain, 0), (by_starttls(tls_dovecot), 2)):
        with log_in(server, login) as session:
            assert session.connection.state is State.AUTHENTICATED
            assert session.turns == 1 + TURNS[mechanism] + more  # STARTTLS itself, and CAPABILITY anew
            assert session.can("QRESYNC")
            assert session.quirks.name == "Dovecot"


def test_strongest_first(tls_dovecot: Dovecot, login: Login) -> None:
    """Unless told otherwise, the password itself is not sent where the server can do without."""
    with log_in(by_tls(tls_dovecot), login):
        pass
    tls_dovecot.logged(f"user=<{login.user}>, method=SCRAM-SHA-256")


def test_client_certificate(tls_dovecot: Dovecot, user: str, tmp_path: Path) -> None:
    """EXTERNAL: the certificate of the TLS connection says who we are."""
    assert tls_dovecot.authority is not None
    files = Certificates(tls_dovecot.authority.parent, 0)
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    sign(files, certificate, key, user)
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    with log_in(by_tls(tls_dovecot)._replace(client_certificate=both), Login(user)) as session:
        assert session.turns == 2
    tls_dovecot.logged(f"user=<{user}>, method=EXTERNAL")


def test_tunnel(tls_dovecot: Dovecot, user: str) -> None:
    """A command that speaks IMAP is a server; the greeting says that we are in."""
    with log_in(Server(tunnel=tls_dovecot.tunnel(user)), Login()) as session:
        session.request(commands.noop())
        session.log_out()
        assert session.connection.state is State.CLOSED


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_password(tls_dovecot: Dovecot, user: str, tmp_path: Path, mechanism: str) -> None:
    """A wrong password is told as one, and is nowhere in what is told."""
    login = Login(user, file=password_file(tmp_path / "wrong", "hunter2"), mechanisms=(mechanism,))
    with pytest.raises(RefusedError) as caught:
        log_in(by_tls(tls_dovecot), login)
    assert caught.value.refusal is Refusal.WRONG_CREDENTIALS
    told = "".join(traceback.format_exception(caught.value)) + caught.value.fix + repr(login)
    assert "hunter2" not in told
    assert "127.0.0.1" in str(caught.value)


def test_too_many_connections(tmp_path: Path, user: str) -> None:
    """A connection too many is no wrong password, though it is refused at the same place."""
    login = Login(user, file=password_file(tmp_path / "password", "secret"))
    limit = "protocol imap {\n  mail_max_userip_connections = 1\n}\n"
    with running_dovecot(more=limit) as dovecot:
        server = Server("127.0.0.1", dovecot.port, "plain")
        with log_in(server, login), pytest.raises(RefusedError) as caught:
            log_in(server, login)
    assert caught.value.refusal is Refusal.TOO_MANY_CONNECTIONS


def test_unknown_authority(tls_dovecot: Dovecot, login: Login) -> None:
    """A certificate that nobody vouches for ends it before anything is said; what is said to do mends it."""
    servers, fixes = (by_tls(tls_dovecot), by_starttls(tls_dovecot)), []
    for server in servers:
        before = len(tls_dovecot.log())
        with pytest.raises(UnavailableError, match="not to be trusted") as caught:
            log_in(server._replace(authorities=None), login)
        assert "no auth attempts" in tls_dovecot.logged("unknown ca", before)
        fixes.append(caught.value.fix)
    assert f"user=<{login.user}>" not in tls_dovecot.log()
    for server, fix in zip(servers, fixes, strict=True):
        command = fix.split("`")[3]
        told = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
        pins = (told.strip().partition("=")[2],)
        with log_in(server._replace(authorities=None, pins=pins), login):
            pass


def test_certificate_of_another_host(tls_dovecot: Dovecot, login: Login) -> None:
    """A certificate that is in order, but another host's, is refused."""
    with pytest.raises(UnavailableError, match="not to be trusted"):
        log_in(by_tls(tls_dovecot)._replace(host="127.1"), login)
    with log_in(by_tls(tls_dovecot)._replace(host="localhost"), login):
        pass


def test_no_tls_there(tls_dovecot: Dovecot, login: Login) -> None:
    """TLS on a port where plain IMAP is spoken is told as that."""
    with pytest.raises(TemporaryError, match="no TLS"):
        log_in(by_tls(tls_dovecot)._replace(port=tls_dovecot.port), login)


def test_plain_port_without_tls(dovecot: Dovecot, login: Login) -> None:
    """STARTTLS that is asked for and not there ends the login; the password stays here."""
    server = Server("127.0.0.1", dovecot.port, "starttls")
    with pytest.raises(UnavailableError, match="STARTTLS"):
        log_in(server, login)


def test_no_way_to_log_in(tls_dovecot: Dovecot, login: Login) -> None:
    """A server without any mechanism for what we have says which ones it has."""
    with pytest.raises(UnavailableError, match="PLAIN"):
        log_in(by_tls(tls_dovecot), login._replace(is_token=True))


def test_nobody_there(login: Login, tls_dovecot: Dovecot) -> None:
    """A port where nobody listens, and a name that nobody has, are worth another try."""
    with pytest.raises(TemporaryError, match="no connection"):
        log_in(Server("127.0.0.1", 1, "plain"), login)
    with pytest.raises(TemporaryError, match="no address"):
        log_in(Server("no.such.host.invalid"), login)
    with pytest.raises(ConfigError, match="certificates"):
        log_in(by_tls(tls_dovecot)._replace(authorities=Path("/nonexistent")), login)
