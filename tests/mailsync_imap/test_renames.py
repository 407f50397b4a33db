"""The same renames where one store is a server, or both are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.mailsync.decide import SIDES, Side
from tests.mailsync import test_renames as with_maildirs
from tests.mailsync.worlds import World
from tests.mailsync_imap.test_worlds import ImapWorld, build_with, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server]


@pytest.fixture(params=["near", "far", "both"])
def world(request: pytest.FixtureRequest, dovecot: Dovecot, tmp_path: Path) -> World:
    """The stores of those tests."""
    sides = SIDES if request.param == "both" else (request.param,)
    world = build_with(world_class(dovecot, *sides), tmp_path / "world", with_maildirs.START)
    world.sync()
    return world


# Not where mailboxes exchange their names: a server tells no more of it than another UIDVALIDITY.
_NOT_HERE = ("test_two_change_their_names", "test_renamed_to_what_is_a_directory_over_there")
for _name, _test in vars(with_maildirs).copy().items():
    if _name.startswith("test_") and _name not in _NOT_HERE:
        globals()[_name] = _test


@pytest.mark.parametrize("side", SIDES)
def test_renamed_to_what_is_a_directory_there(world: World, side: Side) -> None:
    """A name that the server has as a directory only; it does not rename to that itself."""
    assert isinstance(world, ImapWorld)
    if side not in world.imap_sides:
        with_maildirs.test_renamed_to_what_is_a_directory_over_there(world, side)
