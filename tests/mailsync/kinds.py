"""Worlds whose two stores are of any kind on this machine; others edit them as other programs would.

mbox files and MH folders are edited by the standard library's ``mailbox``, so that nothing of ours judges
itself.
"""

from __future__ import annotations

import fcntl
import mailbox as mailbox_module
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.stores.contract import Store
from mswatch.mailsync.stores.mbox import MboxStore
from mswatch.mailsync.stores.mh import MhStore
from mswatch.names import NameForm
from tests.mailsync.worlds import FORM, World, body, name_of
from tests.servers.waiting import wait_until

MH_FORM = NameForm("/", "utf-8", (("inbox", "INBOX"),))
MBOX_FROM = "MAILER-DAEMON Tue Nov 14 22:13:20 2023"


AnyMessage = TypeVar("AnyMessage", mailbox_module.mboxMessage, mailbox_module.MHMessage)


class KindWorld(World):
    """A world with a kind of store on each side."""

    kinds: dict[Side, str]

    def __init__(self, directory: Path, near: str, far: str) -> None:
        super().__init__(directory)
        self.kinds = {"near": near, "far": far}

    def store(self, side: Side) -> Store:
        return self._store(side, dry=False)

    def dry_store(self, side: Side) -> Store:
        return self._store(side, dry=True)

    def _store(self, side: Side, *, dry: bool) -> Store:
        journals = self.directory / "journals"
        if self.kinds[side] == "mbox":
            return MboxStore(side, self.path(side), FORM, journals, looks_only=dry)
        if self.kinds[side] == "mh":
            return MhStore(side, self.path(side), MH_FORM, journals, looks_only=dry)
        return super().store(side)

    def make(self, side: Side, mailbox: str) -> Path:
        if self.kinds[side] == "maildir":
            return super().make(side, mailbox)
        if self.kinds[side] == "mh":
            return self.folder(side, mailbox)
        path = self.path(side) / mailbox
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def put(self, side: Side, mailbox: str, name: str, flags: str = "", data: bytes | None = None) -> Path:
        if self.kinds[side] == "maildir":
            return super().put(side, mailbox, name, flags, data)
        if self.kinds[side] == "mh":
            folder = mailbox_module.MH(self.folder(side, mailbox))
            number = folder.add(mailbox_module.MHMessage(body(name) if data is None else data))
            flag_number(folder, int(number), flags)
            return self.folder(side, mailbox) / str(number)
        path = self.make(side, mailbox)
        with opened(path) as box:
            message = mailbox_message(body(name) if data is None else data, flags)
            box.add(message)
        return path

    def set(self, side: Side, mailbox: str, name: str, flags: str) -> None:
        if self.kinds[side] == "maildir":
            super().set(side, mailbox, name, flags)
            return
        if self.kinds[side] == "mh":
            folder = mailbox_module.MH(self.folder(side, mailbox))
            flag_number(folder, int(found(folder, name)[0]), flags)
            return
        with opened(self.path(side) / mailbox) as box:
            key, message = found(box, name)
            box[key] = with_flags(message, flags)

    def folder(self, side: Side, mailbox: str) -> Path:
        """Return an MH folder, made if there is none, with sequences, which make it one."""
        path = self.path(side) / ("inbox" if mailbox == "INBOX" else mailbox)
        path.mkdir(parents=True, exist_ok=True)
        (path / ".mh_sequences").touch()
        return path

    def flag(self, side: Side, mailbox: str, name: str) -> None:
        """Mark a message in the file as a careful program does: locked, and in place."""
        path = self.path(side) / mailbox
        with DotLock(path), path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            data = file.read()
            line = f"Subject: {name}\n".encode()
            if line not in data or line + b"X-Status" in data:
                raise FileNotFoundError(name)
            at = data.index(line) + len(line)
            file.seek(at)
            file.write(b"X-Status: F\n" + data[at:])

    def delete(self, side: Side, mailbox: str, name: str) -> None:
        if self.kinds[side] == "maildir":
            super().delete(side, mailbox, name)
            return
        if self.kinds[side] == "mh":
            folder = mailbox_module.MH(self.folder(side, mailbox))
            folder.remove(found(folder, name)[0])
            return
        with opened(self.path(side) / mailbox) as box:
            del box[found(box, name)[0]]

    def leftovers(self) -> list[str]:
        journals = self.directory / "journals"
        left = [str(path) for path in journals.iterdir()] if journals.exists() else []
        unfinished = [*self.directory.rglob("*.lock"), *self.directory.rglob(",mailsync-*")]
        return [*super().leftovers(), *left, *map(str, unfinished)]


