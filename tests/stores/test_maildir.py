"""The Maildir store: the contract in both layouts, and what only Maildirs have."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, NONE, SEEN
from mswatch.mailsync.stores import keywords
from mswatch.mailsync.stores.contract import MailboxError, Message, NotRead, Store
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.mailsync.stores.maildir import MaildirStore
from mswatch.names import NameForm
from tests.mailsync.test_worlds import in_child
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import deliver, make_message
from tests.stores.contract import TreeContract, add, bodies, body, change_flags, remembered, whole

LONG_AGO_NS = 1_600_000_000_000_000_000
FORMS = {"maildir++": NameForm(".", "utf-7"), "nested": NameForm("/", "utf-7")}


def make_old(root: Path) -> None:
    """Give all directories a time of long ago, a different one each time."""
    make_old.count += 1  # type: ignore[attr-defined]
    for directory in [root, *root.rglob("*")]:
        if directory.is_dir() or directory.name == "dovecot-keywords":
            moment = LONG_AGO_NS + make_old.count * 10**9  # type: ignore[attr-defined]
            os.utime(directory, ns=(moment, moment))


make_old.count = 0  # type: ignore[attr-defined]


class MaildirContract(TreeContract):
    """The contract on a Maildir tree."""

    kept = frozenset({SEEN, FLAGGED, ANSWERED, DRAFT, DELETED, FORWARDED, "$Junk", "work"})
    layout = "maildir++"

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path) -> Path:
        """Where the store is."""
        self._root = tmp_path / "mail"
        return self._root

    def make_store(self) -> Store:
        return MaildirStore("near", self._root, self.layout, FORMS[self.layout])

    def settle(self) -> None:
        make_old(self._root)


class TestMaildirPlusPlus(MaildirContract):
    """Mailboxes side by side."""

    def make_odd(self) -> Path:
        odd = self._root / ".an..odd one"
        for part in ("tmp", "cur", "new"):
            (odd / part).mkdir(parents=True)
        return odd


class TestNested(MaildirContract):
    """Mailboxes inside each other."""

    layout = "nested"


def names(directory: Path) -> list[str]:
    """Return what is in a directory."""
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Maildir++ store whose INBOX is there."""
    for part in ("tmp", "cur", "new"):
        (tmp_path / part).mkdir()
    return tmp_path


@pytest.fixture
def store(root: Path) -> MaildirStore:
    """The store."""
    store = MaildirStore("near", root, "maildir++", FORMS["maildir++"])
    assert store.open()
    return store


def test_key_is_the_unique_part(store: MaildirStore, root: Path) -> None:
    """What Dovecot and mbsync append to names does not change the key, nor do flags."""
    for name in ("new/1.host", "cur/2.host,S=12,W=13:2,S", "cur/3.host,U=7:2,", "cur/4.host:1,x"):
        (root / name).write_bytes(body())
    assert whole(store.open_mailbox("INBOX")).present.keys() == {b"1.host", b"2.host", b"3.host", b"4.host"}


def test_names_that_clash_up_to_the_comma(store: MaildirStore, root: Path) -> None:
    """Messages that differ only behind a comma are two messages."""
    data = {name: body() for name in ("1.host,a=1:2,", "1.host,a=2:2,S", "2.host:2,")}
    for name, each in data.items():
        (root / "cur" / name).write_bytes(each)
    mailbox = store.open_mailbox("INBOX")
    keys = list(whole(mailbox).present)
    assert sorted(keys) == [b"1.host,a=1", b"1.host,a=2", b"2.host"]
    assert set(bodies(mailbox, keys).values()) == set(data.values())


def test_any_bytes_in_names(store: MaildirStore, root: Path) -> None:
    """A message whose name holds any byte is carried like others."""
    names = [bytes([byte]) + b"x" for byte in range(1, 256) if byte not in b"/."]
    for name in names:
        Path(os.fsdecode(os.fsencode(root) + b"/cur/" + name)).write_bytes(b"Subject: " + name.hex().encode())
    mailbox = store.open_mailbox("INBOX")
    keys = list(whole(mailbox).present)
    assert len(bodies(mailbox, keys)) == len(names)


