"""Commands are written as the RFCs say, and nothing from outside can become a command of its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap import commands
from mswatch.imap.commands import Command, Known, Literal, NewMessage, Upload
from mswatch.imap.dates import format_date, parse_date
from mswatch.imap.framing import Frame
from mswatch.imap.numbers import NumberSet
from mswatch.imap.reader import Reader
from mswatch.imap.secret import Secret


def written(command: Command) -> bytes:
    """Return a command as a server with LITERAL+ would get it, without its tag."""
    text = command.name.encode()
    for part in command.parts:
        if isinstance(part, bytes):
            text += part
        elif isinstance(part, Literal):
            text += b"{%d+}\r\n%b" % (len(part.data), part.data)
        else:
            text += b"{%d+}\r\n<upload>" % part.size
    return text


KNOWN = [
    (commands.capability(), b"CAPABILITY"),
    (commands.noop(), b"NOOP"),
    (commands.identify(), b"ID NIL"),
    (commands.identify({"name": "a", "version": '"2"'}), b'ID ("name" "a" "version" "\\"2\\"")'),
    (commands.login("a b", Secret('x"\\')), b'LOGIN "a b" "x\\"\\\\"'),
    (commands.login("a", Secret("p\u00e4ss")), b"LOGIN a {5+}\r\np\xc3\xa4ss"),
    (commands.enable("CONDSTORE", "QRESYNC"), b"ENABLE CONDSTORE QRESYNC"),
    (commands.compress(), b"COMPRESS DEFLATE"),
    (commands.select("INBOX"), b"SELECT INBOX"),
    (commands.select("", read_only=True), b'EXAMINE ""'),
    (commands.select("a]", condstore=True), b'SELECT "a]" (CONDSTORE)'),
    (commands.select("NIL"), b'SELECT "NIL"'),
    (
        commands.select("a", known=Known(67890007, 20050715194045)),
        b"SELECT a (QRESYNC (67890007 20050715194045))",
    ),
    (commands.select("a", known=Known(6, 9, "41:211,214")), b"SELECT a (QRESYNC (6 9 41:211,214))"),
    (commands.list_mailboxes(), b'LIST "" "*"'),
    (
        commands.list_mailboxes(
            ["INBOX", "a%"],
            selection=["SUBSCRIBED"],
            returning=["SPECIAL-USE"],
            status_items=["MESSAGES", "UIDNEXT"],
        ),
        b'LIST (SUBSCRIBED) "" ("INBOX" "a%") RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT))',
    ),
    (commands.status("a", ["UIDNEXT"]), b"STATUS a (UIDNEXT)"),
    (commands.create("a"), b"CREATE a"),
    (commands.delete("a"), b"DELETE a"),
    (commands.rename("a", "b c"), b'RENAME a "b c"'),
    (commands.subscribe("a"), b"SUBSCRIBE a"),
    (commands.unsubscribe("a"), b"UNSUBSCRIBE a"),
    (commands.namespace(), b"NAMESPACE"),
    (commands.quota_root("a"), b"GETQUOTAROOT a"),
    (
        commands.append(
            "a", [NewMessage(3, frozenset({"\\Seen", "Junk"}), 837596665), NewMessage(2, data=b"ab")]
        ),
        b'APPEND a (Junk \\Seen) "17-Jul-1996 09:44:25 +0000" {3+}\r\n<upload> {2+}\r\nab',
    ),
    (commands.idle(), b"IDLE"),
    (commands.notify([]), b"NOTIFY NONE"),
    (
        commands.notify(["selected (MessageNew)", "personal (MailboxName)"], status_now=True),
        b"NOTIFY SET STATUS (selected (MessageNew)) (personal (MailboxName))",
    ),
    (commands.unselect(), b"UNSELECT"),
    (commands.close(), b"CLOSE"),
    (commands.uid_fetch(NumberSet.of([1, 2, 3]), ["FLAGS"]), b"UID FETCH 1:3 (FLAGS)"),
    (
        commands.uid_fetch("5:*", ["BODY.PEEK[]"], changed_since=7, vanished=True),
        b"UID FETCH 5:* (BODY.PEEK[]) (CHANGEDSINCE 7 VANISHED)",
    ),
    (commands.uid_store("1", "+", ["\\Seen"]), b"UID STORE 1 +FLAGS.SILENT (\\Seen)"),
    (
        commands.uid_store("1", "", [], unchanged_since=9, silent=False),
        b"UID STORE 1 (UNCHANGEDSINCE 9) FLAGS ()",
    ),
    (commands.uid_search(), b"UID SEARCH ALL"),
    (
        commands.uid_search(["HEADER MESSAGE-ID", commands.string("<a b>")], returning=["ALL"]),
        b'UID SEARCH RETURN (ALL) HEADER MESSAGE-ID "<a b>"',
    ),
    (commands.uid_copy("1", "a"), b"UID COPY 1 a"),
    (commands.uid_move("1", "a"), b"UID MOVE 1 a"),
    (commands.uid_expunge("1"), b"UID EXPUNGE 1"),
    (commands.expunge(), b"EXPUNGE"),
    (commands.starttls(), b"STARTTLS"),
    (commands.logout(), b"LOGOUT"),
]


@pytest.mark.parametrize(("command", "text"), KNOWN, ids=[str(text[:30]) for _, text in KNOWN])
def test_known_commands(command: Command, text: bytes) -> None:
    """A command is what its RFC says."""
    assert written(command) == text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=())))
def test_string_there_and_back(text: str) -> None:
    """Any text that was written as a string is read as the same, and never ends the line before its end."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return  # a surrogate that stands for no byte comes from no file name
    part = commands.string(text)
    assert not isinstance(part, Upload)
    if isinstance(part, Literal):
        assert part.data == text.encode("utf-8", "surrogateescape")
        return
    assert not re.search(rb"[\r\n\0\x80-\xff]", part)
    frame: Frame = [part]
    reader = Reader(frame)
    assert reader.name() == text
    assert reader.is_at_end


