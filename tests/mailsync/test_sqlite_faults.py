"""A fault at every call that SQLite makes: the disk is full, or breaks, or the run is killed there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mailsync.test_worlds import WORLDS
from tests.socketwatch.harness import compile_program

HERE = Path(__file__).parent
KILLED = 0
# The short form takes a share of the calls, other ones in each of the tests; all: MSWATCH_LONG=1.
STRIDE = 1 if os.environ.get("MSWATCH_LONG") else 3
NAMES = list(WORLDS) if os.environ.get("MSWATCH_LONG") else ["everything at once"]
FAULTS = [
    *[(KILLED, False), (errno.ENOSPC, False), (errno.ENOSPC, True), (errno.EIO, False), (errno.EIO, True)],
    *[(errno.EACCES, False), (errno.EINTR, False)],
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes calls fail."""
    source = os.path.relpath(HERE / "faults.c", HERE.parent / "socketwatch")
    return compile_program(source, tmp_path_factory.mktemp("faults"), "-fPIC", "-shared", name="faults.so")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", range(len(FAULTS)))
def test_fault_at_every_call(place: int, name: str, library: Path, tmp_path: Path) -> None:
    """Wherever the state cannot be read or written, the next run comes to the same end."""
    number, for_good = FAULTS[place]
    module = "tests.mailsync.sqlite_faults"
    numbers = (number, int(for_good), place % STRIDE, STRIDE)
    argv = [sys.executable, "-m", module, str(tmp_path), name, *map(str, numbers)]
    ended = subprocess.run(
        argv,
        cwd=HERE.parents[1],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) * STRIDE > 20
