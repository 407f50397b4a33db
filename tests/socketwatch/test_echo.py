"""Which messages a program made or removed, as told to $MSWATCH_ECHO_SOCKET."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from mswatch.socketwatch import shim_environment
from tests.servers import mbsync
from tests.servers.maildir import MaildirStore, deliver, make_maildir
from tests.servers.waiting import DEADLINE_S
from tests.socketwatch.harness import EchoSocket, the_shim

PRELUDE = """
import os, sys
def make(name, directory=None):
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, dir_fd=directory))
"""


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """An empty Maildir."""
    return make_maildir(tmp_path / "box")


def run(argv: list[str], echo: EchoSocket, directory: Path) -> None:
    """Run a program that echoes."""
    added = shim_environment(os.environ, the_shim(), echo_socket=echo.path)
    environment = {**os.environ, **added}
    environment.pop("NOTIFY_SOCKET", None)
    process = subprocess.Popen(argv, cwd=directory, env=environment)
    end = os.pidfd_open(process.pid)
    while end not in select.select([end, echo.fileno()], [], [], DEADLINE_S)[0]:
        echo.take()
    os.close(end)
    assert process.wait(DEADLINE_S) == 0


def records(program: str, echo: EchoSocket, maildir: Path) -> list[tuple[str, str]]:
    """Run some Python in a Maildir; return the records, with paths relative to it."""
    run([sys.executable, "-B", "-c", PRELUDE + program], echo, maildir)
    return [(operation, os.path.relpath(path, maildir)) for operation, path in echo.records()]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("make('new/1')", ["made new/1"]),
        ("open('new/1', 'w').close()", ["made new/1"]),
        ("make('tmp/1'); os.rename('tmp/1', 'new/1')", ["made new/1"]),
        ("make('new/1'); os.rename('new/1', 'cur/1:2,S')", ["made new/1", "removed new/1", "made cur/1:2,S"]),
        ("make('tmp/1'); os.link('tmp/1', 'new/1')", ["made new/1"]),
        ("make('cur/1'); os.unlink('cur/1')", ["made cur/1", "removed cur/1"]),
        ("os.chdir('cur'); make('1')", ["made cur/1"]),
        ("make('1', os.open('new', os.O_DIRECTORY))", ["made new/1"]),
        ("make('new/1', os.open('.', os.O_DIRECTORY))", ["made new/1"]),
        ("make(os.path.abspath('new/1'))", ["made new/1"]),
        ("make('new/.1')", ["made new/.1"]),
        # nothing happened, or it is no message
        ("make('tmp/1')", []),
        ("make('renew'); make('cur.1')", []),
        ("os.mkdir('cur/1')", []),
        ("open('tmp/1', 'w').close(); open('tmp/1', 'a').close(); os.truncate('tmp/1', 0)", []),
        ("try: os.unlink('cur/1')\nexcept FileNotFoundError: pass", []),
        # it cannot be told which file it is
        ("make('tmp/../new/1')", []),
        ("make('./new/1')", []),
    ],
)
def test_operations(maildir: Path, echo: EchoSocket, program: str, expected: list[str]) -> None:
    """A name that appears in cur or new, or vanishes from it, is told; nothing else is."""
    assert [" ".join(record) for record in records(program, echo, maildir)] == expected


def test_unreachable_directory(maildir: Path, echo: EchoSocket) -> None:
    """In a directory that was removed nothing is told."""
    program = "os.mkdir('x'); os.chdir('x'); os.rmdir('../x')\ntry: make('cur/1')\nexcept OSError: pass"
    assert records(program, echo, maildir) == []


def test_many_changes(maildir: Path, echo: EchoSocket) -> None:
    """Changes that come faster than the service takes them are gathered, and none is lost."""
    program = "for number in range(300): make(f'new/{number}')"
    run([sys.executable, "-B", "-c", PRELUDE + program], echo, maildir)
    found = echo.records()
    assert found == [("made", str(maildir / "new" / str(number))) for number in range(300)]


def test_records_of_a_parent_are_not_told_twice(maildir: Path, echo: EchoSocket) -> None:
    """A child does not tell what its parent gathered."""
    program = """
for number in range(600): make(f'new/{number}')
if os.fork() == 0: sys.exit()
os.wait()
"""
    run([sys.executable, "-B", "-c", PRELUDE + program], echo, maildir)
    found = echo.records()
    assert len(found) == len(set(found))


def test_long_names(maildir: Path, echo: EchoSocket) -> None:
    """Names as long as names may be are told whole, as long as there is room."""
    name = "x" * 250
    found = records(f"for number in range(10): make('new/' + {name!r} + str(number))", echo, maildir)
    assert found == [("made", f"new/{name}{number}") for number in range(10)]


@pytest.mark.slow
@pytest.mark.server
def test_mbsync(tmp_path: Path, echo: EchoSocket) -> None:
    """A run of real mbsync tells of just those files that it made or removed."""
    near, far = (MaildirStore(tmp_path / side, "nested") for side in ("near", "far"))
    for store in (near, far):
        store.make("INBOX")
    delivered = deliver(far.path("INBOX"))
    configuration = mbsync.write_configuration(tmp_path, near, far)
    before = files(near, far)
    run(list(mbsync.argv(configuration)), echo, tmp_path)
    after = files(near, far)
    assert delivered not in after  # mbsync notes its UID in the name
    told = echo.records()
    assert {path for operation, path in told if operation == "made"} >= {str(path) for path in after - before}
    assert {path for operation, path in told if operation == "removed"} >= {
        str(path) for path in before - after
    }


def files(*stores: MaildirStore) -> set[Path]:
    """Return all messages of some stores."""
    return {
        path for store in stores for name in ("cur", "new") for path in (store.path("INBOX") / name).iterdir()
    }
