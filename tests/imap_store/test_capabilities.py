"""The worlds on a Dovecot that lacks one of its capabilities, each in turn, or all but a few.

A client that relies on what was not promised fails here: Dovecot does not refuse the command of a capability
that it hides, so what is sent is looked at as well.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import Session
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import Side
from tests.mailsync.test_worlds import WORLDS, assert_as_expected
from tests.mailsync_imap.test_worlds import build_with, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

# Each capability that mailsync uses, and how the bytes look that may be sent with it only.
USES = {
    "CONDSTORE": rb"CONDSTORE|CHANGEDSINCE|HIGHESTMODSEQ|MODSEQ",
    "ENABLE": rb" ENABLE ",
    "ESEARCH": rb"SEARCH RETURN",
    "ID": rb"^A\d+ ID ",
    "LIST-EXTENDED": rb"LIST .*RETURN \((?!STATUS)",
    "LIST-STATUS": rb"RETURN \([^)]*STATUS",
    "LITERAL+": rb"\{\d+\+\}",
    "MOVE": rb"UID MOVE",
    "MULTIAPPEND": rb"APPEND .*\{\d+\+?\}\r\n(?s:.*)\r\n \(",
    "NAMESPACE": rb" NAMESPACE\r",
    "QRESYNC": rb"QRESYNC|VANISHED",
    "SPECIAL-USE": rb"SPECIAL-USE",
    "UIDPLUS": rb"UID EXPUNGE",
    "UNSELECT": rb" UNSELECT\r",
    "COMPRESS=DEFLATE": rb" COMPRESS ",
}
IMPLIED_BY = {"CONDSTORE": "QRESYNC", "LIST-EXTENDED": "LIST-STATUS"}  # RFC 7162, 3.2; RFC 5819, 2
SETS = {
    **{f"without {name}": frozenset(USES) - {name} for name in USES},
    **{f"with {name} alone": frozenset({name}) for name in USES},
    "without any": frozenset[str](),
}
LONG = bool(os.environ.get("MSWATCH_LONG"))
CHOSEN = ("everything at once", "mailboxes, below others too", "moved and read")
# The short form takes one of the chosen worlds for each set, in turn, and the long one all worlds.
TRIED = [
    (kind, name)
    for number, kind in enumerate(SETS)
    for name in (WORLDS if LONG else CHOSEN)
    if LONG or CHOSEN.index(name) == number % len(CHOSEN)
]


def setting(capabilities: frozenset[str]) -> str:
    """Return the setting that has Dovecot tell of these only."""
    return " ".join(("imap_capability = IMAP4rev1 SASL-IR", *sorted(capabilities)))


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is sent to the server."""
    lines: list[bytes] = []
    real = Session._next_outgoing

    def noted(self: Session) -> bytes:
        data = real(self)
        lines.append(bytes(data))
        return data

    monkeypatch.setattr(Session, "_next_outgoing", noted)
    return lines


@pytest.mark.parametrize(("kind", "name"), TRIED)
def test_worlds(kind: str, name: str, tmp_path: Path, dovecot: Dovecot, sent: list[bytes]) -> None:
    """A run comes to the end that is written down, a second one does nothing, and nothing hidden is used."""
    there = SETS[kind]
    text, options = WORLDS[name]
    side: Side = "near" if list(SETS).index(kind) % 2 else "far"
    world = build_with(
        world_class(dovecot, side, settings=(setting(there),), uses=True), tmp_path / "world", text
    )
    sent.clear()
    outcome, _ = world.sync(options)
    assert not (outcome.failed or outcome.problems or outcome.refused), outcome
    assert_as_expected(world, name)
    _, listening = world.sync(options)
    assert listening.told == []
    for capability, pattern in USES.items():
        if capability not in there and IMPLIED_BY.get(capability) not in there:
            assert not re.search(pattern, b"".join(sent), re.MULTILINE), capability


def test_the_table_is_whole(dovecot: Dovecot, tmp_path: Path) -> None:
    """Every capability that the sources ask for is in it, but for those of the login and UTF8=ONLY."""
    sources = (Path(__file__).parents[2] / "mswatch").rglob("*.py")
    asked = {name for path in sources for name in re.findall(r'\bcan\("([^"]+)"\)', path.read_text())}
    assert asked - {"SASL-IR", "IMAP4REV2", "LITERAL-", "UTF8=ONLY"} == set(USES)


def test_hiding_works(dovecot: Dovecot) -> None:
    """The server that the tests take for one without a capability is one."""
    with log_in(Server(tunnel=dovecot.tunnel("hiding", setting(frozenset({"MOVE"})))), Login()) as session:
        assert session.can("MOVE")
        assert not session.can("UIDPLUS")
