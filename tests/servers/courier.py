"""Courier's IMAP server, as a command that speaks IMAP on its stdin and stdout.

Its logins go through a daemon whose socket has a fixed place that only root can make, so the server is
started as that daemon's other end would start it: for a user who is in already.
"""

from __future__ import annotations

from pathlib import Path

from tests.servers.maildir import make_maildir
from tests.servers.unpacked import environment, unpacked

CAPABILITIES = "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
START = 'cd "$1" && exec "$2" Maildir'


def courier_tunnel(home: Path, capabilities: str = CAPABILITIES) -> tuple[str, ...]:
    """Return the command for a user with this home directory."""
    make_maildir(home / "Maildir")
    settings = {
        "AUTHENTICATED": "tester",
        "HOME": str(home),
        "IMAP_CAPABILITY": capabilities,
        "IMAP_KEYWORDS": "1",
        "IMAP_USELOCKS": "1",
        "IMAP_ENHANCEDIDLE": "0",
        **{f"TCP{side}IP": "127.0.0.1" for side in ("LOCAL", "REMOTE")},
        **{f"TCP{side}PORT": "1" for side in ("LOCAL", "REMOTE")},
        "LD_LIBRARY_PATH": environment()["LD_LIBRARY_PATH"],
    }
    words = (f"{name}={value}" for name, value in settings.items())
    return "env", *words, "sh", "-c", START, "sh", str(home), unpacked("usr/bin/imapd")
