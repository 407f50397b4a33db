"""Where a password or a token comes from.  It is asked for anew at each login, and kept nowhere.

A command gets a bounded time, is ended with all that it started when that is over, and what it leaves
running in the background (an agent) keeps nobody waiting.  Its first line is the secret; nothing of its
output is ever shown, only the first line of its complaints.  A person at the terminal gets the same time,
because whoever waits for an answer holds the account's lock; and where there is no terminal, nobody is asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mswatch.errors import ConfigError, TemporaryError
from mswatch.imap.secret import Secret
from mswatch.imap_session.settings import Login
from mswatch.showing import show

if TYPE_CHECKING:
    import subprocess
    from types import FrameType
    from typing import IO

    from mswatch.imap_session.settings import File

OUTPUT_LIMIT = 64 << 10  # tokens have a few kilobytes


def obtain(login: Login) -> Secret:
    """Return the password or token of a login.

    Raises:
        TemporaryError: the command failed, or took too long, as the person did; a keyring may be locked yet.
        ConfigError: the file is missing, or others may read it.
    """
    if login.given is not None:
        return login.given
    if login.command:
        return _from_command(login.command, login.limit_s)
    if login.file is not None:
        return _from_file(login.file)
    if login.asks:
        return _from_terminal(login.user, login.limit_s)
    raise ConfigError([f"no password for {show(login.user)}"], "say where it comes from: a command or a file")


def _from_file(path: File) -> Secret:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError([f"{show(str(path))}: the password cannot be read: {error.strerror}"]) from None
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise ConfigError([f"{show(str(path))}: the password should be in a file, and this is none"])
    with os.fdopen(fd, "rb") as file:
        if status.st_mode & 0o077 or status.st_uid not in (0, os.getuid()):
            raise ConfigError(
                [f"{show(str(path))}: others may read this password"], f"chmod 600 {show(str(path))}"
            )
        return _first_line(file.read(OUTPUT_LIMIT), show(str(path)))


def _from_terminal(user: str, limit_s: float) -> Secret:
    if not _is_at_a_terminal():
        raise ConfigError(
            [f"the password of {show(user)} is to be typed, and there is no terminal"],
            "for the service, let it come from password_command or password_file",
        )
    import getpass

    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        return Secret(getpass.getpass(f"Password of {show(user)}: "))
    except EOFError:
        raise TemporaryError(f"no password of {show(user)} was typed") from None
    finally:  # getpass has given the terminal its echo back
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _is_at_a_terminal() -> bool:
    """Tell whether there is one, and it is ours now: who asks from the background is stopped (termios(3))."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    finally:
        os.close(fd)


def _give_up(number: int, frame: FrameType | None) -> None:
    raise TemporaryError("nobody typed the password in time", "others may be waiting for this run to end")


def _from_command(command: Sequence[str], limit_s: float) -> Secret:
    import subprocess

    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # ended as a whole
        )
    except OSError as error:
        raise ConfigError(
            [f"the password command {show(command[0])} cannot be started: {error.strerror}"],
            "mend it; a service has another PATH than a terminal, so the whole path helps",
        ) from None
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        outputs = _read_until_exit(process, (process.stdout, process.stderr), limit_s)
    if outputs is None:
        raise TemporaryError(f"the password command did not end within {limit_s:g} s", "try it in a terminal")
    output, complaints = outputs
    if process.returncode:
        lines = complaints.decode("utf-8", "surrogateescape").strip().splitlines()
        said = f": {show(lines[0])}" if lines else ""
        raise TemporaryError(
            f"the password command failed with {process.returncode}{said}", "try it in a terminal"
        )
    return _first_line(output, "the password command")


def _read_until_exit(
    process: subprocess.Popen[bytes], pipes: tuple[IO[bytes], IO[bytes]], limit_s: float
) -> tuple[bytes, bytes] | None:
    """Read what a command prints until it ends; None when it did not within the limit, and is dead now."""
    end = time.monotonic() + limit_s
    kept = {pipe.fileno(): bytearray() for pipe in pipes}
    poll = select.poll()
    pidfd = os.pidfd_open(process.pid)
    try:
        for fd in (pidfd, *kept):
            poll.register(fd, select.POLLIN)
        while process.returncode is None:
            ready = [fd for fd, _ in poll.poll(max(0.0, end - time.monotonic()) * 1000)]
            if not ready:
                _kill(process)
                return None
            for fd in ready:
                if fd == pidfd:
                    process.wait()
                elif not _take(fd, kept[fd]):
                    poll.unregister(fd)
    finally:
        os.close(pidfd)
    for fd, text in kept.items():
        os.set_blocking(fd, False)
        with contextlib.suppress(BlockingIOError):
            while _take(fd, text):
                pass
    first, second = (bytes(kept[pipe.fileno()]) for pipe in pipes)
    return first, second


def _take(fd: int, text: bytearray) -> bool:
    data = os.read(fd, OUTPUT_LIMIT)
    if len(text) < OUTPUT_LIMIT:
        text += data
    return bool(data)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _first_line(text: bytes, source: str) -> Secret:
    line = text.split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise ConfigError([f"{source}: the first line is empty, and should be the password"])
    try:
        return Secret(line.decode())
    except UnicodeDecodeError:
        raise ConfigError([f"{source}: the password is no UTF-8"]) from None
