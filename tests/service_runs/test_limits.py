"""A run that hangs is ended, one that is slow is not; by the shim's reports, without a manager."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.servers.waiting import wait_until
from tests.service.harness import World, script

HANG = "exec sleep 1000"
# Each file that it makes is progress.
SLOW = "for i in 1 2 3 4 5 6 7 8 9 10; do : > {base}/made.$i; sleep 0.4; done"
ENDLESS = "while :; do : > {base}/made; rm {base}/made; sleep 0.2; done"


def write(world: World, text: str, limits: str) -> None:
    """Write a syncer and an account with limits."""
    script(world.syncer, text.format(base=world.base))
    world.write(sync=f'command = ["{world.syncer}"]\n{limits}')


@pytest.mark.slow
def test_a_hung_run_is_ended_and_tried_again(world: World) -> None:
    """Silence for longer than idle_limit ends the run; that is a failure, so it is tried again."""
    write(world, HANG, "idle_limit = 1")
    began = time.monotonic()
    with world.service() as service:
        assert "syncer made no progress and was ended" in service.expect("Sync errored")
        assert time.monotonic() - began >= 1
        wait_until(lambda: service.status()["mailboxes"]["INBOX"]["failures"] >= 2, "it is tried again")


@pytest.mark.slow
def test_a_slow_run_is_left_alone(world: World) -> None:
    """A run that takes twice its idle_limit, but always does something, ends by itself."""
    write(world, SLOW, "idle_limit = 2")
    with world.service() as service:
        service.expect("Sync completed")

        assert "errored" not in service.log


@pytest.mark.slow
def test_the_hard_cap(world: World) -> None:
    """A run that goes on and on is ended by hard_cap."""
    write(world, ENDLESS, "hard_cap = 2")
    began = time.monotonic()
    with world.service() as service:
        assert "syncer took too long and was ended" in service.expect("Sync errored")
        assert time.monotonic() - began >= 2


@pytest.mark.slow
def test_no_limits(world: World) -> None:
    """With both limits off nothing is ended."""
    write(world, "exec sleep 2", "idle_limit = 0\nhard_cap = 0")
    with world.service() as service:
        service.expect("Sync completed")


@pytest.mark.slow
def test_a_static_program(world: World) -> None:
    """A program that the shim cannot see is left to the hard cap, and the log says so once."""
    source = "#include <unistd.h>\nint main(void) { usleep(800000); return 0; }\n"
    static = world.base / "static"
    subprocess.run(("gcc", "-static", "-x", "c", "-o", static, "-"), input=source, text=True, check=True)
    world.write(sync=f'command = ["{static}"]\nidle_limit = "300ms"')
    with world.in_step() as service:  # after two runs
        assert service.log.count("nothing is known of the progress of") == 1


def test_socketwatch_as_the_syncer(world: World) -> None:
    """The old way, socketwatch in front of the syncer, is left alone: two guards would take one for hung."""
    guarded = world.base / "socketwatch"
    script(guarded, 'env | grep -c LD_PRELOAD; exec "$@"')
    world.write(sync=f'command = ["{guarded}", "true"]')
    with world.service() as service:
        service.expect("socketwatch: 0")
        service.expect("Sync completed")
