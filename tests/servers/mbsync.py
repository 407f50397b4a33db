"""mbsync of the distribution, between two Maildirs or between a Maildir and an IMAP account.

mbsync 1.4.4 waits a second before it reads a Maildir that changed within the current second, so a run takes
that long wherever a message was just delivered to a Maildir.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.servers.dovecot import ImapAccount, find_program
from tests.servers.maildir import MaildirStore
from tests.servers.waiting import run_to_end

CHANNEL = "mail"


def version() -> tuple[int, int]:
    """Return the version of the installed mbsync."""
    text = run_to_end((find_program("mbsync"), "--version"))
    match = re.search(r"(\d+)\.(\d+)", text)
    assert match, f"mbsync --version says {text!r}"
    return int(match[1]), int(match[2])


def write_configuration(directory: Path, near: MaildirStore, far: MaildirStore | ImapAccount) -> Path:
    """Write an mbsyncrc with one channel, CHANNEL, for all mailboxes of both sides, and return its path."""
    far_side = _maildir_side("far", far) if isinstance(far, MaildirStore) else _imap_side("far", far)
    path = directory / "mbsyncrc"
    path.write_text(
        f"FSync no\n\n{_maildir_side('near', near)}\n{far_side}\n"
        f"Channel {CHANNEL}\nNear :near:\nFar :far:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
    return path


def argv(configuration: Path, *mailboxes: str) -> tuple[str, ...]:
    """Return the command that syncs these mailboxes, or all when none is named."""
    target = f"{CHANNEL}:{','.join(mailboxes)}" if mailboxes else CHANNEL
    return find_program("mbsync"), "--config", str(configuration), target


def _maildir_side(name: str, store: MaildirStore) -> str:
    style = "Verbatim" if store.layout == "nested" else "Maildir++"
    path = f'Path "{store.root}/"\n' if store.layout == "nested" else ""
    return f'MaildirStore {name}\n{path}Inbox "{store.path("INBOX")}"\nSubFolders {style}\n'


def _imap_side(name: str, account: ImapAccount) -> str:
    encryption = "SSLType" if version() < (1, 5) else "TLSType"
    return (
        f"IMAPStore {name}\nHost {account.host}\nPort {account.port}\nUser {account.user}\n"
        f"Pass {account.password}\n{encryption} None\nAuthMechs LOGIN\n"
    )
