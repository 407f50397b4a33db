"""The MH store: the contract, and what only MH folders have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, SEEN
from mswatch.mailsync.stores.contract import MailboxError, Message, NotEmptyError, NotRead, Store
from mswatch.mailsync.stores.mh import MhStore
from mswatch.mailsync.stores.mh_sequences import Sequences, storable
from mswatch.names import NameForm
from tests.mailsync.kinds import KindWorld, at_work_on_both, names_made
from tests.stores.contract import TreeContract, add, bodies, body, change_flags, whole

FORM = NameForm("/", "utf-8", (("inbox", "INBOX"),))
LONG_AGO_NS = 1_600_000_000_000_000_000


class TestMh(TreeContract):
    """A directory of MH folders."""

    kept = frozenset({SEEN, FLAGGED, ANSWERED, DRAFT, DELETED, FORWARDED, "work"})
    moments = 0

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path) -> Path:
        """Where the store is."""
        self._root = tmp_path / "mail"
        return self._root

    def make_store(self) -> Store:
        return MhStore("near", self._root, FORM, self._root.parent / "journals")

    def settle(self) -> None:
        self.moments += 1
        for path in (self._root / "box", self._root / "box" / ".mh_sequences"):
            moment = LONG_AGO_NS + self.moments * 10**9
            os.utime(path, ns=(moment, moment))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with the folder "box"."""
    (tmp_path / "mail" / "box").mkdir(parents=True)
    return tmp_path / "mail"


@pytest.fixture
def store(root: Path) -> MhStore:
    """The store."""
    store = MhStore("near", root, FORM, root.parent / "journals")
    assert store.open()
    return store


def fill(folder: Path, *numbers: int) -> None:
    """Put messages into a folder."""
    for number in numbers:
        (folder / str(number)).write_bytes(body(str(number)))


def test_what_is_a_folder(store: MhStore, root: Path) -> None:
    """Each directory is, except one that only has others below it; what programs keep there is none."""
    for name in ("inbox", "only/below", "both/below", ".hidden", ",old", "#junk", "box/7"):
        (root / name).mkdir(parents=True)
    fill(root / "both", 1)
    fill(root, 3)
    (root / "circle").symlink_to(root)
    assert set(store.mailboxes()) == {"box", "INBOX", "only/below", "both", "both/below"}


def test_what_is_a_message(store: MhStore, root: Path) -> None:
    """Files with numbers as names; not what rmm left, nor a FIFO, a directory or a dangling link."""
    fill(root / "box", 1, 12)
    (root / "box/,3").write_bytes(body())
    (root / "box/4~").write_bytes(body())
    (root / "box/0").write_bytes(body())
    os.mkfifo(root / "box/5")
    (root / "box/6").mkdir()
    (root / "box/7").symlink_to("nowhere")
    mailbox = store.open_mailbox("box")
    assert len(whole(mailbox).present) == 2
    assert len(bodies(mailbox, list(whole(mailbox).present))) == 2


def test_sequences_are_flags(store: MhStore, root: Path) -> None:
    """What nmh and mutt call their sequences; without unseen everything is read."""
    fill(root / "box", *range(1, 7))
    (root / "box/.mh_sequences").write_text(
        "cur: 2\nunseen: 3-5\nreplied: 1 3\nflagged: 6-99999999\nwork: 2\n"
    )
    mailbox = store.open_mailbox("box")
    flags = list(whole(mailbox).present.values())
    none: frozenset[str] = frozenset()
    assert flags == [{SEEN, ANSWERED}, {SEEN, "work"}, {ANSWERED}, none, none, {SEEN, FLAGGED}]
    first = next(iter(whole(mailbox).present))
    change_flags(mailbox, {first: none})
    text = "cur: 2\nunseen: 1 3-5\nreplied: 3\nflagged: 6\nwork: 2\n"
    assert (root / "box/.mh_sequences").read_text() == text


