"""What counts as a change, on real directories; each test holds for inotify and for polling."""

import os
import shutil
from pathlib import Path

import pytest

from tests.watch_maildirs.conftest import Start
from tests.watch_maildirs.harness import Watcher, make_maildir, notes


@pytest.fixture
def watcher(start: Start, eyes: list[str]) -> Watcher:
    """A watcher of the long protocol on ``base``, its notes about the start read."""
    watcher = start("--long", *eyes)
    watcher.told()
    return watcher


class TestMessages:
    """Changes of what is in cur and new."""

    def test_delivery(self, watcher: Watcher, base: Path) -> None:
        """A file that is renamed into new is told under its mailbox."""
        (base / ".one/tmp/m1").touch()
        (base / ".one/tmp/m1").rename(base / ".one/new/m1")
        assert watcher.told_of() == {("content", "one")}

    def test_new_to_cur(self, watcher: Watcher, base: Path) -> None:
        """A message that moves from new to cur is a change."""
        (base / "new/m1").touch()
        watcher.told()
        (base / "new/m1").rename(base / "cur/m1:2,S")
        assert watcher.told_of() == {("content", "INBOX")}

    def test_taken(self, watcher: Watcher, base: Path, eyes: list[str]) -> None:
        """A message that a server took into cur is told as such; with a flag, or elsewhere, as a change."""
        for name in ("m1", "m2", "m3"):
            (base / "new" / name).touch()
        watcher.told()
        (base / "new/m1").rename(base / "cur/m1:2,")
        assert watcher.told_of() == {("content" if eyes else "taken", "INBOX")}
        (base / "new/m2").rename(base / "cur/m2:2,S")
        assert watcher.told_of() == {("content", "INBOX")}
        (base / "new/m3").rename(base / ".one/cur/m3:2,")
        assert watcher.told_of() == {("content", "INBOX"), ("content", "one")}

    def test_written_in_its_place(self, watcher: Watcher, base: Path, eyes: list[str]) -> None:
        """That a program wrote into a message is told when it closes the file; polling does not see it."""
        for path in (base / "cur/m1:2,D", base / ".one/new/m2", base / "cur/.m3"):
            path.touch()
        watcher.told()
        with (base / "cur/m1:2,D").open("ab") as file:
            file.write(b"more")
            file.flush()
            assert not watcher.told()
        wanted = set() if eyes else {("written", "INBOX", "cur/m1:2,D")}
        assert {change[:3] for change in watcher.told()} == wanted
        (base / ".one/new/m2").write_bytes(b"other")
        (base / "cur/.m3").write_bytes(b"no message")
        wanted = set() if eyes else {("written", "one", "new/m2")}
        assert {change[:3] for change in watcher.told()} == wanted

    def test_flags(self, watcher: Watcher, base: Path) -> None:
        """A rename within cur is a change."""
        (base / "cur/m1:2,").touch()
        watcher.told()
        (base / "cur/m1:2,").rename(base / "cur/m1:2,S")
        assert watcher.told_of() == {("content", "INBOX")}

    def test_removal(self, watcher: Watcher, base: Path) -> None:
        """A file that is deleted is a change."""
        (base / "cur/m1:2,").touch()
        watcher.told()
        (base / "cur/m1:2,").unlink()
        assert watcher.told_of() == {("content", "INBOX")}

    def test_hard_link(self, watcher: Watcher, base: Path) -> None:
        """A hard link, which is how some deliver, is a change."""
        (base / "tmp/m1").touch()
        (base / "new/m1").hardlink_to(base / "tmp/m1")
        assert watcher.told_of() == {("content", "INBOX")}

    def test_strange_entries(self, watcher: Watcher, base: Path) -> None:
        """A FIFO, a dangling link and a directory in cur are changes and hold nothing up."""
        os.mkfifo(base / "cur/fifo")
        (base / "cur/dangling").symlink_to("nowhere")
        (base / ".one/cur/directory").mkdir()
        assert watcher.told_of() == {("content", "INBOX"), ("content", "one")}

    def test_no_change(self, watcher: Watcher, base: Path) -> None:
        """What happens to the status of a file, in tmp, or beside cur and new is no change."""
        (base / "cur/m1:2,").touch()
        watcher.told()
        (base / "cur/m1:2,").chmod(0o600)
        os.utime(base / "cur/m1:2,", (1, 1))
        (base / "cur/m1:2,").read_text()
        (base / "tmp/m2").touch()
        (base / "dovecot-uidlist").touch()
        (base / ".one/maildirfolder").touch()
        (base / ".file").touch()
        (base / "nodot").mkdir()
        make_maildir(base / ".one/.sub")
        assert watcher.told_of() == set()


