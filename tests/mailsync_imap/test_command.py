"""The command ``mailsync`` with accounts on a real IMAP server: by TLS, with every source of a password."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mswatch.errors import EXIT_CONFIG, EXIT_TEMPORARY, EXIT_UNAVAILABLE
from tests.imap_session.conftest import password_file
from tests.mailsync.test_command import Home
from tests.mailsync.worlds import body
from tests.servers.certificates import Certificates, sign
from tests.servers.dovecot import PASSWORD, Dovecot, ImapAccount
from tests.servers.maildir import deliver, messages
from tests.servers.waiting import DEADLINE_S

pytestmark = [pytest.mark.server, pytest.mark.slow]

SAY = json.dumps(["echo", PASSWORD])


class Account(Home):
    """The account "work": a Maildir here, and a user of the server."""

    def __init__(self, directory: Path, there: ImapAccount) -> None:
        self.there = there
        super().__init__(directory)
        self.inbox = there.store.make()

    def configure(self, near: str = "", far: str = "", sync: str = "", *, password: str = "") -> None:
        password = password or f"password_command = {SAY}"
        file = self.directory / ".config/mswatch/work.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        server = f'imap = "127.0.0.1:{self.there.tls_port}"\nauthorities = "{self.there.authority}"\n'
        if "imap =" in far or "tunnel =" in far:
            server = ""
        user = "" if "tunnel =" in far else f'user = "{self.there.user}"\n{password}\n'
        file.write_text(
            f'[store.near]\nmaildir = "near"\nlayout = "nested"\n{near}\n'
            f"[store.far]\n{server}{user}{far}\n[sync]\n{sync}\n"
        )

    def deliver(self, count: int) -> None:
        """Have mail come to the server."""
        for _ in range(count):
            deliver(self.inbox)

    def near_count(self) -> int:
        """Return how many messages the near INBOX has."""
        return sum(self.world.contents("near").get("INBOX", {}).values())


@pytest.fixture
def account(tls_dovecot: Dovecot, user: str, tmp_path: Path) -> Account:
    """An account with three messages on the server."""
    account = Account(tmp_path, tls_dovecot.account(user))
    account.deliver(3)
    return account


def test_by_tls_with_a_password_command(account: Account) -> None:
    """Four lines describe a server; mail goes both ways, and a second run does nothing."""
    assert account.mailsync("work") == ("INBOX: mailbox made in near, 3 copied in near\n", "")
    assert account.mailsync("work") == ("", "")
    account.world.put("near", "INBOX", "up")
    assert account.mailsync("work", "INBOX") == ("INBOX: 1 copied in far\n", "")
    assert len(messages(account.inbox)) == 4
    assert account.near_count() == 4


def test_list_and_diff(account: Account) -> None:
    """A server is listed and compared like any other store."""
    account.mailsync("work")
    account.deliver(1)
    assert account.mailsync("--list", "far", "work") == ("INBOX\n", "")
    assert account.mailsync("--diff", "far", "work") == ("INBOX: 1 new, 4 there\n", "")
    assert account.mailsync("--diff", "near", "work") == ("INBOX: 3 there\n", "")


@pytest.mark.parametrize("source", ["file", "external", "starttls", "plain", "tunnel", "pinned"])
def test_other_ways_in(account: Account, tls_dovecot: Dovecot, tmp_path: Path, source: str) -> None:
    """Each way to a server that can be configured leads there."""
    there = account.there
    if source == "file":
        account.configure(password=f'password_file = "{password_file(tmp_path / "pw", PASSWORD)}"')
    elif source == "external":
        log_in_by_certificate(account, tmp_path)
    elif source == "starttls":
        account.configure(
            far=f'imap = "localhost:{there.port}"\nsecurity = "starttls"\nauthorities = "{there.authority}"'
        )
    elif source == "plain":
        account.configure(far=f'imap = "localhost:{there.port}"\nsecurity = "plain"')
    elif source == "tunnel":
        account.configure(far=f"tunnel = {json.dumps(tls_dovecot.tunnel(there.user))}")
    else:
        account.configure(far=f'imap = "127.0.0.1:{there.tls_port}"\nfingerprints = ["{fingerprint(there)}"]')
    assert account.mailsync("work")[0] == "INBOX: mailbox made in near, 3 copied in near\n"


def log_in_by_certificate(account: Account, tmp_path: Path) -> None:
    """Have the user log in by a certificate of theirs."""
    assert account.there.authority is not None
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    sign(Certificates(account.there.authority.parent, 0), certificate, key, account.there.user)
    (tmp_path / "me.pem").write_text(certificate.read_text() + key.read_text())
    account.configure(password="#", far=f'client_certificate = "{tmp_path}/me.pem"')


def fingerprint(there: ImapAccount) -> str:
    """Return what openssl prints of the server's certificate."""
    assert there.authority is not None
    certificate = there.authority.with_name("server.pem")
    words = ("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", certificate)
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    return told.stdout.strip().partition("=")[2]