def test_what_is_no_message_is_passed_over(store: MaildirStore, root: Path) -> None:
    """FIFOs, directories, dangling links and hidden files hold nobody up."""
    os.mkfifo(root / "cur" / "fifo:2,")
    (root / "cur" / "directory").mkdir()
    (root / "cur" / "dangling:2,S").symlink_to("nowhere")
    (root / "cur" / "circle:2,S").symlink_to("circle:2,S")
    (root / "cur" / ".hidden").write_bytes(body())
    (root / "cur" / "linked:2,").symlink_to(root / "elsewhere")
    (root / "elsewhere").write_bytes(body())
    (root / "cur" / "real:2,").write_bytes(body())
    mailbox = store.open_mailbox("INBOX")
    answers = {each.key: each for each in mailbox.read(list(whole(mailbox).present))}
    read = {key for key, each in answers.items() if isinstance(each, Message)}
    refused = {key: each for key, each in answers.items() if isinstance(each, NotRead)}
    assert read == {b"real", b"linked"}
    assert refused.keys() == {b"fifo", b"directory", b"dangling", b"circle"}
    assert all(each.lasting for each in refused.values())


def test_unreadable_message_is_told(store: MaildirStore, root: Path) -> None:
    """A message that cannot be read is there, and may be readable later."""
    (root / "cur" / "1:2,").write_bytes(body())
    (root / "cur" / "1:2,").chmod(0)
    mailbox = store.open_mailbox("INBOX")
    (answer,) = mailbox.read(list(whole(mailbox).present))
    assert isinstance(answer, NotRead)
    assert not answer.lasting


def test_message_renamed_meanwhile_is_found(store: MaildirStore, root: Path) -> None:
    """What somebody renames after the scan is read, flagged and removed all the same."""
    for number in range(4):
        (root / "new" / f"{number}.host").write_bytes(body())
    mailbox = store.open_mailbox("INBOX")
    whole(mailbox)
    for number in range(4):
        (root / "new" / f"{number}.host").rename(root / "cur" / f"{number}.host,S=1:2,F")
    assert len(bodies(mailbox, [b"0.host"])) == 1
    assert change_flags(mailbox, {b"1.host": frozenset({SEEN})}, NONE) == {b"1.host": frozenset({SEEN})}
    assert list(mailbox.remove([b"2.host"])) == [b"2.host"]
    assert (names(root / "cur")) == ["0.host,S=1:2,F", "1.host,S=1:2,FS", "3.host,S=1:2,F"]


def test_unknown_letters_are_kept(store: MaildirStore, root: Path) -> None:
    """Letters in a name that mean nothing to us are left where they are."""
    (root / "cur" / "1.host:2,FXz").write_bytes(body())
    mailbox = store.open_mailbox("INBOX")
    assert whole(mailbox).present == {b"1.host": frozenset({FLAGGED})}
    change_flags(mailbox, {b"1.host": frozenset({SEEN})})
    assert names(root / "cur") == ["1.host:2,SXz"]


def test_keywords_as_dovecot_has_them(store: MaildirStore, root: Path) -> None:
    """Letters stand for the names in dovecot-keywords; new names get the next letter, and none is changed."""
    (root / "dovecot-keywords").write_text("0 $Junk\n2 work\n")
    (root / "cur" / "1.host:2,Sac").write_bytes(body())
    mailbox = store.open_mailbox("INBOX")
    assert whole(mailbox).present == {b"1.host": frozenset({SEEN, "$Junk", "work"})}
    change_flags(mailbox, {b"1.host": frozenset({"work", "later"})})
    assert names(root / "cur") == ["1.host:2,cd"]
    assert (root / "dovecot-keywords").read_text() == "0 $Junk\n2 work\n3 later\n"


def test_there_is_room_for_26_keywords(store: MaildirStore, root: Path) -> None:
    """The 27th keyword is not kept, and the answer says so."""
    keywords = frozenset(f"k{number:02}" for number in range(30))
    mailbox = store.open_mailbox("INBOX")
    key = add(mailbox, body(), keywords)
    kept = whole(mailbox).present[key]
    assert kept is not None
    assert len(kept) == 26
    assert kept < keywords


