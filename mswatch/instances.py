r"""Instance names of our units, ``mswatch-watch@ACCOUNT:STORE.service``: the account and the store in them.

systemd allows fewer characters there than we do in names; it writes the others as ``\xHH`` (systemd.unit(5),
"String escaping").  A ``-`` is left alone, because in that scheme it would stand for ``/``, which no name of
ours holds.
"""

from __future__ import annotations

import re


def escape(name: str) -> str:
    """Return a name as it stands in the name of a unit."""
    return re.sub(
        r"[^A-Za-z0-9:_.@-]", lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), name
    )


def unescape(instance: str) -> str:
    """Return the name that an instance was made of; a plain name is itself."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), instance)