def test_failures_are_told_apart(account: Account) -> None:
    """A wrong password, a certificate, a server and a network that are not there: by status and by words."""
    account.configure(password='password_command = ["echo", "hunter2"]')
    _, err = account.mailsync("work", status=EXIT_CONFIG)
    assert "check user name and password" in err
    assert "hunter2" not in err
    account.configure(password='password_command = ["sh", "-c", "echo locked >&2; exit 1"]')
    _, err = account.mailsync("work", status=EXIT_TEMPORARY)
    assert "the password command failed with 1: locked" in err
    account.configure(far=f'imap = "127.0.0.1:{account.there.tls_port}"')
    _, err = account.mailsync("work", status=EXIT_UNAVAILABLE)
    assert "not to be trusted" in err
    account.configure(far='imap = "no.such.host.invalid"')
    assert "is there a network?" in account.mailsync("work", status=EXIT_TEMPORARY)[1]
    account.configure(far='imap = "127.0.0.1:1"')
    assert "no connection to 127.0.0.1:1" in account.mailsync("work", status=EXIT_TEMPORARY)[1]
    account.configure()
    account.mailsync("work")


def test_nobody_to_ask(account: Account) -> None:
    """Without a source of the password and without a terminal it ends at once, and says what to do."""
    account.configure(password="#")
    process = subprocess.run(
        (sys.executable, "-m", "mswatch.mailsync_entry", "work"),
        env=account.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    assert process.returncode == EXIT_CONFIG
    assert "there is no terminal" in process.stderr
    assert "password_command or password_file" in process.stderr


def test_asked_at_the_terminal(account: Account) -> None:
    """At a terminal it is asked for."""
    account.configure(password="#")
    pid, terminal = pty.fork()
    if pid == 0:
        argv = (sys.executable, "-m", "mswatch.mailsync_entry", "work")
        os.execve(argv[0], argv, account.environment)
    shown = b""
    while b": " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, PASSWORD.encode() + b"\n")
    with suppress(OSError):
        while more := os.read(terminal, 1000):
            shown += more
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    assert PASSWORD.encode() not in shown
    assert account.near_count() == 3


def test_another_server_is_another_store(account: Account, tls_dovecot: Dovecot, user: str) -> None:
    """Another user, or another host, meets as for the first time: nothing is taken for deleted."""
    account.mailsync("work")
    other = tls_dovecot.account(f"{user}-other")
    other.store.make()
    account.there = other
    account.configure()
    assert account.mailsync("work")[0] == "INBOX: 3 copied in far\n"
    assert account.near_count() == 3
    account.configure(far=f'imap = "localhost:{other.tls_port}"\nauthorities = "{other.authority}"')
    assert "others than before" in account.mailsync("work")[1]
    account.configure(far=f'imap = "LOCALHOST:{other.port}"\nsecurity = "plain"')
    assert account.mailsync("work") == ("", "")


def test_names_of_its_own(account: Account) -> None:
    """A mailbox that the server calls otherwise is the one that is meant, whichever way it is spelt."""
    account.configure(far='names = { "Gelöschtes" = "Trash" }')
    deliver(account.there.store.make("Gelöschtes"))
    account.world.put("near", "Trash", "here")
    account.mailsync("work")
    assert len(messages(account.there.store.path("Gelöschtes"))) == 2
    assert sum(account.world.contents("near")["Trash"].values()) == 2