class TestFolders:
    """Folders that come, go and change."""

    def test_made(self, watcher: Watcher, base: Path) -> None:
        """A new folder is told, and what happens in it from then on."""
        make_maildir(base / ".two")
        assert watcher.told_of() == {("made", "two")}
        (base / ".two/new/m1").touch()
        assert watcher.told_of() == {("content", "two")}

    def test_half_made(self, watcher: Watcher, base: Path) -> None:
        """A folder is told once it has both cur and new, and nothing in it before."""
        (base / ".two/cur").mkdir(parents=True)
        (base / ".two/cur/m1").touch()
        assert watcher.told_of() == set()
        (base / ".two/new").mkdir()
        assert watcher.told_of() == {("made", "two")}

    def test_moved_in_and_out(self, watcher: Watcher, base: Path, tmp_path: Path) -> None:
        """A folder that is moved in is made, one that is moved out is gone, and is not followed."""
        make_maildir(tmp_path / "two").rename(base / ".two")
        assert watcher.told_of() == {("made", "two")}
        (base / ".two").rename(tmp_path / "two")
        assert watcher.told_of() == {("gone", "two")}
        (tmp_path / "two/new/m1").touch()
        assert watcher.told_of() == set()

    def test_renamed(self, watcher: Watcher, base: Path) -> None:
        """A renamed folder is gone under the old name and made under the new, where it is watched."""
        (base / ".one").rename(base / ".two")
        assert watcher.told_of() == {("gone", "one"), ("made", "two")}
        (base / ".two/new/m1").touch()
        assert watcher.told_of() == {("content", "two")}

    def test_swapped(self, watcher: Watcher, base: Path) -> None:
        """Two folders that change names are both told, and each is watched under its new name."""
        make_maildir(base / ".two")
        watcher.told()
        (base / ".one").rename(base / ".x")
        (base / ".two").rename(base / ".one")
        (base / ".x").rename(base / ".two")
        assert {mailbox for _, mailbox in watcher.told_of()} >= {"one", "two"}
        (base / ".one/new/m1").touch()
        assert watcher.told_of() == {("content", "one")}

    def test_deleted(self, watcher: Watcher, base: Path) -> None:
        """A folder that is deleted is gone."""
        shutil.rmtree(base / ".one")
        assert ("gone", "one") in watcher.told_of()

    def test_made_again_at_once(self, watcher: Watcher, base: Path) -> None:
        """A folder that is deleted and made again under its name is told, and watched."""
        shutil.rmtree(base / ".one")
        make_maildir(base / ".one")
        assert "one" in {mailbox for _, mailbox in watcher.told_of()}
        (base / ".one/new/m1").touch()
        assert watcher.told_of() == {("content", "one")}

    def test_without_cur(self, watcher: Watcher, base: Path) -> None:
        """A folder whose cur is removed is gone, silent, and made when cur is back."""
        (base / ".one/cur").rmdir()
        assert watcher.told_of() == {("gone", "one")}
        (base / ".one/new/m1").touch()
        assert watcher.told_of() == set()
        (base / ".one/cur").mkdir()
        assert watcher.told_of() == {("made", "one")}
        (base / ".one/cur/m1").touch()
        assert watcher.told_of() == {("content", "one")}

    def test_cur_made_again_while_open(self, watcher: Watcher, base: Path) -> None:
        """A cur that a process keeps open, removed and made again, is noticed: it is another directory."""
        held = os.open(base / ".one/cur", os.O_RDONLY)
        try:
            (base / ".one/cur").rmdir()
            (base / ".one/cur").mkdir()
            assert "one" in {mailbox for _, mailbox in watcher.told_of()}
            (base / ".one/cur/m1").touch()
            assert watcher.told_of() == {("content", "one")}
        finally:
            os.close(held)

    def test_storm_of_folders(self, watcher: Watcher, base: Path) -> None:
        """A thousand quick creations, renames and deletions leave a watcher that still tells the truth."""
        for number in range(1000):
            folder = make_maildir(base / f".storm{number % 7}")
            if number % 3 == 0:
                (folder / "cur").rmdir()
            folder = folder.rename(base / f".storm{number % 7}.b")
            shutil.rmtree(folder)
        make_maildir(base / ".storm3")
        watcher.told()
        (base / ".storm3/new/m1").touch()
        (base / ".one/new/m1").touch()
        assert watcher.told_of() == {("content", "storm3"), ("content", "one")}


