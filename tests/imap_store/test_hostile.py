"""An IMAP account whose server lies: nothing is believed that could do damage, and memory stays bounded."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mswatch.errors import MswatchError
from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login
from mswatch.mailsync.flags import DRAFT, FLAGGED, SEEN, FlagChange
from mswatch.mailsync.stores.contract import Expected, Mailbox, Message, NotAdded
from mswatch.mailsync.stores.imap import ImapStore
from tests.imap_session.scripted import SILENT, Heard, Step, scripted
from tests.stores.contract import bodies, body, message

IN = b"* PREAUTH [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC UIDPLUS LITERAL+ LIST-STATUS] in\r\n"
ACQUAINTED = (
    Heard(b"LIST"),
    b'* ENABLED CONDSTORE QRESYNC\r\nA1 OK\r\n* LIST (\\Noselect) "/" ""\r\nA2 OK\r\n',
)
OPENED = b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 9] ok\r\n* OK [HIGHESTMODSEQ 5] ok\r\n"


@contextmanager
def store_on(*steps: Step) -> Iterator[ImapStore]:
    """Open a store on a server that follows a script."""
    with scripted(IN, *ACQUAINTED, *steps, SILENT) as server:
        store = ImapStore("far", lambda: log_in(server.server(), Login()))
        store.open()
        yield store
        store.close()


@contextmanager
def mailbox_on(*steps: Step) -> Iterator[Mailbox]:
    """Open a mailbox on such a server; it is selected with the first work."""
    with store_on(Heard(b"SELECT"), *steps) as store:
        yield store.open_mailbox("box")


@contextmanager
def upload_to(*answers: bytes) -> Iterator[Mailbox]:
    """Open a mailbox on a server that is sent SELECT and one message behind it, and answers then."""
    with store_on(Heard(b"of text\r\n\r\n"), OPENED + b"A3 OK\r\n", *answers) as store:
        yield store.open_mailbox("box")


NAMES = [
    *("../out", "/etc/passwd", "a/../../b", "a//b", ".", "..", "a/", "b\x1b[2J", "x\r\ny", "inbox/.."),
    *("&ACIALg-", "&", "&ZZ", "good", "good"),
]


def test_names_that_lead_elsewhere() -> None:
    """Only names of mailboxes below the store are taken; the others are told, harmlessly."""
    listed = b""
    for name in (text.encode() for text in NAMES):
        listed += b'* LIST () "/" {%d}\r\n%b\r\n* STATUS {%d}\r\n%b (MESSAGES 0)\r\n' % (
            *(len(name), name),
            *(len(name), name),
        )
    with store_on(Heard(b"LIST"), listed + b"A3 OK\r\n") as store:
        assert set(store.mailboxes()) == {"good"}
        assert len(store.notes) == len(NAMES) - 2
        assert all(note.isprintable() for note in store.notes)


def test_notes_belong_to_the_whole_list() -> None:
    """A question about one mailbox neither clears nor repeats what is told of others."""
    odd, box = b'* LIST () "/" ../odd\r\n', b'* LIST () "/" box\r\n* STATUS box (MESSAGES 0)\r\n'
    steps = (odd + box + b"A3 OK\r\n", Heard(b"LIST"), odd + box + b"A4 OK\r\n")
    with store_on(Heard(b"LIST"), *steps, Heard(b"LIST"), box + b"A5 OK\r\n") as store:
        store.mailboxes()
        (note,) = store.notes
        assert "../odd" in note
        store.mailboxes(["box"])
        assert store.notes == [note]
        store.mailboxes()
        assert store.notes == []


def test_everything_vanished() -> None:
    """Numbers that no message ever had are not counted through: the mailbox is looked at anew."""
    gone = OPENED + b"* VANISHED (EARLIER) 1:4294967295\r\nA3 OK\r\n"
    anew = OPENED + b"A4 OK\r\n"
    flags = b"* 1 FETCH (UID 3 FLAGS (\\Seen))\r\n* 2 FETCH (UID 8 FLAGS ())\r\nA5 OK\r\n"
    tracemalloc.start()
    with mailbox_on(gone, Heard(b"FETCH"), anew + flags) as mailbox:
        scan = mailbox.scan(b"7 4 9 2")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scan.complete
    assert set(scan.present) == {b"3", b"8"}
    assert peak < 30 << 20


def test_messages_that_nobody_asked_for() -> None:
    """A body under another UID is not taken for the one that was asked for, nor one that comes twice."""
    lies = b"".join(
        b"* 1 FETCH (UID %d FLAGS () BODY[] {3}\r\nabc)\r\n" % uid for uid in (99, 3, 3, 4294967295)
    )
    with mailbox_on(OPENED + b"A3 OK\r\n" + lies + b"A4 OK\r\n") as mailbox:
        read = [
            (each.key, b"".join(each.chunks)) for each in mailbox.read([b"3"]) if isinstance(each, Message)
        ]
    assert read == [(b"3", b"abc")]


def test_uids_for_uploads_that_cannot_be() -> None:
    """An answer that names more UIDs than messages, or another mailbox's, tells nothing of where they are."""
    for code in (b"APPENDUID 7 1:4294967295", b"APPENDUID 8 11", b"APPENDUID 7"):
        with upload_to(b"A4 OK [" + code + b"] done\r\n") as mailbox:
            answers = list(mailbox.add([message(body())]))
        assert answers == []  # it is uncertain; the next run finds it


def test_full_account() -> None:
    """A quota ends the work on this mailbox and is told as one."""
    answer = b"A4 NO [OVERQUOTA] full\r\n"
    with upload_to(answer) as mailbox, pytest.raises(MswatchError, match="full") as caught:
        list(mailbox.add([message(body())]))
    assert "delete something" in caught.value.fix