@pytest.mark.parametrize(
    "misuse",
    [
        lambda: commands.string("a\0"),
        lambda: commands.flag("a b"),
        lambda: commands.flag(""),
        lambda: commands.flag("\\"),
        lambda: commands.flag("a\r\nA2 DELETE x"),
        lambda: commands.flag("(a)"),
        lambda: commands.numbers("1 2"),
        lambda: commands.numbers(""),
        lambda: commands.numbers(NumberSet()),
        lambda: commands.status("a", ["UIDNEXT)\r\nA2 DELETE x"]),
        lambda: commands.status("a", ["{5}"]),
        lambda: commands.identify({"a": "b\r\n"}),
    ],
)
def test_what_cannot_be_said(misuse: object) -> None:
    """What would end a line, or begin a literal, is refused before it is sent."""
    with pytest.raises(ValueError, match=r"."):
        misuse()  # type: ignore[operator]


def test_secrets_are_not_shown() -> None:
    """No password is in what a command, a message or a secret shows of itself, nor can it be pickled."""
    shown = (
        repr(commands.login("alice", Secret("hunter2"))) + repr(Secret("hunter2")) + str(Secret("hunter2"))
    )
    assert "hunter2" not in shown
    assert "geheim" not in repr(commands.login("alice", Secret("gehe\u00edm geheim")))
    with pytest.raises(TypeError):
        Secret("hunter2").__reduce__()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"17-Jul-1996 02:44:25 -0700", 837596665),
        (b" 1-jan-1970 00:00:00 +0000", 0),
        (b"1-Jan-1970 00:00:00 +0000", 0),
        (b"30-Feb-2000 00:00:00 +0000", None),
        (b"01-Foo-2000 00:00:00 +0000", None),
        (b"yesterday", None),
        (b"01-Jan-2000 25:00:00 +0000", None),
        (b"17-Jul-1996 02:44:25", None),
        (b"17-Jul-96 02:44:25 -0700", None),
        (b"NIL", None),
        (b"", None),
        (b"31-Dec-1969 23:59:59 +0000", -1),
    ],
)
def test_dates(text: bytes, seconds: float | None) -> None:
    """A date is read with its zone; one that is none is no date and no error."""
    assert parse_date(text) == seconds


@given(st.integers(-62135596800, 253402300799))
def test_dates_there_and_back(seconds: int) -> None:
    """A date that was written is read as the same."""
    assert parse_date(format_date(seconds)) == seconds


def test_dates_that_imap_cannot_write() -> None:
    """A time before 1970 is written as it is; one whose year has not four digits as the nearest that has."""
    assert format_date(-5.5) == b"31-Dec-1969 23:59:54 +0000"
    assert format_date(-1e18) == b" 1-Jan-0001 00:00:00 +0000"
    assert format_date(1e18) == b"31-Dec-9999 23:59:59 +0000"
