"""A channel becomes an account: one that can be read, that means the same, and that holds no password."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.config.toml_account import read_toml
from mswatch.errors import UsageError
from mswatch.oldmailsync.importing import import_channel, is_old

SOURCE = Path("rc")
HOME = Path("/home/me")
REMOTE = "store r { server {host/ssl/user=me@x.org} ref {host} pat INBOX.* prefix INBOX. passwd s3cret }\n"
LOCAL = "store l { pat Mail/* prefix Mail/ }\n"


def test_account() -> None:
    """A server and mboxes; the only doubts are the password and msinfo."""
    text, doubts = import_channel(
        f"{REMOTE}{LOCAL}channel c r l {{ msinfo ms sizelimit 5000 }}", SOURCE, None
    )
    account = read_toml(text, "c", SOURCE, HOME)
    far, near = account.stores
    assert far.imap is not None
    assert (far.imap.host, far.imap.security, far.login.user) == ("host", "tls", "me@x.org")
    assert far.login.file == HOME / ".config/mswatch/c.r.password"
    assert near.mbox == HOME / "Mail"
    assert (account.sync.kind, account.sync.size_limit) == ("mailsync", 5000)
    assert "s3cret" not in text
    assert [doubt.partition(": ")[0] for doubt in doubts] == ["rc:1", "rc:3"]


@pytest.mark.parametrize(
    ("store", "setting"),
    [
        ("server {host/tls/user=u} pat *", 'security = "starttls"'),
        ("server {host/notls/user=u} pat *", 'security = "plain"'),
        ("server {host:1143/user=u} pat *", 'imap = "host:1143"'),
        ("server {[2001:db8::1]:993/ssl/user=u} pat *", 'imap = "[2001:db8::1]:993"'),
        ("server {host/ssl/user=u/readonly} pat *", "read_only = true"),
        ("server {host/ssl/user=u/secure} pat *", 'mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1"]'),
        ("server {host/ssl} pat *", '# user = "..."'),
        ("pat /srv/mail/* prefix /srv/mail/", 'mbox = "/srv/mail"'),
        ("pat #mh/* prefix #mh/", 'mh = "~/Mail"'),
        ("ref ~/x/ pat *", 'mbox = "~/x"'),
    ],
)
def test_settings(store: str, setting: str) -> None:
    """Each thing that a store can say."""
    store = store.replace(" #", r" \#")
    text, _ = import_channel(f"store x {{ {store} }} {LOCAL}channel c x l {{ }}", SOURCE, "c")
    assert setting in text.splitlines()


@pytest.mark.parametrize(
    ("store", "doubt"),
    [
        ("server {host/ssl/user=u/novalidate-cert} pat *", "fingerprints"),
        ("server {host/pop3} pat *", "POP3"),
        ("server {host/ssl/user=u} pat INBOX.%", "leave others out by skip"),
        ("server {host/ssl} pat *", "write user"),
        ("pat Mail/% prefix Mail/", "at any depth"),
        ("pat Mail/one prefix Mail/one", "it is one mailbox"),
    ],
)
def test_doubts(store: str, doubt: str) -> None:
    """What means something else now is told, with its line."""
    text, doubts = import_channel(f"\nstore x {{ {store} }} {LOCAL}channel c x l {{ }}", SOURCE, None)
    (found,) = [each for each in doubts if doubt in each]
    assert found.startswith("rc:2: ")
    assert f"# Look at line {found.removeprefix('rc:')}" in text.splitlines()


def test_several_channels() -> None:
    """Which one has to be said."""
    text = f"{REMOTE}{LOCAL}channel c r l {{ }} channel d l r {{ }}"
    with pytest.raises(UsageError, match="2 channels"):
        import_channel(text, SOURCE, None)
    with pytest.raises(UsageError, match='no channel "e"'):
        import_channel(text, SOURCE, "e")
    chosen, _ = import_channel(text, SOURCE, "d")
    assert chosen.index("[store.l]") < chosen.index("[store.r]")


@pytest.mark.parametrize(
    ("text", "is_mailsync"),
    [
        (REMOTE, True),
        ("store a {\n nat x }\nchannel c a a { }", True),
        ("sync true\nstore a { watch false }\nstore b { watch false }\n", False),
        ("", False),
        ("base_delay x\n", False),
    ],
)
def test_which_file_it_is(text: str, is_mailsync: bool) -> None:
    """Wrong files of both programs are told apart too, so that the right errors are told."""
    assert is_old(text, SOURCE) is is_mailsync
