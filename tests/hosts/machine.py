"""A Debian system that boots, runs, is killed and is gone: systemd-nspawn over a root of ``roots``.

What a machine writes lies in a directory of the test, over the root by an overlay that only its own mount
namespace has.  So whatever happens to the test, nothing is left mounted; and nothing is left running, which
``cgroups`` sees to.  A machine has a network of its own, with nothing but a loopback device unless it is at
the end of a ``Network``.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.hosts.cgroups import ControlGroup
from tests.hosts.roots import UID, USER
from tests.servers.waiting import DEADLINE_S, TooLateError, read_line

BOOT_LIMIT_S = 180.0
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LANG": "C.UTF-8", "TERM": "dumb"}
# As a person's shell after a login; su does not tell the bus of the user's manager by itself.
LOGIN = f'export XDG_RUNTIME_DIR=/run/user/$(id -u) LANG={ENVIRONMENT["LANG"]}; exec "$@"'
JOIN = 'for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec "$@"'
OVERLAY = """
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root"
shift 2
exec "$@"
"""
REPLACE = """mkdir -p "$(dirname "$0")"
cat >"$0.new"
test ! -e "$0" || chmod --reference="$0" "$0.new"
mv -f "$0.new" "$0"
"""
Json = dict[str, Any]


class Network:
    """A cable between machines, with a network namespace at each of its two ends and nobody else on it."""

    def __init__(self, name: str) -> None:
        self.ends = (f"{name}-a", f"{name}-b")
        self.addresses = ("192.0.2.1", "192.0.2.2")

    def __enter__(self) -> Network:
        first, second = self.ends
        for end in self.ends:
            _ip("netns", "add", end)
        _ip("-n", first, "link", "add", "host0", "type", "veth", "peer", "name", "host0", "netns", second)
        for end, address in zip(self.ends, self.addresses, strict=True):
            _ip("-n", end, "address", "add", f"{address}/24", "dev", "host0")
        self.connect()
        return self

    def connect(self) -> None:
        """Plug the cable in."""
        for end in self.ends:
            _ip("-n", end, "link", "set", "host0", "up")

    def cut(self) -> None:
        """Pull the cable out: no packet passes any more, and nobody is told."""
        _ip("-n", self.ends[0], "link", "set", "host0", "down")

    def __exit__(self, *_: object) -> None:
        for end in self.ends:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "delete", end)


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True)


class Program:
    """A program that runs in a machine; its standard output is a pipe, and so is its standard error."""

    def __init__(self, machine: Machine, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout, self.stderr = process.stdout, process.stderr
        self._machine = machine
        self._process = process
        self.pid = int(read_line(process.stdout))  # inside

    def kill(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        self._machine.run("root", "kill", f"-{number.value}", str(self.pid))

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Return its exit status when it has ended."""
        return self._process.wait(deadline_s)

    def close(self) -> None:
        """End it by force if it runs."""
        if self._process.poll() is None:
            with suppress(AssertionError):  # it may be gone by itself
                self.kill(signal.SIGKILL)
            self._process.wait(
                DEADLINE_S
            )  # not killed: its children in the machine would have nobody to reap them
        self.stdout.close()
        self.stderr.close()


