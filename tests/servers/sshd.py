"""An OpenSSH server of our own: no root, no system service, no fixed port, one key that is let in.

It listens on loopback only; there is a host key, a client's key and a configuration for ``ssh -F``, so that
nothing of the person who runs the tests is read.  Who logs in has a home and a login shell of the test's
choice, by a passwd file that nss_wrapper puts before the system's.
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

from tests.servers.dovecot import find_program
from tests.servers.waiting import DEADLINE_S, wait_until

HOST = "mail.test"


@dataclass(frozen=True)
class Sshd:
    """A running server; ``home`` is that of whoever logs in."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def home(self) -> Path:
        """The home directory of logins."""
        return self.directory / "home"

    @property
    def config(self) -> Path:
        """A configuration for ssh in which HOST is this server."""
        return self.directory / "ssh_config"

    def log(self) -> str:
        """Return what the server logged so far."""
        return (self.directory / "log").read_text(errors="replace")

    def set_shell(self, text: str) -> None:
        """Have this shell script be the login shell from now on: it is given -c and the line to run."""
        write_script(self.directory / "shell", text)

    def write_config(self, *lines: str, port: int | None = None, name: str = "127.0.0.1") -> Path:
        """Write the client's configuration anew, with more lines before the usual ones."""
        self.config.write_text(
            "\n".join(
                [
                    f"Host {HOST}",
                    *lines,
                    f"HostName {name}",
                    f"Port {port or self.port}",
                    f"User {_user()}",
                    f"IdentityFile {self.directory}/client_key",
                    "IdentitiesOnly yes",
                    f"UserKnownHostsFile {self.directory}/known_hosts",
                    "GlobalKnownHostsFile /dev/null",
                    "",
                ]
            )
        )
        return self.config

    def know_host(self, key: str = "host_key") -> None:
        """Have the client know a host key."""
        public = (self.directory / f"{key}.pub").read_text()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")

    def let_in(self, key: str = "client_key") -> None:
        """Let in who has this key, and nobody else."""
        public = (self.directory / f"{key}.pub").read_text()
        (self.directory / "authorized_keys").write_text(public)

    def logins(self) -> list[int]:
        """Return the server's process for each connection that is there now."""
        return children(self.process.pid)

    def sessions(self) -> list[int]:
        """Return the server's processes that run programs; that of the connection may be another one."""
        below = [pid for login in self.logins() for pid in (login, *children(login))]
        return [pid for pid in below if any(not is_sshd(child) for child in children(pid))]

    def programs(self) -> list[int]:
        """Return what those who are logged in run."""
        return [pid for session in self.sessions() for pid in children(session) if not is_sshd(pid)]

    def program(self) -> int:
        """Return the one program that is run, waiting for it."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = self.programs()
            return len(found) == 1

        wait_until(is_there, "one program runs behind sshd")
        return found[0]


def write_script(path: Path, text: str) -> None:
    """Write a shell script to a new file, so that nobody runs half of it."""
    new = path.with_suffix(".new")
    new.write_text(f"#!/bin/sh\n{text}\n")
    new.chmod(0o755)
    new.rename(path)


def children(pid: int) -> list[int]:
    """Return the children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_sshd(pid: int) -> bool:
    """Tell whether a process is one of the server itself."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except OSError:
        return False


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def make_key(path: Path) -> None:
    """Make a pair of keys."""
    command = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path))
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@contextmanager
def running_sshd(*options: str) -> Iterator[Sshd]:
    """Run a server until the block ends; its log is printed then, and pytest shows it when a test failed."""
    with tempfile.TemporaryDirectory(prefix="sshd.") as name:
        directory = Path(name)
        (directory / "home").mkdir()
        for key in ("host_key", "other_host_key", "client_key", "other_key"):
            make_key(directory / key)
        process, port = _start(directory, options)
        sshd = Sshd(directory, port, process)
        sshd.set_shell('exec /bin/sh "$@"')
        sshd.write_config()
        sshd.know_host()
        sshd.let_in()
        try:
            _wait_for_banner(sshd)
            yield sshd
        finally:
            _end(process)
            print(sshd.log())


def _start(directory: Path, options: tuple[str, ...]) -> tuple[subprocess.Popen[bytes], int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (directory / "sshd_config").write_text(
        "\n".join(
            [
                *options,
                f"ListenAddress 127.0.0.1:{port}",
                f"HostKey {directory}/host_key",
                f"AuthorizedKeysFile {directory}/authorized_keys",
                f"PidFile {directory}/pid",
                "StrictModes no",
                "UsePAM no",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "PrintMotd no",
                "LogLevel VERBOSE",
                "",
            ]
        )
    )
    command = (find_program("sshd"), "-D", "-f", str(directory / "sshd_config"), "-E", str(directory / "log"))
    environment = {**os.environ, **_own_passwd(directory)}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, env=environment)
    return process, port


def _own_passwd(directory: Path) -> dict[str, str]:
    """Return the environment in which our user has a home and a shell in the directory."""
    user = _user()
    (directory / "passwd").write_text(
        f"{user}:x:{os.getuid()}:{os.getgid()}::{directory}/home:{directory}/shell\n"
        "sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n"  # whom it becomes when root started it
    )
    (directory / "group").write_text(f"{user}:x:{os.getgid()}:\n")
    return {
        "LD_PRELOAD": "libnss_wrapper.so",
        "NSS_WRAPPER_PASSWD": str(directory / "passwd"),
        "NSS_WRAPPER_GROUP": str(directory / "group"),
    }


def _wait_for_banner(sshd: Sshd) -> None:
    def greets() -> bool:
        if sshd.process.poll() is not None:
            raise AssertionError(f"sshd ended:\n{sshd.log()}")
        try:
            with socket.create_connection(("127.0.0.1", sshd.port), timeout=DEADLINE_S) as connection:
                return connection.recv(8).startswith(b"SSH-2.0")
        except ConnectionRefusedError:
            return False

    wait_until(greets, "sshd greets")


def _end(process: subprocess.Popen[bytes]) -> None:
    for pid in children(process.pid):
        with_children = [pid, *children(pid)]
        for each in with_children:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                continue
    process.terminate()
    process.wait(DEADLINE_S)
