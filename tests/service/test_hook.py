"""The hook: what it is told, that it holds nothing up, and that it is bounded."""

from __future__ import annotations

import json
import os

import pytest

from tests.servers.waiting import wait_until
from tests.service.harness import Service, World, alive, script

TELL = 'echo "told of <$(echo "$MSWATCH_MAILBOXES" | tr "\\n" ";")> for $MSWATCH_ACCOUNT"'


def hook(world: World, text: str, limit: str = '"1m"') -> None:
    """Write the account with this script as its hook."""
    program = script(world.base / "hook", text)
    world.write()
    with world.file.open("a") as file:
        file.write(f"[hook]\ncommand = [{json.dumps(str(program))}]\nlimit = {limit}\n")


def test_it_is_told_of_mailboxes(world: World) -> None:
    """After each run that succeeded it gets the names of its mailboxes, none after one for everything."""
    hook(world, TELL)
    with world.in_step() as service:
        service.expect("told of <;> for work")
        world.near.say("Entwürfe\nlists/python\n".encode())
        service.expect("told of <Entwürfe;lists/python;> for work")


def test_not_after_a_failure(world: World) -> None:
    """A run that failed has no hook; the one that succeeds in the end has."""
    hook(world, TELL)
    mended = world.base / "mended"  # by the first try: after more of them there would be a run for everything
    script(world.syncer, f'test "$1" != bad || test -e {mended} || {{ : >{mended}; exit 1; }}')
    with world.in_step() as service:
        world.near.say(b"bad\n")
        service.expect("Sync errored")
        service.expect("told of <bad;> for work")
        assert service.log.count("told of <bad;>") == 1


def test_nothing_waits_for_it(world: World) -> None:
    """Runs go on while it runs; what they finish is for its next start."""
    os.mkfifo(world.base / "gate")
    hook(world, f'{TELL}\ntest "$MSWATCH_MAILBOXES" != first || cat {world.base}/gate')
    with world.in_step() as service:
        service.expect("told of <;>")
        world.near.say(b"first\n")
        service.expect("told of <first;>")
        for name in ("second", "third"):
            world.near.say(f"{name}\n".encode())
            service.expect(f"syncer {name}")
            service.expect("Sync completed")
        with (world.base / "gate").open("w"):
            pass
        service.expect("told of <second;third;>")


@pytest.mark.parametrize(
    ("text", "limit", "told"),
    [
        ("exit 3", '"1m"', "exited with status 3"),
        ("echo still here; exec sleep 1000", '"500ms"', "took longer than 0.5 s and was ended"),
        ("trap '' TERM; while :; do sleep 1000; done", '"500ms"', "took longer than 0.5 s and was ended"),
    ],
    ids=["fails", "hangs", "does not listen"],
)
@pytest.mark.slow
def test_what_goes_wrong(world: World, text: str, limit: str, told: str) -> None:
    """A hook that fails or hangs is told of, once, and the next run has one again."""
    hook(world, text, limit)
    with world.in_step() as service:
        assert told in service.expect("Hook ")
        hook(world, TELL)  # with more time, of which a busy machine takes its part
        assert reload(service) == 0
        world.near.say(b"Sent\n")
        service.expect("told of <Sent;>")
        wait_until(lambda: not service.status()["hook"]["error"], "the failure is over")


def test_a_hook_that_is_not_there(world: World) -> None:
    """The reason is told."""
    hook(world, "exit 0")
    (world.base / "hook").unlink()
    with world.in_step() as service:
        assert "cannot be started: No such file or directory" in service.expect("Hook ")


@pytest.mark.slow
def test_it_ends_with_the_service(world: World) -> None:
    """A stop ends the hook that runs, with what it started."""
    hook(world, f"sleep 1000 & echo $! > {world.base}/pid; wait")
    with world.in_step() as service:
        wait_until(
            lambda: (world.base / "pid").exists() and (world.base / "pid").read_text(), "it has started"
        )
        pid = int((world.base / "pid").read_text())
        assert service.end() == 0
        wait_until(lambda: not alive(pid), "what the hook started has ended")


def test_reload_takes_it_away(world: World) -> None:
    """A new configuration without a hook holds at once."""
    hook(world, TELL)
    with world.in_step() as service:
        service.expect("told of <;>")
        world.write()
        assert reload(service) == 0
        world.near.say(b"Sent\n")
        service.expect("syncer Sent")
        service.expect("Sync completed")
        world.near.say(b"Other\n")
        service.expect("syncer Other")
        assert "told of <Sent;>" not in service.log


def reload(service: Service) -> int:
    """Have the service read its configuration again."""
    return service.call("reload", "work").returncode