def test_packed_and_sorted_folders_keep_their_keys(store: MhStore, root: Path) -> None:
    """Messages that get other numbers after a scan are the same ones; the right ones are read and removed."""
    fill(root / "box", 3, 5, 9)
    mailbox = store.open_mailbox("box")
    keys = list(whole(mailbox).present)
    texts = bodies(mailbox, keys)
    for old, new in ((3, 1), (5, 3), (9, 2)):
        (root / f"box/{old}").rename(root / f"box/{new}")
    assert bodies(mailbox, keys) == texts
    assert list(mailbox.remove([keys[1]])) == [keys[1]]
    assert sorted(path.name for path in (root / "box").iterdir()) == [".mh_sequences", "1", "2"]
    assert set(whole(mailbox).present) == {keys[0], keys[2]}


def test_number_that_is_used_again_is_another_message(store: MhStore, root: Path) -> None:
    """A new message under an old number has a new key, also if it gets the inode of the old one."""
    mailbox = store.open_mailbox("box")
    seen = set()
    for _ in range(5):
        fill(root / "box", 1)
        (key,) = whole(mailbox).present
        assert key not in seen
        seen.add(key)
        (root / "box/1").unlink()


def test_messages_of_one_second_are_told_apart(store: MhStore, root: Path) -> None:
    """A message that gets the inode of one that was removed, and has its date, has another key."""
    mailbox = store.open_mailbox("box")
    seen = set()
    for letter in "abcdef":
        key = add(mailbox, f"Subject: {letter}\n\nx\n".encode())
        assert key not in seen
        seen.add(key)
        list(mailbox.remove([key]))


def test_annotated_message_is_another_one(store: MhStore, root: Path) -> None:
    """What a program wrote into is a message with other bytes."""
    fill(root / "box", 1)
    mailbox = store.open_mailbox("box")
    (key,) = whole(mailbox).present
    with (root / "box/1").open("ab") as file:
        file.write(b"more\n")
    os.utime(root / "box/1", ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert key not in whole(mailbox).present
    assert bodies(mailbox, [key]) == {}


def test_two_numbers_for_one_file(store: MhStore, root: Path) -> None:
    """A message that refile -link put there twice is two messages."""
    fill(root / "box", 1)
    (root / "box/2").hardlink_to(root / "box/1")
    mailbox = store.open_mailbox("box")
    keys = list(whole(mailbox).present)
    assert len(bodies(mailbox, keys)) == 2
    list(mailbox.remove([keys[1]]))
    assert list(whole(mailbox).present) == [keys[0]]


def test_restored_folder_begins_a_new_epoch(store: MhStore, root: Path) -> None:
    """A copy of a folder has other keys, and says so."""
    fill(root / "box", 1)
    before = whole(store.open_mailbox("box"))
    (root / "box").rename(root.parent / "aside")
    (root / "box").mkdir()
    fill(root / "box", 1)
    assert whole(store.open_mailbox("box")).epoch != before.epoch


def test_numbers_go_on_behind_the_highest(store: MhStore, root: Path) -> None:
    """A new message gets no number that a sequence still has, and no flag of it."""
    fill(root / "box", 2)
    (root / "box/.mh_sequences").write_text("flagged: 7\n")
    mailbox = store.open_mailbox("box")
    key = add(mailbox, body(), frozenset({SEEN}))
    assert (root / "box/8").exists()
    assert whole(mailbox).present[key] == frozenset({SEEN})
    assert "flagged" not in (root / "box/.mh_sequences").read_text()


def test_removing_a_folder_as_rmf_does(store: MhStore, root: Path) -> None:
    """What rmm left goes along; what is no mail keeps the folder."""
    (root / "box/,1").write_bytes(body())
    (root / "box/notes.txt").touch()
    with pytest.raises(NotEmptyError):
        store.remove_mailbox("box")
    assert (root / "box/,1").exists()
    (root / "box/notes.txt").unlink()
    (root / "box/below").mkdir()
    store.remove_mailbox("box")
    assert set(store.mailboxes()) == {"box/below"}


def test_names_that_are_no_folders(store: MhStore) -> None:
    """A mailbox whose name is a number, or that of a backup, cannot be there."""
    for name in ("12", "box/3", ",a", "#a", ".a"):
        with pytest.raises(MailboxError, match="cannot have"):
            store.make_mailbox(name)


def test_unreadable_message_is_told(store: MhStore, root: Path) -> None:
    """A message that cannot be read is there, and may be readable later."""
    fill(root / "box", 1)
    (root / "box/1").chmod(0)
    mailbox = store.open_mailbox("box")
    (answer,) = mailbox.read(list(whole(mailbox).present))
    assert isinstance(answer, NotRead)
    assert not answer.lasting


def test_file_that_is_cut_while_it_is_read(store: MhStore, root: Path) -> None:
    """A message that becomes shorter meanwhile ends where it ends."""
    (root / "box/1").write_bytes(body(size=5_000_000))
    mailbox = store.open_mailbox("box")
    for each in mailbox.read(list(whole(mailbox).present)):
        assert isinstance(each, Message)
        next(each.chunks)
        os.truncate(root / "box/1", 10)
        list(each.chunks)


# Takes numbers and writes the sequences as inc does: locked, in place.
INC = """
import fcntl, os, sys, time
folder, end, count = sys.argv[1], time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < end:
    number = 1 + max([int(name) for name in os.listdir(folder) if name.isdigit()], default=0)
    text = f"Subject: {sys.argv[3]}{count + 1}\\n\\nx\\n"
    try:
        fd = os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        continue
    os.write(fd, text.encode())
    os.close(fd)
    count += 1
    time.sleep(0.002)
print(count)
"""


@pytest.mark.slow
def test_inc_meanwhile(tmp_path: Path) -> None:
    """While another program takes numbers on both sides, no message is lost, doubled or written over."""
    world = KindWorld(tmp_path, "mh", "mh")
    seconds = "20" if os.environ.get("MSWATCH_LONG") else "2"
    programs = at_work_on_both(world, INC, seconds)
    while any(program.poll() is None for program in programs):
        world.sync()
    made = names_made(programs)
    for _ in range(2):  # a message that was still being written is another one when it is whole
        assert not world.sync()[0].failed
    assert world.contents("near") == world.contents("far")
    names = {name for name, _ in world.contents("near")["INBOX"]}
    assert set(made) <= names


words = st.sampled_from(["unseen", "replied", "work", "cur", "bad name", "", "x: y"])
ranges = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=20)