class TestLinks:
    """Folders that are symbolic links, and directories with several names."""

    def test_contents(self, watcher: Watcher, base: Path, tmp_path: Path) -> None:
        """A linked folder is made with its link, watched behind it, and gone with it."""
        make_maildir(tmp_path / "away")
        (base / ".link").symlink_to(tmp_path / "away")
        assert watcher.told_of() == {("made", "link")}
        (tmp_path / "away/new/m1").touch()
        assert watcher.told_of() == {("content", "link")}
        (base / ".link").unlink()
        assert watcher.told_of() == {("gone", "link")}

    @pytest.mark.parametrize("relative", [True, False])
    def test_pointed_elsewhere(self, watcher: Watcher, base: Path, tmp_path: Path, relative: bool) -> None:
        """A link that is replaced in one step is told, and watched where it points now."""
        make_maildir(tmp_path / "away")
        (base / ".link").symlink_to(".one")
        watcher.told()
        (base / "new-link").symlink_to("../../away" if relative else tmp_path / "away")
        (base / "new-link").rename(base / ".link")
        assert "link" in {mailbox for _, mailbox in watcher.told_of()}
        (tmp_path / "away/new/m1").touch()
        assert watcher.told_of() == {("content", "link")}

    def test_several_hops(self, watcher: Watcher, base: Path, tmp_path: Path) -> None:
        """A link in the middle of a chain that is pointed elsewhere is noticed."""
        make_maildir(tmp_path / "a")
        make_maildir(tmp_path / "b")
        (tmp_path / "hop").symlink_to("a")
        (base / ".link").symlink_to(tmp_path / "hop")
        assert watcher.told_of() == {("made", "link")}
        (tmp_path / "hop").unlink()
        (tmp_path / "hop").symlink_to("b")
        assert "link" in {mailbox for _, mailbox in watcher.told_of()}
        (tmp_path / "b/new/m1").touch()
        assert watcher.told_of() == {("content", "link")}

    def test_target_comes_later(self, watcher: Watcher, base: Path, tmp_path: Path) -> None:
        """A dangling link is no fault; the folder is made when its target is, however deep it lies."""
        (base / ".link").symlink_to(tmp_path / "not/yet")
        assert watcher.told_of() == set()
        make_maildir(tmp_path / "not/yet")
        assert ("made", "link") in watcher.told_of()

    def test_parent_of_target_renamed(self, watcher: Watcher, base: Path, tmp_path: Path) -> None:
        """A folder goes when the parent of its target is renamed, and comes back with it."""
        make_maildir(tmp_path / "far/away")
        (base / ".link").symlink_to(tmp_path / "far/away")
        watcher.told()
        (tmp_path / "far").rename(tmp_path / "gone")
        assert watcher.told_of() == {("gone", "link")}
        (tmp_path / "gone").rename(tmp_path / "far")
        assert watcher.told_of() == {("made", "link")}

    def test_linked_cur(self, watcher: Watcher, base: Path, tmp_path: Path) -> None:
        """A cur that is a link is watched behind it, also when it is pointed elsewhere."""
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        (base / ".one/cur").rmdir()
        (base / ".one/cur").symlink_to(tmp_path / "a")
        watcher.told()
        (tmp_path / "a/m1").touch()
        assert watcher.told_of() == {("content", "one")}
        (base / ".one/x").symlink_to(tmp_path / "b")
        (base / ".one/x").rename(base / ".one/cur")
        assert "one" in {mailbox for _, mailbox in watcher.told_of()}
        (tmp_path / "b/m1").touch()
        assert watcher.told_of() == {("content", "one")}

    def test_two_paths(self, watcher: Watcher, base: Path) -> None:
        """A change in a directory that two paths lead to is told under both names, while there are two."""
        (base / ".link").symlink_to(".one")
        (base / ".self").symlink_to(".")
        watcher.told()
        (base / ".one/new/m1").touch()
        (base / "new/m1").touch()
        names = {"one", "link", "INBOX", "self"}
        assert watcher.told_of() == {("content", name) for name in names}
        (base / ".link").unlink()
        watcher.told()
        (base / ".one/new/m2").touch()
        assert watcher.told_of() == {("content", "one")}


