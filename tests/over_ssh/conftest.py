"""The world of a service, one of whose stores is on another host."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.over_ssh.account import Account
from tests.servers.maildir import MaildirStore
from tests.servers.sshd import Sshd, running_sshd
from tests.service.conftest import world
from tests.service.harness import World

__all__ = ["world"]


@pytest.fixture(scope="package")
def one_sshd() -> Iterator[Sshd]:
    """A server for all tests here."""
    with running_sshd() as server:
        yield server


@pytest.fixture
def sshd(one_sshd: Sshd) -> Sshd:
    """The server as it was at first, with a Maildir at home."""
    shutil.rmtree(one_sshd.home)
    one_sshd.home.mkdir()
    MaildirStore(one_sshd.home / "Maildir").make()
    one_sshd.set_shell('exec /bin/sh "$@"')
    one_sshd.write_config()
    one_sshd.know_host()
    one_sshd.let_in()
    return one_sshd


@pytest.fixture
def account(world: World, sshd: Sshd) -> Account:
    """An account of its own for the test."""
    return Account(world, sshd)
