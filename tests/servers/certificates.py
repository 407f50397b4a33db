"""An authority of our own, and certificates for loopback, made by openssl for one test run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

DAYS = "2"
_EXTENSIONS = "subjectAltName=IP:127.0.0.1,DNS:localhost"


@dataclass(frozen=True)
class Certificates:
    """Where the files are, and the port that the server has for TLS."""

    directory: Path
    port: int

    @property
    def authority(self) -> Path:
        """The certificate that has signed the others."""
        return self.directory / "authority.pem"

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.directory / "server.key"


def make_certificates(directory: Path, port: int) -> Certificates:
    """Make an authority and a server's certificate in a directory."""
    files = Certificates(directory, port)
    authority_key = directory / "authority.key"
    _openssl("req", "-x509", *_new_key(authority_key), "-subj", "/CN=test authority", "-out", files.authority)
    sign(files, files.certificate, files.key, "server")
    return files


def sign(files: Certificates, certificate: Path, key: Path, name: str) -> None:
    """Make a key and a certificate for a name, signed by the authority."""
    signed = ("-CA", files.authority, "-CAkey", files.directory / "authority.key")
    _openssl(
        *("req", "-x509", *_new_key(key), "-subj", f"/CN={name}", "-addext", _EXTENSIONS),
        *("-addext", "basicConstraints=critical,CA:FALSE", *signed, "-out", certificate),
    )


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path, "-days", DAYS


def _openssl(*words: str | Path) -> None:
    subprocess.run(("openssl", *words), check=True, capture_output=True)
