"""The worlds of the engine with an IMAP account as either side, also killed at every command and every reply.

The account is a Dovecot on the world's own Maildir, so that a world is built, edited and copied as files are,
while the store under test sees nothing but IMAP.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mswatch.imap_session.link import Link
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.options import Options
from mswatch.mailsync.stores.contract import Store
from mswatch.mailsync.stores.imap import ImapStore
from tests.mailsync.kinds import KindWorld
from tests.mailsync.test_kinds import text_of
from tests.mailsync.test_worlds import WORLDS, assert_as_expected, in_child
from tests.mailsync.worlds import Contents, World, acts, build
from tests.servers.dovecot import Dovecot
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.server, pytest.mark.slow]

LONG = bool(os.environ.get("MSWATCH_LONG"))
STRIDE = 1 if LONG else 11
# Worlds are edited as files: what Dovecot remembers of its list shows no mailbox where a directory was.
NO_LIST_INDEX = "mailbox_list_index = no"
NO_MARKS = "imap_capability = IMAP4rev1 UIDPLUS"


class ImapWorld(KindWorld):
    """A world of which some sides are IMAP accounts."""

    dovecot: Dovecot
    pair: tuple[str, str] = ("maildir", "maildir")  # of what is seen as files
    imap_sides: tuple[Side, ...] = ("far",)
    settings: tuple[str, ...] = ()
    uses = False  # the server is asked what mailboxes are for
    subscribed = False  # and which ones are subscribed

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, *self.pair)

    def dry_store(self, side: Side) -> Store:
        return self.store(side) if side in self.imap_sides else super().dry_store(side)

    def store(self, side: Side) -> Store:
        if side not in self.imap_sides:
            return super().store(side)
        noted = self.command(side)
        return ImapStore(
            side,
            lambda: log_in(Server(tunnel=noted), Login()),
            uses=self.uses,
            subscribed=self.subscribed,
        )

    def command(self, side: Side) -> tuple[str, ...]:
        """Return a command that is a connection to the account of a side."""
        root = self.path(side)
        location = f"mail_location = maildir:{root}:LAYOUT=fs:INBOX={root}/INBOX"
        tunnel = self.dovecot.tunnel("world", location, NO_LIST_INDEX, *self.settings)
        return ("sh", "-c", 'echo $$ >> "$0"; exec "$@"', str(self._pids), *tunnel)

    @property
    def _pids(self) -> Path:
        return self.directory / "servers"

    def contents(self, side: Side) -> Contents:
        found = super().contents(side)
        self.wait_for_servers()
        return found

    def wait_for_servers(self) -> None:
        """Wait until the servers of a run that was killed have done what they were told."""
        pids = self._pids.read_text().split() if self._pids.exists() else []
        wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids), "the servers end")

    def copy(self, directory: Path) -> World:
        copied = super().copy(directory)
        made = type(self)(copied.directory)
        made._pids.unlink(missing_ok=True)
        return made


def world_class(
    dovecot: Dovecot,
    *sides: Side,
    settings: tuple[str, ...] = (),
    pair: tuple[str, str] = ImapWorld.pair,
    uses: bool = False,
) -> type[ImapWorld]:
    """Return the kind of worlds that have IMAP on these sides."""
    names = {"dovecot": dovecot, "imap_sides": sides, "settings": settings, "pair": pair, "uses": uses}
    return type("ImapWorldHere", (ImapWorld,), names)


def build_with(kind: type[ImapWorld], directory: Path, text: str) -> World:
    """Build a world of Maildirs, which has no UIDs yet, and look at it through IMAP from then on."""
    made = kind(directory)
    build(directory, text, made)
    return made


KINDS: dict[str, tuple[tuple[Side, ...], tuple[str, ...]]] = {
    "far": (("far",), ()),
    "near": (("near",), ()),
    "both": (SIDES, ()),
    "far, no marks": (("far",), (NO_MARKS,)),
    "far, near is mbox": (("far",), ()),
    "near, far is mh": (("near",), ()),
}
PAIRS = {"far, near is mbox": ("mbox", "maildir"), "near, far is mh": ("maildir", "mh")}


# The short form takes two of the kinds for each world, and comes through all of them.
TRIED = [
    (name, kind)
    for number, name in enumerate(WORLDS)
    for place, kind in enumerate(KINDS)
    if LONG or (number + place) % 2
]


@pytest.mark.parametrize(("name", "kind"), TRIED)
def test_run_and_run_again(name: str, kind: str, tmp_path: Path, dovecot: Dovecot) -> None:
    """A run leads to the end that is written down, as a dry run foretold, and a second one does nothing."""
    text, options = text_of(name), WORLDS[name][1]
    sides, settings = KINDS[kind]
    its_class = world_class(dovecot, *sides, settings=settings, pair=PAIRS.get(kind, ImapWorld.pair))
    world = build_with(its_class, tmp_path / "world", text)
    foretold = world.dry_run(options)
    outcome, listening = world.sync(options)
    assert acts(foretold) == acts(listening.told)
    assert not outcome.failed
    assert not outcome.problems
    assert not outcome.refused
    assert_as_expected(world, name, text)
    remembered = world.remembered()
    for _ in range(2):
        outcome, listening = world.sync(options)
        assert listening.told == []
        assert world.remembered() == remembered


@pytest.mark.parametrize("name", WORLDS)
def test_killed_at_every_command_and_reply(name: str, tmp_path: Path, dovecot: Dovecot) -> None:
    """Wherever a run is killed between two bytes, the next one comes to the same end."""
    text, options = WORLDS[name]
    kind = world_class(dovecot, "near" if list(WORLDS).index(name) % 2 else "far")
    start = build_with(kind, tmp_path / "start", text)
    steps = itertools.count(list(WORLDS).index(name) % STRIDE, STRIDE)
    for world in after_each_kill(start, tmp_path / "world", options, steps):
        assert_as_expected(world, name)
        _, listening = world.sync(options)
        assert listening.told == []


def after_each_kill(
    start: World,
    place: Path,
    options: Options,
    steps: Iterable[int],
    prepare: Callable[[ImapWorld], object] = lambda world: None,
) -> Iterator[ImapWorld]:
    """Give copies of a world in which a run was killed, at one of these steps each, and the next one ended.

    It ends with the first step that a run does not have.
    """
    for step in steps:
        world = start.copy(place)
        assert isinstance(world, ImapWorld)
        prepare(world)
        if in_child(partial(run_until, world, options, step)) == 0:
            break
        world.wait_for_servers()
        outcome, _ = world.sync(options)
        assert not outcome.failed, step
        yield world
    assert step > 5


def run_until(world: World, options: Options, step: int) -> None:
    """Run, and be killed before the wait with this number, or after it."""
    calls = itertools.count()
    real = Link.step

    def die() -> None:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def stepped(link: Link, *arguments: object) -> object:
        die()
        result = real(link, *arguments)  # type: ignore[arg-type]
        die()
        return result

    replaced: Callable[..., object] = stepped
    Link.step = replaced  # type: ignore[method-assign,assignment]
    world.sync(options)
