"""An error in our own code ends the service visibly, instead of leaving it half alive."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.servers.waiting import DEADLINE_S
from tests.service.harness import World, environment, mswatch

# The service as it is, but that the first line of a watcher meets an error that nobody expects.
BROKEN = """
import sys
from mswatch.core.engine import Engine
def fail(self, store, now):
    raise ZeroDivisionError("planted")
Engine._watcher_ready = fail
from mswatch.entry import main
sys.argv = ["mswatch", *sys.argv[1:]]
sys.exit(main())
"""


def test_it_ends_with_70(world: World, tmp_path: Path) -> None:
    """The error is shown with where it was, the status is 70, and the lock and the socket are free again."""
    world.write()
    world.near.say(b"\n")
    done = subprocess.run(
        [mswatch()[0], "-c", BROKEN, "run", "--config", str(world.file)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 70
    assert "ZeroDivisionError: planted" in done.stderr
    assert "this is a bug of mswatch" in done.stderr
    assert not os.path.exists(tmp_path / "runtime/mswatch/work.sock")  # noqa: PTH110
