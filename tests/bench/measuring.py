"""What one run of a program costs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Started from a small process, because what a process held before it became another program counts as
# held by it: less than the 9 MiB of this one cannot be told.
_LAUNCHER = """
import os, sys, time
began = time.monotonic()
pid = os.fork()
if pid == 0:
    os.dup2(2, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
cpu_s = used.ru_utime + used.ru_stime
print(os.waitstatus_to_exitcode(status), time.monotonic() - began, cpu_s, used.ru_maxrss)
"""


@dataclass(frozen=True)
class Figures:
    """What one run cost; memory is the largest resident set of the program itself, its children left out."""

    status: int
    wall_s: float
    cpu_s: float
    rss_mib: float


def measured(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[Figures, str]:
    """Run a program to its end, and return what it cost and all that it said."""
    launched = (sys.executable, "-I", "-S", "-c", _LAUNCHER, *argv)
    with tempfile.TemporaryFile() as said:
        ended = subprocess.run(launched, env=environment, stdout=subprocess.PIPE, stderr=said, check=True)
        said.seek(0)
        words = said.read().decode("utf-8", "replace")
    status, wall_s, cpu_s, rss_kib = map(float, ended.stdout.split())
    return Figures(int(status), wall_s, cpu_s, rss_kib / 1024), words
