"""Servers that have names and headers in UTF-8 and nothing else: IMAP4rev2 alone, and UTF8=ONLY.

No server of Debian 12 is one of them (Courier can be made one for names, ``test_imap_servers.py``), so the
conversations are written down here by RFC 9051 and RFC 6855.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login
from mswatch.mailsync.stores.contract import Added
from mswatch.mailsync.stores.imap import ImapStore
from tests.imap_session.scripted import SILENT, Heard, Scripted, Step, scripted
from tests.stores.contract import message

REV2 = b"* PREAUTH [CAPABILITY IMAP4rev2] in\r\n"
UTF8_ONLY = b"* PREAUTH [CAPABILITY IMAP4rev1 ENABLE UTF8=ONLY UIDPLUS LITERAL+] in\r\n"
PERSONAL = b'* NAMESPACE (("" "/")) NIL NIL\r\nA1 OK\r\n'
ROOT = b'* LIST (\\Noselect) "/" ""\r\nA2 OK\r\n'
OPENED = b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 9] ok\r\n"
EIGHT_BIT = "Subject: Entwürfe\n\nx\n".encode()


@contextmanager
def store_on(
    *steps: Step, own_names: tuple[tuple[str, str], ...] = ()
) -> Iterator[tuple[ImapStore, Scripted]]:
    """Open a store on a server that follows a script."""
    with scripted(*steps, SILENT) as server:
        store = ImapStore("far", lambda: log_in(server.server(), Login()), own_names)
        store.open()
        yield store, server
        store.close()


@pytest.mark.parametrize("own_name", ["Entwürfe", "Entw&APw-rfe"])
def test_rev2_alone(own_name: str) -> None:
    """What belongs to it is used though the server does not name it; names are read and written in UTF-8."""
    listed = '* LIST () "/" "Entwürfe"\r\n* STATUS "Entwürfe" (UIDVALIDITY 7 UIDNEXT 9 MESSAGES 0)\r\n'
    listed += '* LIST () "/" "R&D"\r\n* STATUS "R&D" (UIDVALIDITY 8 UIDNEXT 1 MESSAGES 0)\r\nA3 OK\r\n'
    steps: list[Step] = [
        *(REV2, Heard(b'LIST "" ""\r\n'), PERSONAL, ROOT),
        *(Heard(b"RETURN (STATUS (UIDVALIDITY UIDNEXT MESSAGES))\r\n"), listed.encode()),
        *(Heard("SELECT {9+}\r\nEntwürfe\r\n".encode()), OPENED + b"A4 OK\r\n"),
        *(Heard(b"A6 UID EXPUNGE 3\r\n"), b"A5 OK\r\nA6 OK\r\n"),
        *(Heard(b"A7 UID SEARCH RETURN (ALL) UID 3\r\n"), b'* ESEARCH (TAG "A7") UID\r\nA7 OK\r\n'),
    ]
    with store_on(*steps, own_names=((own_name, "Drafts"),)) as (store, _):
        assert set(store.mailboxes()) == {"Drafts", "R&D"}
        assert list(store.open_mailbox("Drafts").remove([b"3"])) == [b"3"]


@pytest.mark.parametrize(
    ("data", "form"), [(EIGHT_BIT, b" UTF8 (~{%d+}\r\n"), (b"A: b\n\nx\n", b" {%d+}\r\n")]
)
def test_utf8_only(data: bytes, form: bytes) -> None:
    """It is switched on, as such a server wants it, and a header in UTF-8 is told as one."""
    size = len(data) + data.count(b"\n")
    end = b")\r\n" if b"UTF8" in form else b"\r\n"
    steps: list[Step] = [
        *(UTF8_ONLY, Heard(b"A1 ENABLE UTF8=ACCEPT\r\n"), b"* ENABLED UTF8=ACCEPT\r\nA1 OK\r\n" + ROOT),
        Heard(form % size + data.replace(b"\n", b"\r\n") + end),
        OPENED + b"A3 OK\r\n",
        b"A4 OK [APPENDUID 7 9] done\r\n",
    ]
    with store_on(*steps) as (store, _):
        (answer,) = store.open_mailbox("Entwürfe").add([message(data)])
        assert isinstance(answer, Added)
        assert answer.key == b"9"
