"""What a watcher's bytes mean, in both forms of lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mswatch.names import NameForm
from mswatch.watchers.reader import (
    LINE_LIMIT,
    AnythingChanged,
    Changed,
    Note,
    Ready,
    Unreadable,
    WatcherReader,
    Word,
)

PLAIN = NameForm()
MAILDIR = NameForm(".", "utf-7")


def read(data: bytes, names: NameForm = PLAIN, *, long_lines: bool = False) -> list[Word]:
    """Read everything at once."""
    return WatcherReader(names, long_lines=long_lines).feed(data)


def test_the_old_protocol() -> None:
    """An empty line says that it is watching; then each line names a mailbox."""
    assert read(b"\nINBOX\nlists/python\n") == [Ready(), Changed("INBOX"), Changed("lists/python")]


def test_names_become_canonical() -> None:
    """The store's separator and encoding are translated."""
    assert read(b"\nlists.Entw&APw-rfe\n", MAILDIR) == [Ready(), Changed("lists/Entwürfe")]


def test_blanks_case_and_strange_bytes_are_kept() -> None:
    """A name is bytes: only the newline ends it."""
    assert read(b"\n a b \r\ninbox\ncaf\xe9\n") == [
        Ready(),
        Changed(" a b \r"),
        Changed("inbox"),
        Changed("caf\udce9"),
    ]


def test_repeats_in_one_piece_are_one() -> None:
    """A burst of the same name is one change; the last one counts, because of what stands between."""
    assert read(b"\na\nb\na\n") == [Ready(), Changed("b"), Changed("a")]


def test_files_of_a_mailbox_come_together() -> None:
    """Several names of one mailbox are one change, unless it is not known which."""
    lines = b"a\tcontent\tnew/1\nb\tcontent\tcur/2\na\tcontent\tcur/1\nb\tcontent\t\n"
    words = read(b"\n" + lines, long_lines=True)

    assert words == [Ready(), Changed("a", files=frozenset(["new/1", "cur/1"])), Changed("b")]


def test_a_removal_that_is_followed_by_a_change_is_none() -> None:
    """The last word on a mailbox is the one that is told last."""
    words = read(b"\n\na\tgone\t\n"[1:] + b"a\tcontent\tnew/1\n", long_lines=True)

    assert words[-1] == Changed("a", files=frozenset(["new/1"]))


def test_the_long_form() -> None:
    """Kinds are told apart; a note is for people."""
    data = b"\nINBOX\tcontent\tnew/1.x\nold\tgone\t\n\tall\t\n\tnote\tpolling\n"

    assert read(data, long_lines=True) == [
        Ready(),
        Changed("INBOX", files=frozenset(["new/1.x"])),
        Changed("old", gone=True),
        AnythingChanged(),
        Note("polling"),
    ]


def test_an_unreadable_long_line_is_everything() -> None:
    """What cannot be understood may have been any change."""
    words = read(b"\nnonsense\n", long_lines=True)

    assert isinstance(words[1], AnythingChanged)
    assert words[1].reason


def test_another_language_is_given_up() -> None:
    """Whoever does not begin with an empty line is no watcher, and nothing more is read."""
    reader = WatcherReader(PLAIN, long_lines=False)

    assert isinstance(reader.feed(b"Usage: frobnicate\nINBOX\n")[0], Unreadable)
    assert reader.feed(b"\nINBOX\n") == []


def test_a_line_without_end_is_everything() -> None:
    """A name that is too long is a change of any mailbox, told once."""
    reader = WatcherReader(PLAIN, long_lines=False)
    reader.feed(b"\n")

    words = reader.feed(b"x" * (LINE_LIMIT + 1))
    more = reader.feed(b"x" * LINE_LIMIT + b"\nINBOX\n")

    assert isinstance(words[0], AnythingChanged)
    assert more == [Changed("INBOX")]


@given(st.binary(max_size=400), st.booleans(), st.sampled_from([PLAIN, MAILDIR]), st.data())
def test_any_bytes_in_any_pieces(data: bytes, long_lines: bool, names: NameForm, draw: st.DataObject) -> None:
    """Nothing that a watcher prints raises an error, and it is ready once at most."""
    reader = WatcherReader(names, long_lines=long_lines)
    words: list[Word] = []
    while data:
        cut = draw.draw(st.integers(1, len(data)))
        words += reader.feed(data[:cut])
        data = data[cut:]

    assert words.count(Ready()) <= 1
    assert not words or isinstance(words[0], Ready | Unreadable)
