"""A Maildir on a real network file system, of which no kernel tells what the other machines do.

Here and not beside the other tests of watch_maildirs, because mounting wants root on a machine whose
/dev/fuse is for nobody else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.sshd import HOST, Sshd, running_sshd
from tests.watch_maildirs.harness import Watcher, make_maildir, notes
from watch_maildirs.protocol import CONTENT

pytestmark = [pytest.mark.slow, pytest.mark.server]

OFTEN = (
    "import sys; from watch_maildirs.cli import run; sys.exit(run(sys.argv[1:], fallback_interval_s=0.05))"
)


@contextmanager
def mounted(server: Sshd, there: Path, here: Path) -> Iterator[Path]:
    """Have a directory of the server here, as another machine has it."""
    fresh = "dir_cache=no,attr_timeout=0,entry_timeout=0"
    here.mkdir()
    subprocess.run(("sshfs", "-F", server.config, "-o", fresh, f"{HOST}:{there}", here), check=True)
    try:
        yield here
    finally:
        subprocess.run(("fusermount3", "-u", "-z", here), check=True)


def test_what_another_machine_delivers(tmp_path: Path) -> None:
    """It is seen by looking again and again, without being asked to; and that, and how often, is said."""
    Path("/run/sshd").mkdir(exist_ok=True)  # which an sshd that root starts wants to be there
    with running_sshd("Subsystem sftp internal-sftp") as server:
        there = make_maildir(server.home / "Maildir")
        with mounted(server, there, tmp_path / "Maildir") as here:
            watcher = Watcher(here, "--long", command=[sys.executable, "-c", OFTEN])
            try:
                (there / "new" / "m1").write_text("Subject: x\n\nx\n")
                told = watcher.told()
            finally:
                watcher.end()

    assert [(change.kind, change.mailbox) for change in told if change.mailbox] == [(CONTENT, "INBOX")]
    (note,) = notes(told)
    assert "no kernel tells what other machines do on fuse.sshfs" in note
    assert "every 0.05 s" in note