class TestBase:
    """The base and the way to it."""

    def test_renamed(self, watcher: Watcher, base: Path) -> None:
        """A base that is renamed is waited for; when it is back anything may have changed."""
        base.rename(base.with_name("away"))
        make_maildir(base)
        assert ("all", "") in watcher.told_of()
        (base / "new/m1").touch()
        told = watcher.told_of()  # who polls may see the new base in two steps
        assert told == {("content", "INBOX")} or ("all", "") in told

    def test_parent_renamed(self, watcher: Watcher, base: Path) -> None:
        """A parent that is renamed takes the base with it, and brings it back."""
        base.parent.rename(base.parent.with_name("away"))
        watcher.wait_for_note("waiting for it")
        base.parent.with_name("away").rename(base.parent)
        assert ("all", "") in watcher.told_of()
        (base / ".one/new/m1").touch()
        assert watcher.told_of() == {("content", "one")}

    def test_made_again_while_open(self, watcher: Watcher, base: Path) -> None:
        """A base that some process keeps open, removed and made again, is noticed."""
        held = [os.open(path, os.O_RDONLY) for path in (base.parent, base)]
        try:
            shutil.rmtree(base.parent)
            make_maildir(base)
            watcher.told()
            (base / "new/m1").touch()
            assert watcher.told_of() == {("content", "INBOX")}
        finally:
            for fd in held:
                os.close(fd)

    def test_comes_later(self, start: Start, eyes: list[str], tmp_path: Path) -> None:
        """A base that is not there, nor its parents, is waited for with a note, and told when it comes."""
        later = tmp_path / "not/yet/there"
        watcher = start("--long", *eyes, maildir=later)
        make_maildir(later / ".one")
        make_maildir(later)
        changes = watcher.told()
        assert ("all", "") in {(change.kind, change.mailbox) for change in changes}
        assert any("waiting for it" in text for text in notes(changes))
        (later / ".one/new/m1").touch()
        assert watcher.told_of() == {("content", "one")}

    def test_no_maildir_yet(self, start: Start, eyes: list[str], tmp_path: Path) -> None:
        """A base without cur and new has its folders watched; it is INBOX once it has both."""
        bare = tmp_path / "bare"
        make_maildir(bare / ".one")
        watcher = start("--long", *eyes, maildir=bare)
        assert any("no cur and new" in text for text in notes(watcher.told()))
        (bare / ".one/new/m1").touch()
        assert watcher.told_of() == {("content", "one")}
        make_maildir(bare)
        assert watcher.told_of() == {("made", "INBOX")}

    def test_is_link(self, start: Start, eyes: list[str], base: Path, tmp_path: Path) -> None:
        """A base that is a link is watched behind it, and anew when the link points elsewhere."""
        link = tmp_path / "link"
        link.symlink_to(base)
        watcher = start("--long", *eyes, maildir=link)
        watcher.told()
        other = make_maildir(tmp_path / "other")
        (tmp_path / "x").symlink_to("other")
        (tmp_path / "x").rename(link)
        assert ("all", "") in watcher.told_of()
        (other / "new/m1").touch()
        (base / "new/m1").touch()
        assert watcher.told_of() == {("content", "INBOX")}


