"""Flags that a second client changes between any two of our commands: none is lost, and none comes back."""

from __future__ import annotations

import imaplib
import itertools
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from mswatch.imap_session.link import Link
from mswatch.mailsync.decide import Side
from tests.mailsync.meddling import MEDDLING, WORLD, assert_both
from tests.mailsync_imap.test_worlds import NO_MARKS, ImapWorld, build_with, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

FLAGS = {"S": "\\Seen", "R": "\\Answered", "F": "\\Flagged", "D": "\\Draft", "w": "work"}


class Client:
    """A client of the standard library, so that nothing of ours judges itself."""

    def __init__(self, world: ImapWorld, side: Side) -> None:
        self._imap = imaplib.IMAP4_stream(shlex.join(world.command(side)))
        self._side = side
        self._imap.select("INBOX")

    def meddle(self) -> list[str]:
        """Change flags; return the messages that were there."""
        met = []
        self._imap.noop()
        for name, (added, removed) in MEDDLING[self._side].items():
            (found,) = self._imap.search(None, "HEADER", "Subject", name)[1]
            if found:
                met.append(name)
                for how, flags in (("+FLAGS", added), ("-FLAGS", removed)):
                    for flag in flags:
                        self._imap.store(found.decode(), how, f"({FLAGS[flag]})")
        return met

    def close(self) -> None:
        """Leave."""
        self._imap.logout()


@pytest.mark.parametrize("settings", [(), (NO_MARKS,)], ids=["condstore", "no marks"])
@pytest.mark.parametrize("side", ["near", "far"])
def test_between_any_two_commands(
    side: Side, settings: tuple[str, ...], tmp_path: Path, dovecot: Dovecot
) -> None:
    """A second client acts before each wait for the server in turn, and before each thing that we send."""
    start = build_with(world_class(dovecot, side, settings=settings), tmp_path / "start", WORLD)
    for step in itertools.count():
        world = start.copy(tmp_path / "world")
        assert isinstance(world, ImapWorld)
        client = Client(world, side)
        met = sync_with(world, client.meddle, step)
        client.close()
        if met is None:
            break
        world.sync()
        assert_both(world, side, met, step)
        assert world.sync()[1].told == []
    assert step > 10


def sync_with(world: ImapWorld, act: Callable[[], list[str]], step: int) -> list[str] | None:
    """Run, with something done before the step with this number; return what that returned."""
    calls = itertools.count()
    met: list[list[str]] = []

    def meddling(real: Callable[..., object]) -> Callable[..., object]:
        def call(link: Link, *arguments: object) -> object:
            if next(calls) == step:
                met.append(act())
            return real(link, *arguments)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("step", "push"):
            patch.setattr(Link, name, meddling(getattr(Link, name)))
        outcome, _ = world.sync()
    assert not outcome.failed
    assert not outcome.problems
    return met[0] if met else None
