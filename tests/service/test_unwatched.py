"""A store that nobody watches: it is looked at, and everybody is told so."""

from __future__ import annotations

import json

from tests.servers.waiting import wait_until
from tests.service.harness import World, script


def unwatched(world: World, top: str = "", near: str = "") -> None:
    """Write an account whose far store is a server that nobody watches."""
    watched = near or f"command = {json.dumps(world.near.command)}"
    world.file.write_text(
        f"base_delay = 0\ninter_delay = 0\nmax_delay = 60\n{top}\n"
        f"[sync]\ncommand = [{json.dumps(str(world.syncer))}]\n[store.near]\n{watched}\n"
        '[store.far]\nimap = "imap.example.org"\nuser = "me"\npassword_command = ["false"]\n'
    )


def test_it_is_told(world: World) -> None:
    """The journal, the status and the check say that it is not watched, and how often it is looked at."""
    unwatched(world)
    with world.service() as service:
        line = service.expect("Store far is not watched")
        assert "looked at every 1h" in line
        world.near.say(b"\n")
        service.expect("Watching mailstore near")
        service.expect("(all mailboxes)")
        store = service.status()["stores"]["far"]
        assert (store["state"], store["pid"], store["where"]) == ("unwatched", None, "imap.example.org:993")
        told = service.call("status").stdout
        assert "store far: not watched; looked at every 1h, and together with the other store; imap" in told
        world.near.say(b"INBOX\n")
        service.expect("syncer INBOX")
        assert service.log.count("Store far is not watched") == 1


def test_it_is_looked_at(world: World) -> None:
    """Nothing has to change for its mail to come."""
    unwatched(world, top='poll_period = "300ms"')
    with world.service() as service:
        world.near.say(b"\n")
        service.expect("Watching mailstore near")
        for _ in range(4):
            service.expect("Sync completed")
            service.expect("(all mailboxes)")


def test_both_unwatched(world: World) -> None:
    """With nobody to wait for, the service begins at once, polls, and ends."""
    unwatched(world, top='poll_period = "300ms"', near='imap = "localhost"\nuser = "me"')
    with world.service() as service:
        service.expect("Store far is not watched")
        service.expect("Store near is not watched")
        for _ in range(4):
            service.expect("(all mailboxes)")
        assert "Watching" not in service.log
        assert service.end() == 0


def test_a_reload_changes_it(world: World) -> None:
    """A store may get a watcher, and lose it."""
    unwatched(world)
    with world.service() as service:
        world.near.say(b"\n")
        service.expect("Watching mailstore near")
        world.write()
        assert service.call("reload", "work").returncode == 0
        world.far.say(b"\n")
        service.expect("Watching mailstores")
        world.far.say(b"Sent\n")
        service.expect("syncer Sent")
        unwatched(world)
        service.call("reload", "work")
        service.expect("Store far is not watched")
        assert service.status()["stores"]["far"]["state"] == "unwatched"
        world.near.say(b"INBOX\n")
        service.expect("syncer INBOX")


def test_what_needs_a_person_is_not_tried_again_at_once(world: World) -> None:
    """A refused password is not sent again for every change; when asked to, it is tried."""
    unwatched(world)
    script(world.syncer, "exit 78")
    with world.service() as service:
        world.near.say(b"\n")
        assert "the next one in 1m, or when asked for" in service.expect("Sync errored")
        for name in (b"a\n", b"b\n", b"c\n"):
            world.near.say(name)
        wait_until(lambda: "c" in service.status()["mailboxes"], "the changes are known")
        assert service.log.count("Sync started") == 1
        assert service.call("sync", "work", "d").returncode != 0
        service.expect("syncer d")
        service.expect("Sync errored")
        assert service.status()["runs"]["started"] == 2
        script(world.syncer, "exit 0")
        service.call("reload", "work")
        service.expect("Sync completed")
