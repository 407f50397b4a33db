"""mbox files and MH folders as stores of an account: watched, and their mailboxes named as everywhere."""

from __future__ import annotations

import json
import mailbox
from pathlib import Path

import pytest

from mswatch.config.toml_account import read_toml
from mswatch.errors import ConfigError
from mswatch.watchers.commands import watch_command
from tests.service.harness import DELAYS, Service, World

MESSAGE = b"From sender@example.org Mon Nov  2 10:00:00 2026\nSubject: a\n\nText.\n\n"


def write(world: World, near: str) -> Path:
    """Write an account whose near store is this, and whose far store the test speaks for."""
    world.file.write_text(
        f"{DELAYS}[sync]\ncommand = [{json.dumps(str(world.syncer))}]\n"
        f"[store.near]\n{near}\n[store.far]\ncommand = {json.dumps(world.far.command)}\n"
    )
    return world.file


def begin(world: World, service: Service) -> None:
    """Wait until the first run for everything is done."""
    world.far.say(b"\n")
    for _ in ("started", "completed"):
        service.expect("(all mailboxes)")


def test_mboxes(world: World, tmp_path: Path) -> None:
    """A directory of mboxes with an INBOX elsewhere; names on disk are modified UTF-7."""
    (tmp_path / "mail/lists").mkdir(parents=True)
    spool, folder = tmp_path / "spool", tmp_path / "mail/lists/Entw&APw-rfe"
    for path in (spool, folder):
        path.write_bytes(MESSAGE)
    write(world, f'mbox = "{tmp_path}/mail"\ninbox = "{spool}"')
    with world.service() as service:
        begin(world, service)
        for path, name in ((spool, "INBOX"), (folder, "lists/Entwürfe")):
            with path.open("ab") as file:
                file.write(MESSAGE)
            service.expect(f"syncer {name}")


def test_a_spool(world: World, tmp_path: Path) -> None:
    """A single mbox is an INBOX."""
    spool = tmp_path / "spool"
    spool.write_bytes(MESSAGE)
    write(world, f'mbox = "{spool}"')
    with world.service() as service:
        begin(world, service)
        with spool.open("ab") as file:
            file.write(MESSAGE)
        service.expect("syncer INBOX")


def test_mh(world: World, tmp_path: Path) -> None:
    """The folder inbox is INBOX, and the others are called as they are."""
    for name in ("inbox", "lists/python"):
        (tmp_path / "Mail" / name).mkdir(parents=True)
    write(world, f'mh = "{tmp_path}/Mail"')
    with world.service() as service:
        begin(world, service)
        for name, told in (("inbox", "INBOX"), ("lists/python", "lists/python")):
            mailbox.MH(tmp_path / "Mail" / name, create=False).add(b"Subject: b\n\nText.\n")
            service.expect(f"syncer {told}")


def test_over_ssh(tmp_path: Path) -> None:
    """The same watcher is sent to another host, with the same options."""
    store = 'ssh = "mail.example.org"\nmbox = "~/mail"\ninbox = "/var/mail/me"\n'
    text = f'[sync]\nwith = "mbsync"\n[store.near]\nmaildir = "m"\n[store.far]\n{store}'
    account = read_toml(text, "work", tmp_path / "work.toml", tmp_path)
    command = watch_command(account.stores[1])

    assert command.long_lines
    assert "mail.example.org" in command.argv
    assert command.stdin


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ('mbox = "a"\nmh = "b"', "mbox and mh; allowed: one of them"),
        ('mh = "a"\ninbox = "b"', "inbox: means nothing without mbox"),
        ('mbox = "a"\nlayout = "nested"', "layout: means nothing without maildir"),
        ('command = ["a"]\npoll = "10s"', "poll: means nothing without maildir"),
    ],
)
def test_what_cannot_be(tmp_path: Path, store: str, told: str) -> None:
    """Settings that contradict each other are told."""
    text = f'[sync]\nwith = "mbsync"\n[store.near]\nmaildir = "m"\n[store.far]\n{store}\n'
    with pytest.raises(ConfigError) as caught:
        read_toml(text, "work", tmp_path / "work.toml", tmp_path)
    assert any(told in problem for problem in caught.value.problems)