def killed_with_the_lock(directory: Path) -> None:
    """Have a process be killed that holds the lock of a Maildir's keywords."""

    def die() -> None:
        with keywords._Lock(os.fsencode(directory / "dovecot-uidlist.lock")):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    assert (directory / "dovecot-uidlist.lock").exists()


def test_lock_of_a_killed_run(store: MaildirStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock whose owner is gone keeps nobody waiting; one whose owner lives does, and is left alone."""
    monkeypatch.setattr(keywords, "LOCK_WAIT_S", 0.2)
    mailbox = store.open_mailbox("INBOX")
    key = add(mailbox, body())
    killed_with_the_lock(root)
    assert change_flags(mailbox, {key: frozenset({"one"})}) == {key: frozenset({"one"})}
    lock = root / "dovecot-uidlist.lock"
    assert not lock.exists()
    for owner in (f"{os.getppid()}:{os.uname().nodename}", "4194304:elsewhere", ""):
        lock.write_text(owner)
        with pytest.raises(MailboxError, match="has been there"):
            change_flags(mailbox, {key: frozenset({"two"})})
        assert lock.read_text() == owner
    os.utime(lock, (time.time() - 130,) * 2)
    assert change_flags(mailbox, {key: frozenset({"two"})}) == {key: frozenset({"two"})}


@pytest.mark.server
def test_lock_of_a_killed_run_for_dovecot(dovecot: Dovecot) -> None:
    """Dovecot knows it for what it is, too: it waits minutes for a lock of which it knows no owner."""
    account = dovecot.account("killed-with-the-lock")
    account.store.make()
    deliver(account.store.path(), make_message())
    killed_with_the_lock(account.store.path())
    store = ImapStore("far", lambda: log_in(Server(tunnel=dovecot.tunnel(account.user)), Login()))
    store.open()
    mailbox = store.open_mailbox("INBOX")
    (key,) = whole(mailbox).present
    began = time.monotonic()
    assert change_flags(mailbox, {key: frozenset({"one"})}) == {key: frozenset({"one"})}
    store.close()
    assert not (account.store.path() / "dovecot-uidlist.lock").exists()
    assert time.monotonic() - began < 10
    assert "one" in (account.store.path() / "dovecot-keywords").read_text()


def test_keywords_as_courier_has_them(store: MaildirStore, root: Path) -> None:
    """Courier's list is read, what is newer in a message's own file too; we write such files."""
    directory = root / "courierimapkeywords"
    directory.mkdir()
    (directory / ":list").write_text("work\n$Junk\n\n1.host:0 1\n2.host:1\n")
    (directory / "2.host").write_text("later\n")
    for number in (1, 2, 3):
        (root / "cur" / f"{number}.host:2,S").write_bytes(body())
    mailbox = store.open_mailbox("INBOX")
    assert whole(mailbox).present == {
        b"1.host": frozenset({SEEN, "work", "$Junk"}),
        b"2.host": frozenset({SEEN, "later"}),
        b"3.host": frozenset({SEEN}),
    }
    wanted = frozenset({SEEN, "new"})
    assert change_flags(mailbox, {b"3.host": wanted}) == {b"3.host": wanted}
    assert (directory / "3.host").read_text() == "new\n"
    assert whole(store.open_mailbox("INBOX")).present[b"3.host"] == wanted


def test_stamp_after_flags_were_set_is_of_these_flags(store: MaildirStore, root: Path) -> None:
    """Others may give it other flags while the file of the next one is looked for."""
    mailbox = store.open_mailbox("INBOX")
    (root / "cur/1.host:2,").touch()
    (root / "cur/2.host:2,").touch()
    with remembered({b"1.host": b":2,", b"2.host": b":2,"}) as mailbox.known:
        mailbox.scan_known(None)
        (root / "cur/2.host:2,").rename(root / "cur/2.host:2,R")
        real_rename = os.rename

        def rename(source: bytes, target: bytes) -> None:
            real_rename(source, target)
            if b"1.host" in target:
                real_rename(target, root / "cur/1.host:2,F")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "rename", rename)
            wanted = frozenset({SEEN})
            assert change_flags(mailbox, {b"1.host": wanted, b"2.host": wanted}, NONE) == {
                b"1.host": wanted,
                b"2.host": wanted,
            }
        # The second one has a flag of which we know nothing yet: nothing stands for what is agreed.
        assert [mailbox.stamp(key) for key in (b"1.host", b"2.host")] == [b":2,S", None]
    assert names(root / "cur") == ["1.host:2,F", "2.host:2,RS"]


def test_mark_of_a_fresh_directory_is_not_given(store: MaildirStore, root: Path) -> None:
    """A directory that changed just now, or whose time lies ahead, has no mark."""
    mailbox = store.open_mailbox("INBOX")
    add(mailbox, body())
    assert mailbox.scan(None).mark is None
    make_old(root)
    assert mailbox.scan(None).mark is not None
    ahead = 4_000_000_000_000_000_000
    os.utime(root / "cur", ns=(ahead, ahead))
    assert mailbox.scan(None).mark is None


def test_store_that_is_not_there(tmp_path: Path) -> None:
    """A missing directory is told from one that holds nothing."""
    missing = MaildirStore("near", tmp_path / "missing", "nested", FORMS["nested"])
    assert not missing.open()
    missing.make()
    assert missing.open()
    assert missing.mailboxes() == {}


def test_moving_to_another_file_system(store: MaildirStore, root: Path) -> None:
    """A mailbox may be a link to another disk; a message gets there as it is, also at the second attempt."""
    store.make_mailbox("box")
    store.make_mailbox("Trash")
    with TemporaryDirectory(dir="/dev/shm") as elsewhere:
        assert Path(elsewhere).stat().st_dev != root.stat().st_dev
        shutil.move(root / ".Trash", elsewhere)
        (root / ".Trash").symlink_to(Path(elsewhere, ".Trash"))
        mailbox, data = store.open_mailbox("box"), body(size=100_000)
        key = add(mailbox, data, frozenset({SEEN}))
        before = next((root / ".box/cur").iterdir())
        date_ns = before.stat().st_mtime_ns
        shutil.copy2(before, root / ".Trash/cur")  # as far as a run got that was killed then
        assert list(mailbox.move([key], "Trash")) == [(key, key)]
        second = add(mailbox, data)
        assert list(mailbox.move([second], "Trash")) == [(second, second)]

        trash = store.open_mailbox("Trash")
        assert bodies(trash, [key, second]) == {key: data, second: data}
        assert (root / ".Trash/cur" / before.name).stat().st_mtime_ns == date_ns
        assert not list((root / ".box").glob("[cn]*/*"))
        assert not list((root / ".Trash/tmp").iterdir())


def test_twins_are_told(store: MaildirStore, root: Path) -> None:
    """Of two directories with one canonical name one is synced, and the other one is named."""
    for name in (".Entwürfe", ".Entw&APw-rfe"):
        for part in ("tmp", "cur", "new"):
            (root / name / part).mkdir(parents=True)
    assert set(store.mailboxes()) == {"INBOX", "Entwürfe"}
    assert "Entw" in store.notes[0]


def test_circle_of_links_ends(tmp_path: Path) -> None:
    """A link that leads back into the tree does not make it infinite."""
    for part in ("tmp", "cur", "new"):
        (tmp_path / "box" / part).mkdir(parents=True)
    (tmp_path / "box" / "again").symlink_to(tmp_path)
    nested = MaildirStore("near", tmp_path, "nested", FORMS["nested"])
    assert set(nested.mailboxes()) == {"box"}


def test_removing_a_mailbox_keeps_those_below(tmp_path: Path) -> None:
    """In the nested layout only the mailbox itself goes, and nothing that is not ours."""
    nested = MaildirStore("near", tmp_path, "nested", FORMS["nested"])
    nested.make_mailbox("a")
    nested.make_mailbox("a/b")
    (tmp_path / "a" / "dovecot.index").touch()
    nested.remove_mailbox("a")
    assert set(nested.mailboxes()) == {"a/b"}
    (tmp_path / "a" / "b" / "notes.txt").touch()
    nested.remove_mailbox("a/b")
    assert names(tmp_path / "a" / "b") == ["notes.txt"]


# Names of which some have the same key, some the same flags, and some letters that mean nothing or a keyword.
NAMES = st.builds(
    lambda unique, size, info: unique + size + info,
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from(["", ",S=1", ",S=2"]),
    st.sampled_from(["", ":2,", ":2,S", ":2,FS", ":2,Sa", ":2,ab", ":1,x"]),
)
FILES = st.lists(st.tuples(st.sampled_from(["new", "cur"]), NAMES), max_size=6)
KEYWORDS = st.sampled_from([None, "0 $Junk\n", "0 $Junk\n1 work\n", "0 other\n"])


@given(
    before=FILES, after=FILES, keywords=st.tuples(KEYWORDS, KEYWORDS), forgotten=st.sets(st.integers(0, 5))
)
def test_a_difference_leads_to_the_whole(
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
    keywords: tuple[str | None, str | None],
    forgotten: set[int],
) -> None:
    """What was there, changed by what is told to be different, is what is there now, whatever happened."""

    def put(files: list[tuple[str, str]], text: str | None) -> None:
        for path in [*base.glob("new/*"), *base.glob("cur/*"), *base.glob("dovecot-keywords")]:
            path.unlink()
        for part, name in files:
            (base / part / name).touch()
        if text is not None:
            (base / "dovecot-keywords").write_text(text)

    with TemporaryDirectory() as name:
        base = Path(name)
        for part in ("cur", "new", "tmp"):
            (base / part).mkdir()
        store = MaildirStore("near", base, "maildir++", FORMS["maildir++"])
        put(before, keywords[0])
        first = store.open_mailbox("INBOX").scan(None)
        stamps = {
            key: None if number in forgotten else first.stamps[key]
            for number, key in enumerate(sorted(first.present))
        }
        put(after, keywords[1])
        mailbox = store.open_mailbox("INBOX")
        with remembered(stamps) as mailbox.known:
            scan = mailbox.scan_known(None)
        whole_scan = store.open_mailbox("INBOX").scan(None)

    found = dict(scan.present) if scan.complete else {**first.present, **scan.present}
    for key in scan.vanished:
        found.pop(key)
    assert found == whole_scan.present
    assert all(whole_scan.stamps[key] == stamp for key, stamp in scan.stamps.items())


@pytest.mark.parametrize("missing", [("new",), ("tmp",), ("new", "tmp")], ids="+".join)
def test_half_a_mailbox_is_completed(tmp_path: Path, missing: tuple[str, ...]) -> None:
    """Whatever is done in a mailbox of which a part is missing, or moved into one, is done."""
    store = MaildirStore("near", tmp_path / "mail", "nested", FORMS["nested"])
    for name in ("INBOX", "trash"):
        store.make_mailbox(name)
    box, trash = store.open_mailbox("INBOX"), store.open_mailbox("trash")
    keys = [add(box, body(str(number)), frozenset({SEEN})) for number in range(3)]
    for act in (
        lambda: list(box.move(keys[:1], "trash")),
        lambda: change_flags(box, {keys[1]: frozenset({FLAGGED})}),
        lambda: list(box.remove(keys[1:2])),
        lambda: add(box, body("new")),
    ):
        for name in ("INBOX", "trash"):
            for part in missing:
                if (tmp_path / "mail" / name / part).exists():
                    (tmp_path / "mail" / name / part).rmdir()
        act()
        whole(box)
    assert list(whole(trash).present) == keys[:1]
    assert len(whole(box).present) == 2
    assert (tmp_path / "mail/INBOX/new").is_dir()


def test_new_without_cur_is_not_gone(tmp_path: Path) -> None:
    """A mailbox of which cur is missing is none that a person removed."""
    store = MaildirStore("near", tmp_path / "mail", "nested", FORMS["nested"])
    store.make_mailbox("lists")
    (tmp_path / "mail/lists/cur").rmdir()
    assert "half of a mailbox" in store.hidden(["lists"])["lists"]
    store.make_mailbox("lists")
    assert list(store.mailboxes()) == ["lists"]
