"""Maildirs as a delivery agent and a mail reader handle them: written in ``tmp``, renamed into place.

Whoever else works on a Maildir renames messages at any time, a server that is only asked for a list as well.
So all that is done here with a message that was there finds it again under its new name, as mail readers do.

Messages are compared by the digest of their body, since synchronisers add headers (mbsync its X-TUID) and
IMAP changes line ends.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mswatch.account import Layout
from mswatch.names import NameForm, canonical, own

T = TypeVar("T")

_numbers = itertools.count(1)


def make_message(subject: str = "a message") -> bytes:
    """Return a message whose body no other message has."""
    number = f"{os.getpid()}.{next(_numbers)}.{time.time_ns()}"
    return (
        f"From: sender@example.org\nTo: tester@example.org\nSubject: {subject}\n"
        f"Message-ID: <{number}@example.org>\n\nMessage {number}.\n"
    ).encode()


def digest(message: bytes) -> str:
    """Return the SHA-256 of a message's body, whatever its line ends."""
    _, _, body = message.replace(b"\r\n", b"\n").partition(b"\n\n")
    return hashlib.sha256(body).hexdigest()


def make_maildir(path: Path) -> Path:
    """Make a Maildir with its three directories; one that exists is left as it is."""
    for name in ("tmp", "cur", "new"):  # new last: who sees it may rely on the others
        (path / name).mkdir(parents=True, exist_ok=True)
    return path


def deliver(maildir: Path, message: bytes | None = None) -> Path:
    """Deliver a message as a delivery agent does, and return its path in ``new``."""
    name = f"{time.time_ns()}.P{os.getpid()}Q{next(_numbers)}.example"
    written = maildir / "tmp" / name
    written.write_bytes(make_message() if message is None else message)
    return written.rename(maildir / "new" / name)


def set_flags(message: Path, flags: str) -> Path:
    """Rename a message into ``cur`` with these Maildir flags (``S``, ``FS``) and return its new path."""

    def rename(path: Path) -> Path:
        unique, _, _ = path.name.partition(":2,")
        return path.rename(path.parent.parent / "cur" / f"{unique}:2,{''.join(sorted(flags))}")

    return _do_where_it_is(message, rename)


def remove(message: Path) -> None:
    """Delete a message."""
    _do_where_it_is(message, Path.unlink)


def _do_where_it_is(message: Path, act: Callable[[Path], T]) -> T:
    begin = message.name.partition(":2,")[0].partition(",")[0]  # mbsync adds its UID after a comma
    for _ in range(100):
        try:
            return act(message)
        except FileNotFoundError:
            there = [path for path in messages(message.parent.parent) if path.name.startswith(begin)]
            message = there[0] if there else message  # a list that is read meanwhile may miss it
    raise FileNotFoundError(message)


def flags_of(message: Path) -> str:
    """Return the Maildir flags in a message's file name."""
    return message.name.partition(":2,")[2]


def messages(maildir: Path) -> list[Path]:
    """Return the files of all messages in a Maildir."""
    return [path for name in ("new", "cur") for path in sorted((maildir / name).iterdir())]


@dataclass(frozen=True)
class MaildirStore:
    """A Maildir tree; mailboxes are called by their canonical names, and have modified UTF-7 ones on disk."""

    root: Path
    layout: Layout = "maildir++"

    def path(self, mailbox: str = "INBOX") -> Path:
        """Return where a mailbox is or would be."""
        on_disk = own(mailbox, self._form)
        assert on_disk is not None
        if self.layout == "nested":
            return self.root / on_disk
        return self.root if mailbox == "INBOX" else self.root / f".{on_disk}"

    @property
    def _form(self) -> NameForm:
        return NameForm("/" if self.layout == "nested" else ".", "utf-7")

    def make(self, mailbox: str = "INBOX") -> Path:
        """Make a mailbox and return its directory."""
        return make_maildir(self.path(mailbox))

    def remove(self, mailbox: str) -> None:
        """Remove a mailbox with all that is in it."""
        shutil.rmtree(self.path(mailbox))

    def mailboxes(self) -> list[str]:
        """Return the names of all mailboxes."""
        found = [path.parent.relative_to(self.root) for path in self.root.glob("**/cur")]
        return sorted(self._name(path) for path in found)

    def _name(self, relative: Path) -> str:
        if self.layout == "nested":
            return canonical(str(relative), self._form)
        return "INBOX" if relative == Path() else canonical(relative.name[1:], self._form)

    def contents(self) -> dict[str, list[tuple[str, str]]]:
        """Return the sorted (digest, flags) pairs of each mailbox; a doubled message is there twice."""
        while True:
            try:
                return {
                    mailbox: sorted(map(_summary, messages(self.path(mailbox))))
                    for mailbox in self.mailboxes()
                }
            except FileNotFoundError:  # renamed or removed between the list and the look
                continue


def _summary(message: Path) -> tuple[str, str]:
    return digest(message.read_bytes()), flags_of(message)
