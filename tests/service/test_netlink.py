"""What the kernel tells of the network: real messages, and bytes that are none."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.service.netlink import Network
from tests.servers.waiting import DEADLINE_S

CHECKOUT = Path(__file__).resolve().parents[2]
# In a network namespace of its own: each command in turn, and whether the network was another one by the
# time that its last message had come.
PROGRAM = """
import asyncio, subprocess, sys
from mswatch.service.network import NetworkListener

async def main():
    changes = []
    listener = NetworkListener(lambda: changes.append(1))
    for command in sys.argv[1:]:
        subprocess.run(["sh", "-ec", command], check=True)
        for _ in range(20):  # what was told is there already; the loop has only to read it
            await asyncio.sleep(0)
        print("changed" if changes else "the same", flush=True)
        changes.clear()
    listener.close()

asyncio.run(main())
"""
COMMANDS = {
    "ip link set lo up": "the same",
    "ip link add one type veth peer name two; ip link set two up; ip link set one up": "the same",
    "ip address add 192.0.2.1/24 dev one": "changed",
    "ip address change 192.0.2.1/24 dev one valid_lft 100 preferred_lft 100": "the same",
    "ip route add default via 192.0.2.2": "changed",
    "ip -6 address add 2001:db8::1/64 dev one nodad": "changed",
    "ip -6 route add default dev one": "changed",
    "ip -6 route replace default dev one": "the same",
    "ip link add three type veth peer name four; ip link set three up; ip link delete three": "the same",
    "ip address delete 192.0.2.1/24 dev one": "changed",
    "ip link set one down": "changed",
}


@pytest.mark.slow
def test_what_is_a_change() -> None:
    """Addresses and routes that come or go are changes; what is told again or is of a link is none."""
    printed = subprocess.run(
        ("unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", PROGRAM, *COMMANDS),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert printed.returncode == 0, printed.stderr
    assert dict(zip(COMMANDS, printed.stdout.splitlines(), strict=True)) == COMMANDS


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """What is no message is nothing, and nothing is read beyond its end."""
    Network().changes(data)


@given(st.sampled_from([20, 21, 24, 25]), st.binary(max_size=60))
def test_any_body(kind: int, body: bytes) -> None:
    """A message of the right kind with anything in it is a change or none, and the same one twice is none."""
    message = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    network = Network()
    first = network.changes(message)
    if kind in (20, 24):
        assert not network.changes(message)
    else:
        assert network.changes(message) == first


def test_what_is_known_is_bounded() -> None:
    """A table of routes of the whole internet does not fill the memory."""
    network = Network()
    for number in range(50_000):
        body = struct.pack("=BBBBI", 2, 32, 0, 0, number)
        assert network.changes(struct.pack("=IHHII", 24, 20, 0, 0, 0) + body)
    assert len(network._known) <= 20_000
