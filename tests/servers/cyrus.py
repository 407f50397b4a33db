"""A Cyrus of our own: an ordinary user's, in a temporary directory, on a free port of loopback.

It keeps mail in a form of its own, has mailboxes below ``INBOX.`` in the old manner, and tells refusals
without codes: all that Dovecot does not.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mswatch.imap_session.settings import Server
from tests.servers.unpacked import environment, unpacked
from tests.servers.waiting import DEADLINE_S, wait_until

PASSWORD = "secret"


@dataclass(frozen=True)
class Cyrus:
    """A running server."""

    directory: Path
    port: int

    @property
    def server(self) -> Server:
        """How it is reached."""
        return Server("127.0.0.1", self.port, "plain", timeout_s=DEADLINE_S)

    def add_user(self, user: str) -> None:
        """Make a user; INBOX is made at the first login."""
        subprocess.run(
            (
                unpacked("usr/sbin/saslpasswd2"),
                "-p",
                "-c",
                "-u",
                "localhost",
                "-f",
                str(self.directory / "sasldb2"),
                user,
            ),
            input=PASSWORD.encode(),
            env=environment(),
            check=True,
            capture_output=True,
            timeout=DEADLINE_S,
        )


@contextmanager
def running_cyrus() -> Iterator[Cyrus]:
    """Run a Cyrus until the block ends."""
    with tempfile.TemporaryDirectory(prefix="cyrus.", ignore_cleanup_errors=True) as name:
        cyrus = Cyrus(Path(name), _free_port())
        _configure(cyrus)
        process = _start(cyrus)
        try:
            wait_until(lambda: _answers(cyrus, process), "Cyrus answers")
            yield cyrus
        finally:
            _end(process)


def _free_port() -> int:
    """Return a port that was free a moment ago: Cyrus has no way to be handed a socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _configure(cyrus: Cyrus) -> None:
    directory = cyrus.directory
    programs = Path(unpacked("usr/lib/cyrus/bin"))
    for part in (
        "conf/db",
        "conf/proc",
        "conf/lock",
        "conf/log",
        "conf/socket",
        "conf/msg",
        "spool",
        "sieve",
    ):
        (directory / part).mkdir(parents=True)
    sockets = {name: directory / "conf/socket" / name for name in ("idle", "lmtp", "notify")}
    (directory / "imapd.conf").write_text(f"""\
configdirectory: {directory}/conf
defaultpartition: default
partition-default: {directory}/spool
sievedir: {directory}/sieve
cyrus_user: {pwd.getpwuid(os.getuid()).pw_name}
servername: localhost
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {directory}/sasldb2
sasl_mech_list: PLAIN
allowplaintext: yes
autocreate_quota: 0
altnamespace: no
unixhierarchysep: no
idlesocket: {sockets["idle"]}
lmtpsocket: {sockets["lmtp"]}
notifysocket: {sockets["notify"]}
""")
    configuration = directory / "imapd.conf"
    (directory / "cyrus.conf").write_text(f"""\
START {{
  recover cmd="{programs}/ctl_cyrusdb -C {configuration} -r"
}}
SERVICES {{
  imap cmd="{programs}/imapd -C {configuration} -U 30" listen="127.0.0.1:{cyrus.port}" prefork=0
}}
EVENTS {{
}}
DAEMON {{
  idled cmd="{programs}/idled -C {configuration}"
}}
""")


def _start(cyrus: Cyrus) -> subprocess.Popen[bytes]:
    directory = cyrus.directory
    files = ("-C", str(directory / "imapd.conf"), "-M", str(directory / "cyrus.conf"))
    return subprocess.Popen(
        (unpacked("usr/lib/cyrus/bin/master"), *files, "-p", str(directory / "pid")),
        env=environment(),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )


def _answers(cyrus: Cyrus, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"Cyrus ended with {process.returncode}"
    try:
        with socket.create_connection(("127.0.0.1", cyrus.port), timeout=DEADLINE_S) as connection:
            return connection.recv(100).startswith(b"* OK")
    except ConnectionRefusedError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its own session: all of Cyrus and nothing else
        process.wait(DEADLINE_S)
