"""Each kind of response is read as its RFC says, whole, byte by byte, and with more behind it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap.errors import ProtocolError
from mswatch.imap.framing import Framer
from mswatch.imap.numbers import LARGEST, NumberSet
from mswatch.imap.parsing import parse
from mswatch.imap.responses import (
    Capabilities,
    Code,
    Continuation,
    Enabled,
    Exists,
    Expunged,
    ExtendedSearch,
    Fetch,
    Flags,
    Identification,
    Listed,
    MailboxStatus,
    NamespaceEntry,
    Namespaces,
    Quota,
    Response,
    Search,
    Status,
    Tagged,
    Unknown,
    Vanished,
)
from tests.imap.feeding import bytewise, frames

NONE: frozenset[str] = frozenset()
SEEN = frozenset({"\\Seen"})


def one(data: bytes) -> Response:
    """Parse the one response in these bytes."""
    (frame,) = frames(Framer(), [data])
    assert isinstance(frame, list)
    return parse(frame)


KNOWN: list[tuple[bytes, Response]] = [
    # RFC 9051, 7.1: status
    (b"* OK IMAP4rev1 ready", Status("OK", None, "IMAP4rev1 ready")),
    (b"* preauth hello", Status("PREAUTH", None, "hello")),
    (b"* BYE", Status("BYE", None, "")),
    (b"A1 OK", Tagged("A1", "OK", None, "")),
    (b"A1 NO [ALERT] full {3}", Tagged("A1", "NO", Code("ALERT"), "full {3}")),
    (b"A7 bad what?", Tagged("A7", "BAD", None, "what?")),
    (b"* OK [UIDNEXT 4392] next", Status("OK", Code("UIDNEXT", "4392", number=4392), "next")),
    (b"* OK [UIDNEXT 4392]", Status("OK", Code("UIDNEXT", "4392", number=4392), "")),
    (b"* OK [UIDNEXT x] ", Status("OK", Code("UIDNEXT", "x"), "")),
    (b"* OK [NOMODSEQ] no", Status("OK", Code("NOMODSEQ"), "no")),
    (b"* OK [X-NEW (a b)] c", Status("OK", Code("X-NEW", "(a b)"), "c")),
    (
        b"* OK [CAPABILITY IMAP4rev1 idle] hi",
        Status("OK", Code("CAPABILITY", "IMAP4rev1 idle", words=frozenset({"IMAP4REV1", "IDLE"})), "hi"),
    ),
    (
        b"* OK [PERMANENTFLAGS (\\Seen \\*)] ok",
        Status("OK", Code("PERMANENTFLAGS", "(\\Seen \\*)", words=SEEN | {"\\*"}), "ok"),
    ),
    (
        b"* OK [PERMANENTFLAGS (OIB-Seen-[Gmail]/Important \\Seen)] [x] ok",
        Status(
            "OK",
            Code(
                "PERMANENTFLAGS",
                "(OIB-Seen-[Gmail]/Important \\Seen)",
                words=SEEN | {"OIB-Seen-[Gmail]/Important"},
            ),
            "[x] ok",
        ),
    ),
    (
        b'* NO [BADCHARSET ("a]b" "c\\"]")] no',
        Status("NO", Code("BADCHARSET", '("a]b" "c\\"]")'), "no"),
    ),
    (b'* OK [OTHER it is 5" (long] text"', Status("OK", Code("OTHER", 'it is 5" (long'), 'text"')),
    (b"A3 OK [COPYUID]", Tagged("A3", "OK", Code("COPYUID"), "")),
    (b"* [COPYUID 1 2 3] copied", Unknown("")),
    (b"* NAMESPACE NIL", Namespaces((), (), ())),
    (b"* ID", Identification({})),
    (b"* 1 FETCH  (UID 3)", Fetch(1, uid=3)),
    (b"*  1 FETCH (RFC822.SIZE NIL INTERNALDATE NIL UID 3)", Fetch(1, uid=3)),
    (
        b"A3 OK [APPENDUID 38505 3955,12:10] done",
        Tagged(
            "A3",
            "OK",
            Code("APPENDUID", "38505 3955,12:10", number=38505, ordered=((3955, 3955), (10, 12))),
            "done",
        ),
    ),
    (
        b"A3 OK [COPYUID 9 304,319:320 3956:3958] done",
        Tagged(
            "A3",
            "OK",
            Code(
                "COPYUID",
                "9 304,319:320 3956:3958",
                number=9,
                source=((304, 304), (319, 320)),
                ordered=((3956, 3958),),
            ),
            "done",
        ),
    ),
    (b"A3 OK [APPENDUID 1] x", Tagged("A3", "OK", Code("APPENDUID", "1"), "x")),
    (
        b"A4 OK [MODIFIED 7,9] some",
        Tagged("A4", "OK", Code("MODIFIED", "7,9", numbers=NumberSet.of([7, 9])), "some"),
    ),
    # 7.2: capabilities, mailboxes
    (b"* CAPABILITY IMAP4rev1 IDLE ", Capabilities(frozenset({"IMAP4REV1", "IDLE"}))),
    (b"* ENABLED QRESYNC", Enabled(frozenset({"QRESYNC"}))),
    (b"* ENABLED", Enabled(NONE)),
    (b'* LIST (\\Noselect) "/" ~/Mail/foo', Listed("~/Mail/foo", "/", frozenset({"\\noselect"}))),
    (b"* LIST () NIL INBOX", Listed("INBOX", None, NONE)),
    (b'* LIST () "\\\\" "a\\"b\\\\c"', Listed('a"b\\c', "\\", NONE)),
    (b"* LIST () {1}\r\n. {4}\r\na\r\nb", Listed("a\r\nb", ".", NONE)),
    (b'* LIST () "/" NIL', Listed("NIL", "/", NONE)),
    (b'* LIST () "." "caf\xe9"', Listed("caf\udce9", ".", NONE)),
    (
        b'* LIST (\\NonExistent) "/" "x" ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" ("y") Z (1 (2)))',
        Listed("x", "/", frozenset({"\\nonexistent"}), "y", ("SUBSCRIBED",)),
    ),
    (b'* LSUB () "." a', Listed("a", ".", NONE, is_subscription=True)),
    (
        b'* NAMESPACE (("INBOX." ".")("x" NIL "X-PARAM" ("F"))) NIL (("#s/" "/"))',
        Namespaces(
            (NamespaceEntry("INBOX.", "."), NamespaceEntry("x", None)), (), (NamespaceEntry("#s/", "/"),)
        ),
    ),
    (
        b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292 X (1 2) HIGHESTMODSEQ 7011231777)",
        MailboxStatus("blurdybloop", {"MESSAGES": 231, "UIDNEXT": 44292, "HIGHESTMODSEQ": 7011231777}),
    ),
    (b"* STATUS {3}\r\na b (MESSAGES 0 )", MailboxStatus("a b", {"MESSAGES": 0})),
    (b"* FLAGS (\\seen Junk)", Flags(SEEN | {"Junk"})),
    (b'* ID ("name" "Cyrus" "version" NIL)', Identification({"name": "Cyrus"})),
    (b"* ID NIL", Identification({})),
    (b"* ID (name ProtonMail)", Identification({"name": "ProtonMail"})),
    (b'* QUOTA "" (STORAGE 10 512)', Quota("", {"STORAGE": (10, 512)})),
    # 7.3: searches
    (b"* SEARCH", Search(NumberSet())),
    (b"* SEARCH 2 84 882", Search(NumberSet.of([2, 84, 882]))),
    (b"* SEARCH 9 2  5 ", Search(NumberSet.of([2, 5, 9]))),
    (b"* SEARCH 2 5 (MODSEQ 917162500)", Search(NumberSet.of([2, 5]), 917162500)),
    (
        b'* ESEARCH (TAG "A282") UID MIN 2 COUNT 3 ALL 1:3,5 MODSEQ 7',
        ExtendedSearch("A282", True, smallest=2, count=3, all=NumberSet.parse(b"1:3,5"), modseq=7),
    ),
    (b'* ESEARCH (TAG "a") X-NEW (1 2) MAX 9', ExtendedSearch("a", False, largest=9)),
    (b"* ESEARCH", ExtendedSearch(None, False)),
    # 7.4, 7.5: messages
    (b"* 23 EXISTS", Exists(23)),
    (b"* 0 EXISTS", Exists(0)),
    (b"* 5 RECENT", Unknown("RECENT")),
    (b"* 44 EXPUNGE", Expunged(44)),
    (b"* VANISHED (EARLIER) 300:310,405", Vanished(True, NumberSet.parse(b"300:310,405"))),
    (b"* VANISHED 1", Vanished(False, NumberSet.of([1]))),
    (b"* XLIST (\\Inbox) x", Unknown("XLIST")),
    (b"* 1 FETCH (FLAGS (\\Seen) UID 9)", Fetch(1, 9, SEEN)),
    (b"* 1 FETCH (UID 9 MODSEQ (65402) FLAGS ())", Fetch(1, 9, NONE, 65402)),
    (
        b'* 2 fetch (UID 7 FLAGS (\\SEEN $Junk) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 4286)',
        Fetch(2, 7, SEEN | {"$Junk"}, None, 4286, b"17-Jul-1996 02:44:25 -0700"),
    ),
    (b"* 2 FETCH (uid 7 flags (\\seen))", Fetch(2, 7, SEEN)),
    (b"* 2 FETCH ()", Fetch(2)),
    (b"* 2 FETCH (UID 7 )", Fetch(2, 7)),
    (
        b"* 3 FETCH (BODY[] {5}\r\nab\r\nc UID 8)",
        Fetch(3, 8, others={"BODY[]": b"ab\r\nc"}),
    ),
    (
        b'* 3 FETCH (body[header.fields ("DATE" X)] "d" UID 8 BODY[]<0> NIL)',
        Fetch(3, 8, others={'BODY[HEADER.FIELDS ("DATE" X)]': b"d", "BODY[]<0>": None}),
    ),
    (
        b'* 3 FETCH (X-GM-LABELS (\\Inbox "a b") UID 8 EMAILID (M1))',
        Fetch(3, 8, others={"X-GM-LABELS": [b"\\Inbox", b"a b"], "EMAILID": [b"M1"]}),
    ),
    # 7.6: continuation
    (b"+ idling", Continuation(b"idling")),
    (b"+", Continuation(b"")),
    (b"+ ", Continuation(b"")),
]


@pytest.mark.parametrize(("data", "response"), KNOWN, ids=[str(data[:40]) for data, _ in KNOWN])
def test_known_responses(data: bytes, response: Response) -> None:
    """The response is what its RFC says, however its bytes come, and nothing before its last byte."""
    stream = data + b"\r\n"
    assert one(stream) == response
    (frame,) = frames(Framer(), bytewise(stream))
    assert isinstance(frame, list)
    assert parse(frame) == response
    (frame,) = frames(Framer(), [stream + b"A9 O"])
    assert isinstance(frame, list)
    assert parse(frame) == response


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"*",
        b"* ",
        b"hello",
        b"A1 MAYBE x",
        b"A1",
        b"* 1 FETCH UID 7",
        b"* 1 FETCH (UID 7",
        b"* 1 FETCH (UID 7) x",
        b"* 1 FETCH (UID x)",
        b"* 1 FETCH (UID 0)",
        b"* 0 FETCH (UID 7)",
        b"* 1 FETCH (UID 4294967296)",
        b"* 1 FETCH (MODSEQ 7)",
        b"* 1 FETCH (FLAGS \\Seen)",
        b'* 1 FETCH (INTERNALDATE "x)',
        b"* 4294967296 EXISTS",
        b"* 0 EXPUNGE",
        b"* VANISHED 0",
        b"* VANISHED",
        b"* VANISHED 1:*",
        b'* LIST () "ab" x',
        b"* LIST () NIL",
        b"* LIST (",
        b"* LIST () NIL x y",
        b"* SEARCH x",
        b"* SEARCH 1 (MODSEQ x)",
        b"* ESEARCH (TAG 1",
        b"* ESEARCH ALL 0",
        b"* STATUS x",
        b"* STATUS x (MESSAGES",
        b"* QUOTA x (STORAGE 1)",
        b"* 1 FETCH (X " + b"(" * 1000,
        b"* 1 FETCH (UID 99999999999999999999999)",
    ],
)
def test_broken_responses(data: bytes) -> None:
    """What no server may say is an error of the server and no other."""
    with pytest.raises(ProtocolError):
        one(data + b"\r\n")


FLAG_TEXTS = st.from_regex(re.compile(r"\\?[A-Za-z$.0-9_-]{1,12}", re.ASCII), fullmatch=True)


@given(
    st.integers(1, LARGEST),
    st.none() | st.integers(1, LARGEST),
    st.none() | st.frozensets(FLAG_TEXTS),
    st.none() | st.integers(0, 2**63 - 1),
    st.none() | st.integers(0, 2**40),
    st.randoms(),
)
def test_fetch_there_and_back(
    number: int,
    uid: int | None,
    flags: frozenset[str] | None,
    modseq: int | None,
    size: int | None,
    random: object,
) -> None:
    """A FETCH that was written down is read as the same, whatever the order of its items."""
    items = []
    if uid is not None:
        items.append(f"UID {uid}")
    if flags is not None:
        items.append(f"FLAGS ({' '.join(flags)})")
    if modseq is not None:
        items.append(f"MODSEQ ({modseq})")
    if size is not None:
        items.append(f"RFC822.SIZE {size}")
    random.shuffle(items)  # type: ignore[attr-defined]
    found = one(f"* {number} FETCH ({' '.join(items)})\r\n".encode())
    system = {text.lower(): text for text in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
    wanted = None if flags is None else frozenset(system.get(flag.lower(), flag) for flag in flags)
    assert isinstance(found, Fetch)
    assert (found.uid, found.modseq, found.size) == (uid, modseq, size)
    assert (found.flags is None) == (wanted is None)
    assert {flag.lower() for flag in found.flags or ()} == {flag.lower() for flag in wanted or ()}


def test_many_flag_sets_are_not_kept() -> None:
    """A server that invents keywords without end does not fill our memory with them."""
    from mswatch.imap import parsing

    for number in range(1, 10_000):
        one(b"* %d FETCH (FLAGS (k%d))\r\n" % (number, number))
    assert len(parsing._flag_sets) <= parsing._FLAG_SETS_KEPT
