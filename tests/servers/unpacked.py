"""Servers that cannot be installed beside Dovecot, since Debian's IMAP servers exclude each other.

``sh tests/run`` unpacks their packages, with the libraries that they need, into one directory.  They run from
there as an ordinary user.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(os.environ.get("MSWATCH_TEST_SERVERS", "/var/cache/mswatch-tests/servers"))


def unpacked(path: str) -> str:
    """Return where a file of these packages is."""
    found = ROOT / path
    if not found.exists():
        raise FileNotFoundError(f"{found} is missing; `sh tests/run` unpacks what the tests need")
    return str(found)


def environment() -> dict[str, str]:
    """Return the environment in which programs of these packages find their libraries."""
    libraries = [str(path) for path in (*ROOT.glob("usr/lib/*-linux-gnu"), *ROOT.glob("lib/*-linux-gnu"))]
    modules = [f"{path}/sasl2" for path in libraries] + [
        str(path) for path in Path("/usr/lib").glob("*-linux-gnu/sasl2")
    ]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": ":".join([*libraries, str(ROOT / "usr/lib")]),
        "SASL_PATH": ":".join(modules),
    }