def flag_number(folder: mailbox_module.MH, number: int, flags: str) -> None:
    """Put a message into the sequences that flags stand for, and out of all others."""
    names = {"R": "replied", "F": "flagged", "w": "work", "T": "deleted", "D": "draft", "P": "forwarded"}
    wanted = {names[flag] for flag in flags if flag in names} | (set() if "S" in flags else {"unseen"})
    sequences = folder.get_sequences()
    for name in {*sequences, *wanted}:
        members = set(sequences.get(name, ())) - {number}
        sequences[name] = sorted(members | ({number} if name in wanted else set()))
    folder.set_sequences(sequences)


class DotLock:
    """A dot lock as delivery agents make it."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")

    def __enter__(self) -> None:
        wait_until(self._made, "the dot lock is free")

    def _made(self) -> bool:
        try:
            self._path.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._path.unlink()


class opened:  # noqa: N801 - used as a function is
    """An mbox, open and locked in the standard library's way."""

    def __init__(self, path: Path) -> None:
        self._box = mailbox_module.mbox(path)

    def __enter__(self) -> mailbox_module.mbox:
        self._box.lock()
        return self._box

    def __exit__(self, *_: object) -> None:
        self._box.flush()
        self._box.close()


def mailbox_message(data: bytes, flags: str) -> mailbox_module.mboxMessage:
    """Return a message as the library writes it."""
    message = mailbox_module.mboxMessage(data)
    message.set_from(MBOX_FROM)
    return with_flags(message, flags)


def with_flags(message: mailbox_module.mboxMessage, flags: str) -> mailbox_module.mboxMessage:
    """Give a message flags; the library knows no drafts and no keywords."""
    letters = {"S": "R", "R": "A", "F": "F", "T": "D"}
    message.set_flags("O" + "".join(letters[flag] for flag in flags if flag in letters))
    if "D" in flags:
        message.replace_header("X-Status", (message["X-Status"] or "") + "T") if "X-Status" in message else (
            message.add_header("X-Status", "T")
        )
    del message["X-Keywords"]
    keywords = [word for letter, word in (("w", "work"), ("P", "$Forwarded")) if letter in flags]
    if keywords:
        message["X-Keywords"] = " ".join(keywords)
    return message


def found(box: mailbox_module.Mailbox[AnyMessage], name: str) -> tuple[str, AnyMessage]:
    """Return the message of this name, and its key."""
    for key, message in box.items():
        if name_of(message.as_bytes()) == name:
            return key, message
    raise FileNotFoundError(name)


def at_work_on_both(world: World, script: str, seconds: str) -> list[subprocess.Popen[bytes]]:
    """Start a program on the INBOX of each side: its arguments are where that is, how long, and the side."""
    return [
        subprocess.Popen(
            (sys.executable, "-c", script, str(world.make(side, "INBOX")), seconds, side),
            stdout=subprocess.PIPE,
        )
        for side in SIDES
    ]


def names_made(programs: Sequence[subprocess.Popen[bytes]]) -> list[str]:
    """Wait for the end of such programs, which say how many messages they made, and name these."""
    made = [int(program.communicate()[0]) for program in programs]
    return [f"{side}{n}" for side, count in zip(SIDES, made, strict=True) for n in range(1, count + 1)]
