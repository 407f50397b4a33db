"""The contract of stores on what the old form makes of them; and which mailboxes are found here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mswatch.mailsync.stores.contract import Mailbox, MailboxError, Store
from mswatch.oldmailsync.around import MailboxAround, StoreAround
from mswatch.oldmailsync.local import LocalStore, Places, places
from mswatch.oldmailsync.rc import OldStore
from mswatch.oldmailsync.selected import SelectedStore
from mswatch.oldmailsync.selection import selection
from tests.servers.maildir import make_maildir
from tests.servers.waiting import wait_until
from tests.stores.contract import TreeContract
from tests.stores.test_maildir import make_old

# What only makes a run quicker, and the old form does without.
NOT_AROUND = {"deliver", "expect", "recall", "remark", "stamp_paths"}
MBOX = "From x@example.org Mon Nov  2 10:00:00 2026\nSubject: one\nMessage-ID: <1@x>\n\nBody.\n\n"


def _store(home: Path, pat: str, prefix: str = "", where: Places | None = None) -> SelectedStore:
    chosen = selection(OldStore("old", 1, pat=pat, prefix=prefix))
    found = where or places(home, {"MAIL": f"{home}/spool"}, home / "journals")
    return SelectedStore(LocalStore("old", chosen, found), lambda: chosen)


@pytest.mark.parametrize(("contract", "around"), [(Store, StoreAround), (Mailbox, MailboxAround)])
def test_all_of_the_contract_goes_through(contract: type, around: type) -> None:
    """What the contract has a default for is asked of the store inside, too: it may know better."""
    methods = {name for name, value in vars(contract).items() if callable(value) and name[0] != "_"}
    assert methods - vars(around).keys() == (NOT_AROUND if contract is Store else set())


class TestMboxes(TreeContract):
    """mboxes, selected by a pattern."""

    no_names = frozenset({"lists"})  # there are mailboxes below it
    kept = frozenset({SEEN, FLAGGED, ANSWERED, DRAFT, DELETED})
    renames = False

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path) -> Path:
        """Where the mailboxes are."""
        self._home = tmp_path
        self._root = tmp_path / "mail"
        self._root.mkdir()
        return self._root

    def make_store(self) -> Store:
        """Return the store."""
        return _store(self._home, "mail/*", "mail/")

    def settle(self) -> None:
        """Wait until the file's time of change, which cannot be set, is old enough."""
        store = self.make_and_open()
        wait_until(lambda: store.mailboxes()["box"].mark is not None, "the mailbox is settled")


class TestMaildirs(TestMboxes):
    """Maildirs: what is made among them is one."""

    no_names = frozenset()

    @pytest.fixture(autouse=True)
    def maildirs(self, root: Path) -> None:
        """Have one there already."""
        make_maildir(root / "INBOX")

    def settle(self) -> None:
        """Give the directories an old time."""
        make_old(self._home / "mail")


class TestFolders(TestMboxes):
    """MH folders."""

    no_names = frozenset()

    def make_store(self) -> Store:
        """Return the store."""
        (self._home / ".mh_profile").write_text("Path: mail\n")
        return _store(self._home, "#mh/*", "#mh/")


def _names(store: Store) -> list[str]:
    assert store.open()
    return sorted(store.mailboxes())


def test_formats_are_found_by_looking(tmp_path: Path) -> None:
    """mboxes, empty files and Maildirs are mailboxes; text, other directories and dead links are not."""
    (tmp_path / "mbox1").write_text(MBOX)
    (tmp_path / "empty").touch()
    make_maildir(tmp_path / "maildir")
    (tmp_path / "text").write_text("From me to you\n")
    (tmp_path / "directory/deep").mkdir(parents=True)
    (tmp_path / "directory/deep/box").write_text(MBOX)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("mbox1")
    (tmp_path / "circle").symlink_to(".")
    (tmp_path / ".hidden").write_text(MBOX)
    assert _names(_store(tmp_path, "%")) == ["empty", "link", "maildir", "mbox1"]
    assert "directory/deep/box" in _names(_store(tmp_path, "*"))
    assert _names(_store(tmp_path, "directory/%/box")) == ["directory/deep/box"]
    for top in (f"{tmp_path}/", "~/"):
        assert _names(_store(tmp_path, f"{top}m%", top)) == ["maildir", "mbox1"]
    assert _names(_store(tmp_path, ".hidden")) == [".hidden"]


