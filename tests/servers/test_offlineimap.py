"""OfflineIMAP, configured as the tests do, carries messages both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import offlineimap
from tests.servers.dovecot import Dovecot
from tests.servers.maildir import MaildirStore, deliver
from tests.servers.waiting import run_to_end

pytestmark = [pytest.mark.server, pytest.mark.slow]


def test_between_maildir_and_imap(tmp_path: Path, dovecot: Dovecot, user: str) -> None:
    """What is delivered in the Maildir or on the server is on both sides after one run."""
    account = dovecot.account(user)
    near = MaildirStore(tmp_path / "near", "nested")
    deliver(near.make())
    deliver(account.store.make())
    configuration = offlineimap.write_configuration(tmp_path, near, account)
    run_to_end(offlineimap.argv(configuration))
    assert len(near.contents()["INBOX"]) == 2
    assert near.contents() == account.store.contents()
