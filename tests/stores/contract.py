"""The contract of ``mswatch.mailsync.stores.contract`` as tests, for every store.

A store's own test module makes a class of this one that says in ``make_store`` where its store is; each test
then runs on the real thing.  What a store has beyond the contract is tested beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mswatch.mailsync.content import content_digest
from mswatch.mailsync.flags import ANSWERED, DELETED, FLAGGED, NONE, SEEN, FlagChange, Flags
from mswatch.mailsync.state import NewRow, State
from mswatch.mailsync.stores.contract import (
    Added,
    Content,
    Key,
    Known,
    Mailbox,
    Message,
    NotEmptyError,
    NotRead,
    Scan,
    Stamp,
    Store,
)

DATE_NS = 1_700_000_000_000_000_000
_numbers = itertools.count(1)


def body(text: str = "", size: int = 0) -> bytes:
    """Return a message that no other test has."""
    number = next(_numbers)
    head = f"From: a@example.org\nSubject: {text}\nMessage-ID: <{number}@example.org>\n\n".encode()
    return head + b"a line of text\n" * max(1, size // 15)


def message(
    data: bytes, flags: Flags = NONE, source: Key = b"there", proposed: Key | None = None, chunk: int = 4096
) -> Message:
    """Return a message as another store would give it, in chunks."""
    pieces = iter([data[i : i + chunk] for i in range(0, len(data), chunk)])
    return Message(source, flags, DATE_NS, len(data), pieces, proposed=proposed)


def add(mailbox: Mailbox, data: bytes, flags: Flags = NONE) -> Key:
    """Add one message, which must be taken, and return its key."""
    (answer,) = mailbox.add([message(data, flags)])
    assert isinstance(answer, Added), answer
    return answer.key


def change_flags(
    mailbox: Mailbox, wanted: Mapping[Key, Flags], seen: Flags | None = None
) -> dict[Key, Flags]:
    """Change flags from those that are seen now, or were seen before, to these, and return what is agreed."""
    present = whole(mailbox).present if seen is None else dict.fromkeys(wanted, seen)
    changes = {key: FlagChange(present.get(key) or NONE, flags) for key, flags in wanted.items()}
    return dict(mailbox.set_flags(changes))


def whole(mailbox: Mailbox, since: bytes | None = None) -> Scan:
    """Scan, and be sure that the answer is complete."""
    scan = mailbox.scan(since)
    assert scan.complete
    return scan


def bodies(mailbox: Mailbox, keys: Sequence[Key]) -> dict[Key, bytes]:
    """Read messages whole."""
    found = {}
    for each in mailbox.read(keys):
        assert isinstance(each, Message), each
        found[each.key] = b"".join(each.chunks)
    return found


@contextmanager
def remembered(stamps: Mapping[Key, Stamp | None]) -> Iterator[Known]:
    """Give what a state says of messages with these stamps."""
    with TemporaryDirectory() as directory, State.opened(Path(directory) / "state.sqlite") as (state, _):
        row = state.add_mailbox("box")
        state.add_rows(row, [NewRow(key, key, NONE, NONE, b"", stamp) for key, stamp in stamps.items()])
        yield state.known(row, "near")


class StoreContract:
    """What every store must do."""

    kept: Flags = frozenset({SEEN, FLAGGED, ANSWERED})  # flags that the store can keep
    seconds: bool = True  # dates are kept to the second at least
    renames: bool = True  # mailboxes keep their identity when they are renamed
    no_names: frozenset[str] = frozenset()  # that the store cannot give to a mailbox

    def make_store(self) -> Store:
        """Return a new object for the store, which is at the same place for all of a test."""
        raise NotImplementedError

    def settle(self) -> None:
        """Make the mailboxes old enough for marks to be trusted."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A store with a mailbox "box"."""
        store = self.make_store()
        if not store.open():
            store.make()
            assert store.open()
        store.make_mailbox("box")
        yield store
        store.close()

    @pytest.fixture
    def mailbox(self, store: Store) -> Iterator[Mailbox]:
        """The mailbox "box", open."""
        mailbox = store.open_mailbox("box")
        yield mailbox
        mailbox.close()

    def test_message_is_carried_whole(self, store: Store, mailbox: Mailbox) -> None:
        """What was added is there byte for byte, with flags and date, also for who looks anew."""
        data = body("carried")
        key = add(mailbox, data, self.kept)
        mailbox.close()
        again = store.open_mailbox("box")
        assert whole(again).present == {key: self.kept}
        reading = again.read([key])
        read = next(reading)
        assert isinstance(read, Message)
        assert b"".join(read.chunks) == data
        assert list(reading) == []
        assert (read.key, read.flags) == (key, self.kept)
        assert read.date_ns // 10**9 == DATE_NS // 10**9 or not self.seconds

    def test_large_message_is_streamed(self, mailbox: Mailbox) -> None:
        """A message of many chunks arrives whole, and is read in chunks."""
        data = body("large", size=5_000_000)
        key = add(mailbox, data)
        for read in mailbox.read([key]):
            assert isinstance(read, Message)
            chunks = list(read.chunks)
            assert len(chunks) > 1
            assert b"".join(chunks) == data

    def test_empty_message(self, mailbox: Mailbox) -> None:
        """A message may be empty, or a header alone."""
        for data in (b"", b"Subject: no end\n"):
            key = add(mailbox, data)
            assert bodies(mailbox, [key])[key].rstrip(b"\n") == data.rstrip(b"\n")

    def test_many_messages_each_get_an_answer(self, mailbox: Mailbox) -> None:
        """Each of many messages is answered under the key it had where it came from."""
        data = {b"%d" % number: body(str(number)) for number in range(60)}
        answers = list(mailbox.add(message(each, source=source) for source, each in data.items()))
        keys = {each.source: each.key for each in answers if isinstance(each, Added)}
        assert keys.keys() == data.keys()
        assert len(set(keys.values())) == len(data)
        assert bodies(mailbox, list(keys.values())) == {keys[source]: data[source] for source in data}

    def test_proposed_key_is_used(self, mailbox: Mailbox) -> None:
        """Who can choose keys gives a message the one that was proposed."""
        proposed = mailbox.propose(2)
        if proposed is None:
            return
        assert len(set(proposed)) == 2
        (answer,) = mailbox.add([message(body(), proposed=proposed[1])])
        assert isinstance(answer, Added)
        assert answer.key == proposed[1]
        assert list(whole(mailbox).present) == [proposed[1]]

    def test_source_that_breaks_off(self, mailbox: Mailbox) -> None:
        """When the messages end in an error it is passed on, and what is there then is whole."""
        data = [body("first"), body("second")]

        def messages() -> Iterable[Message]:
            for number, each in enumerate(data):
                yield message(each, source=b"%d" % number)
            raise ConnectionResetError("broken")

        with pytest.raises(ConnectionResetError):
            list(mailbox.add(messages()))
        assert set(bodies(mailbox, list(whole(mailbox).present)).values()) <= set(data)

    def test_messages_of_one_header_get_their_own_keys(self, mailbox: Mailbox) -> None:
        """Which of them has which key is told by their bytes, and where that is not known nothing is told."""
        data = {b"%d" % number: b"Subject: one\n\nnumber %d\n" % number for number in range(5)}
        answers = list(mailbox.add(message(each, source=source) for source, each in data.items()))
        held = bodies(mailbox, list(whole(mailbox).present))
        assert sorted(held.values()) == sorted(data.values())
        told = {each.key: data[each.source] for each in answers if isinstance(each, Added)}
        assert told == held

    def test_contents_are_digests_of_all_bytes(self, mailbox: Mailbox) -> None:
        """What bytes come to is the same in every store; of a key that is gone nothing is told."""
        data = b"Subject: one\n\nbody\n"
        key, gone = add(mailbox, data), add(mailbox, data + b"more\n")
        list(mailbox.remove([gone]))
        (found,) = mailbox.contents([key, gone])
        assert isinstance(found, Content)
        assert (found.key, found.digest) == (key, content_digest([data]))
        assert found.size >= len(data) + 3
        assert mailbox.sizes([key]) in ({}, {key: found.size})

    def test_body_that_breaks_off_leaves_no_part(self, mailbox: Mailbox) -> None:
        """A message whose body ends in an error is not there at all."""

        def chunks() -> Iterator[bytes]:
            yield b"Subject: half\n\n"
            raise ConnectionResetError("broken")

        with pytest.raises(ConnectionResetError):
            list(mailbox.add([Message(b"there", NONE, DATE_NS, 4000, chunks())]))
        assert whole(mailbox).present == {}

    def test_flags_are_set(self, mailbox: Mailbox) -> None:
        """Flags become what was asked for; keys stay; the answer is what a scan says."""
        keys = [add(mailbox, body()), add(mailbox, body(), self.kept)]
        for wanted in (self.kept, NONE, frozenset({SEEN}), frozenset({SEEN})):
            answers = change_flags(mailbox, dict.fromkeys(keys, wanted))
            assert answers == dict.fromkeys(keys, wanted & self.kept)
            assert whole(mailbox).present == answers

    def test_flags_that_cannot_be_kept(self, mailbox: Mailbox) -> None:
        """An impossible keyword is left out of the answer, and does no harm to others."""
        key = add(mailbox, body())
        wanted = frozenset({SEEN, "no keyword at all (", "\\Unheard"})
        assert change_flags(mailbox, {key: wanted}) == {key: frozenset({SEEN})}
        assert whole(mailbox).present == {key: frozenset({SEEN})}

    def test_flags_that_others_changed_meanwhile(self, store: Store, mailbox: Mailbox) -> None:
        """Only what is asked for is different; what others did stays, and is not in the answer."""
        keys = [add(mailbox, body(), frozenset({SEEN, ANSWERED})) for _ in range(3)]
        seen = whole(mailbox).present[keys[0]] or NONE
        mailbox.close()
        theirs = store.open_mailbox("box")  # another mailbox in between, or another program
        change_flags(
            theirs, {keys[0]: seen | {FLAGGED}, keys[1]: seen - {ANSWERED}, keys[2]: seen | {DELETED}}
        )
        theirs.close()
        mine = store.open_mailbox("box")
        answers = change_flags(
            mine, {keys[0]: seen - {SEEN}, keys[1]: seen | {DELETED}, keys[2]: seen | {DELETED}}, seen
        )
        assert answers == {
            keys[0]: frozenset({ANSWERED}),
            keys[1]: frozenset({SEEN, ANSWERED, DELETED}),
            keys[2]: frozenset({SEEN, ANSWERED, DELETED}),
        }
        assert whole(mine).present == {
            keys[0]: frozenset({ANSWERED, FLAGGED}),
            keys[1]: frozenset({SEEN, DELETED}),
            keys[2]: frozenset({SEEN, ANSWERED, DELETED}),
        }
        assert mine.stamp(keys[0]) is None
        assert mine.stamp(keys[1]) is None

    def test_removed(self, mailbox: Mailbox) -> None:
        """A removed message is gone, others stay; removing it again changes nothing."""
        first, second = add(mailbox, body()), add(mailbox, body())
        for _ in range(2):
            assert list(mailbox.remove([first])) == [first]
            assert list(whole(mailbox).present) == [second]
        assert set(mailbox.absent([first, second])) >= {first}
        assert second not in mailbox.absent([second])

    def test_what_is_gone_is_left_out(self, mailbox: Mailbox) -> None:
        """A key that is gone is no error, whatever is asked of it."""
        here, gone = add(mailbox, body()), add(mailbox, body())
        list(mailbox.remove([gone]))
        assert [each[0] for each in mailbox.headers([gone, here]) if not isinstance(each, NotRead)] == [here]
        assert [each.key for each in mailbox.read([gone, here])] == [here]
        wanted = dict.fromkeys([gone, here], frozenset({SEEN}))
        assert list(change_flags(mailbox, wanted)) == [here]

    def test_moved(self, store: Store, mailbox: Mailbox) -> None:
        """A moved message is in the other mailbox with bytes and flags, and here no more."""
        store.make_mailbox("other")
        data = body()
        key, gone = add(mailbox, data, frozenset({SEEN})), add(mailbox, body())
        list(mailbox.remove([gone]))
        ((moved, new_key),) = mailbox.move([key, gone], "other")
        assert moved == key
        assert whole(mailbox).present == {}
        mailbox.close()
        other = store.open_mailbox("other")
        ((found, flags),) = whole(other).present.items()
        assert flags == frozenset({SEEN})
        assert new_key in (None, found)
        assert bodies(other, [found]) == {found: data}

    def test_headers(self, mailbox: Mailbox) -> None:
        """The header is given without the body."""
        key = add(mailbox, body("a subject", size=100_000))
        (answer,) = mailbox.headers([key])
        assert not isinstance(answer, NotRead)
        header = answer[1]
        assert b"Subject: a subject" in header
        assert b"a line of text" not in header

    def test_size_limit(self, mailbox: Mailbox) -> None:
        """A message over the limit is named but not read; one below it is."""
        small, large = add(mailbox, body()), add(mailbox, body(size=50_000))
        read = {each.key: each for each in mailbox.read([large, small], size_limit=10_000)}
        assert isinstance(read[small], Message)
        refused = read[large]
        assert isinstance(refused, NotRead)
        assert refused.lasting

    def test_mark_stands_for_the_content(self, store: Store, mailbox: Mailbox) -> None:
        """With the mark of a scan nothing is told anew; after any change something is."""
        key = add(mailbox, body())
        self.settle()
        mark = mailbox.scan(None).mark
        assert mark is not None
        assert store.mailboxes(["box"])["box"].mark in (mark, None)
        scan = mailbox.scan(mark)
        assert (dict(scan.present), list(scan.vanished)) == ({}, [])
        change_flags(mailbox, {key: frozenset({SEEN})})
        assert store.mailboxes()["box"].mark != mark
        assert mailbox.scan(mark).present == {key: frozenset({SEEN})}
        self.settle()
        mark = mailbox.scan(None).mark
        list(mailbox.remove([key]))
        scan = mailbox.scan(mark)
        assert key in scan.vanished or (scan.complete and key not in scan.present)

    def test_what_is_known_needs_not_be_told(self, mailbox: Mailbox) -> None:
        """Who tells only what is different from what is known tells all of that, and what is in doubt."""
        keys = [add(mailbox, body()) for _ in range(4)]
        first = mailbox.scan(None)
        known: dict[Key, Stamp | None] = {key: first.stamps.get(key) for key in keys}
        doubtful, flagged, gone, left = keys
        known[doubtful] = None
        change_flags(mailbox, {flagged: frozenset({SEEN})})
        list(mailbox.remove([gone]))
        new = add(mailbox, body())
        with remembered(known) as mailbox.known:
            scan = mailbox.scan_known(None)

        assert scan.present[flagged] == frozenset({SEEN})
        assert scan.present[new] == scan.present[doubtful] == NONE
        assert gone in scan.vanished or (scan.complete and gone not in scan.present)
        assert not {doubtful, flagged, new, left} & set(scan.vanished)
        assert scan.complete or left not in scan.present
        assert not scan.stamps or scan.stamps.keys() == scan.present.keys()

    def test_mailboxes(self, store: Store) -> None:
        """Mailboxes are listed by their canonical names, whatever characters these have."""
        names = {
            "box",
            "lists/python",
            "lists",
            "Entwürfe",
            "R&D",
            "with blank",
            "a\tb",
            "x" * 100,
        } - self.no_names
        for name in names:
            store.make_mailbox(name)
            store.make_mailbox(name)
        assert set(self.make_and_open().mailboxes()) - {"INBOX"} == names
        assert set(store.mailboxes(["lists/python", "nowhere"])) == {"lists/python"}

    def make_and_open(self) -> Store:
        """Look at the store anew."""
        store = self.make_store()
        assert store.open()
        return store

    def test_names_that_are_paths_are_refused(self, store: Store) -> None:
        """No name leads out of the store."""
        for name in ("../out", "a/../../out", "/etc", "a//b", "", ".", "..", "nul\0"):
            with pytest.raises((OSError, Exception)):
                store.make_mailbox(name)
        assert set(store.mailboxes()) - {"INBOX"} == {"box"}

    def test_mailbox_is_renamed(self, store: Store, mailbox: Mailbox) -> None:
        """A renamed mailbox keeps messages, keys and identity."""
        key = add(mailbox, body(), frozenset({SEEN}))
        mailbox.close()
        identity = store.mailboxes()["box"].identity
        store.rename_mailbox("box", "new name")
        found = store.mailboxes()
        assert "box" not in found
        assert found["new name"].identity == identity or not self.renames
        assert whole(store.open_mailbox("new name")).present == {key: frozenset({SEEN})}

    def test_mailbox_is_removed(self, store: Store, mailbox: Mailbox) -> None:
        """Only an empty mailbox is removed."""
        key = add(mailbox, body())
        with pytest.raises(NotEmptyError):
            store.remove_mailbox("box")
        assert list(whole(mailbox).present) == [key]
        list(mailbox.remove([key]))
        mailbox.close()
        store.remove_mailbox("box")
        assert "box" not in self.make_and_open().mailboxes()
        store.make_mailbox("box")
        assert whole(store.open_mailbox("box")).present == {}

    def test_mailbox_that_is_not_there(self, store: Store) -> None:
        """Opening a mailbox that is not there is told as an error of this mailbox."""
        with pytest.raises((OSError, Exception)):
            store.open_mailbox("nowhere").scan(None)


class TreeContract(StoreContract):
    """The same for stores that are directories here."""

    _root: Path

    def make_odd(self) -> Path:
        """Put something into the store that it passes over and tells of; return what takes it away again."""
        odd = self._root / "odd"
        odd.mkdir(mode=0)
        return odd

    def test_notes_belong_to_the_whole_list(self, store: Store) -> None:
        """A question about single mailboxes neither clears nor repeats them; the whole list tells anew."""
        odd = self.make_odd()
        store.mailboxes()
        (note,) = store.notes
        assert odd.name in note
        kept = store.notes
        for only in (["box"], ["nowhere"], ["box", "nowhere"], []):
            store.mailboxes(only)
            assert store.notes == [note]
        odd.chmod(0o700)
        odd.rename(self._root.parent / "elsewhere")
        store.mailboxes(["box"])
        store.mailboxes()
        assert kept is store.notes == []
