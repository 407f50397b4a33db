"""Where passwords come from: what is checked, what is bounded, and what is never shown."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import time
from pathlib import Path

import pytest

from mswatch.errors import ConfigError, MswatchError, TemporaryError
from mswatch.imap_session.credentials import OUTPUT_LIMIT, obtain
from mswatch.imap_session.settings import Login
from tests.imap_session.conftest import password_file


def shell(line: str) -> Login:
    """Return a login whose password comes from a line for the shell."""
    return Login(command=("sh", "-c", line))


def test_command() -> None:
    """The first line of a command is the password, whatever follows."""
    login = shell("printf 'p\u00e4ss word\\r\\nlogin: alice\\n'")
    assert obtain(login).reveal() == "p\u00e4ss word"


def test_command_is_run_anew(tmp_path: Path) -> None:
    """Nothing is kept: the next login gets the next token."""
    login = shell(f"echo >> {tmp_path}/runs; wc -l < {tmp_path}/runs")
    assert [obtain(login).reveal().strip() for _ in range(3)] == ["1", "2", "3"]


def test_command_that_leaves_something_behind() -> None:
    """A command that starts an agent, which keeps the output open, is over when it is over."""
    began = time.monotonic()
    assert obtain(shell("sleep 30 & echo secret")).reveal() == "secret"
    assert time.monotonic() - began < 20


def test_command_that_hangs(tmp_path: Path) -> None:
    """A command that takes too long is ended with what it started."""
    login = shell(f"sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000'; true")._replace(limit_s=3.0)
    with pytest.raises(TemporaryError, match="did not end within"):
        obtain(login)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(2000):
            os.kill(pid, 0)
            time.sleep(0.01)


def test_command_that_fails() -> None:
    """Its first complaint is told; its output is not, because there may be a password in it."""
    with pytest.raises(TemporaryError) as caught:
        obtain(shell("echo hunter2; printf 'gpg: \\033[2Jno secret key\\nmore\\n' >&2; exit 2"))
    assert "failed with 2: gpg: \\u001b[2Jno secret key" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "more" not in str(caught.value)


@pytest.mark.parametrize("command", ["true", "echo", "printf '\\377\\n'"])
def test_command_without_a_password(command: str) -> None:
    """No password, or one that is no text, is told."""
    with pytest.raises(ConfigError):
        obtain(shell(command))


def test_command_that_says_too_much() -> None:
    """Endless output fills no memory and blocks nobody."""
    assert (
        len(obtain(shell(f"head -c {OUTPUT_LIMIT * 20} /dev/zero | tr '\\0' x")).reveal()) <= OUTPUT_LIMIT * 2
    )


def test_file(tmp_path: Path) -> None:
    """The first line of a file that only we can read is the password."""
    path = password_file(tmp_path / "password", "secret\nmore")
    assert obtain(Login(file=path)).reveal() == "secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_may_read(tmp_path: Path, mode: int) -> None:
    """A password that others may read is not used, and the remedy is told."""
    path = password_file(tmp_path / "password", "hunter2")
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others may read") as caught:
        obtain(Login(file=path))
    assert caught.value.fix == f"chmod 600 {path}"


def test_no_file(tmp_path: Path) -> None:
    """A missing file, a directory and a FIFO are told and block nobody."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    for path in (tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        with pytest.raises(MswatchError):
            obtain(Login(file=path))


def test_nobody_to_ask() -> None:
    """Without a terminal nobody can be asked; without any source there is nothing to log in with."""
    pid = os.fork()
    if pid == 0:  # in a session of its own there is no terminal
        os.setsid()
        try:
            obtain(Login("alice", asks=True))
        except ConfigError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    with pytest.raises(ConfigError, match="no password"):
        obtain(Login("alice"))


ASK = """
import sys
from mswatch.errors import MswatchError
from mswatch.imap_session.credentials import obtain
from mswatch.imap_session.settings import Login
try:
    print("got", obtain(Login("alice", asks=True, limit_s=float(sys.argv[1]))).reveal())
except MswatchError as error:
    print("told", type(error).__name__)
"""


def asked(limit_s: float, *answer: bytes) -> str:
    """Ask at a terminal of its own, answer there, and return all that it shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASK, str(limit_s)])
    shown = b""
    while b"alice: " not in shown:
        shown += os.read(terminal, 1000)
    for each in answer:
        os.write(terminal, each)
    with contextlib.suppress(OSError):  # a terminal ends so
        while more := os.read(terminal, 1000):
            shown += more
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    return shown.decode()


def test_asked_at_a_terminal() -> None:
    """What is typed is the password, and is not shown while it is typed."""
    shown = asked(60, b"hunter2\n")
    assert shown.count("hunter2") == 1
    assert "got hunter2" in shown


def test_nobody_answers_at_a_terminal() -> None:
    """A question that nobody answers is taken back: others wait for the lock."""
    assert "told TemporaryError" in asked(0.5)
    assert "told TemporaryError" in asked(60, b"\x04")


def test_program_that_is_not_there() -> None:
    """A command that cannot be started is the configuration's fault."""
    with pytest.raises(ConfigError, match="cannot be started"):
        obtain(Login(command=("/nonexistent/pass",)))
