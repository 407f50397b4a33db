"""Small worlds of two Maildir stores and their state, written down as text, and runs over them.

A world is lines, one for each message: its name (and mailbox), what it is on near, on far and in the base,
and what both sides shall hold at the end:

    a      x  -  -  -> x        new on near, copied to far
    b      S  x  x  -> S        read on near
    box/c  -  x  x  -> -        deleted on near, in the mailbox "box"
    d      S  x  x  -> S x      both sides at the end, where they are to differ

``-`` is absence, ``x`` presence without flags, letters are flags as in Maildir names (``w``: the keyword
"work").  ``b=a``: the message b has the bytes of a.  ``b~a``: it has the header of a, and a body of its own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.dry import DryStore
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.flags import ANSWERED, DELETED, DRAFT, FLAGGED, FORWARDED, SEEN, Flags
from mswatch.mailsync.options import Done, Options, Outcome
from mswatch.mailsync.state import State
from mswatch.mailsync.stores.contract import Message, Store
from mswatch.mailsync.stores.maildir import MaildirStore
from mswatch.names import NameForm

_LETTERS = {
    "S": SEEN,
    "R": ANSWERED,
    "F": FLAGGED,
    "T": DELETED,
    "D": DRAFT,
    "P": FORWARDED,
    "w": "work",
}
_NAMES = {flag: letter for letter, flag in _LETTERS.items()}
FORM = NameForm("/", "utf-7")


class Listening:
    """Whoever is told what happens; keeps it."""

    def __init__(self) -> None:
        self.told: list[Done] = []

    def expect(self, messages: int) -> None:
        """Take no note."""

    def advance(self, messages: int = 1) -> None:
        """Take no note."""

    def done(self, done: Done) -> None:
        """Keep what was done."""
        self.told.append(done)


@dataclass(frozen=True)
class Line:
    """A message of a world: flags as letters, None where it is not."""

    name: str
    mailbox: str
    bytes_of: str
    near: str | None
    far: str | None
    base: str | None
    after: tuple[str | None, str | None]


def parse(world: str) -> list[Line]:
    """Read the lines of a world."""
    lines = []
    for text in filter(str.strip, world.split("\n")):
        now, _, after = text.partition("->")
        name, near, far, base = now.split()
        ends = [_letters(word) for word in after.split()]
        mailbox, _, name = name.rpartition("/")
        bytes_of = name.partition("=")[2] or name
        flags = (_letters(near), _letters(far), _letters(base))
        file_name = name.partition("=")[0].replace("~", "-")
        lines.append(Line(file_name, mailbox or "INBOX", bytes_of, *flags, (ends[0], ends[-1])))
    return lines


def _letters(word: str) -> str | None:
    return None if word == "-" else "".join(sorted(word.replace("x", "")))


def body(name: str, size: int = 0) -> bytes:
    """Return the message of this name; of ``b~a`` with the header of a."""
    own, _, header = name.partition("~")
    header = header or own
    head = f"From: {header}@example.org\nSubject: {header}\nMessage-ID: <{header}@example.org>\n\n"
    return head.encode() + f"Body of {own}.\n".encode() * (1 + size // 15)


def name_of(data: bytes) -> str:
    """Return the name of a message."""
    header = data.partition(b"Subject: ")[2].partition(b"\n")[0].decode().strip()
    own = data.partition(b"\nBody of ")[2].partition(b".")[0].decode() or header
    return own if own == header else f"{own}~{header}"


Contents = dict[str, Counter[tuple[str, str]]]  # by mailbox: messages (name, flags), and how often


class World:
    """Two Maildir stores in a directory, and the state of their pair."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, side: Side) -> Path:
        """Return where a store is."""
        return self.directory / side

    def store(self, side: Side) -> Store:
        """Return a store."""
        return MaildirStore(side, self.path(side), "nested", FORM)

    @property
    def state_file(self) -> Path:
        """Where the state is."""
        return self.directory / "state.sqlite"

    def sync(
        self, options: Options | None = None, only: list[str] | None = None
    ) -> tuple[Outcome, Listening]:
        """Run once."""
        listening = Listening()
        with State.opened(self.state_file) as (state, _):
            engine = Engine(self.store("near"), self.store("far"), state, options or Options(), listening)
            return engine.run(only), listening

    def dry_store(self, side: Side) -> Store:
        """Return a store that is only looked at."""
        return self.store(side)

    def dry_run(self, options: Options | None = None) -> list[Done]:
        """Say what a run would do, changing nothing."""
        listening = Listening()
        near, far = (DryStore(self.dry_store(side)) for side in SIDES)
        with TemporaryDirectory() as copy:
            if self.state_file.exists():
                State.copy_file(self.state_file, Path(copy))
            with State.opened(Path(copy) / self.state_file.name) as (state, _):
                Engine(near, far, state, options or Options(), listening).run()
        return listening.told

    def make(self, side: Side, mailbox: str) -> Path:
        """Make a mailbox."""
        path = self.path(side) / mailbox
        for part in ("tmp", "cur", "new"):
            (path / part).mkdir(parents=True, exist_ok=True)
        if not (path / "dovecot-keywords").exists():
            (path / "dovecot-keywords").write_text("0 work\n")
        return path

    def put(self, side: Side, mailbox: str, name: str, flags: str = "", data: bytes | None = None) -> Path:
        """Deliver a message, under a name that says what it is."""
        path = self.make(side, mailbox) / "cur" / f"{name}.{side}:2,{on_disk(flags)}"
        path.write_bytes(body(name) if data is None else data)
        return path

    def find(self, side: Side, mailbox: str, name: str) -> Path:
        """Return the file of the message with this content."""
        for part in ("cur", "new"):
            for path in sorted((self.path(side) / mailbox / part).iterdir()):
                if name_of(path.read_bytes()) == name:
                    return path
        raise FileNotFoundError(f"{name} in {mailbox} of {side}")

    def set(self, side: Side, mailbox: str, name: str, flags: str) -> None:
        """Give a message other flags, as a mail reader does."""
        path = self.find(side, mailbox, name)
        path.rename(path.parent.parent / "cur" / f"{path.name.partition(':')[0]}:2,{on_disk(flags)}")

    def delete(self, side: Side, mailbox: str, name: str) -> None:
        """Remove a message, as a mail reader does."""
        self.find(side, mailbox, name).unlink()

    def contents(self, side: Side) -> Contents:
        """Return what a store holds, read by our own store, each message as often as it is there."""
        store = self.store(side)
        if not store.open():
            return {}
        found: Contents = {}
        for name in store.mailboxes():
            mailbox = store.open_mailbox(name)
            scan = mailbox.scan(None)
            found[name] = Counter(
                (name_of(b"".join(each.chunks)), letters(scan.present[each.key] or frozenset()))
                for each in mailbox.read(list(scan.present))
                if isinstance(each, Message)
            )
        store.close()
        return found

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return every file and directory of both stores, with what changes when it is touched."""
        found = {}
        for side in SIDES:
            for path in [self.path(side), *self.path(side).rglob("*")]:
                status = path.lstat()
                found[str(path.relative_to(self.directory))] = (status.st_ino, status.st_ctime_ns)
        return found

    def leftovers(self) -> list[str]:
        """Return what is in the directories for unfinished messages."""
        return [str(path) for side in SIDES for path in self.path(side).rglob("tmp/*")]

    def remembered(self) -> list[tuple[object, ...]]:
        """Return the rows of the state, without their numbers, and what is still intended."""
        database = sqlite3.connect(self.state_file)
        try:
            query = (
                "SELECT mailbox.name, near_flags, far_flags FROM message JOIN mailbox ON mailbox.id = mailbox"
            )
            rows = sorted(database.execute(query).fetchall(), key=repr)
            return rows + database.execute("SELECT * FROM intention").fetchall()
        finally:
            database.close()

    def exchange(self) -> None:
        """Have the state take near for far: both directories were exchanged."""
        database = sqlite3.connect(self.state_file)
        with database:
            for table, columns in (
                ("message", ("", "_flags")),
                ("mailbox", ("_identity", "_epoch", "_mark")),
            ):
                for column in columns:
                    database.execute(
                        f"UPDATE {table} SET near{column} = far{column}, far{column} = near{column}"
                    )
            database.execute("UPDATE about SET name = 'old' || name WHERE name LIKE '%identity'")
            database.execute("UPDATE about SET name = 'near_identity' WHERE name = 'oldfar_identity'")
            database.execute("UPDATE about SET name = 'far_identity' WHERE name = 'oldnear_identity'")
        database.close()

    def copy_stores(self, directory: Path) -> World:
        """Return a world with copies of both stores, that never met."""
        for side in SIDES:
            shutil.copytree(self.path(side), directory / side)
        return World(directory)

    def copy(self, directory: Path) -> World:
        """Return the same world elsewhere, down to the times of its directories."""
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.directory, directory, symlinks=True)
        copied = World(directory)
        database = sqlite3.connect(copied.state_file)
        with database:  # the copy is the store that was there before, not one made anew
            for side in SIDES:
                inode = str(copied.path(side).stat().st_ino).encode()
                database.execute("UPDATE about SET value = ? WHERE name = ?", (inode, f"{side}_identity"))
        database.close()
        return copied


def acts(told: Iterable[Done]) -> Counter[tuple[str, ...]]:
    """Return what was done as it can be compared: by which key a message will go is not known before."""
    return Counter((each.what, each.side, each.mailbox, each.detail, str(bool(each.key))) for each in told)


def build(directory: Path, world: str, made: World | None = None) -> World:
    """Make a world: what is in the base is synced first, then both sides are edited."""
    made = made or World(directory)
    directory.mkdir(exist_ok=True)
    lines = parse(world)
    for line in lines:
        for side in SIDES:
            made.make(side, line.mailbox)
        if line.base is not None:
            made.put("near", line.mailbox, line.name, line.base, body(line.bytes_of))
    outcome, _ = made.sync()
    assert not outcome.failed, outcome
    for line in lines:
        _edit(made, "near", line, line.near)
        _edit(made, "far", line, line.far)
    return made


def _edit(world: World, side: Side, line: Line, wanted: str | None) -> None:
    if wanted is None and line.base is not None:
        world.delete(side, line.mailbox, line.bytes_of)
    elif wanted is not None and line.base is None:
        world.put(side, line.mailbox, line.name, wanted, body(line.bytes_of))
    elif wanted is not None and wanted != line.base:
        world.set(side, line.mailbox, line.bytes_of, wanted)


def expected(world: str, side: Side) -> Contents:
    """Return what a side shall hold at the end."""
    found: Contents = {}
    for line in parse(world):
        flags = line.after[SIDES.index(side)]
        there = found.setdefault(line.mailbox, Counter())
        if flags is not None:
            there[line.bytes_of, flags] += 1
    return found


def letters(flags: Flags) -> str:
    """Return flags as letters."""
    return "".join(sorted(_NAMES[flag] for flag in flags))


def on_disk(flags: str) -> str:
    """Return letters as they are in a file name."""
    return "".join(sorted(flags.replace("w", "a")))


_CALLS = (
    *("open", "read", "pread", "write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "utime"),
    *("link", "rename", "unlink", "mkdir", "rmdir", "listdir"),
)


@contextmanager
def each_call(act: object, calls: tuple[str, ...] = _CALLS) -> Iterator[None]:
    """Have ``act`` be called before every call of the system that a run makes, and around each commit."""
    real = {name: getattr(os, name) for name in calls}
    real_transaction = State.transaction

    def before(name: str) -> object:
        def call(*arguments: object, **named: object) -> object:
            act(name)  # type: ignore[operator]
            return real[name](*arguments, **named)

        return call

    @contextmanager
    def transaction(self: State) -> Iterator[None]:
        with real_transaction(self):
            yield
            act("commit")  # type: ignore[operator]
        act("committed")  # type: ignore[operator]

    for name in calls:
        setattr(os, name, before(name))
    State.transaction = transaction  # type: ignore[method-assign]
    try:
        yield
    finally:
        State.transaction = real_transaction  # type: ignore[method-assign]
        for name in calls:
            setattr(os, name, real[name])