class Machine:
    """One machine.  ``with Machine(root, directory) as machine:`` boots it and makes sure that it ends."""

    def __init__(self, base: Path, directory: Path, name: str = "desk", network: str | None = None) -> None:
        """Prepare a machine.

        Args:
            base: the root from ``roots.base_root``.
            directory: for all that the machine writes; made here.
            name: its host name.
            network: the end of a ``Network`` that it is at; none for no network.
        """
        self._base = base
        self._directory = directory
        self._name = name
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0
        for part in ("upper", "work", "root"):
            (directory / part).mkdir(parents=True)

    def __enter__(self) -> Machine:
        try:
            self.boot()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory)

    # Its life.

    def boot(self) -> None:
        """Start it, and return when the user's manager is up."""
        self._group = ControlGroup()
        with _notify_socket() as (told, address):
            with (self._directory / "console").open("ab") as console:
                self._process = subprocess.Popen(
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    env={**ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "NOTIFY_SOCKET": address},
                    start_new_session=True,
                )
            self._wait_until_up(told, time.monotonic() + BOOT_LIMIT_S)
        self.run("root", "systemctl", "start", f"user@{UID}.service")  # waits for the start under way

    def _command(self) -> list[str]:
        network = (
            [f"--network-namespace-path=/run/netns/{self._network}"]
            if self._network
            else ["--private-network"]
        )
        nspawn = [
            "systemd-nspawn",
            "--directory",
            str(self._directory / "root"),
            "--boot",
            "--notify-ready=yes",
        ]
        apart = ["--register=no", "--keep-unit", f"--machine={self._group.name}", f"--hostname={self._name}"]
        group = ["sh", "-ec", JOIN, "sh", " ".join(map(str, self._group.paths))]
        apart_mounts = ["unshare", "--mount", "--"]
        overlay = ["sh", "-ec", OVERLAY, "sh", str(self._base), str(self._directory)]
        return [*apart_mounts, *group, *overlay, *nspawn, *apart, *network]

    def _wait_until_up(self, told: socket.socket, deadline: float) -> None:
        assert self._process is not None
        end_of_process = os.pidfd_open(self._process.pid)
        try:
            while not self._is_up(told, end_of_process, max(0.0, deadline - time.monotonic())):
                pass
        finally:
            os.close(end_of_process)

    def _is_up(self, told: socket.socket, end_of_process: int, left_s: float) -> bool:
        """Read one message of systemd-nspawn, and tell whether it is that the init inside is ready."""
        readable, _, _ = select.select([told.fileno(), end_of_process], [], [], left_s)
        if told.fileno() not in readable:
            raise TooLateError(f"the machine does not come up; its console:\n{self.console()[-3000:]}")
        lines = told.recv(4096).decode().splitlines()
        for line in lines:
            if line.startswith("X_NSPAWN_LEADER_PID="):
                self._leader = int(line.partition("=")[2])
        return "READY=1" in lines

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def reboot(self) -> None:
        """Shut it down in order and start it again."""
        assert self._process is not None
        self._process.terminate()  # systemd-nspawn asks the init inside
        self._ended()
        self.boot()

    def _ended(self) -> None:
        assert self._process is not None
        self._process.wait(BOOT_LIMIT_S)
        self._process = None
        self._group.kill()

    def console(self) -> str:
        """Return what the boot printed."""
        return (self._directory / "console").read_text(errors="replace")

    # What is inside.

    def path(self, inside: str) -> Path:
        """Return where a file of the machine is, seen from here; only while it runs."""
        return Path(f"/proc/{self._leader}/root") / inside.lstrip("/")

    def _words(self, user: str, argv: tuple[str, ...]) -> list[str]:
        inside = ["nsenter", f"--target={self._leader}", "--all", "--"]
        login = [] if user == "root" else ["su", "--login", "--command", LOGIN, "--", user, "sh"]
        return [*inside, *login, *argv]

    def result(
        self, user: str, *argv: str, data: bytes = b"", deadline_s: float = DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, as root or as a user who has just logged in, with ``data`` to read."""
        ended = subprocess.run(
            self._words(user, argv), input=data, capture_output=True, env=ENVIRONMENT, timeout=deadline_s
        )
        texts = (text.decode("utf-8", "backslashreplace") for text in (ended.stdout, ended.stderr))
        return subprocess.CompletedProcess(argv, ended.returncode, *texts)

    def run(self, user: str, *argv: str, data: bytes = b"", deadline_s: float = DEADLINE_S) -> str:
        """Run a program that must succeed; return its standard output."""
        ended = self.result(user, *argv, data=data, deadline_s=deadline_s)
        assert ended.returncode == 0, f"{argv} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    @contextmanager
    def running(self, user: str, *argv: str) -> Iterator[Program]:
        """Have a program run until the block ends."""
        told = ("sh", "-c", 'echo $$; exec "$@"', "sh")
        process = subprocess.Popen(
            self._words(user, (*told, *argv)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=ENVIRONMENT,
        )
        program = Program(self, process)
        try:
            yield program
        finally:
            program.close()

    def systemctl_user(self, *words: str) -> str:
        """Ask the user's manager for something that must succeed."""
        return self.run(USER, "systemctl", "--user", *words)

    def cursor(self) -> str:
        """Return the place where the journal ends now."""
        return (
            self.run("root", "journalctl", "--lines=0", "--show-cursor").rpartition("-- cursor: ")[2].strip()
        )

    def journal(self, *words: str, after: str = "") -> list[Json]:
        """Return records of the journal as the user sees them (``-u``, ``mswatch``).

        All that was sent to it before is there: journald(8) takes things as they come, but for this it waits.
        """
        self.run("root", "journalctl", "--sync")
        place = [f"--after-cursor={after}"] if after else []
        printed = self.run(USER, "journalctl", "--user", "--output=json", "--all", "--quiet", *place, *words)
        return [json.loads(line) for line in printed.splitlines()]

    def wait_for_record(
        self, is_it: Callable[[Json], bool], *words: str, after: str = "", deadline_s: float = DEADLINE_S
    ) -> Json:
        """Return the first record of the user's journal that is the one, waiting for it if need be."""
        place = [f"--after-cursor={after}"] if after else []
        end = time.monotonic() + deadline_s
        command = (
            "journalctl",
            "--user",
            "--output=json",
            "--all",
            "--follow",
            "--lines=all",
            *place,
            *words,
        )
        with self.running(USER, *command) as program:
            while True:
                line = read_line(program.stdout, max(0.0, end - time.monotonic()))
                assert line, f"journalctl ended: {program.stderr.read()!r}"
                record: Json = json.loads(line)
                if is_it(record):
                    return record

    def clean_user(self) -> None:
        """Give the user a new home and a new manager, with nothing left of what was there."""
        self.run("root", "systemctl", "stop", f"user-{UID}.slice", f"user@{UID}.service")
        self.run(
            "root", "sh", "-ec", f"find /home/{USER} -mindepth 1 -delete; cp -R /etc/skel/. /home/{USER}/"
        )
        self.run("root", "chown", "-R", f"{USER}:", f"/home/{USER}")
        self.run("root", "systemctl", "start", f"user@{UID}.service")

    def write(self, inside: str, text: str) -> None:
        """Write a file as the user; one that is there, and may just be started, is replaced."""
        self.run(USER, "sh", "-ec", REPLACE, inside, data=text.encode())


@contextmanager
def _notify_socket() -> Iterator[tuple[socket.socket, str]]:
    """Listen as a service manager does (sd_notify(3)), at an address that cannot be too long."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.bind("")  # unix(7): the kernel chooses
        yield told, "@" + told.getsockname()[1:].decode()
