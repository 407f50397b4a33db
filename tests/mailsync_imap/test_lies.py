"""A server that says what is not so: whatever it says, nothing is gone after it tells the truth again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from mswatch.errors import MswatchError
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.options import Options
from mswatch.mailsync.stores.contract import Store
from mswatch.mailsync.stores.imap import ImapStore
from tests.mailsync.worlds import Contents
from tests.mailsync_imap.test_worlds import NO_LIST_INDEX, ImapWorld, build_with
from tests.servers.bending import CUT, Bend, bent
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server]

WORLD = """
a          x x x -> x
b          S x x -> S
c          x - - -> x
d          - x - -> x
lists/e    x x x -> x
lists/f    x F x -> F
other/g    x x x -> x
"""
BARE = "imap_capability = IMAP4rev1 UIDPLUS"
CONDSTORE = "imap_capability = IMAP4rev1 UIDPLUS CONDSTORE ENABLE LIST-EXTENDED LIST-STATUS"
SERVERS = {"all": (), "condstore": (CONDSTORE,), "bare": (BARE,)}


class LyingWorld(ImapWorld):
    """A world whose far store is a server that lies while there are ``bends``."""

    bends: tuple[Bend, ...] = ()

    def store(self, side: Side) -> Store:
        if side != "far" or not self.bends:
            return super().store(side)
        root = self.path(side)
        location = f"mail_location = maildir:{root}:LAYOUT=fs:INBOX={root}/INBOX"
        tunnel = bent(self.dovecot.tunnel("world", location, NO_LIST_INDEX, *self.settings), self.bends)
        return ImapStore(side, lambda: log_in(Server(tunnel=tunnel, timeout_s=20), Login()))


def lying_world(dovecot: Dovecot, settings: tuple[str, ...], directory: Path) -> LyingWorld:
    """Return a world with something to do."""
    kind = type("Here", (LyingWorld,), {"dovecot": dovecot, "settings": settings})
    world = build_with(kind, directory, WORLD)
    assert isinstance(world, LyingWorld)
    world.sync(Options())
    return world


OK = r"^(A[0-9]+) OK "
LIES: dict[str, tuple[Bend, ...]] = {
    "a list that ends with NO": (
        Bend(r'^\* LIST .*"?(lists|other)"?\r\n', ""),
        Bend(r"^(A[0-9]+) OK List completed", r"\1 NO [UNAVAILABLE] a backend is down"),
    ),
    "a list that is refused": (
        Bend(r"^\* (LIST|STATUS) .*", ""),
        Bend(r"^(A[0-9]+) OK List completed", r"\1 NO a backend is down"),
    ),
    "a list that is not understood": (
        Bend(r"^\* (LIST|STATUS) .*", ""),
        Bend(r"^(A[0-9]+) OK List completed", r"\1 BAD what"),
    ),
    "a list that leaves out a mailbox, once": (Bend(r'^\* (LIST|STATUS) .*"?lists"?.*', "", count=2),),
    "a list that leaves out all but INBOX": (Bend(r'^\* (LIST|STATUS) .*"?(lists|other)"?.*', "", count=4),),
    "a list that leaves out INBOX": (Bend(r"^\* (LIST|STATUS) .*INBOX.*", "", count=2),),
    "a list that is cut off": (Bend(r"^\* LIST .*lists.*", CUT),),
    "a status of another count": (Bend(r"^(\* STATUS .*MESSAGES) [0-9]+", r"\1 0"),),
    "no status": (Bend(r"^\* STATUS .*", ""),),
    "a status that is refused": (
        Bend(r"^\* STATUS .*", ""),
        Bend(r"^(A[0-9]+) OK Status completed", r"\1 NO [NONEXISTENT] no such mailbox"),
    ),
    "an empty mailbox": (Bend(r"^\* [0-9]+ EXISTS", "* 0 EXISTS"),),
    "flags of nobody": (Bend(r"^\* [0-9]+ FETCH .*FLAGS.*", ""),),
    "flags of the first alone": (Bend(r"^\* [0-9]+ FETCH .*FLAGS.*", "", skip=1),),
    "flags that are refused": (
        Bend(r"^\* [0-9]+ FETCH .*FLAGS.*", ""),
        Bend(r"^(A[0-9]+) OK Fetch completed", r"\1 NO [SERVERBUG] broken"),
    ),
    "a search that finds nothing": (Bend(r"^\* (SEARCH|ESEARCH).*", r"* SEARCH\r\n"),),
    "a search without an answer": (Bend(r"^\* (SEARCH|ESEARCH).*", ""),),
    "a search that is refused": (
        Bend(r"^\* (SEARCH|ESEARCH).*", ""),
        Bend(r"^(A[0-9]+) OK Search completed", r"\1 NO [SERVERBUG] broken"),
    ),
    "everything vanished": (Bend(r"^(\* [0-9]+ EXISTS)", r"* VANISHED (EARLIER) 1:99\r\n\1"),),
    "another UIDVALIDITY": (Bend(r"UIDVALIDITY [0-9]+", "UIDVALIDITY 77"),),
    "no UIDVALIDITY": (Bend(r"^\* OK \[UIDVALIDITY.*", ""),),
    "bodies of nobody": (Bend(r"^\* [0-9]+ FETCH .*BODY\[\].*", ""),),
    "empty bodies": (Bend(r"BODY\[\] \{[0-9]+\}\r\n", 'BODY[] ""'),),
    "bodies of another UID": (Bend(r"^(\* [0-9]+ FETCH .*UID) [0-9]+", r"\1 77"),),
    "bodies without UID": (Bend(r"^(\* [0-9]+ FETCH \()UID [0-9]+ ", r"\1"),),
    "uploads under another UID": (Bend(r"APPENDUID ([0-9]+) [0-9,:]+", r"APPENDUID \1 77"),),
    "uploads under the UID of another one": (Bend(r"APPENDUID ([0-9]+) [0-9,:]+", r"APPENDUID \1 1"),),
    "uploads without a UID": (Bend(r"\[APPENDUID [^]]*\]", ""),),
    "uploads that are refused": (Bend(r"^(A[0-9]+) OK \[APPENDUID.*", r"\1 NO no\r\n"),),
    "a namespace that is refused": (
        Bend(r"^\* NAMESPACE .*", ""),
        Bend(r"^(A[0-9]+) OK Namespace", r"\1 NO Namespace"),
    ),
    "BYE at the first SELECT": (Bend(r"^\* [0-9]+ EXISTS.*", CUT),),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("lie", LIES)
def test_a_lie(dovecot: Dovecot, tmp_path: Path, lie: str, server: str) -> None:
    """A run that hears it, another one, then the truth: what was there is there, and nothing else."""
    world = lying_world(dovecot, SERVERS[server], tmp_path / "world")
    world.put("near", "INBOX", "h")
    world.put("far", "INBOX", "i")
    world.set("near", "lists", "e", "R")
    world.find("far", "INBOX", "a").unlink()
    before = names(world.contents("near")) | names(world.contents("far"))
    world.bends = LIES[lie]
    for _ in range(2):
        with contextlib.suppress(MswatchError):
            world.sync()
    world.bends = ()
    for _ in range(3):
        outcome, _ = world.sync()
    assert not outcome.failed
    assert not outcome.refused
    near, far = world.contents("near"), world.contents("far")
    assert names(near) == names(far)
    wanted = before - {("INBOX", "a")}
    assert wanted <= names(near)
    for side in SIDES:
        for mailbox, messages in world.contents(side).items():
            held = [name for name, _ in messages.elements()]
            assert sorted(held) == sorted(set(held)), (side, mailbox)


def names(contents: Contents) -> set[tuple[str, str]]:
    """Return mailbox and name of each message."""
    return {(mailbox, name) for mailbox, messages in contents.items() for name, _ in messages}
