"""The old mailsync (5.2.7, with libc-client 2007f) of the distribution: what ours has to agree with.

It takes relative names from HOME, and believes in HOME only if it knows by name who we are.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from tests.servers.unpacked import environment, unpacked
from tests.servers.waiting import DEADLINE_S


def run(home: Path, *words: str, status: int = 0) -> tuple[str, str]:
    """Run it in a home directory; it must end with this status; return what it printed on both outputs.

    Bytes that are no UTF-8 come as surrogates.
    """
    name = pwd.getpwuid(os.geteuid()).pw_name
    ended = subprocess.run(
        (unpacked("usr/bin/mailsync"), *words),
        env={**environment(), "HOME": str(home), "LOGNAME": name, "USER": name, "TZ": "UTC"},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
    )
    out, err = (text.decode("utf-8", "surrogateescape") for text in (ended.stdout, ended.stderr))
    assert ended.returncode == status, (words, ended.returncode, out, err)
    return out, err