@given(st.lists(st.tuples(words, ranges), max_size=6), st.sets(st.integers(1, 30)))
def test_sequences_mean_what_they_say(
    lines: list[tuple[str, list[tuple[int, int]]]], there: set[int]
) -> None:
    """Whatever ranges a file has, they mean what counting says, and writing says them again."""
    text = "".join(f"{name}: {' '.join(f'{low}-{high}' for low, high in each)}\n" for name, each in lines)
    members = {
        word: {n for name, each in lines if name == word for low, high in each for n in range(low, high + 1)}
        for word in ("unseen", "replied", "work")
    }
    flags = Sequences(text.encode()).flags(there)
    for number in there:
        assert (SEEN in flags[number]) == (number not in members["unseen"])
        assert (ANSWERED in flags[number]) == (number in members["replied"])
        assert ("work" in flags[number]) == (number in members["work"])
    again = Sequences(text.encode()).changed(there, {})
    assert Sequences(again).flags(there) == flags
    assert Sequences(again).changed(there, {}) == again


@given(st.binary(max_size=300))
def test_any_bytes_are_sequences(data: bytes) -> None:
    """Whatever the file holds is read, and what is written is read as the same."""
    flags = Sequences(data).flags(range(50))
    assert Sequences(Sequences(data).changed(range(50), {})).flags(range(50)) == flags


def test_many_sequences_are_quick() -> None:
    """Ranges beyond all bounds cost no more than their length."""
    text = b"unseen: " + b"1-999999999 " * 100_000 + b"\n"
    assert Sequences(text).flags([5]) == {5: frozenset()}


def test_keywords_that_are_names_of_sequences() -> None:
    """What nmh takes for a name can be kept, and what it has a meaning for cannot."""
    wanted = frozenset(
        {"work", "w2", "$Junk", "cur", "all", "unseen", "a b", "2x", "forwarded", FORWARDED, SEEN}
    )
    assert storable(wanted) == {"work", "w2", FORWARDED, SEEN}
