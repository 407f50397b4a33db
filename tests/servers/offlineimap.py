"""OfflineIMAP of the distribution, between a nested Maildir tree and an IMAP account.

Its names for the two sides are local (here: near) and remote (far).  All its files are in the directory of
the configuration.
"""

from __future__ import annotations

from pathlib import Path

from tests.servers.dovecot import ImapAccount, find_program
from tests.servers.maildir import MaildirStore

ACCOUNT = "mail"


def write_configuration(directory: Path, near: MaildirStore, far: ImapAccount) -> Path:
    """Write an offlineimaprc with one account, ACCOUNT, and return its path."""
    assert near.layout == "nested", "OfflineIMAP knows Maildir++ only by a name translation in Python"
    path = directory / "offlineimaprc"
    path.write_text(f"""\
[general]
metadata = {directory}/metadata
accounts = {ACCOUNT}
ui = basic
fsync = False

[Account {ACCOUNT}]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {near.root}
sep = /

[Repository far]
type = IMAP
remotehost = {far.host}
remoteport = {far.port}
remoteuser = {far.user}
remotepass = {far.password}
auth_mechanisms = LOGIN
ssl = no
starttls = no
""")
    return path


def argv(configuration: Path, *mailboxes: str) -> tuple[str, ...]:
    """Return the command that syncs these mailboxes once, or all when none is named."""
    selection = ("-f", ",".join(mailboxes)) if mailboxes else ()
    return find_program("offlineimap"), "-c", str(configuration), "-o", *selection
