"""The planned calls, carried out by the real programs: they reach the mailboxes meant and no other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mswatch.account import Sync
from mswatch.names import NameForm, canonical, own
from mswatch.syncers import plan, probe
from tests.servers import mbsync, offlineimap
from tests.servers.dovecot import Dovecot, find_program
from tests.servers.maildir import MaildirStore, deliver, make_maildir, messages
from tests.servers.waiting import run_to_end

pytestmark = [pytest.mark.server, pytest.mark.slow]

UTF7 = NameForm("/", "utf-7")
PLAIN = NameForm("/", "utf-8")
MAILDIRPP = NameForm(".", "utf-7")

STRANGE = ("-a", "Entwürfe", "R&D", "it's", "sp ace", "st*r", "x:y", "{b}", "日本語/ü", "INBOX/sub")
# What a careless call could reach instead, and what nobody asked for.
DECOYS = ("INBOX", "a", "b", "sp", "ace", "star", "x", "y", "work", "Entwrfe", "{", "R")


@dataclass(frozen=True)
class Tree:
    """A Maildir tree whose mailboxes have canonical names."""

    root: Path
    form: NameForm

    def path(self, mailbox: str) -> Path:
        """Return where a mailbox is."""
        own_name = own(mailbox, self.form)
        assert own_name is not None
        if self.form.separator == "/":
            return self.root / own_name
        return self.root if own_name == "INBOX" else self.root / f".{own_name}"

    def filled(self) -> set[str]:
        """Return the mailboxes that hold a message."""
        boxes = [cur.parent for cur in self.root.glob("**/cur")]
        return {self._name(box) for box in boxes if messages(box)}

    def _name(self, box: Path) -> str:
        relative = str(box.relative_to(self.root))
        if self.form.separator == "/":
            return canonical(relative, self.form)
        return "INBOX" if relative == "." else canonical(relative[1:], self.form)


def deliver_to_all(far: Tree, mailboxes: Sequence[str]) -> None:
    """Put one message into each mailbox of the far side."""
    for mailbox in mailboxes:
        deliver(make_maildir(far.path(mailbox)))


def carry_out(sync: Sync, mailboxes: Sequence[str] | None) -> bool:
    """Plan and run the calls; tell whether they were for everything."""
    planned = plan(sync, mailboxes)
    for call in planned.calls:
        run_to_end(tuple(os.fsdecode(word) for word in call))
    return planned.everything


def maildir_sync(directory: Path, form: NameForm) -> tuple[Sync, Tree, Tree]:
    """Return mbsync between two nested Maildir trees, and the near and the far tree."""
    near, far = MaildirStore(directory / "near", "nested"), MaildirStore(directory / "far", "nested")
    near.root.mkdir()
    configuration = mbsync.write_configuration(directory, near, far)
    sync = Sync("mbsync", (find_program("mbsync"), "-c", str(configuration)), mbsync.CHANNEL, names=form)
    return sync, Tree(near.root, form), Tree(far.root, form)


@pytest.mark.parametrize("form", [PLAIN, UTF7], ids=["utf-8", "utf-7"])
def test_mbsync_between_maildirs(tmp_path: Path, form: NameForm) -> None:
    """Every name that is planned is taken literally by mbsync, and all other mailboxes are left alone."""
    literal = ("raw\udcff", '"q"', "a\\b", " blanks ", "p%c")
    sync, near, far = maildir_sync(tmp_path, form)
    deliver_to_all(far, (*STRANGE, *literal, *DECOYS))
    assert not carry_out(sync, (*STRANGE, *literal))
    assert near.filled() == {*STRANGE, *literal}


@pytest.mark.parametrize("name", ["a,b", "inbox", "../near/a"])
def test_mbsync_and_a_name_that_cannot_be_said(tmp_path: Path, name: str) -> None:
    """The run becomes one for all mailboxes, so that whatever the name meant is covered."""
    sync, near, far = maildir_sync(tmp_path, PLAIN)
    deliver_to_all(far, ("a", "b", "a,b"))
    assert carry_out(sync, (name,))
    assert near.filled() == {"a", "b", "a,b"}


def test_mbsync_with_an_imap_server(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """The default form of names is what mbsync and an IMAP server call their mailboxes."""
    account = dovecot.account(user)
    near = MaildirStore(tmp_path / "near", "nested")
    near.root.mkdir()
    configuration = mbsync.write_configuration(tmp_path, near, account)
    sync = Sync("mbsync", (find_program("mbsync"), "-c", str(configuration)), mbsync.CHANNEL, names=UTF7)
    deliver_to_all(Tree(account.store.root, MAILDIRPP), (*STRANGE, *DECOYS))
    assert not carry_out(sync, STRANGE)
    assert Tree(near.root, UTF7).filled() == set(STRANGE)
    trial = probe(sync)
    assert trial is not None
    assert "Entw&APw-rfe" in run_to_end(trial).splitlines()


def test_offlineimap(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """OfflineIMAP finds every planned name, changes nothing in a trial, and a run for all takes the rest."""
    account = dovecot.account(user)
    near = MaildirStore(tmp_path / "near", "nested")
    near.root.mkdir()
    configuration = offlineimap.write_configuration(tmp_path, near, account)
    command = (find_program("offlineimap"), "-c", str(configuration))
    sync = Sync("offlineimap", command, offlineimap.ACCOUNT, names=UTF7)
    deliver_to_all(Tree(account.store.root, MAILDIRPP), (*STRANGE, *DECOYS, "a,b", "p%c", "台北"))
    trial = probe(sync)
    assert trial is not None
    run_to_end(trial)
    tree = Tree(near.root, UTF7)
    assert not list(near.root.iterdir())
    assert not carry_out(sync, STRANGE)
    assert tree.filled() == set(STRANGE)
    assert carry_out(sync, ("a,b", "p%c", "台北"))
    assert tree.filled() == {*STRANGE, *DECOYS, "a,b", "p%c", "台北"}