def test_uses(account: Account, tls_dovecot: Dovecot) -> None:
    """What a mailbox is for decides whether it is synced, listed and compared, and which one is the trash."""
    for name in ("[Gmail]/Alle Mails", "[Gmail]/Papierkorb"):
        deliver(account.there.store.make(name))
    boxes = "".join(
        f'mailbox "{name}" {{\nspecial_use = {use}\n}}\n'
        for name, use in (("[Gmail]/Alle Mails", r"\All"), ("[Gmail]/Papierkorb", r"\Trash"))
    )
    tunnel = tls_dovecot.tunnel(account.there.user, f"namespace inbox {{\n{boxes}}}")
    far = f"tunnel = {json.dumps(tunnel)}\ntrash = '\\Trash'"
    account.configure(far=far, sync=r"""skip = ['\All', "Nothing"]""")
    out, err = account.mailsync("work")
    assert ("Papierkorb: mailbox made in near" in out, "Alle Mails" in out, err) == (True, False, "")
    assert account.mailsync("--list", "far", "work") == ("INBOX\n[Gmail]/Papierkorb\n", "")
    account.world.put("near", "[Gmail]/Alle Mails", "left")
    for store in ("near", "far"):
        assert "Alle Mails" not in account.mailsync("--diff", store, "work")[0]
    next((account.world.path("near") / "INBOX").glob("[cn]*/*")).unlink()
    assert "INBOX: 1 moved to the trash in far" in account.mailsync("work", "INBOX")[0]
    assert len(messages(account.there.store.path("[Gmail]/Papierkorb"))) == 2
    account.configure(far=far.replace("Trash", "Sent"))
    out, err = account.mailsync("work", status=EXIT_CONFIG)
    assert err == (
        "mailsync: store far: its server does not say that a mailbox is \\Sent\n"
        "mailsync: give the name of a mailbox as trash, or have the server say which one it is\n"
    )


def test_subscribed(account: Account) -> None:
    """Only what is subscribed is synced, and listed; and again nothing is done."""
    for name in ("shown", "hidden"):
        deliver(account.there.store.make(name))
    (account.there.store.root / "subscriptions").write_text("shown\n")
    account.configure(far="subscribed = true")
    out, _ = account.mailsync("work")
    assert ("shown: " in out, "hidden" in out) == (True, False)
    for _ in range(2):
        assert account.mailsync("work") == ("", "")
    assert account.mailsync("--list", "far", "work") == ("INBOX\nshown\n", "")
    account.configure()
    assert "hidden: " in account.mailsync("work")[0]


@pytest.mark.parametrize(("sync", "copied"), [("", 4), ('size_limit = "4k"', 3)])
def test_dry_run_reads_no_mail(account: Account, tls_dovecot: Dovecot, sync: str, copied: int) -> None:
    """A dry run says what would come, transfers nothing of it, and leaves no trace here."""
    account.configure(sync=sync)
    deliver(account.inbox).write_bytes(body("large", 8000))
    before = account.files()
    out, _ = account.mailsync("--dry-run", "work")
    assert out == f"would be: INBOX: mailbox made in near, {copied} copied in near\n"
    assert account.files() == before
    assert "body_count=0 " in tls_dovecot.logged(f"imap({account.there.user})")
    assert account.mailsync("work")[0] == f"INBOX: mailbox made in near, {copied} copied in near\n"


def test_two_servers(account: Account, tls_dovecot: Dovecot, user: str) -> None:
    """Both stores may be on servers."""
    other = tls_dovecot.account(f"{user}-2")
    other.store.make()
    file = account.directory / ".config/mswatch/work.toml"
    text = "".join(
        f'[store.{name}]\nimap = "127.0.0.1:{there.tls_port}"\nauthorities = "{there.authority}"\n'
        f'user = "{there.user}"\npassword_command = {SAY}\n'
        for name, there in (("one", account.there), ("two", other))
    )
    file.write_text(text)
    assert account.mailsync("work") == ("INBOX: 3 copied in two\n", "")
    assert account.mailsync("work") == ("", "")


def test_maildirs_pay_nothing_for_it(tmp_path: Path) -> None:
    """A run between Maildirs imports nothing that only a server needs."""
    home = Home(tmp_path)
    home.fill()
    probe = (sys.executable, "-X", "importtime", "-m", "mswatch.mailsync_entry", "work")
    told = subprocess.run(probe, env=home.environment, capture_output=True, text=True, check=True).stderr
    imported = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert "mswatch.mailsync.stores.maildir" in imported
    assert not imported & {
        "ssl",
        "socket",
        "getpass",
        "subprocess",
        "mswatch.imap.parsing",
        "mswatch.imap_session.link",
    }
