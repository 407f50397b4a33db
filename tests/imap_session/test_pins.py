"""A certificate is known by its SHA-256, or by that of its key, as openssl computes them."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from pathlib import Path

import pytest

from mswatch.errors import UnavailableError
from mswatch.imap_session.login import log_in
from mswatch.imap_session.pins import fingerprints, normal
from mswatch.imap_session.settings import Login, Server
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import Dovecot


def fingerprints_by_openssl(path: Path) -> tuple[str, str]:
    """Return both as openssl sees them."""

    def openssl(*words: str, data: bytes | None = None) -> bytes:
        return subprocess.run(("openssl", *words), input=data, check=True, capture_output=True).stdout

    shown = openssl("x509", "-in", str(path), "-noout", "-fingerprint", "-sha256").decode()
    key = openssl("x509", "-in", str(path), "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", data=key)
    return normal(shown.partition("=")[2].strip()), hashlib.sha256(der).hexdigest()


def test_fingerprints(tmp_path: Path) -> None:
    """Both fingerprints are those that openssl shows."""
    path = make_certificates(tmp_path, 0).certificate
    certificate = ssl.PEM_cert_to_DER_cert(path.read_text())
    assert fingerprints(certificate) == fingerprints_by_openssl(path)


@pytest.mark.parametrize("broken", [b"", b"0", b"0\x82", b"0\x84\xff\xff\xff\xff", b"0\x03\x30\x01\xa0"])
def test_broken_certificate(broken: bytes) -> None:
    """What is no certificate has one fingerprint, and breaks nothing."""
    assert fingerprints(broken) == (hashlib.sha256(broken).hexdigest(),)


@pytest.mark.server
@pytest.mark.slow
def test_pinned_server(tls_dovecot: Dovecot, login: Login) -> None:
    """A pinned certificate, or key, is trusted without an authority; another one learns nothing."""
    server = Server("127.0.0.1", tls_dovecot.tls_port)
    pins = fingerprints_by_openssl(tls_dovecot.directory / "server.pem")
    before = len(tls_dovecot.log())
    with pytest.raises(UnavailableError, match="pinned"):
        log_in(server._replace(pins=("00" * 32,)), login)
    assert "no auth attempts" in tls_dovecot.logged("Disconnected", before)
    assert f"user=<{login.user}>" not in tls_dovecot.log()
    for pin in (*pins, ":".join(pins[0][i : i + 2] for i in range(0, 64, 2)).upper()):
        with log_in(server._replace(pins=("11" * 32, pin)), login):
            pass
