"""Which file system a path is on, and whether its kernel tells of all changes there.

On a network file system inotify tells of what this machine does, and of nothing that others do.
"""

import os
import re
from typing import Iterable

# Those that several machines write to (as in the third field behind "-" of proc_pid_mountinfo(5)).
SHARED = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "afs", "lustre", "ocfs2", "gfs2", "davfs"]
    + ["fuse." + name for name in ("sshfs", "glusterfs", "ceph-fuse", "s3fs", "rclone", "davfs2", "moosefs")]
)
_MOUNTS = "/proc/self/mountinfo"


def shared_file_system(path: str) -> str:
    """Return the type of the file system of a path if other machines may write there too, else ""."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - a str
            kind = file_system(os.path.realpath(path), file)
    except OSError:
        return ""
    return kind if kind in SHARED else ""


def file_system(path: str, mounts: Iterable[str]) -> str:
    """Return the type of the file system that a path without links is on, by the lines of mountinfo."""
    found, longest = "", 0
    for line in mounts:
        before, _, behind = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not behind:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), fields[4]).rstrip("/")
        # Of two at the same place the later one lies on top.
        if (path == point or path.startswith(point + "/")) and len(point) >= longest:
            found, longest = behind.split(" ")[0], len(point)
    return found
