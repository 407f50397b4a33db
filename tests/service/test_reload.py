"""A reload takes a changed configuration over, or keeps the old one and says why."""

from __future__ import annotations

import os

from tests.servers.waiting import wait_until
from tests.service.harness import Fifo, World, script


def test_new_delays_and_syncer(world: World) -> None:
    """After a reload the new syncer is called; watchers that did not change stay as they are."""
    with world.in_step() as service:
        before = service.status()["stores"]
        other = script(world.base / "other", "exit 0")
        world.write(sync=f'command = ["{other}"]')

        assert service.call("reload", "work").returncode == 0
        service.expect("Read ")
        world.near.say(b"Sent\n")
        assert service.expect("+ ").endswith("/other Sent")
        assert service.status()["stores"]["near"]["pid"] == before["near"]["pid"]


def test_pending_changes_are_kept(world: World) -> None:
    """A change that waits for its delay is synced after a reload, by the new delay."""
    world.write(top='[inter_delays]\n"slow" = "1h"\n')
    with world.in_step() as service:
        world.near.say(b"slow\n")
        service.expect("syncer slow")
        service.expect("Sync completed")
        world.near.say(b"slow\n")
        wait_until(lambda: service.status()["mailboxes"]["slow"]["pending_since"], "the change waits")
        world.write()
        service.call("reload", "work")

        assert service.expect("+ ").endswith("/syncer slow")


def test_a_broken_configuration_is_refused(world: World) -> None:
    """A configuration that cannot be used changes nothing; who asked and the log are told what is wrong."""
    with world.in_step() as service:
        good = world.file.read_text()
        world.file.write_text(good.replace("base_delay", "bose_delay"))

        refused = service.call("reload", "work")

        assert refused.returncode == 69
        assert "bose_delay" in refused.stderr
        assert "bose_delay" in service.expect("cannot be used")
        world.near.say(b"Sent\n")
        assert service.expect("+ ").endswith("/syncer Sent")


def test_a_changed_watcher_is_started_anew(world: World) -> None:
    """A store whose watcher is configured differently gets the new one, and everything is synced."""
    with world.in_step() as service:
        new = Fifo(world.base / "new.fifo")
        world.write(near=new.command)
        service.call("reload", "work")
        service.expect("Starting near watcher")
        new.say(b"\n")

        assert service.expect("+ ").endswith("/syncer ")
        new.say(b"Sent\n")
        assert service.expect("+ ").endswith("/syncer Sent")
        new.close()


def test_a_renamed_store(world: World) -> None:
    """A store under another name is watched; the watcher of the old one is ended."""
    with world.in_step() as service:
        old = service.status()["stores"]["far"]["pid"]
        world.file.write_text(world.file.read_text().replace("[store.far]", "[store.server]"))
        service.call("reload", "work")
        service.expect("Starting server watcher")
        world.far.say(b"\n")

        assert service.expect("+ ").endswith("/syncer ")
        assert set(service.status()["stores"]) == {"near", "server"}
        wait_until(lambda: not os.path.exists(f"/proc/{old}"), "the old watcher is gone")  # noqa: PTH110


def test_a_configuration_that_is_gone(world: World) -> None:
    """A reload without a file keeps the service as it is."""
    with world.in_step() as service:
        world.file.unlink()

        assert service.call("reload", "work").returncode == 69
        assert service.call("status").returncode == 0