def test_mailbox_that_cannot_be_opened() -> None:
    """What went up behind its SELECT is answered before that is told, and the connection is good for more."""
    opened = b"A5 OK\r\n"
    with store_on(
        *(Heard(b"of text\r\n\r\n"), b"A3 NO not now\r\n", b"A4 OK [APPENDUID 7 9] done\r\n"),
        *(Heard(b"SELECT other"), OPENED + opened, b"* 1 FETCH (UID 3 FLAGS ())\r\nA6 OK\r\n"),
    ) as store:
        with pytest.raises(MswatchError, match="not now"):
            list(store.open_mailbox("box").add([message(body())]))
        assert set(store.open_mailbox("other").scan(None).present) == {b"3"}


def test_message_that_is_too_big() -> None:
    """A message that the server does not take is told, and is no reason to stop."""
    with upload_to(b"A4 NO [TOOBIG] no\r\n") as mailbox:
        (answer,) = mailbox.add([message(body())])
    assert isinstance(answer, NotAdded)
    assert "too big" in answer.reason


PERMANENT = b"* OK [PERMANENTFLAGS (\\Seen \\Flagged OIB-Seen-[Gmail]/Important)] these\r\n"


def test_only_flags_that_differ_are_sent() -> None:
    """Flags that are not named are not touched, and the others' are not agreed on."""
    held = b'* 1 FETCH (UID 3 FLAGS (\\Flagged \\Answered other "also"))\r\n'
    sent = (
        b"A4 UID STORE 3 +FLAGS.SILENT (\\Flagged)\r\n"
        b"A5 UID STORE 3 -FLAGS.SILENT (\\Seen)\r\n"
        b"A6 UID FETCH 3 (UID FLAGS)\r\n"
    )
    with mailbox_on(
        OPENED + PERMANENT + b"A3 OK\r\n",
        Heard(sent),
        b"A4 OK\r\nA5 OK\r\n" + held + b"A6 OK\r\n",
    ) as mailbox:
        seen = frozenset({SEEN, "other", "unnamed"})
        wanted = frozenset({FLAGGED, DRAFT, "new"})
        answers = dict(mailbox.set_flags({b"3": FlagChange(seen, wanted)}))
    assert answers == {b"3": frozenset({FLAGGED, "other", "unnamed"})}


BODIES = ((1, 3, b"one"), (2, 4, b"two"))


def test_commands_that_are_answered_one_after_the_other() -> None:
    """The end of a scan is heard once; what was asked for behind it is had all the same."""
    flags = b"* 1 FETCH (UID 3 FLAGS ())\r\n* 2 FETCH (UID 4 FLAGS ())\r\n"
    one, two = (b"* %d FETCH (UID %d FLAGS () BODY[] {3}\r\n%b)\r\n" % each for each in BODIES)
    with store_on(
        Heard(b"LIST"),
        b'* LIST () "/" box\r\n* STATUS box (MESSAGES 2 UIDVALIDITY 7 UIDNEXT 9)\r\nA3 OK\r\n',
        Heard(b"INTERNALDATE"),
        OPENED + b"A4 OK\r\n" + flags + b"A5 OK\r\n" + one + two + b"A6 OK\r\n",
    ) as store:
        store.mailboxes()
        store.expect([Expected("box", scans=True, keys=None)])
        mailbox = store.open_mailbox("box")
        keys = list(mailbox.scan(None).present)
        assert list(bodies(mailbox, keys).values()) == [b"one", b"two"]


NOW_S = 1_700_000_000
OWN = b"Date: Wed, 17 Jul 1996 09:44:25 +0000\r\n\r\nx"
OWN_S = 837596665


@pytest.mark.parametrize("length", [0, 100_000])
@pytest.mark.parametrize(
    ("date", "with_date", "without"),
    [
        (b'INTERNALDATE "14-Nov-2023 22:13:19 +0000" ', NOW_S - 1, NOW_S - 1),
        (b'INTERNALDATE " 1-Jan-1970 00:00:00 +0000" ', OWN_S, NOW_S),
        (b'INTERNALDATE "01-Jan-1904 00:00:00 +0000" ', OWN_S, NOW_S),
        (b'INTERNALDATE "14-Nov-2023 22:13:20" ', OWN_S, NOW_S),
        (b'INTERNALDATE "14-Nov-23 22:13:20 +0000" ', OWN_S, NOW_S),
        (b"INTERNALDATE NIL ", OWN_S, NOW_S),
        (b'INTERNALDATE "" ', OWN_S, NOW_S),
        (b"", OWN_S, NOW_S),
    ],
)
def test_dates_that_are_none(
    date: bytes, with_date: int, without: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server does not know, or tells as 1970, is the message's own date, else now; its bytes stay."""
    monkeypatch.setattr("mswatch.mailsync.stores.imap_mailbox.time.time", lambda: NOW_S)
    dated = OWN + b"y" * length
    undated = b"Subject: x\r\n\r\n" + b"y" * length
    answers = b"".join(
        b"* %d FETCH (UID %d FLAGS () %bBODY[] {%d}\r\n%b)\r\n" % (uid, uid, date, len(text), text)
        for uid, text in ((1, dated), (2, undated))
    )
    with mailbox_on(OPENED + b"A3 OK\r\n" + answers + b"A4 OK\r\n") as mailbox:
        read = {
            each.key: (each.date_ns, b"".join(each.chunks))
            for each in mailbox.read([b"1", b"2"])
            if isinstance(each, Message)
        }
    assert read == {
        b"1": (with_date * 10**9, dated.replace(b"\r\n", b"\n")),
        b"2": (without * 10**9, undated.replace(b"\r\n", b"\n")),
    }
