"""The control socket before clients of all kinds, and the locks before a second service."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.waiting import DEADLINE_S
from tests.service.harness import Service, World, environment, mswatch


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Service]]:
    """A service that no request harms, for one after the other."""
    world = World(tmp_path_factory.mktemp("lasting"))
    with world.in_step() as service:
        yield world, service
    world.near.close()
    world.far.close()


def connect(world: World) -> socket.socket:
    """Return a connection to the service."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(DEADLINE_S)
    connection.connect(str(world.base / "runtime/mswatch/work.sock"))
    return connection


def answer(connection: socket.socket) -> dict[str, object]:
    """Read an answer to its end."""
    with connection.makefile("rb") as file:
        found: dict[str, object] = json.loads(file.read())
        return found


@pytest.mark.parametrize(
    "request_line",
    [
        b"\xff\xfe rubbish\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"command": "format the disk"}\n',
        b'{"command": "changed"}\n',
        b'{"command": "changed", "mailboxes": []}\n',
        b'{"command": "changed", "mailboxes": [1]}\n',
        b'{"command": "changed", "mailboxes": "INBOX"}\n',
        b'{"command": "sync", "mailboxes": ["a\\u0000b"]}\n',
        b'{"command": "sync", "mailboxes": [""]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_garbage_is_refused(lasting: tuple[World, Service], request_line: bytes) -> None:
    """A request that is none gets an answer that says so, and the service goes on."""
    world, service = lasting
    with connect(world) as connection:
        connection.sendall(request_line)

        assert answer(connection)["ok"] is False
        assert service.call("status").returncode == 0


def test_a_request_without_end(world: World) -> None:
    """A client that sends and sends is cut off."""
    with world.in_step() as service, connect(world) as connection:
        try:
            for _ in range(64):
                connection.sendall(b"x" * 65536)
            assert answer(connection)["ok"] is False
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert service.call("status").returncode == 0


def test_clients_that_hang_or_leave(world: World) -> None:
    """Clients that say nothing, or leave before their answer, keep nobody else waiting."""
    with world.in_step() as service:
        silent = [connect(world) for _ in range(20)]
        for _ in range(5):
            with connect(world) as leaving:
                leaving.sendall(b'{"command": "sync", "mailboxes": ["Sent"]}\n')

        assert service.call("status").returncode == 0
        service.expect("syncer Sent")
        for connection in silent:
            connection.close()


def test_only_the_user_can_reach_it(world: World) -> None:
    """The socket has mode 0600, in a directory of mode 0700."""
    with world.in_step():
        path = world.base / "runtime/mswatch/work.sock"

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_second_service_is_refused(world: World) -> None:
    """A second service of an account ends with 75 and says which process is the first; that one goes on."""
    with world.in_step() as first:
        with Service(world.base, "--config", str(world.file)) as second:
            status = second.wait()

            assert status == 75
            assert f"process {first.process.pid}" in second.log
        assert first.call("status").returncode == 0


def test_no_service(world: World) -> None:
    """Status of an account without a service says so, and ends with 69."""
    done = subprocess.run(
        mswatch("status", "work"), env=environment(world.base), capture_output=True, text=True, check=False
    )

    assert done.returncode == 69
    assert done.stdout.startswith("work: not running")


def test_no_home(world: World) -> None:
    """Without HOME the service ends with 78 and says what is missing."""
    env = environment(world.base)
    del env["HOME"]
    world.write()
    with Service(world.base, "--config", str(world.file), env=env) as service:
        assert service.wait() == 78
        assert "HOME" in service.log


def test_no_runtime_directory(world: World) -> None:
    """Without a runtime directory the socket is found elsewhere, by the service and by its clients alike."""
    env = environment(world.base)
    del env["XDG_RUNTIME_DIR"]
    world.write()
    with Service(world.base, "--config", str(world.file), env=env) as service:
        service.expect("Sync completed")

        assert service.call("status", "work").returncode == 0


def test_a_runtime_directory_that_cannot_be_written(world: World) -> None:
    """A runtime directory that is none ends the start with 75 and its name."""
    env = environment(world.base) | {"XDG_RUNTIME_DIR": "/proc/self"}
    world.write()
    with Service(world.base, "--config", str(world.file), env=env) as service:
        assert service.wait() == 75
        assert "/proc/self/mswatch" in service.log


def test_a_very_long_runtime_directory(world: World) -> None:
    """A path that is longer than a socket's address can be is no obstacle."""
    deep = world.base / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True, mode=0o700)
    env = environment(world.base) | {"XDG_RUNTIME_DIR": str(deep)}
    world.write()
    with Service(world.base, "--config", str(world.file), env=env) as service:
        service.expect("Sync completed")

        assert service.call("status", "work").returncode == 0


def test_a_record_on_a_full_disk(world: World) -> None:
    """A record that cannot be written is given up with a line; the service goes on."""
    with world.in_step("--record", "/dev/full") as service:
        assert "cannot write the record any more: No space left on device" in service.log


def test_a_record_replays(world: World, tmp_path: Path) -> None:
    """What --record writes is a transcript that the engine repeats."""
    from mswatch.core.transcript import replay

    record = tmp_path / "record"
    with world.in_step("--record", str(record)) as service:
        world.near.say("Entwürfe\n".encode())
        service.expect("Sync completed")
        service.end()
    expected, actual = replay(record.read_text().splitlines())

    assert actual == expected
    assert any("EndService" in line for line in expected)


def test_status_for_people(world: World) -> None:
    """Status names stores, runs and mailboxes in words."""
    with world.in_step() as service:
        world.near.say(b"Sent\n")
        service.expect("Sync completed")
        text = service.call("status").stdout

        assert text.startswith(f"work: process {service.process.pid}, up ")
        assert "store near: watching for" in text
        assert "Sent: in step" in text
