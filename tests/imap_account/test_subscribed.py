"""Only what is subscribed on a server is synced: by LIST where it can say that, otherwise by LSUB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mswatch.imap import commands
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import Session
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import SIDES
from mswatch.mailsync.options import Options
from mswatch.mailsync.stores.contract import UNSUBSCRIBED
from mswatch.mailsync.stores.imap import ImapStore
from tests.imap_session.conftest import password_file
from tests.imap_store.test_servers import cyrus  # noqa: F401 - a fixture
from tests.mailsync.worlds import World, acts
from tests.mailsync_imap.test_worlds import ImapWorld, after_each_kill, build_with, world_class
from tests.servers.courier import courier_tunnel
from tests.servers.cyrus import PASSWORD, Cyrus
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

OPTIONS = Options(skip_uses=frozenset({UNSUBSCRIBED}))
TEXT = """
a           x  x  x  -> x
b           -  x  x  -> -
shown/c     x  x  x  -> x
shown/d     x  -  -  -> x
shown/in/e  x  x  x  -> x
not/f       x  x  x  -> x
not/g       -  x  x  -> - x
not/h       x  -  x  -> x -
not/i       x  -  -  -> x -
not/j       -  x  -  -> - x
"""
SHOWN = ("shown", "shown/in")
NOT = [{"f", "h", "i"}, {"f", "g", "j"}]
KINDS = [(), ("imap_capability = IMAP4rev1 UIDPLUS CONDSTORE ENABLE",)]


@pytest.fixture(params=KINDS, ids=["LIST", "LSUB"])
def world(request: pytest.FixtureRequest, tmp_path: Path, dovecot: Dovecot) -> ImapWorld:
    """A world whose far side has been synced as a whole, and then some mailboxes subscribed."""
    world = build_with(world_class(dovecot, "far", settings=request.param), tmp_path / "world", TEXT)
    assert isinstance(world, ImapWorld)
    world.subscribed = True
    subscribe(world, *SHOWN)
    return world


@contextmanager
def session_of(world: World) -> Iterator[Session]:
    """Give a session on the far side."""
    store = world.store("far")
    assert isinstance(store, ImapStore)
    store.open()
    yield store._account.session
    store.close()


def subscribe(world: World, *names: str) -> None:
    """Have these mailboxes be subscribed, and no others."""
    with session_of(world) as session:
        for name in subscribed(session):
            session.request(commands.unsubscribe(name))
        for name in names:
            session.request(commands.subscribe(name))


def subscribed(session: Session) -> list[str]:
    """Return what is subscribed."""
    return [each.name for each in session.request(commands.list_subscribed("*")).responses]  # type: ignore[union-attr]


def names_in(world: World, mailbox: str) -> list[set[str]]:
    """Return which messages each side has in a mailbox."""
    return [{name for name, _ in world.contents(side).get(mailbox, {})} for side in SIDES]


def assert_left_out(world: World) -> None:
    """Run dry, in earnest and again: what is not subscribed stays as it is, and all else is in step then."""
    foretold = world.dry_run(OPTIONS)
    outcome, listening = world.sync(OPTIONS)
    assert (outcome.failed, outcome.problems, outcome.refused, outcome.notes) == ({}, [], [], [])
    assert acts(foretold) == acts(listening.told)
    assert names_in(world, "not") == NOT
    for name, there in (("INBOX", {"a"}), ("shown", {"c", "d"}), ("shown/in", {"e"})):
        assert names_in(world, name) == [there, there]
    assert world.sync(OPTIONS)[1].told == []


def test_left_out_on_both_sides(world: ImapWorld) -> None:
    """A mailbox that is not subscribed is left alone, though it was synced; what is made is subscribed."""
    assert_left_out(world)
    world.put("near", "made/here", "k")
    world.sync(OPTIONS)
    with session_of(world) as session:
        assert set(subscribed(session)) == {*SHOWN, "made/here"}
    assert names_in(world, "made/here") == [{"k"}, {"k"}]
    assert world.sync(OPTIONS)[1].told == []


def test_subscribed_again(world: ImapWorld) -> None:
    """What is remembered counts then, and what was deleted meanwhile is deleted."""
    assert_left_out(world)
    subscribe(world, *SHOWN, "not")
    world.sync(OPTIONS)
    assert names_in(world, "not") == [{"f", "i", "j"}] * 2


def test_renamed_here(world: ImapWorld) -> None:
    """A mailbox that is renamed here stays subscribed there, and so do those below it."""
    assert_left_out(world)
    (world.path("near") / "shown").rename(world.path("near") / "seen")
    _, listening = world.sync(OPTIONS)
    assert [done.detail for done in listening.told] == ["seen"]
    with session_of(world) as session:
        assert set(subscribed(session)) == {"seen", "seen/in"}
    assert world.sync(OPTIONS)[1].told == []
    assert names_in(world, "seen") == [{"c", "d"}] * 2
    assert names_in(world, "seen/in") == [{"e"}] * 2


def test_renamed_there(world: ImapWorld) -> None:
    """One that is renamed by a program that forgets to subscribe it is not taken for removed."""
    assert_left_out(world)
    with session_of(world) as session:
        session.request(commands.rename("shown", "seen"))
    assert world.sync(OPTIONS)[1].told == []
    assert world.sync(OPTIONS)[1].told == []
    assert names_in(world, "shown") == [{"c", "d"}, set()]
    subscribe(world, "seen", "seen/in")
    world.sync(OPTIONS)
    assert names_in(world, "seen") == [{"c", "d"}] * 2
    assert names_in(world, "seen/in") == [{"e"}] * 2
    assert "shown" not in world.contents("near")


def test_a_trash_that_is_not_subscribed(world: ImapWorld) -> None:
    """It is used, and neither subscribed by that nor synced."""
    options = Options(skip_uses=OPTIONS.skip_uses, far_trash="not")
    world.sync(options)
    assert names_in(world, "not") == [NOT[0], NOT[1] | {"b"}]
    with session_of(world) as session:
        assert set(subscribed(session)) == set(SHOWN)


def test_a_run_for_some_mailboxes(world: ImapWorld) -> None:
    """Whether they are subscribed is asked with them."""
    _, listening = world.sync(OPTIONS, only=["not", "shown"])
    assert {done.mailbox for done in listening.told} == {"shown"}
    assert names_in(world, "not") == NOT


def test_killed_in_between(world: ImapWorld, tmp_path: Path) -> None:
    """Wherever a run is killed, the next one comes to the same end."""

    def ask(world: ImapWorld) -> None:
        world.subscribed = True

    for copied in after_each_kill(world, tmp_path / "copied", OPTIONS, itertools.count(0, 5), ask):
        assert_left_out(copied)


def test_no_round_trip_more(world: ImapWorld) -> None:
    """Subscriptions come with the list."""
    counts = []
    for is_asked in (False, True):
        world.subscribed = is_asked
        store = world.store("far")
        assert isinstance(store, ImapStore)
        store.open()
        store.mailboxes()
        before = store._account._raw.turns
        store.mailboxes()
        counts.append(store._account._raw.turns - before)
        store.close()
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", ["cyrus", "courier"])
def test_other_servers(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A Cyrus says it by LIST, a Courier by LSUB; both have everything below INBOX."""
    if kind == "courier":
        server, login = Server(tunnel=courier_tunnel(tmp_path)), Login()
    else:
        running: Cyrus = request.getfixturevalue("cyrus")
        running.add_user("subscribed")
        server, login = running.server, Login("subscribed", file=password_file(tmp_path / "pw", PASSWORD))
    store = ImapStore("far", lambda: log_in(server, login), subscribed=True)
    store.open()
    for name in ("Entwürfe", "other", "other/below"):
        store.make_mailbox(name)
    store._account.session.request(commands.unsubscribe("INBOX.other"))
    for only in (None, ["INBOX", "Entwürfe", "other", "other/below"]):
        found = {name: seen.uses for name, seen in store.mailboxes(only).items()}
        expected = dict.fromkeys(("INBOX", "Entwürfe", "other/below"), frozenset[str]())
        assert found == {**expected, "other": {UNSUBSCRIBED}}
    store.rename_mailbox("Entwürfe", "Skizzen")
    store.rename_mailbox("other", "others")
    uses = {name: seen.uses for name, seen in store.mailboxes().items()}
    assert uses == {
        **dict.fromkeys(("INBOX", "Skizzen", "others/below"), frozenset()),
        "others": {UNSUBSCRIBED},
    }
    store.close()
