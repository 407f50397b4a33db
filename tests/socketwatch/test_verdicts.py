"""Who is ended and who is left alone: real programs with servers that hang, and with slow ones.

Many cases run beside each other, because nearly all of their time is waiting; those that are to be left alone
by themselves, because some of the others take all of the processor that there is.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mswatch.socketwatch.idle import SILENCE_S
from tests.servers import mbsync, offlineimap
from tests.servers.dovecot import Dovecot, ImapAccount
from tests.servers.maildir import MaildirStore, deliver, digest, make_message
from tests.servers.sshd import HOST, running_sshd
from tests.servers.waiting import DEADLINE_S
from tests.socketwatch import peers
from tests.socketwatch.conftest import Compile
from tests.socketwatch.harness import SOCKETWATCH, end_group

LIMIT_S = 2.5  # well above the second between two bytes of a slow peer, on a busy machine too
SLACK_S = 30.0  # for starting among all the others, and what a program does before it meets its peer
ENDED, LEFT_ALONE = 75, 0
WAYS = ("read", "recv", "stream", "recvmsg", "poll", "select", "epoll")
TLS_CLIENT = """
import contextlib, socket, ssl, sys
context = ssl.create_default_context()
with contextlib.suppress(OSError):
    connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    context.wrap_socket(connection, server_hostname="localhost")
"""
CHATTERER = """
import time
while True:
    print("trying again", flush=True)
    time.sleep(0.05)
"""

Command = Callable[[int], tuple[str, ...]]


@dataclass(frozen=True)
class Case:
    """A program, started for a port, the peer it meets, and what is to become of it."""

    program: str
    command: Command
    peer: str
    verdict: int = ENDED


class Programs:
    """How the programs are called.  Each call has files of its own."""

    def __init__(self, directory: Path, compiled: Compile) -> None:
        self._directory = directory
        self.client = str(compiled("client.c"))
        self.ssh = str(compiled("tunnel.c", name="ssh"))

    def receive(self, way: str) -> Command:
        """The C client, waiting in this way."""
        return lambda port: (self.client, way, str(port))

    def script(self, text: str) -> Command:
        """A shell script, with the C client as $0 and the port as $1."""
        return lambda port: ("sh", "-c", text, self.client, str(port))

    def python(self, text: str) -> Command:
        """A Python program, with the port as argument."""
        return lambda port: (sys.executable, "-c", text, str(port))

    def mbsync(self, name: str, change: Callable[[str, int], str] = lambda text, port: text) -> Command:
        """Real mbsync over IMAP."""

        def command(port: int) -> tuple[str, ...]:
            directory = self._directory / name
            near = MaildirStore(directory / "near", "nested")
            near.make("INBOX")
            account = ImapAccount(port, "user", "secret", near)
            configuration = mbsync.write_configuration(directory, near, account)
            configuration.write_text(change(configuration.read_text(), port))
            return mbsync.argv(configuration, "INBOX")

        return command

    def offlineimap(self, name: str) -> Command:
        """Real offlineimap over IMAP."""

        def command(port: int) -> tuple[str, ...]:
            directory = self._directory / name
            near = MaildirStore(directory / "near", "nested")
            near.make("INBOX")
            account = ImapAccount(port, "user", "secret", near)
            return offlineimap.argv(offlineimap.write_configuration(directory, near, account))

        return command

    def through_tunnel(self, text: str, port: int) -> str:
        """Change mbsync's configuration to a tunnel through a program called ssh."""
        return text.replace(f"Host 127.0.0.1\nPort {port}\n", f'Tunnel "{self.ssh} {port}"\n')


def over_tls(text: str, port: int) -> str:
    """Change mbsync's configuration to TLS."""
    return text.replace("Type None", "Type IMAPS")


def with_password_command(text: str, port: int) -> str:
    """Change mbsync's configuration to a password command that hangs."""
    return text.replace("Pass secret", 'PassCmd "exec sleep 60"')


