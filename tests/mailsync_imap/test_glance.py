"""Nothing changed on a server: seen before the command begins.  Every change is seen, by one connection."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mswatch.errors import EXIT_CONFIG, EXIT_TEMPORARY
from tests.imap_session.conftest import password_file
from tests.mailsync.test_command import settle_sides
from tests.mailsync_imap.test_command import Account
from tests.servers.dovecot import PASSWORD, Dovecot, running_dovecot
from tests.servers.maildir import deliver, messages, set_flags

pytestmark = [pytest.mark.server, pytest.mark.slow]

PLAIN = 'mechanisms = ["PLAIN"]\n'  # of one message; this Dovecot has SCRAM too


@pytest.fixture
def account(tls_dovecot: Dovecot, user: str, tmp_path: Path) -> Account:
    """An account with three messages, of which the last run says that nothing is to be done."""
    account = Account(tmp_path, tls_dovecot.account(user))
    account.deliver(3)
    deliver(account.there.store.make("old"))
    password = password_file(tmp_path / "pw", PASSWORD)
    account.configure(
        password=f'password_command = ["sh", "-c", "echo >> \\"$HOME/asked\\"; cat {password}"]\n{PLAIN}'
    )
    settle_sides(account, "near")
    return account


def settled(account: Account) -> Path:
    """Return where it says how things were."""
    return account.directory / ".local/state/mswatch/work.mailsync.settled"


def asked(account: Account) -> int:
    """Return how often the password was asked for: each login does it once."""
    return len((account.directory / "asked").read_text())


def sync(account: Account, *words: str, status: int = 0) -> tuple[str, str]:
    """Run the command; return what it said, and what it imported."""
    argv = (sys.executable, "-X", "importtime", "-m", "mswatch.mailsync_entry", *words, "work")
    ended = subprocess.run(argv, env=account.environment, capture_output=True, text=True)
    assert ended.returncode == status, ended.stderr
    return ended.stdout, ended.stderr


@pytest.mark.parametrize("words", [(), ("--quiet",)])
def test_nothing_changed(account: Account, words: tuple[str, ...]) -> None:
    """A glance is enough: one login, and nothing is imported that knows what mail is."""
    before = settled(account).read_bytes()
    logins = asked(account)
    said, imported = sync(account, *words)
    assert said == ""
    assert "mswatch.imap_session.glance" in imported
    for part in ("mswatch.mailsync_command", "mswatch.imap.parsing", "sqlite3", "dataclasses"):
        assert part not in imported
    assert asked(account) == logins + 1
    assert settled(account).read_bytes() == before


def new_message(account: Account) -> str:
    """Deliver on the server."""
    account.deliver(1)
    return "INBOX: 1 copied in near\n"


def other_flag(account: Account) -> str:
    """Flag a message on the server."""
    set_flags(messages(account.inbox)[0], "F")
    return "INBOX: 1 flags changed in near\n"


def removed_message(account: Account) -> str:
    """Remove a message on the server."""
    messages(account.inbox)[0].unlink()
    return "INBOX: 1 removed in near\n"


def new_mailbox(account: Account) -> str:
    """Make a mailbox on the server."""
    account.there.store.make("later")
    return "later: mailbox made in near\n"


def removed_mailbox(account: Account) -> str:
    """Remove a mailbox on the server."""
    for path in sorted(account.there.store.path("old").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    account.there.store.path("old").rmdir()
    return "old: 1 removed in near, mailbox removed in near\n"


def near_message(account: Account) -> str:
    """Put a message into the Maildir here."""
    account.world.put("near", "INBOX", "up")
    return "INBOX: 1 copied in far\n"


@pytest.mark.parametrize(
    "change", [new_message, other_flag, removed_message, new_mailbox, removed_mailbox, near_message]
)
def test_every_change_is_seen(account: Account, change: Callable[[Account], str]) -> None:
    """The run that follows a glance goes on with its connection, and its password; then all is in step."""
    expected = change(account)
    logins = asked(account)
    assert sync(account)[0] == expected
    assert asked(account) == logins + 1
    assert sync(account)[0] == ""


def test_some_mailboxes(account: Account) -> None:
    """For some mailboxes something else is asked; that run is a usual one."""
    account.deliver(1)
    assert account.mailsync("work", "INBOX") == ("INBOX: 1 copied in near\n", "")


def test_no_password_is_written(account: Account) -> None:
    """What is left for the next run is for us alone, and without a password even so."""
    text = settled(account).read_bytes()
    assert settled(account).stat().st_mode & 0o777 == 0o600
    assert b"look " in text
    assert PASSWORD.encode() not in text
    assert base64.b64encode(f"\0{account.there.user}\0{PASSWORD}".encode()) not in text


@pytest.mark.parametrize("how", ["writable", "cut", "no look", "not ours"])
def test_what_is_not_believed(account: Account, how: str) -> None:
    """A file that others may have written, or that is damaged, is of no account."""
    file = settled(account)
    text = file.read_bytes()
    if how == "writable":
        file.chmod(0o620)
    elif how == "cut":
        file.write_bytes(text[:-20])
    elif how == "no look":
        file.write_bytes(text[: text.index(b"look ")] + b"look [1, 2]\n")
    else:
        file.unlink()
        file.symlink_to("/etc/hostname")
    said, imported = sync(account)
    assert said == ""
    assert "mswatch.mailsync_command" in imported


def test_a_password_that_is_wrong_by_now(account: Account) -> None:
    """A server that refuses is asked once, and the error is the usual one."""
    (account.directory / "pw").write_text("hunter2\n")
    logins = asked(account)
    _, err = account.mailsync("work", status=EXIT_CONFIG)
    assert "check user name and password" in err
    assert "hunter2" not in err
    assert asked(account) == logins + 1
    (account.directory / "pw").write_text(f"{PASSWORD}\n")
    assert account.mailsync("work") == ("", "")


def test_a_server_that_is_not_there(tmp_path: Path, user: str) -> None:
    """No connection is told as ever; when the server is there again, so is the sync."""
    with running_dovecot(with_tls=True) as dovecot:
        account = Account(tmp_path, dovecot.account(user))
        account.deliver(1)
        settle_sides(account, "near")
        assert settled(account).exists()
    _, err = account.mailsync("work", status=EXIT_TEMPORARY)
    assert "no connection to 127.0.0.1" in err
    assert not settled(account).exists()


def test_two_servers(tls_dovecot: Dovecot, user: str, tmp_path: Path) -> None:
    """Both stores may be on servers; a change on the second one is seen as on the first."""
    account = Account(tmp_path, tls_dovecot.account(user))
    account.deliver(1)
    other = tls_dovecot.account(f"{user}-2")
    there = other.store.make()
    file = account.directory / ".config/mswatch/work.toml"
    file.write_text(
        "".join(
            f'[store.{name}]\nimap = "127.0.0.1:{its.tls_port}"\nauthorities = "{its.authority}"\n'
            f'user = "{its.user}"\npassword_command = ["echo", "{PASSWORD}"]\n{PLAIN}'
            for name, its in (("one", account.there), ("two", other))
        )
    )
    settle_sides(account)
    assert "mswatch.mailsync_command" not in sync(account)[1]
    deliver(there)
    assert sync(account)[0] == "INBOX: 1 copied in one\n"
    account.deliver(1)
    assert sync(account)[0] == "INBOX: 1 copied in two\n"


def test_no_home(account: Account) -> None:
    """Where nothing is known of the account, the command says so."""
    environment = {key: value for key, value in account.environment.items() if key != "HOME"}
    argv = (sys.executable, "-m", "mswatch.mailsync_entry", "work")
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, cwd=os.curdir)
    assert ended.returncode == EXIT_CONFIG