class TestNested:
    """The nested layout."""

    @pytest.fixture
    def nested(self, tmp_path: Path) -> Path:
        """A tree with the mailboxes INBOX and lists/python, and a base that is none."""
        make_maildir(tmp_path / "Mail/INBOX")
        make_maildir(tmp_path / "Mail/lists/python")
        return tmp_path / "Mail"

    @pytest.fixture
    def nested_watcher(self, start: Start, eyes: list[str], nested: Path) -> Watcher:
        """A watcher of the long protocol on that tree."""
        watcher = start("--long", *eyes, "--layout", "nested", maildir=nested)
        watcher.told()
        return watcher

    def test_names(self, nested_watcher: Watcher, nested: Path) -> None:
        """A mailbox has the path from the base as its name; only what has cur and new is one."""
        (nested / "lists/python/new/m1").touch()
        (nested / "INBOX/new/m1").touch()
        make_maildir(nested / "lists/python/peps")
        (nested / "plain/deep/directory").mkdir(parents=True)
        assert nested_watcher.told_of() == {
            ("content", "lists/python"),
            ("content", "INBOX"),
            ("made", "lists/python/peps"),
        }

    def test_parent_renamed(self, nested_watcher: Watcher, nested: Path) -> None:
        """All mailboxes below a directory go and come with it."""
        make_maildir(nested / "lists/c")
        nested_watcher.told()
        (nested / "lists").rename(nested / "l")
        gone, made = ("lists/python", "lists/c"), ("l/python", "l/c")
        assert nested_watcher.told_of() == {("gone", m) for m in gone} | {("made", m) for m in made}

    def test_base_becomes_inbox(self, nested_watcher: Watcher, nested: Path) -> None:
        """A base that becomes a Maildir beside a folder INBOX shares its name, which a note tells."""
        make_maildir(nested)
        changes = nested_watcher.told()
        assert ("made", "INBOX") in {(change.kind, change.mailbox) for change in changes}
        assert any("two directories" in text for text in notes(changes))

    def test_link_loop(self, nested_watcher: Watcher, nested: Path) -> None:
        """Links that lead in a circle are a mailbox each, and nothing is looked for behind them again."""
        (nested / "lists/up").symlink_to("..")
        (nested / "INBOX/self").symlink_to(".")
        nested_watcher.told()
        (nested / "INBOX/new/m1").touch()
        assert nested_watcher.told_of() == {("content", "INBOX"), ("content", "INBOX/self")}

    def test_linked_tree(self, nested_watcher: Watcher, nested: Path, tmp_path: Path) -> None:
        """A link to a tree of mailboxes is walked."""
        make_maildir(tmp_path / "tree/a/b")
        (nested / "linked").symlink_to(tmp_path / "tree")
        assert nested_watcher.told_of() == {("made", "linked/a/b")}

    def test_emptied_and_made_again_while_open(self, nested_watcher: Watcher, nested: Path) -> None:
        """A base that is no mailbox, removed and made again while a process keeps it open, is noticed."""
        held = os.open(nested, os.O_RDONLY)
        try:
            shutil.rmtree(nested)
            make_maildir(nested / "lists/python")
            nested_watcher.told()
            (nested / "lists/python/new/m1").touch()
            assert nested_watcher.told_of() == {("content", "lists/python")}
        finally:
            os.close(held)


