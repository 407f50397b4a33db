"""Gives every call that SQLite makes of the C library a fault, one after the other, and goes on after it.

``python -m tests.mailsync.sqlite_faults DIRECTORY WORLD ERRNO FOR-GOOD FIRST STRIDE``, with the library of
``faults.c`` loaded (``LD_PRELOAD``).  ERRNO 0: the run is killed before the call.  After each fault the
next run must come to the end that is written down, and the one after it touch nothing.  Prints how many
calls were tried.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from mswatch.errors import TemporaryError
from tests.mailsync.test_worlds import WORLDS, assert_as_expected, in_child
from tests.mailsync.worlds import build

OVER = 100  # how a child ends whose run made fewer calls


def main() -> None:
    """Try all calls of a run."""
    directory, name = Path(sys.argv[1]), sys.argv[2]
    number, for_good, first, stride = map(int, sys.argv[3:])
    library = ctypes.CDLL(None)
    text, options = WORLDS[name]
    start = build(directory / "start", text)

    def run_with_fault(call: int) -> None:
        library.fault_begin(b"state.sqlite", call, number, for_good)
        with suppress(TemporaryError):  # and nothing else
            world.sync(options)
        if library.fault_count() <= call:
            os._exit(OVER)

    tried = 0
    for call in itertools.count(first, stride):
        world = start.copy(directory / "world")
        status = in_child(partial(run_with_fault, call))
        if status == OVER:
            break
        assert status == (0 if number else -signal.SIGKILL), call
        tried += 1
        outcome, _ = world.sync(options)
        assert not outcome.failed, (call, outcome)
        assert_as_expected(world, name)
        before = world.snapshot()
        world.sync(options)
        assert world.snapshot() == before, call
    sys.stdout.write(f"{tried}\n")


if __name__ == "__main__":
    main()
