"""mbsync, configured as the tests do, carries messages and flags both ways between all kinds of stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.account import Layout
from tests.servers import mbsync
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import MaildirStore, deliver, flags_of, messages, set_flags
from tests.servers.waiting import run_to_end

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.mark.parametrize("layout", ["nested", "maildir++"])
def test_between_two_maildirs(tmp_path: Path, layout: Layout) -> None:
    """What is delivered on either side, in INBOX or below, is on both sides after one run."""
    near, far = MaildirStore(tmp_path / "near", layout), MaildirStore(tmp_path / "far", layout)
    for mailbox in ("INBOX", "lists/python"):
        deliver(near.make(mailbox))
        deliver(far.make(mailbox))
    run_to_end(mbsync.argv(mbsync.write_configuration(tmp_path, near, far)))
    assert near.contents() == far.contents()
    assert {name: len(found) for name, found in near.contents().items()} == {"INBOX": 2, "lists/python": 2}


def test_between_maildir_and_imap(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """What is delivered in the Maildir or on the server is on both sides after one run."""
    account = dovecot.account(user)
    near = MaildirStore(tmp_path / "near", "nested")
    configuration = mbsync.write_configuration(tmp_path, near, account)
    near.make()
    account.store.make()
    deliver(near.path())
    deliver(account.store.path())
    run_to_end(mbsync.argv(configuration))
    assert len(near.contents()["INBOX"]) == 2
    assert near.contents() == account.store.contents()


def test_one_mailbox_only(tmp_path: Path) -> None:
    """A run for one mailbox carries a flag change there and leaves the other mailbox alone."""
    near, far = MaildirStore(tmp_path / "near", "nested"), MaildirStore(tmp_path / "far", "nested")
    for mailbox in ("INBOX", "lists/python"):
        deliver(near.make(mailbox))
        far.make(mailbox)
    configuration = mbsync.write_configuration(tmp_path, near, far)
    run_to_end(mbsync.argv(configuration))
    for mailbox in ("INBOX", "lists/python"):
        (message,) = messages(near.path(mailbox))
        set_flags(message, "FS")
    run_to_end(mbsync.argv(configuration, "lists/python"))
    flags = {mailbox: [flags_of(path) for path in messages(far.path(mailbox))] for mailbox in far.mailboxes()}
    assert flags == {"INBOX": [""], "lists/python": ["FS"]}
