"""A Dovecot of our own: no root, no system service, no fixed port.

The listening socket is made here and inherited, as systemd would hand it over: so the port is free for
certain, and connections wait in the kernel until Dovecot is ready.  Every user name is accepted with one
password and has a home of its own, so that tests share one server and never a mailbox.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mswatch.account import Layout
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.maildir import MaildirStore
from tests.servers.waiting import DEADLINE_S, wait_until

PASSWORD = "secret"
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/lib/dovecot:/usr/libexec/dovecot"

# The listeners arrive as stdin and stdout and are moved to where systemd's protocol wants them
# (sd_listen_fds(3)); the shell then becomes Dovecot, so that LISTEN_PID holds.
START = 'exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ exec "$@"'


@dataclass(frozen=True)
class ImapAccount:
    """One user of a server: how to log in, and the store behind it."""

    port: int
    user: str
    password: str
    store: MaildirStore
    host: str = "127.0.0.1"
    tls_port: int = 0
    authority: Path | None = None  # what has signed the server's certificate


@dataclass(frozen=True)
class Dovecot:
    """A running server; ``directory`` holds its configuration, log, sockets and users."""

    directory: Path
    port: int
    layout: Layout
    tls_port: int = 0
    authority: Path | None = None

    def account(self, user: str) -> ImapAccount:
        """Return a user's account; nobody else has it, if the name is new."""
        root = self.directory / "users" / user / "Maildir"
        store = MaildirStore(root, self.layout)
        return ImapAccount(self.port, user, PASSWORD, store, tls_port=self.tls_port, authority=self.authority)

    def tunnel(self, user: str, *settings: str) -> tuple[str, ...]:
        """Return a command that speaks IMAP on its stdin and stdout, logged in as a user already.

        The settings (``imap_capability = IMAP4rev1 IDLE``) hold for these connections alone.
        """
        path = self.directory / "dovecot.conf"
        if settings:
            text = "\n".join((f"!include {path}", *settings, ""))
            path = self.directory / f"tunnel-{hashlib.sha256(text.encode()).hexdigest()[:16]}.conf"
            path.write_text(text)
        home = f"HOME={self.directory}/users/{user}"  # or it were the caller's
        doveconf = (find_program("doveconf"), "-c", str(path), "-f", "service=imap", "-m", "imap")
        return "env", f"USER={user}", home, *doveconf, "-e", find_program("imap")

    def log(self) -> str:
        """Return what the server logged so far."""
        log = self.directory / "dovecot.log"
        return log.read_text() if log.exists() else "(Dovecot logged nothing)"

    def logged(self, text: str, after: int = 0) -> str:
        """Wait for a line with this text in the log, beyond so many characters of it, and return it.

        Dovecot answers first and logs then, so that a test that only looks may look too early.
        """
        wait_until(lambda: text in self.log()[after:], f"Dovecot logs {text!r}")
        return next(line for line in self.log()[after:].splitlines() if text in line)


def find_program(name: str) -> str:
    """Return a program's path, also where an ordinary user's PATH does not lead."""
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed; `sh tests/run` installs what the tests need")
    return path


def configuration(directory: Path, port: int, layout: Layout, tls: Certificates | None, more: str) -> str:
    """Return a configuration for Dovecot 2.3 in which everything belongs to the calling user."""
    user = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    location = (
        "maildir:~/Maildir" if layout == "maildir++" else "maildir:~/Maildir:LAYOUT=fs:INBOX=~/Maildir/INBOX"
    )
    tls_settings = "ssl = no"
    if tls is not None:
        tls_settings = f"ssl = yes\nssl_cert = <{tls.certificate}\nssl_key = <{tls.key}\n"
        tls_settings += f"ssl_ca = <{tls.authority}\nssl_verify_client_cert = yes\nssl_require_crl = no"
    return f"""\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols = imap
listen = 127.0.0.1
{tls_settings}
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = {os.getuid()}
first_valid_gid = {os.getgid()}
mail_home = {directory}/users/%u
mail_location = {location}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={os.getuid()} gid={os.getgid()}
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls.port if tls else 0}
    ssl = {"yes" if tls else "no"}
  }}
}}
service anvil {{
  chroot =
}}
{more}
"""


@contextmanager
def running_dovecot(
    layout: Layout = "maildir++", *, with_tls: bool = False, more: str = ""
) -> Iterator[Dovecot]:
    """Run a Dovecot until the block ends; its log is printed then, and pytest shows it when a test failed.

    Args:
        layout: how it keeps mailboxes.
        with_tls: also by TLS on a port of its own, and by STARTTLS; the certificate is for loopback.
        more: lines for the end of its configuration.
    """
    if os.getuid() == 0:
        raise PermissionError("this Dovecot is an ordinary user's; `sh tests/run` runs the tests as one")
    with tempfile.TemporaryDirectory(prefix="dovecot.") as directory:  # short: a socket's path has 108 bytes
        process, dovecot = _start(Path(directory), layout, with_tls, more)
        try:
            _wait_for_greeting(dovecot)
            yield dovecot
        finally:
            _end(process)
            print(dovecot.log())


def _start(
    directory: Path, layout: Layout, with_tls: bool, more: str
) -> tuple[subprocess.Popen[bytes], Dovecot]:
    with _listener() as plain, _listener() as second:
        port, tls_port = plain.getsockname()[1], second.getsockname()[1]
        tls = make_certificates(directory, tls_port) if with_tls else None
        path = directory / "dovecot.conf"
        path.write_text(configuration(directory, port, layout, tls, more))
        command = ("sh", "-c", START, "sh", find_program("dovecot"), "-F", "-c", str(path))
        process = subprocess.Popen(
            command,
            stdin=plain.fileno(),
            stdout=second.fileno(),
            start_new_session=True,
            env={**os.environ, "LISTEN_FDS": "2" if with_tls else "1"},
        )
    if tls is None:
        return process, Dovecot(directory, port, layout)
    return process, Dovecot(directory, port, layout, tls_port, tls.authority)


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=128)


def _wait_for_greeting(dovecot: Dovecot) -> None:
    try:
        with socket.create_connection(("127.0.0.1", dovecot.port), timeout=DEADLINE_S) as connection:
            greeting = connection.recv(1024)
    except OSError as error:
        raise AssertionError(f"Dovecot does not answer ({error}):\n{dovecot.log()}") from error
    assert greeting.startswith(b"* OK"), f"Dovecot greets with {greeting!r}:\n{dovecot.log()}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: all of Dovecot and nothing else
        process.wait(DEADLINE_S)
