"""A connection whose packets vanish: nothing is refused and nothing is closed, and only time tells."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.hosts.machine import Network
from tests.servers.waiting import DEADLINE_S, read_line

pytestmark = [pytest.mark.slow, pytest.mark.server]

PORT = 1143
SERVER = f"""
import socket
with socket.create_server(("0.0.0.0", {PORT})) as listening:
    print("listening", flush=True)
    connection, _ = listening.accept()
    while data := connection.recv(1000):
        connection.sendall(b"* OK " + data)
"""
# One exchange that works, and then, when it is told, one that nobody answers.
CLIENT = f"""
import socket, sys
with socket.create_connection(("192.0.2.2", {PORT})) as connection:
    connection.sendall(b"a NOOP\\r\\n")
    connection.recv(1000)
    print("answered", flush=True)
    sys.stdin.readline()
    connection.sendall(b"b NOOP\\r\\n")
    connection.recv(1000)
    print("answered again", flush=True)
"""


def inside(end: str, *argv: str) -> subprocess.Popen[bytes]:
    """Start a program at one end of the cable."""
    words = ("ip", "netns", "exec", end, *argv)
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


@pytest.mark.parametrize("dropped", [True, False])
def test_socketwatch_ends_who_waits_for_them(dropped: bool) -> None:
    """With packets dropped a client is ended after its limit; with them it goes on."""
    guard = (sys.executable, "-m", "mswatch.socketwatch.command", "-t", "2", "--")
    with Network("mswdrop") as network:
        near, far = network.ends
        with inside(far, sys.executable, "-c", SERVER) as server:
            assert server.stdout is not None
            assert read_line(server.stdout) == b"listening\n"
            with inside(near, *guard, sys.executable, "-c", CLIENT) as client:
                assert client.stdin is not None
                assert client.stdout is not None
                assert read_line(client.stdout) == b"answered\n"
                if dropped:
                    wrong = ("lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "host0")
                    subprocess.run(
                        ("ip", "-n", near, "neighbour", "replace", "192.0.2.2", *wrong), check=True
                    )
                began = time.monotonic()
                client.stdin.write(b"\n")
                printed, said = client.communicate(timeout=DEADLINE_S)
            took = time.monotonic() - began
            server.kill()

    assert client.returncode == (75 if dropped else 0), said
    assert printed == (b"" if dropped else b"answered again\n")
    assert not dropped or (took >= 2 and b"no progress" in said)