def cases(programs: Programs) -> list[Case]:
    """Return the table."""
    receive, script, python = programs.receive, programs.script, programs.python
    return [
        *(Case(f"C {way}", receive(way), "silent") for way in WAYS),
        *(Case(f"C {way}", receive(way), "drips", LEFT_ALONE) for way in WAYS),
        *(Case("C read", receive("read"), name) for name in ("greets", "full_queue")),
        Case("C send", receive("send"), "silent"),
        Case("Python ssl", python(TLS_CLIENT), "in_a_handshake"),
        Case("Python ssl", python(TLS_CLIENT), "handshake_drips", LEFT_ALONE),
        Case("curl", lambda port: ("curl", "-s", f"http://127.0.0.1:{port}/"), "silent"),
        Case("curl", lambda port: ("curl", "-s", f"https://127.0.0.1:{port}/"), "in_a_handshake"),
        Case("curl", lambda port: ("curl", "-s", f"telnet://127.0.0.1:{port}/"), "drips", LEFT_ALONE),
        *(
            Case("mbsync", programs.mbsync(name), name)
            for name in ("silent", "greets", "in_a_literal", "full_queue")
        ),
        Case("mbsync", programs.mbsync("tls", over_tls), "in_a_handshake"),
        Case("mbsync, password command", programs.mbsync("password", with_password_command), "greets"),
        Case("mbsync", programs.mbsync("slow"), "imap_drips", LEFT_ALONE),
        Case("mbsync, tunnel", programs.mbsync("tunnel", programs.through_tunnel), "in_a_literal"),
        Case(
            "mbsync, tunnel",
            programs.mbsync("slow-tunnel", programs.through_tunnel),
            "imap_drips",
            LEFT_ALONE,
        ),
        *(Case("offlineimap", programs.offlineimap(f"o-{name}"), name) for name in ("silent", "greets")),
        Case("script that forks", script('"$0" read "$1" & "$0" poll "$1" & wait'), "silent"),
        Case("script that forks", script('"$0" read "$1" & "$0" poll "$1" & wait'), "drips", LEFT_ALONE),
        Case("one of two hangs", script('"$0" read "$1" & sleep 60 & wait $!'), "silent"),
        Case("spins", script("while :; do :; done"), "silent"),
        Case("spins and complains", python(CHATTERER), "silent"),
        Case("sleeps", script("exec sleep 60"), "silent"),
        Case("ignores SIGTERM", script("trap '' TERM; while :; do :; done"), "silent"),
        Case("forks twice", script('(setsid "$0" read "$1" &) ; exec sleep 60'), "silent"),
    ]


@contextlib.contextmanager
def all_peers() -> Iterator[dict[str, int]]:
    """Run all servers; give their ports."""
    behaviours = (
        peers.silent,
        peers.greets,
        peers.in_a_literal,
        peers.in_a_handshake,
        peers.handshake_drips,
        peers.drips,
        peers.imap_drips,
    )
    with contextlib.ExitStack() as stack:
        ports = {each.__name__: stack.enter_context(peers.peer(each)) for each in behaviours}
        ports["full_queue"] = stack.enter_context(peers.full_queue())
        yield ports


@pytest.mark.slow
@pytest.mark.server
def test_table(tmp_path: Path, compiled: Compile) -> None:
    """What hangs is ended within the limit and a second, what goes on however slowly is left alone."""
    table = cases(Programs(tmp_path, compiled))
    for verdict in (ENDED, LEFT_ALONE):
        check([case for case in table if case.verdict == verdict])


def check(table: list[Case]) -> None:
    """Run these cases beside each other, and hold each to its verdict."""
    running: list[tuple[Case, subprocess.Popen[bytes], float]] = []
    with all_peers() as ports:
        try:
            for case in table:
                argv = (
                    *SOCKETWATCH,
                    "-t",
                    str(LIMIT_S),
                    "--grace",
                    "0.3",
                    "--",
                    *case.command(ports[case.peer]),
                )
                running.append((case, start(argv), time.monotonic()))
            took = ends(running)
        finally:
            for _, process, _ in running:
                end_group(process)

    assert {name(case): process.returncode for case, process, _ in running} == {
        name(case): case.verdict for case in table
    }
    slow = {name(case): took_s for case, took_s in took.items() if case.verdict == LEFT_ALONE}
    assert {what: took_s for what, took_s in slow.items() if took_s < LIMIT_S + SILENCE_S} == {}
    ended = {name(case): took_s for case, took_s in took.items() if case.verdict == ENDED}
    assert {what: took_s for what, took_s in ended.items() if took_s < LIMIT_S} == {}
    assert {what: took_s for what, took_s in ended.items() if took_s > LIMIT_S + SILENCE_S + SLACK_S} == {}


def name(case: Case) -> str:
    """Return how a case is called in a failure."""
    return f"{case.program} / {case.peer}"


def start(argv: tuple[str, ...], **environment: str) -> subprocess.Popen[bytes]:
    """Start socketwatch with a home of nobody's."""
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "HOME": "/nonexistent", **environment},
    )


