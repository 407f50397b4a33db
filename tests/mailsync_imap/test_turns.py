"""How often a whole run waits for the server: one number for each kind of change, and not one more.

A turn is a round trip: we wait after having spoken.  The first is the greeting, which here is also the login;
the second one lists all mailboxes with their marks, and in a first run getting acquainted comes before it.
TCP, TLS and logging in come on top with a server that is far away (``tests/imap_session/test_login.py`` holds
theirs).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import Session
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import Side
from mswatch.mailsync.stores.contract import Store
from mswatch.mailsync.stores.imap import ImapStore
from tests.mailsync.worlds import World, body
from tests.mailsync_imap.test_worlds import ImapWorld, build_with, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

BOXES = 20
IN_STEP = "".join(f"box{n}/a{n} x x x -> x\nbox{n}/b{n} x x x -> x\n" for n in range(BOXES))
ASIDE = 2  # until the mailboxes are listed


def new_there(world: World) -> None:
    """Three messages arrive in one mailbox of the server."""
    for number in range(3):
        world.put("far", "box3", f"new{number}", data=body(f"new{number}"))


def new_here(world: World) -> None:
    """The same here."""
    for number in range(3):
        world.put("near", "box3", f"new{number}", data=body(f"new{number}"))


def flags_there(world: World) -> None:
    """Two messages of a mailbox are read and flagged on the server."""
    world.set("far", "box3", "a3", "S")
    world.set("far", "box3", "b3", "F")


def flags_here(world: World) -> None:
    """The same here."""
    world.set("near", "box3", "a3", "S")
    world.set("near", "box3", "b3", "F")


def deleted_here(world: World) -> None:
    """A message is deleted here."""
    world.find("near", "box3", "a3").unlink()


def deleted_there(world: World) -> None:
    """The same on the server."""
    world.find("far", "box3", "a3").unlink()


def moved_here(world: World) -> None:
    """A message is moved here."""
    path = world.find("near", "box3", "a3")
    path.rename(world.make("near", "box4") / "cur" / path.name)


def a_box_there(world: World) -> None:
    """A mailbox with two messages is new on the server."""
    for number in range(2):
        world.put("far", "later", f"late{number}", data=body(f"late{number}"))


def new_in_all(world: World) -> None:
    """A message arrives in each mailbox of the server."""
    for box in range(BOXES):
        world.put("far", f"box{box}", f"new{box}", data=body(f"new{box}"))


def flags_in_all(world: World) -> None:
    """A message is read in each mailbox of the server."""
    for box in range(BOXES):
        world.set("far", f"box{box}", f"a{box}", "S")


CHANGES: list[tuple[Callable[[World], None] | None, int]] = [
    (None, 0),
    (new_there, 2),  # what is different; the messages
    (new_in_all, 2),
    (flags_in_all, 1),
    (new_here, 1),  # opened, and the upload
    (flags_there, 1),
    (flags_here, 2),  # opened; the flags set and asked for
    (deleted_here, 3),  # opened; removed; looked for
    (deleted_there, 2),  # what is different; whether it is gone for certain
    (moved_here, 3),  # opened and looked for; moved; looked for
    (a_box_there, 1),  # opened, with all flags and messages
]


class Counted(ImapWorld):
    """A world that keeps its sessions, for what they counted."""

    sessions: list[Session]

    def store(self, side: Side) -> Store:
        if side == "near":
            return super().store(side)
        root = self.path(side)
        location = f"mail_location = maildir:{root}:LAYOUT=fs:INBOX={root}/INBOX"
        server = Server(tunnel=self.dovecot.tunnel("world", location))

        def kept() -> Session:
            self.sessions.append(log_in(server, Login()))
            return self.sessions[-1]

        return ImapStore(side, kept, uses=self.uses)


@pytest.mark.parametrize("uses", [False, True], ids=["", "with uses"])
@pytest.mark.parametrize(("change", "turns"), CHANGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_run(
    change: Callable[[World], None] | None, turns: int, uses: bool, tmp_path: Path, dovecot: Dovecot
) -> None:
    """A run costs as many round trips as it has questions that need each other's answers."""
    build_with(world_class(dovecot, "far"), tmp_path / "world", IN_STEP).sync()
    names = {"dovecot": dovecot, "sessions": [], "uses": uses}
    world = type("Here", (Counted,), names)(tmp_path / "world")
    world.sync()
    if change is not None:
        change(world)
    world.sessions.clear()
    outcome, listening = world.sync()
    assert not outcome.failed
    assert bool(listening.told) == (change is not None)
    assert sum(session.turns for session in world.sessions) == ASIDE + turns


def first_sync(side: Side, directory: Path, dovecot: Dovecot) -> Counted:
    """Sync many mailboxes of a side, which has three messages in each, for the first time."""
    world: Counted = type("Here", (Counted,), {"dovecot": dovecot, "sessions": []})(directory)
    for box in range(BOXES):
        for number in range(3):
            world.put(side, f"box{box:02}", f"m{number}", data=body(f"m{box}-{number}"))
    world.make("near", "INBOX")
    world.make("far", "INBOX")
    outcome, listening = world.sync()
    assert not outcome.failed
    assert len(listening.told) == BOXES * 4
    return world


def test_a_first_run(tmp_path: Path, dovecot: Dovecot) -> None:
    """A first sync costs a few round trips, however many mailboxes there are."""
    world = first_sync("far", tmp_path, dovecot)
    assert sum(session.turns for session in world.sessions) <= ASIDE + 1 + 2


def test_a_first_upload(tmp_path: Path, dovecot: Dovecot) -> None:
    """All mailboxes are made and looked at in one round trip, and each is filled in one of its own."""
    world = first_sync("near", tmp_path, dovecot)
    assert sum(session.turns for session in world.sessions) == ASIDE + 1 + 1 + BOXES
    assert world.sync()[1].told == []
    assert world.contents("near") == world.contents("far")
