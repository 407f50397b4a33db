"""Whatever a watcher prints or does, the service goes on, and says what it saw."""

from __future__ import annotations

import os
import signal

import pytest

from tests.servers.waiting import wait_until
from tests.service.harness import World


def test_rubbish_first(world: World) -> None:
    """A program whose first line is not empty is no watcher: it is ended and told once, and tried again."""
    world.write(near=["echo", "hello"])
    with world.service() as service:
        line = service.expect("Error: near watcher")

        assert "expected an empty line when it is watching, found 'hello'" in line
        wait_until(lambda: service.status()["stores"]["near"]["failures"] >= 2, "it is tried again")
        assert service.log.count("Error: near watcher") == 1


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["true"], "exited with status 0"),
        (["sh", "-c", "echo; exit 4"], "exited with status 4"),
        (["sh", "-c", "echo no such host >&2; exit 255"], "exited with status 255 (no such host)"),
        (["/nowhere/watcher"], "cannot start '/nowhere/watcher': No such file or directory"),
        (["sh", "-c", "exec >&-; sleep 1000"], "closed its output"),
        (["yes", "no end"], "expected an empty line when it is watching, found 'no end'"),
        (["cat", "/dev/zero"], "found a line that does not end"),
    ],
    ids=["dies at once", "dies ready", "tells why", "missing", "closes its output", "floods", "endless line"],
)
def test_a_watcher_that_cannot_work(world: World, command: list[str], told: str) -> None:
    """A watcher's end is told with its reason, and the other store is served meanwhile."""
    world.write(near=command)
    with world.service() as service:
        world.far.say(b"\n")

        assert told in service.expect("Error: near watcher")
        service.expect("(all mailboxes)")
        service.expect("(all mailboxes)")
        world.far.say(b"Sent\n")
        # By its name, or with all mailboxes, which a watcher that comes back asks for.
        wait_until(lambda: service.status()["mailboxes"].get("Sent", {}).get("in_step_at"), "it is synced")


def test_a_watcher_that_never_says_it_is_ready(world: World) -> None:
    """The other store's changes do not wait for a watcher that hangs at its start, and status tells of it."""
    world.write(near=["sleep", "1000"])
    with world.service() as service:
        world.far.say(b"\n")
        service.expect("Sync completed")
        world.far.say(b"Sent\n")

        service.expect("syncer Sent")
        assert service.status()["stores"]["near"]["state"] == "starting"


def test_an_endless_line_after_the_start(world: World) -> None:
    """A name without end is taken as a change of any mailbox; what follows its newline is read again."""
    with world.in_step() as service:
        world.near.say(b"x" * 60_000)
        service.expect("near watcher printed a line of more than 4096 bytes")
        service.expect("Sync completed")
        world.near.say(b"x\nSent\n")

        assert service.expect("+ ").endswith("/syncer Sent")


def test_an_empty_line_is_everything(world: World) -> None:
    """A later empty line is a change of any mailbox."""
    with world.in_step() as service:
        world.near.say(b"\n")

        assert service.expect("+ ").endswith("/syncer ")


def test_names_that_are_no_utf8_or_harmful(world: World) -> None:
    """A name of any bytes reaches the syncer; one that could be an option makes the call one for all."""
    with world.in_step() as service:
        world.near.say(b"caf\xe9\n")
        assert "caf\\xe9" in service.expect("+ ")
        service.expect("Sync completed")
        world.near.say(b"--delete-everything\n")
        service.expect('mailbox "--delete-everything"')
        assert service.expect("+ ").endswith("/syncer ")


def test_a_flooding_watcher_keeps_nobody_waiting(world: World) -> None:
    """A watcher that prints megabytes of names does not keep status from answering or memory bounded."""
    world.write(near=["sh", "-c", "echo; exec seq 1000000000"])
    with world.service() as service:
        world.far.say(b"\n")
        service.expect("(all mailboxes)")
        service.expect("(all mailboxes)")

        for _ in range(2):
            assert service.call("status").returncode == 0
        resident = next(line for line in _status_of(service.process.pid) if line.startswith("VmRSS"))
        assert int(resident.split()[1]) < 150_000


def _status_of(pid: int) -> list[str]:
    with open(f"/proc/{pid}/status") as file:  # noqa: PTH123
        return file.read().splitlines()


def test_a_lost_watcher_is_started_again(world: World) -> None:
    """A watcher that is killed is started again, and a run for all mailboxes covers what it missed."""
    with world.in_step() as service:
        os.kill(service.status()["stores"]["far"]["pid"], signal.SIGKILL)

        service.expect("Error: far watcher was killed by SIGKILL; started again ")
        service.expect("Starting far watcher")
        world.far.say(b"\n")
        assert service.expect("+ ").endswith("/syncer ")
        wait_until(lambda: service.status()["stores"]["far"]["state"] == "watching", "the store is watched")


def test_a_watcher_under_inputkill(world: World) -> None:
    """With inputkill = true a command that ignores its stdin ends with the service, descendants too."""
    pid_file = world.base / "pid"
    command = ["sh", "-c", f"echo; sh -c 'echo $$ > {pid_file}; exec sleep 1000' & wait"]
    world.write(near=command)
    world.file.write_text(world.file.read_text().replace("[store.far]", "inputkill = true\n[store.far]"))
    with world.service() as service:
        wait_until(
            lambda: pid_file.exists() and pid_file.read_text().endswith("\n"), "the watcher has started"
        )
        child = int(pid_file.read_text())
        service.end(signal.SIGKILL)

    wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the descendant is gone")  # noqa: PTH110