def ends(running: list[tuple[Case, subprocess.Popen[bytes], float]]) -> dict[Case, float]:
    """Wait for all to end, and return how long each took."""
    waiting = {os.pidfd_open(process.pid): (case, process, started) for case, process, started in running}
    took: dict[Case, float] = {}
    while waiting:
        ready = select.select(list(waiting), [], [], DEADLINE_S + peers.DRIPS)[0]
        assert ready, f"still running: {[name(case) for case, _, _ in waiting.values()]}"
        for pidfd in ready:
            case, process, started = waiting.pop(pidfd)
            took[case] = time.monotonic() - started
            os.close(pidfd)
            output, errors = process.communicate()
            print(
                f"{name(case)}: {process.returncode} {took[case]:.2f} s {output[-300:]!r} {errors[-300:]!r}"
            )
    return took


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(("peer", "verdict"), [("in_a_literal", ENDED), ("imap_drips", LEFT_ALONE)])
def test_tunnel_through_ssh(tmp_path: Path, compiled: Compile, peer: str, verdict: int) -> None:
    """What keeps the connection of a real ssh alive is no progress, and what mbsync gets through it is."""
    programs = Programs(tmp_path, compiled)
    relay = compiled("tunnel.c", name="relay")
    with running_sshd() as sshd, all_peers() as ports:
        sshd.write_config("ServerAliveInterval 1")

        def through_ssh(text: str, port: int) -> str:
            tunnel = f"ssh -q -F {sshd.config} {HOST} exec {relay} {port}"
            return text.replace(f"Host 127.0.0.1\nPort {port}\n", f'Tunnel "{tunnel}"\n')

        argv = programs.mbsync("ssh", through_ssh)(ports[peer])
        process = start((*SOCKETWATCH, "-t", "4", "--", *argv))
        output, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == verdict, (output, errors)
        assert (b"no progress for 4 s" in errors) == (verdict == ENDED)


@pytest.mark.slow
@pytest.mark.server
def test_real_syncers(dovecot: Dovecot, user: str, tmp_path: Path) -> None:
    """Real mbsync and offlineimap have their messages, though the greeting takes longer than the limit."""
    account = dovecot.account(user)
    delivered = {digest(deliver(account.store.make("INBOX")).read_bytes()) for _ in range(50)}
    running: list[tuple[MaildirStore, subprocess.Popen[bytes]]] = []
    with peers.peer(peers.dripping(account.port)) as port:
        try:
            for name, syncer in (("mbsync", mbsync), ("offlineimap", offlineimap)):
                near = MaildirStore(tmp_path / name / "near", "nested")
                near.make("INBOX")
                configuration = syncer.write_configuration(tmp_path / name, near, replace(account, port=port))
                argv = syncer.argv(configuration, "INBOX")
                running.append((near, start((*SOCKETWATCH, "-t", "3", "--", *argv))))
            for near, process in running:
                output, errors = process.communicate(timeout=DEADLINE_S)
                assert process.returncode == 0, (output, errors)
                assert b"socketwatch" not in errors
                arrived = {digest(path.read_bytes()) for path in near.path("INBOX").glob("[cn]*/*")}
                assert arrived == delivered
        finally:
            for _, process in running:
                end_group(process)


@pytest.mark.slow
def test_mailsync_on_a_slow_disk(tmp_path: Path, compiled: Compile) -> None:
    """When two stores meet that both have their messages, our own syncer reads for long and moves nothing."""
    slow = compiled("slow.c", "-fPIC", "-shared", name="slow.so")
    stores = [MaildirStore(tmp_path / name, "nested") for name in ("near", "far")]
    for number in range(250):
        message = make_message(f"{number}.example")
        for store in stores:
            (store.make("INBOX") / "cur" / f"{number}.example:2,S").write_bytes(message)
    account = tmp_path / "work.toml"
    account.write_text(
        "".join(
            f'[store.{store.root.name}]\nmaildir = "{store.root}"\nlayout = "nested"\n' for store in stores
        )
    )
    argv = (sys.executable, "-m", "mswatch.mailsync_entry", "--config", str(account))
    process = start(
        (*SOCKETWATCH, "-t", "2", "--", *argv),
        LD_PRELOAD=str(slow),
        XDG_STATE_HOME=str(tmp_path / "state"),
    )
    began = time.monotonic()
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, (output, errors)
    assert time.monotonic() - began > 2 + SILENCE_S
    assert [len(list(store.path("INBOX").glob("cur/*"))) for store in stores] == [250, 250]
