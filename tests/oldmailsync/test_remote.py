"""Channels with a store on a real IMAP server, beside the old program on the same account."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from mswatch.errors import EXIT_CONFIG, EXIT_PARTIAL, EXIT_TEMPORARY, EXIT_UNAVAILABLE
from tests.oldmailsync.homes import Home
from tests.servers.dovecot import PASSWORD, Dovecot, ImapAccount, running_dovecot
from tests.servers.maildir import deliver, messages

pytestmark = [pytest.mark.server, pytest.mark.slow]

SETTINGS = """\
auth_mechanisms = plain login
auth_failure_delay = 0
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
namespace inbox {
  separator = .
  prefix = INBOX.
}
"""


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """A server with everything below INBOX, and dots between levels."""
    with running_dovecot(with_tls=True, more=SETTINGS) as server:
        yield server


@pytest.fixture
def there(dovecot: Dovecot, user: str) -> ImapAccount:
    """An account with a message in INBOX and one in lists/python."""
    account = dovecot.account(user)
    deliver(account.store.make(), _message("first"))
    deliver(account.store.make("lists/python"), _message("second"))
    return account


def _message(name: str) -> bytes:
    # The old program prints when a message came, ours when it was written.
    return (
        f"From: Alice <alice@example.org>\nDate: {formatdate()}\nSubject: {name}\n"
        f"Message-ID: <{name}@example.org>\n\nBody of {name}.\n"
    ).encode()


def _home(directory: Path, there: ImapAccount, flags: str = "/notls", port: int = 0, more: str = "") -> Home:
    server = f"{{127.0.0.1:{port or there.port}{flags}/user={there.user}}}"
    password = "" if "passwd" in more else f"passwd {PASSWORD}"
    return Home(
        directory,
        f"store there {{ server {server} ref {{127.0.0.1}} pat INBOX.* prefix INBOX. {password} {more} }}\n"
        "store here { pat A/* prefix A/ }\n"
        "store inbox { server " + server + f" ref {{127.0.0.1}} pat INBOX prefix INBOX {password} }}\n"
        "store mine { pat mine prefix mine }\n"
        "channel all there here { msinfo msinfo }\nchannel in inbox mine { msinfo msinfo }\n",
    )


def _without_logins(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("Authorizing against {")]


def test_beside_the_old_one(tmp_path: Path, there: ImapAccount, dovecot: Dovecot, user: str) -> None:
    """Lists, differences and runs are told in the same words, and lead to the same mail."""
    old = _home(tmp_path / "old", there)
    for words in (["there"], ["all", "there"], ["-m", "inbox"], ["-s", "in"]):
        ours = old.copy(tmp_path / "-".join(words))
        # The old one lists what holds no messages, too: the level above "lists/python".
        listed = [line for line in _without_logins(old.old(*words)[0]) if line != "lists"]
        assert _without_logins(ours.new(*words)[0]) == listed, words
    said = _without_logins(old.old("in")[0])
    assert "1 copied inbox->mine." in said
    ours = old.copy(tmp_path / "new")
    (ours.directory / "mine").unlink()
    (ours.directory / "msinfo").unlink()
    assert _without_logins(ours.new("in")[0]) == said
    old.write("mine")
    ours = old.copy(tmp_path / "heir")
    assert "1 deleted" in ours.new("in", "mine")[0]
    out, err = ours.new("-m", "in")
    assert "taken over from msinfo: 1 messages in 1 mailboxes" in err
    assert "deleted    <" in out
    assert messages(there.store.path("INBOX")) == []


def test_names_are_translated(tmp_path: Path, there: ImapAccount) -> None:
    """Levels are levels on both sides, in both directions; a second run does nothing."""
    home = _home(tmp_path / "home", there)
    home.write("A/new/deep", "third")
    out, _ = home.new("all")
    assert "lists/python: \n1 copied there->here." in out
    assert "new/deep: \n1 copied here->there." in out
    assert home.contents("A") == {"deep": ["third"], "python": ["second"]}
    assert len(messages(there.store.path("new/deep"))) == 1
    assert "copied" not in home.new("-m", "all")[0]
    home.write("A/a.b", "dotted")
    _, err = home.new("all", status=EXIT_PARTIAL)
    assert "a.b" in err
    assert not there.store.path("a/b").exists()


@pytest.mark.parametrize(
    "flags", ["/ssl/novalidate-cert", "/tls/novalidate-cert", "/imap/novalidate-cert/norsh"]
)
def test_ways_in(tmp_path: Path, there: ImapAccount, flags: str) -> None:
    """TLS from the start, STARTTLS by name and by default; what is not checked is told each time."""
    home = _home(tmp_path / "home", there, flags, there.tls_port if "ssl" in flags else 0)
    out, err = home.new("inbox")
    assert out == 'Listing store "inbox"\nAuthorizing against {127.0.0.1/imap}\n\n'
    assert "the certificate of 127.0.0.1 is not checked" in err


def test_certificates_are_checked(tmp_path: Path, there: ImapAccount) -> None:
    """Without a word about it, a certificate that nobody vouches for is refused."""
    home = _home(tmp_path / "home", there, "/ssl", there.tls_port)
    _, err = home.new("inbox", status=EXIT_UNAVAILABLE)
    assert "certificate" in err


def test_read_only(tmp_path: Path, there: ImapAccount) -> None:
    """Nothing is changed on a side that is /readonly."""
    home = _home(tmp_path / "home", there, "/notls/readonly")
    home.write("A/box", "third")
    home.new("all")
    (home.directory / "A/lists/python").write_text("")
    home.new("all")
    assert len(messages(there.store.path("lists/python"))) == 1
    assert not there.store.path("box").exists()


def test_remote_msinfo(tmp_path: Path, there: ImapAccount) -> None:
    """What the old program remembers may be on the server, with a password of its own."""
    home = _home(tmp_path / "home", there)
    text = (home.directory / ".mailsync").read_text()
    server = f"{{127.0.0.1:{there.port}/notls/user={there.user}}}"
    home.configure(text.replace("{ msinfo msinfo }", f"{{ msinfo {server}INBOX.ms passwd {PASSWORD} }}"))
    home.old("in")
    home.write("mine")
    _, err = home.new("in")
    assert "1 messages in 1 mailboxes" in err
    assert messages(there.store.path("INBOX")) == []
    assert "ms" not in home.new("all")[0].split()  # it is no mailbox to be carried
    assert sorted(home.contents("A")) == ["python"]


def test_wrong_password(tmp_path: Path, there: ImapAccount) -> None:
    """It is told, tried once, and shown nowhere; one that is to be typed needs a terminal."""
    home = _home(tmp_path / "home", there, more="passwd wrong-Passw0rd")
    out, err = home.new("there", status=EXIT_CONFIG)
    assert "wrong-Passw0rd" not in out + err
    assert out.count("Authorizing against") == 1
    home.configure((home.directory / ".mailsync").read_text().replace("passwd wrong-Passw0rd", ""))
    _, err = home.new("there", status=EXIT_CONFIG)
    assert "there is no terminal" in err


def test_server_that_is_not_there(tmp_path: Path, there: ImapAccount) -> None:
    """Nothing is changed if it cannot be reached."""
    home = _home(tmp_path / "home", there, port=1)
    home.write("A/box", "third")
    home.new("all", status=EXIT_TEMPORARY)
    assert home.contents("A") == {"box": ["third"]}
