"""Dovecot as the tests start it keeps to what they build on."""

from __future__ import annotations

import imaplib
import subprocess

import pytest

from tests.servers.dovecot import Dovecot, ImapAccount, running_dovecot
from tests.servers.maildir import deliver, flags_of, make_message, messages
from tests.servers.waiting import DEADLINE_S, read_line

pytestmark = pytest.mark.server


def logged_in(account: ImapAccount) -> imaplib.IMAP4:
    """Return a connection to an account."""
    connection = imaplib.IMAP4(account.host, account.port, timeout=DEADLINE_S)
    connection.login(account.user, account.password)
    return connection


def test_delivery_is_seen_by_noop(dovecot: Dovecot, user: str) -> None:
    """A message renamed into new/ is announced to a client that has the mailbox open."""
    account = dovecot.account(user)
    with logged_in(account) as connection:
        assert connection.select() == ("OK", [b"0"])
        deliver(account.store.path("INBOX"))
        connection.noop()
        assert connection.response("EXISTS") == ("EXISTS", [b"0", b"1"])


def test_flags_are_in_the_file_name(dovecot: Dovecot, user: str) -> None:
    """A flag set over IMAP is in the name of the message's file, under the message that was appended."""
    account = dovecot.account(user)
    with logged_in(account) as connection:
        connection.append("INBOX", None, None, make_message().replace(b"\n", b"\r\n"))
        connection.select()
        connection.store("1", "+FLAGS", r"(\Flagged)")
    assert [flags_of(path) for path in messages(account.store.path("INBOX"))] == ["F"]


def test_mailbox_over_imap_is_a_maildir(dovecot: Dovecot, user: str) -> None:
    """A mailbox made over IMAP is found in the store under the same canonical name."""
    account = dovecot.account(user)
    with logged_in(account) as connection:
        assert connection.create("lists/python")[0] == "OK"
    assert "lists/python" in account.store.mailboxes()


@pytest.mark.slow
def test_nested_layout() -> None:
    """A server with nested Maildirs has INBOX and the others where a nested store has them."""
    with running_dovecot("nested") as dovecot:
        account = dovecot.account("tester")
        with logged_in(account) as connection:
            connection.create("lists/python")
            connection.append("INBOX", None, None, make_message().replace(b"\n", b"\r\n"))
        assert len(messages(account.store.path("INBOX"))) == 1
        assert account.store.mailboxes() == ["INBOX", "lists/python"]


def test_tunnel_greets_as_logged_in(dovecot: Dovecot, user: str) -> None:
    """The tunnel speaks IMAP on a pipe and needs no password; end of file ends it."""
    process = subprocess.Popen(
        dovecot.tunnel(user), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert process.stdin and process.stdout
    assert read_line(process.stdout).startswith(b"* PREAUTH")
    process.stdin.close()
    process.wait(DEADLINE_S)
