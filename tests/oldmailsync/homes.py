"""Two homes with the same mboxes and the same ~/.mailsync: one for the old program, one for ours."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mswatch import mailsync_command
from tests.servers import oldmailsync
from tests.servers.waiting import DEADLINE_S

CONFIGURATION = """\
store a { pat A/% prefix A/ }
store b { pat B/% prefix B/ }
channel ab a b { msinfo msinfo }
"""


@dataclass(frozen=True)
class Mail:
    """A message of an mbox; its name is id and subject."""

    name: str
    status: str = ""  # as in Status and X-Status: "R", "D", "F" ...
    size: int = 0
    id: str | None = None  # None: of the name
    body: str = ""

    def text(self) -> str:
        """Return it as it is in an mbox."""
        head = [
            f"From: Alice <alice@example.org>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nSubject: {self.name}\n"
        ]
        if self.id != "":
            head.append(f"Message-ID: <{self.id or f'{self.name}@example.org'}>\n")
        if self.status:
            ours = "".join(letter for letter in self.status if letter in "RO")
            head.append(f"Status: {ours or 'O'}\nX-Status: {''.join(sorted(set(self.status) - set('RO')))}\n")
        body = self.body or f"Body of {self.name}." + "x" * self.size
        return f"From x@example.org Mon Nov  2 10:00:00 2026\n{''.join(head)}\n{body}\n\n"


Mails = Iterable[Mail | str]


class Home:
    """A home directory."""

    def __init__(self, directory: Path, configuration: str = CONFIGURATION) -> None:
        self.directory = directory
        for name in ("A", "B"):
            (directory / name).mkdir(parents=True)
        self.configure(configuration)

    def configure(self, text: str) -> None:
        """Write ~/.mailsync."""
        file = self.directory / ".mailsync"
        file.write_text(text)
        file.chmod(0o600)

    def write(self, box: str, *mails: Mail | str) -> Path:
        """Write an mbox."""
        path = self.directory / box
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((Mail(mail) if isinstance(mail, str) else mail).text() for mail in mails))
        return path

    def remove(self, box: str, *names: str) -> None:
        """Take messages out of an mbox, as a mail reader does."""
        path = self.directory / box
        kept = [part for part in _parts(path) if _subject(part) not in names]
        path.write_bytes(b"".join(kept))

    def mark(self, box: str, name: str, status: str) -> None:
        """Give a message of an mbox this X-Status, as a mail reader does."""
        path = self.directory / box
        parts = []
        for part in _parts(path):
            header, _, body = part.partition(b"\n\n")
            if _subject(part) == name:
                lines = [line for line in header.split(b"\n") if not line.lower().startswith(b"x-status:")]
                header = b"\n".join([*lines, f"X-Status: {status}".encode()])
            parts.append(header + b"\n\n" + body)
        path.write_bytes(b"".join(parts))

    def contents(self, store: str) -> dict[str, list[str]]:
        """Return the subjects of the messages in each mbox of a store, sorted."""
        found = {}
        for path in sorted((self.directory / store).rglob("*")):
            if path.is_file():
                subjects = [_subject(part) for part in _parts(path)]
                found[path.name] = sorted(each for each in subjects if not each.startswith("DON'T DELETE"))
        return found

    def files(self) -> dict[str, tuple[int, int, bytes]]:
        """Return everything that is there: inode, time of change, content."""
        return {
            str(path.relative_to(self.directory)): (
                path.lstat().st_ino,
                path.lstat().st_mtime_ns,
                path.read_bytes() if path.is_file() else b"",
            )
            for path in self.directory.rglob("*")
        }

    def copy(self, directory: Path) -> Home:
        """Return a copy elsewhere."""
        shutil.copytree(self.directory, directory)
        home = object.__new__(Home)
        home.directory = directory
        return home

    def old(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run the old program."""
        return oldmailsync.run(self.directory, *words, status=status)

    def new(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run ours, in a child of this process: importing it anew takes ten times what most runs do."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                self._become(words, out.fileno(), err.fileno())
            ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "surrogateescape"))
        assert ended == status, (words, ended, *texts)
        return texts[0], texts[1]

    def _become(self, words: tuple[str, ...], out: int, err: int) -> NoReturn:
        status = 1
        try:
            signal.alarm(int(DEADLINE_S))
            for there, here in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
                os.dup2(there, here)
            sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
            os.environ.update(_environment(self.directory))
            for name in [name for name in os.environ if name.startswith("XDG_")]:
                del os.environ[name]
            time.tzset()
            status = mailsync_command.main(list(words))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def start(self, *words: str) -> tuple[int, str, str]:
        """Run ours as it is started by its users; return its status, and what it printed."""
        ended = subprocess.run(
            (sys.executable, "-m", "mswatch.mailsync_entry", *words),
            env={**os.environ, **_environment(self.directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=DEADLINE_S,
            text=True,
        )
        return ended.returncode, ended.stdout, ended.stderr


def _environment(home: Path) -> dict[str, str]:
    name = pwd.getpwuid(os.geteuid()).pw_name
    return {"HOME": str(home), "TZ": "UTC", "LOGNAME": name, "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}


def _parts(path: Path) -> list[bytes]:
    text = path.read_bytes()
    pieces = (b"\n" + text).split(b"\nFrom ")[1:]
    return [b"From " + piece.strip(b"\n") + b"\n\n" for piece in pieces]


def _subject(part: bytes) -> str:
    return part.partition(b"\nSubject: ")[2].partition(b"\n")[0].decode()
