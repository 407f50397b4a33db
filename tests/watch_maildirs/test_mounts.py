"""Which file system a path is on."""

import os
from pathlib import Path

import pytest

from watch_maildirs.mounts import SHARED, file_system, shared_file_system

MOUNTS = [
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
    "22 21 0:20 / /proc rw - proc proc rw",
    "30 21 0:40 /export /home rw,relatime shared:9 master:2 - nfs4 nas:/export rw,vers=4.2",
    "31 30 0:41 / /home/a\\040b/local rw - tmpfs tmpfs rw",
    "32 21 0:42 / /mnt rw - nfs nas:/old rw",
    "33 32 0:43 / /mnt rw - tmpfs tmpfs rw",
    "rubbish",
    "",
]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/mail", "ext4"),
        ("/home", "nfs4"),
        ("/home/alice/Maildir", "nfs4"),
        ("/homely/Maildir", "ext4"),
        ("/home/a b/local/Maildir", "tmpfs"),
        ("/home/a b/other", "nfs4"),
        ("/mnt/Maildir", "tmpfs"),
    ],
)
def test_file_system(path: str, kind: str) -> None:
    """The longest mount point that a path lies below counts, and of several there the last one."""
    assert file_system(path, MOUNTS) == kind


def test_this_machine(tmp_path: Path) -> None:
    """The real table can be read, and a path that is not there yet is where it would be."""
    with open("/proc/self/mountinfo") as file:  # noqa: PTH123
        kind = file_system(os.path.realpath(tmp_path), file)
    assert kind
    assert shared_file_system(str(tmp_path / "not" / "there")) == (kind if kind in SHARED else "")