@pytest.mark.parametrize("there", ["INBOX", "mbox", "spool", "Maildir"])
def test_inbox(tmp_path: Path, there: str) -> None:
    """INBOX is the first of its places that is there; what comes behind does not matter."""
    order = ["INBOX", "mbox", "spool", "Maildir"]
    for name in order[order.index(there) :]:
        if name == "Maildir":
            make_maildir(tmp_path / name)
        else:
            (tmp_path / name).write_text(MBOX)
    where = places(tmp_path, {"MAIL": str(tmp_path / "spool")}, tmp_path / "journals")
    assert where.inbox == tmp_path / there
    store = _store(tmp_path, "inbox")
    assert _names(store) == ["INBOX"]
    assert ["is not moved" in note for note in store.notes] == ([True] if there == "mbox" else [])
    assert _names(_store(tmp_path, "INBOX", "INBOX")) == [""]


def test_no_inbox_yet(tmp_path: Path) -> None:
    """A spool file that is not there is made when mail comes, and is no store that vanished."""
    store = _store(tmp_path, "INBOX")
    assert _names(store) == []
    store.make_mailbox("INBOX")
    assert (tmp_path / "spool").exists()


def test_maildirs_are_not_looked_into(tmp_path: Path) -> None:
    """A directory called new is a level like any other, but not within a Maildir."""
    make_maildir(tmp_path / "m/box")
    (tmp_path / "m/box/new/x").write_text(MBOX)
    make_maildir(tmp_path / "m/box/below")
    (tmp_path / "m/new").mkdir()
    (tmp_path / "m/new/y").write_text(MBOX)
    assert _names(_store(tmp_path, "m/*")) == ["m/box", "m/box/below", "m/new/y"]


def test_what_is_in_the_way(tmp_path: Path) -> None:
    """What is no mailbox is never written to, and a mailbox that became something else is not gone."""
    (tmp_path / "text").write_text("not mail\n")
    store = _store(tmp_path, "%")
    store.open()
    with pytest.raises(MailboxError):
        store.make_mailbox("text")
    assert (tmp_path / "text").read_text() == "not mail\n"
    assert list(store.hidden(["text", "gone"])) == ["text"]


def test_names_that_are_not_listed_are_not_made(tmp_path: Path) -> None:
    """A mailbox that the pattern would not list is refused: the next run would take it for removed."""
    (tmp_path / "m").mkdir()
    store = _store(tmp_path, "m/%", "m/")
    store.open()
    for name in ("a/b", "../x", "/etc/x", "~x", "#mh/x", "x\0"):
        with pytest.raises(MailboxError):
            store.make_mailbox(name)
    assert list((tmp_path / "m").iterdir()) == []


def test_places_that_are_hidden(tmp_path: Path) -> None:
    """What is told to be no mailbox is none."""
    (tmp_path / "ms").write_text(MBOX)
    where = places(tmp_path, {}, tmp_path / "journals")
    assert _names(_store(tmp_path, "m%", where=where)) == ["ms"]
    assert _names(_store(tmp_path, "m%", where=replace(where, hidden=frozenset({tmp_path / "ms"})))) == []


def test_mh_profile(tmp_path: Path) -> None:
    """The directory of MH folders is the profile's, or ~/Mail."""
    assert places(tmp_path, {}, tmp_path).mh == tmp_path / "Mail"
    (tmp_path / ".mh_profile").write_text("Editor: vi\npath: folders\n")
    assert places(tmp_path, {}, tmp_path).mh == tmp_path / "folders"