class TestUnreadable:
    """What may not be read."""

    def test_folder(self, start: Start, eyes: list[str], base: Path) -> None:
        """An unreadable folder is noted and passed over, and picked up when its mode is mended."""
        make_maildir(base / ".two").chmod(0)
        (base / ".one/cur").chmod(0)
        watcher = start("--long", *eyes)
        said = notes(watcher.told())
        assert len([text for text in said if "Permission denied" in text]) >= 2
        (base / "new/m1").touch()
        assert watcher.told_of() == {("content", "INBOX")}
        (base / ".two").chmod(0o700)
        (base / ".one/cur").chmod(0o700)
        assert watcher.told_of() == {("made", "one"), ("made", "two")}

    def test_base(self, start: Start, eyes: list[str], base: Path) -> None:
        """An unreadable base is waited for like one that is not there."""
        base.chmod(0)
        watcher = start("--long", *eyes)
        base.chmod(0o700)
        assert ("all", "") in watcher.told_of()
        (base / "new/m1").touch()
        assert watcher.told_of() == {("content", "INBOX")}

    @pytest.mark.parametrize("levels", [1, 2])
    def test_parents_not_listable(self, start: Start, eyes: list[str], base: Path, levels: int) -> None:
        """Directories on the way that may be walked through but not read are no hindrance."""
        parents = base.parents[:levels]
        for parent in parents:
            parent.chmod(0o311)
        try:
            watcher = start("--long", *eyes)
            (base / "new/m1").touch()
            assert watcher.told_of() == {("content", "INBOX")}
        finally:
            for parent in reversed(parents):
                parent.chmod(0o700)


class TestNames:
    """Names as they are on disk."""

    def test_plain(self, start: Start, eyes: list[str], base: Path) -> None:
        """The plain protocol has the store's own names, byte for byte."""
        watcher = start(*eyes)
        for name in (b".a.b", b".sp ace", b".&AOk-t", b"..x", b".INBOX.sub", b".\xff\xfe", b".tab\there"):
            make_maildir(Path(os.fsdecode(os.fsencode(base) + b"/" + name)))
        assert set(watcher.told_lines()) == {
            b"a.b", b"sp ace", b"&AOk-t", b".x", b"INBOX.sub", b"\xff\xfe", b"tab\there",
        }  # fmt: skip

    def test_newline(self, start: Start, eyes: list[str], base: Path) -> None:
        """A name that the plain protocol cannot carry is an empty line, and one note."""
        watcher = start(*eyes)
        folder = make_maildir(base / ".new\nline")
        assert set(watcher.told_lines()) == {b""}
        (folder / "new/m1").touch()
        assert set(watcher.told_lines()) == {b""}
        assert r"new\nline" in _last_error(watcher)

    def test_newline_long(self, watcher: Watcher, base: Path) -> None:
        """The long protocol carries every name."""
        make_maildir(base / ".new\nline\\\x7f\t")
        assert watcher.told_of() == {("made", "new\nline\\\x7f\t")}

    def test_inbox_twice(self, watcher: Watcher, base: Path) -> None:
        """A folder .INBOX beside the base is told under the same name, with a note, and nobody dies."""
        make_maildir(base / ".INBOX")
        assert any("two directories" in text for text in notes(watcher.told()))
        (base / ".INBOX/new/m1").touch()
        assert watcher.told_of() == {("content", "INBOX")}
        shutil.rmtree(base / ".INBOX")
        assert watcher.told_of() == {("content", "INBOX")}


def _last_error(watcher: Watcher) -> str:
    watcher.process.kill()
    lines = list(iter(watcher.errors.next, None))
    return os.fsdecode(lines[-1])
