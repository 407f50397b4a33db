"""What is remembered between runs: for each mailbox the messages that both sides had, and what is intended.

One SQLite database for each pair of stores.  A row of ``message`` says what both sides held when they
last agreed, never what was last seen; a row of ``intention`` is written before a message is added
somewhere, with the key it shall get where the store lets us choose.  Whatever is lost of it costs time
and never mail: a state that is older than the stores is brought up to date by looking, and without any
state messages are paired by their bytes.  What a row says of bytes (``Compared``) is what was read, never
what is supposed: nothing is removed for the sake of a message whose bytes nobody has seen.

Order.  A row that says "both have it" must not reach the disk before the message does, or a cut of the
power would look like a deletion.  Stores bring messages to the disk before they report them, and rows are
written after the report.  The other way round nothing can happen, so commits need not reach the disk at
once: the write-ahead log with ``synchronous = NORMAL`` costs one write for a batch, a rollback journal
two fsyncs.

A damaged database is moved aside and begun anew, but only if it is damaged when one looks again: where a disk
fails for a moment, SQLite calls a database malformed too.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mswatch.errors import MswatchError, TemporaryError
from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.flags import Flags, from_text, to_text
from mswatch.mailsync.known import KnownMessages, portions
from mswatch.mailsync.safety import DAY_S, Carried
from mswatch.mailsync.stores.contract import Key, Mark, Stamp

VERSION = 3
BROKEN_AT_MOST = 3  # times in a row that a message may fail alone before it is left alone for a while
HOUR_S = 3600.0
_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE mailbox (
    id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE,
    near_identity BLOB NOT NULL, far_identity BLOB NOT NULL,
    near_epoch BLOB, far_epoch BLOB,   -- NULL: not known
    near_mark BLOB, far_mark BLOB,     -- NULL: look again
    verified INTEGER NOT NULL DEFAULT 0  -- the number of the last row that a verification under way has seen
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL,
    near BLOB, far BLOB,               -- keys; NULL: gone there, and to stay here
    near_flags TEXT, far_flags TEXT,
    digest BLOB,                       -- of the header's fields, by which candidates are found
    near_stamp BLOB, far_stamp BLOB,   -- what stands for the flags; NULL: not known
    content BLOB,                      -- of all bytes; NULL: nobody has seen them
    compared INTEGER NOT NULL DEFAULT 0  -- whose bytes these are: NEAR, FAR, CARRIED
);
CREATE INDEX message_near ON message (mailbox, near, near_stamp);
CREATE INDEX message_far ON message (mailbox, far, far_stamp);
CREATE INDEX message_not_compared ON message (compared, mailbox) WHERE compared < 3;
CREATE INDEX message_unseen ON message (mailbox) WHERE compared >= 8;
CREATE TABLE bad (
    mailbox INTEGER NOT NULL, side TEXT NOT NULL, source BLOB NOT NULL,
    tries INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (mailbox, side, source)
) WITHOUT ROWID;
CREATE TABLE carried (side TEXT NOT NULL, at REAL NOT NULL, mailbox BLOB NOT NULL, count INTEGER NOT NULL);
CREATE TABLE intention (mailbox INTEGER NOT NULL, side TEXT NOT NULL, source BLOB NOT NULL, key BLOB);
"""

_FROM_1 = """
ALTER TABLE message ADD COLUMN near_stamp BLOB;
ALTER TABLE message ADD COLUMN far_stamp BLOB;
DROP INDEX message_near;
DROP INDEX message_far;
CREATE INDEX message_near ON message (mailbox, near, near_stamp);
CREATE INDEX message_far ON message (mailbox, far, far_stamp);
"""

_FROM_2 = """
ALTER TABLE mailbox ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN content BLOB;
ALTER TABLE message ADD COLUMN compared INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_not_compared ON message (compared, mailbox) WHERE compared < 3;
CREATE INDEX message_unseen ON message (mailbox) WHERE compared >= 8;
CREATE TABLE bad (
    mailbox INTEGER NOT NULL, side TEXT NOT NULL, source BLOB NOT NULL,
    tries INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (mailbox, side, source)
) WITHOUT ROWID;
CREATE TABLE carried (side TEXT NOT NULL, at REAL NOT NULL, mailbox BLOB NOT NULL, count INTEGER NOT NULL);
"""

# What ``Compared.seen`` is made of: whose bytes were seen to be those of the digest; that one was made
# from the other by us; and that it was not seen since where it was put, and a server says that it is.
NEAR, FAR, CARRIED, UNSEEN_NEAR, UNSEEN_FAR = 1, 2, 4, 8, 16


class DamagedError(Exception):
    """The state says what cannot be: a disk or a program has changed it.  ``State.opened`` sets it aside."""


@dataclass(frozen=True)
class MailboxRow:
    """What is remembered of a mailbox."""

    id: int
    name: str
    near_identity: bytes
    far_identity: bytes
    near_epoch: bytes | None
    far_epoch: bytes | None
    near_mark: Mark | None
    far_mark: Mark | None

    def epoch(self, side: Side) -> bytes | None:
        """Return the epoch of a side; None if the mailbox never was there."""
        return self.near_epoch if side == "near" else self.far_epoch

    def identity(self, side: Side) -> bytes:
        """Return the identity on a side; empty if unknown."""
        return self.near_identity if side == "near" else self.far_identity

    def mark(self, side: Side) -> Mark | None:
        """Return the mark of a side."""
        return self.near_mark if side == "near" else self.far_mark


@dataclass(frozen=True, slots=True)
class Row:
    """A message that both sides had; a key is None where it is gone."""

    id: int
    near: Key | None
    far: Key | None
    near_flags: Flags | None
    far_flags: Flags | None


@dataclass(frozen=True, slots=True)
class HeldBy:
    """The flags that a side holds; what stands for them: this stamp (None: not known), or that before."""

    flags: Flags
    stamp: Stamp | None
    as_before: bool = False


@dataclass(frozen=True, slots=True)
class Agreed:
    """The row of a message on whose flags both sides agreed."""

    row: int
    near: HeldBy
    far: HeldBy


@dataclass(frozen=True, slots=True)
class Intention:
    """A message that was about to be added to a side."""

    side: Side
    source: Key
    key: Key | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of the bytes of a pair: their digest (None: nothing), and where these were seen."""

    content: bytes | None = None
    seen: int = 0

    def is_of(self, side: Side) -> bool:
        """Tell whether the digest is that of a side's message."""
        return self.content is not None and bool(self.seen & (CARRIED | seen_on(side)))

    @property
    def is_certain(self) -> bool:
        """Whether both are one message for certain, and both were there."""
        return self.is_of("near") and self.is_of("far") and not self.is_unseen

    @property
    def is_unseen(self) -> bool:
        """Whether one of both was only claimed to be there."""
        return self.seen >= UNSEEN_NEAR


NOT_COMPARED = Compared()


def unseen_on(side: Side) -> int:
    """Return that a message was put on a side, and not seen there since."""
    return UNSEEN_NEAR if side == "near" else UNSEEN_FAR


def seen_on(*sides: Side) -> int:
    """Return that the bytes were seen on these sides."""
    return sum(NEAR if side == "near" else FAR for side in set(sides))


@dataclass(frozen=True, slots=True)
class Bad:
    """A message that failed alone: how often, and when the last time, in seconds since 1970."""

    tries: int
    at: float

    @property
    def wait_s(self) -> float:
        """How long it is left alone after that: a link breaks now and then, but not always at one message."""
        doublings = self.tries - BROKEN_AT_MOST
        return 0.0 if doublings < 0 else min(HOUR_S * 2.0 ** min(doublings, 10), DAY_S)


# A row as it is stored, flags as text; and how to ask for such rows.
RawRow = tuple[int, Key | None, Key | None, str | None, str | None]
_MAILBOX = "id, name, near_identity, far_identity, near_epoch, far_epoch, near_mark, far_mark"
_ROWS = "SELECT id, near, far, near_flags, far_flags FROM message WHERE"


@dataclass(frozen=True, slots=True)
class NewRow:
    """A message that both sides have, to be remembered."""

    near: Key
    far: Key
    near_flags: Flags
    far_flags: Flags
    digest: bytes  # of the header's fields; empty: not known
    near_stamp: Stamp | None = None
    far_stamp: Stamp | None = None
    content: bytes | None = None  # as in ``Compared``
    seen: int = 0


class State:
    """The remembered state of a pair of stores."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[tuple[State, str]]:
        """Give the state in a file, made if there is none, and what a person should know of it.

        Raises:
            TemporaryError: It cannot be opened, or cannot be read or written any more.
        """
        try:
            database, note = _connect(os.fspath(path)), ""
        except (OSError, ValueError, sqlite3.DatabaseError) as error:  # the second: words that are no text
            if not _is_damaged(path):
                raise TemporaryError(
                    f"cannot open the state {str(path)!r}: {error}",
                    "make it and its directory writable; or remove it: messages are then paired anew",
                ) from error
            note = f"the state was damaged ({error}); it is now {_set_aside(path).name}"
            database = _connect(os.fspath(path))
        try:
            with closing(database):
                yield cls(database), note
        except (MswatchError, OSError):
            raise
        except Exception as error:  # rows that cannot be lead to any
            if _is_nonsense(error) or _is_damaged(path):
                raise TemporaryError(
                    f"the state was found damaged ({error}); it is now {_set_aside(path).name}",
                    "the next run pairs all messages anew, and deletes nothing",
                ) from error
            if isinstance(error, sqlite3.Error):
                raise TemporaryError(
                    f"the state {str(path)!r} cannot be worked on: {error}",
                    "make room on its disk, if it is full; the next run goes on from here",
                ) from error
            raise

    @staticmethod
    def copy_file(path: Path, directory: Path) -> None:
        """Copy the file of a state that nobody works on, with what a killed run left in its log."""
        for end in ("", "-wal"):
            file = path.with_name(path.name + end)
            if file.exists():
                (directory / file.name).write_bytes(file.read_bytes())

    @staticmethod
    def share_compared(path: Path) -> tuple[int, int] | None:
        """Return how many pairs are known to be one message, of how many, whoever works on the state.

        None if that cannot be read now: what a run under way has in its log is not looked at.
        """
        with suppress(OSError, ValueError, sqlite3.Error):
            address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            with closing(sqlite3.connect(address, uri=True)) as database:
                return State(database).compared_share()
        return None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all that is in the block, or nothing of it."""
        self._database.execute("BEGIN")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk has ended it already
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
            raise

    def about(self, name: str) -> bytes:
        """Return a remark about the pair; empty if there is none."""
        row = self._database.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else b""

    def set_about(self, name: str, value: bytes) -> None:
        """Remember a remark about the pair."""
        self._database.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def forget_everything(self) -> None:
        """Begin anew, as if the stores had never met."""
        with self.transaction():
            for table in ("about", "mailbox", "message", "intention", "carried", "bad"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours

    def forget_marks(self) -> None:
        """Have the next run look at every mailbox, and at all that is in it."""
        self._database.execute("UPDATE mailbox SET near_mark = NULL, far_mark = NULL")
        self._database.execute("UPDATE message SET near_stamp = NULL, far_stamp = NULL")

    def mailboxes(self) -> dict[str, MailboxRow]:
        """Return what is remembered of all mailboxes, by name."""
        rows = self._database.execute(f"SELECT {_MAILBOX} FROM mailbox ORDER BY name")  # noqa: S608
        return {(found := _mailbox_row(row)).name: found for row in rows}

    def add_mailbox(self, name: str) -> MailboxRow:
        """Remember a new mailbox."""
        cursor = self._database.execute(
            "INSERT INTO mailbox (name, near_identity, far_identity) VALUES (?, x'', x'')", (_name(name),)
        )
        return MailboxRow(cursor.lastrowid or 0, name, b"", b"", None, None, None, None)

    def save_mailbox(self, row: MailboxRow) -> None:
        """Remember a mailbox as the row has it."""
        self._database.execute(
            "UPDATE mailbox SET name = ?, near_identity = ?, far_identity = ?, near_epoch = ?, far_epoch = ?,"
            " near_mark = ?, far_mark = ? WHERE id = ?",
            (
                *(_name(row.name), row.near_identity, row.far_identity, row.near_epoch, row.far_epoch),
                *(row.near_mark, row.far_mark, row.id),
            ),
        )

    def drop_mailbox(self, row: MailboxRow) -> None:
        """Forget a mailbox and its messages."""
        self.forget_messages(row)
        self._database.execute("DELETE FROM mailbox WHERE id = ?", (row.id,))

    def forget_messages(self, row: MailboxRow) -> None:
        """Forget the messages of a mailbox, and what was intended there."""
        self._database.execute("DELETE FROM message WHERE mailbox = ?", (row.id,))
        self._database.execute("DELETE FROM intention WHERE mailbox = ?", (row.id,))
        self._database.execute("DELETE FROM bad WHERE mailbox = ?", (row.id,))

    def rows(self, mailbox: MailboxRow) -> Iterator[Row]:
        """Give the messages of a mailbox."""
        return map(_row, self.raw_rows(mailbox))

    def rows_numbered(self, numbers: Iterable[int]) -> Iterator[Row]:
        """Give the messages whose rows have these numbers."""
        for some in portions(numbers):
            query = f"{_ROWS} id IN ({', '.join('?' * len(some))})"
            yield from map(_row, self._database.execute(query, some).fetchall())

    def raw_rows(self, mailbox: MailboxRow) -> Iterator[RawRow]:
        """Give the messages of a mailbox as they are stored, for who is quick and changes none meanwhile."""
        return self._database.execute(f"{_ROWS} mailbox = ?", (mailbox.id,))

    def raw_rows_of(self, mailbox: MailboxRow, near: Iterable[Key], far: Iterable[Key]) -> list[RawRow]:
        """Return those of the rows that have one of these keys."""
        found = {}
        for column, keys in (("near", near), ("far", far)):
            for some in portions(keys):
                query = f"{_ROWS} mailbox = ? AND {column} IN ({', '.join('?' * len(some))})"
                for row in self._database.execute(query, (mailbox.id, *some)):
                    found[row[0]] = row
        return list(found.values())

    def known(self, mailbox: MailboxRow, side: Side) -> KnownMessages:
        """Return what is remembered of a side of a mailbox, in the form in which stores ask for it."""
        return KnownMessages(self._database, mailbox.id, side)

    def has_rows(self, mailbox: MailboxRow, side: Side, keys: Mapping[int, Key]) -> bool:
        """Tell whether rows with these numbers have these keys: in the table, and in its index as well."""
        wanted = set(keys.values())
        if {key for key, _ in self.known(mailbox, side).stamps(wanted)} != wanted:
            return False
        for some in portions(keys):
            query = f"SELECT id, {side} FROM message WHERE id IN ({', '.join('?' * len(some))})"  # noqa: S608
            if any(keys[number] != key for number, key in self._database.execute(query, list(some))):
                return False
        return True

    def learn(self, mailbox: MailboxRow, side: Side, stamps: Mapping[Key, Stamp]) -> None:
        """Remember what stands for the flags that rows say of a side."""
        query = f"UPDATE message SET {side}_stamp = ? WHERE mailbox = ? AND {side} = ?"  # noqa: S608
        self._database.executemany(query, ((stamp, mailbox.id, key) for key, stamp in stamps.items()))

    def is_empty(self, mailbox: MailboxRow) -> bool:
        """Tell whether nothing is remembered of any message of a mailbox."""
        query = "SELECT 1 FROM message WHERE mailbox = ? LIMIT 1"
        return self._database.execute(query, (mailbox.id,)).fetchone() is None

    def count(self, mailbox: MailboxRow | None = None) -> int:
        """Return how many messages both sides of a mailbox have, or of all."""
        where, arguments = ("AND mailbox = ?", (mailbox.id,)) if mailbox else ("", ())
        query = f"SELECT count(*) FROM message WHERE near IS NOT NULL AND far IS NOT NULL {where}"  # noqa: S608
        return int(self._database.execute(query, arguments).fetchone()[0])

    def digests(self, rows: Sequence[int]) -> dict[int, bytes]:
        """Return the header digests of messages."""
        found = {}
        for number in rows:
            row = self._database.execute("SELECT digest FROM message WHERE id = ?", (number,)).fetchone()
            if row and row[0]:
                found[number] = bytes(row[0])
        return found

    def compared(self, rows: Iterable[int]) -> dict[int, Compared]:
        """Return what is known of the bytes of messages."""
        found = {}
        for some in portions(rows):
            query = f"SELECT id, content, compared FROM message WHERE id IN ({', '.join('?' * len(some))})"  # noqa: S608
            for number, content, seen in self._database.execute(query, some):
                found[number] = Compared(content, seen)
        return found

    def unseen(self, mailbox: MailboxRow, side: Side) -> dict[Key, int]:
        """Return the messages that were put on a side and not seen there since: number of the row by key."""
        query = (
            f"SELECT {side}, id FROM message WHERE compared >= {UNSEEN_NEAR}"  # noqa: S608
            f" AND compared & {unseen_on(side)} AND mailbox = ?"
        )
        return dict(self._database.execute(query, (mailbox.id,)).fetchall())

    def note_seen(self, side: Side, rows: Iterable[int]) -> None:
        """Remember that messages were seen on a side."""
        query = f"UPDATE message SET compared = compared & ~{unseen_on(side)} WHERE id = ?"  # noqa: S608
        self._database.executemany(query, ((number,) for number in rows))

    def is_compared(self, sides: Collection[Side] = SIDES) -> bool:
        """Tell whether somebody has seen the bytes that all pairs have on these sides."""
        query = f"SELECT 1 FROM message WHERE {_not_seen(sides)} LIMIT 1"  # noqa: S608
        return self._database.execute(query).fetchone() is None

    def not_compared(
        self, mailbox: MailboxRow, sides: Collection[Side], *, after: int, most: int
    ) -> Iterator[tuple[int, Key, Key, Compared]]:
        """Give number, keys and what is known of pairs whose bytes nobody has seen on one of these sides."""
        query = (
            f"SELECT id, near, far, content, compared FROM message WHERE {_not_seen(sides)} AND mailbox = ?"  # noqa: S608
            " AND id > ? AND near IS NOT NULL AND far IS NOT NULL ORDER BY id LIMIT ?"
        )
        for number, near, far, content, seen in self._database.execute(
            query, (mailbox.id, after, most)
        ).fetchall():
            yield number, near, far, Compared(content, seen)

    def pairs(self, mailbox: MailboxRow, *, after: int, most: int) -> list[tuple[int, Key, Key, Compared]]:
        """Return number, keys and what is known of the pairs behind a number, in the order of numbers."""
        query = (
            "SELECT id, near, far, content, compared FROM message WHERE mailbox = ? AND id > ?"
            " AND near IS NOT NULL AND far IS NOT NULL ORDER BY id LIMIT ?"
        )
        rows = self._database.execute(query, (mailbox.id, after, most)).fetchall()
        return [(number, near, far, Compared(*compared)) for number, near, far, *compared in rows]

    def verified_to(self, mailbox: MailboxRow) -> int | None:
        """Return up to which number a verification under way has come; None if it is through."""
        query = "SELECT verified FROM mailbox WHERE id = ?"
        number = int(self._database.execute(query, (mailbox.id,)).fetchone()[0])
        return None if number < 0 else number

    def note_verified(self, mailbox: MailboxRow, number: int | None) -> None:
        """Remember up to which number a verification has come; None: it is through."""
        query = "UPDATE mailbox SET verified = ? WHERE id = ?"
        self._database.execute(query, (-1 if number is None else number, mailbox.id))

    def compared_share(self) -> tuple[int, int]:
        """Return how many pairs are one message for certain, and how many there are."""
        query = "SELECT count(*) FROM message WHERE compared < 3 AND near IS NOT NULL AND far IS NOT NULL"
        total = self.count()
        return total - int(self._database.execute(query).fetchone()[0]), total

    def note_compared(self, rows: Mapping[int, Compared]) -> None:
        """Remember what was found out about the bytes of messages."""
        self._database.executemany(
            "UPDATE message SET content = ?, compared = ? WHERE id = ?",
            ((each.content, each.seen, number) for number, each in rows.items()),
        )

    def alike(self, mailbox: MailboxRow) -> list[tuple[Key, Key]]:
        """Return the keys on both sides of messages whose header is that of others in the mailbox too."""
        query = (
            "SELECT near, far FROM message WHERE mailbox = ? AND near IS NOT NULL AND far IS NOT NULL"
            " AND digest IN (SELECT digest FROM message WHERE mailbox = ? AND digest != x''"
            " GROUP BY digest HAVING count(*) > 1) ORDER BY id"
        )
        return [(near, far) for near, far in self._database.execute(query, (mailbox.id, mailbox.id))]

    def add_rows(self, mailbox: MailboxRow, rows: Iterable[NewRow]) -> None:
        """Remember messages that both sides have."""
        self._database.executemany(
            "INSERT INTO message (mailbox, near, far, near_flags, far_flags, digest, near_stamp, far_stamp,"
            " content, compared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(mailbox.id, row.near, row.far, to_text(row.near_flags), to_text(row.far_flags)),
                    *(row.digest, row.near_stamp, row.far_stamp, row.content, row.seen),
                )
                for row in rows
            ),
        )

    def save_rows(self, rows: Iterable[Row], mailbox: MailboxRow) -> None:
        """Remember messages as the rows have them, in this mailbox; their stamps are to be learnt."""
        self._database.executemany(
            "UPDATE message SET near = ?, far = ?, near_flags = ?, far_flags = ?, mailbox = ?,"
            " near_stamp = NULL, far_stamp = NULL WHERE id = ?",
            (
                (row.near, row.far, _text(row.near_flags), _text(row.far_flags), mailbox.id, row.id)
                for row in rows
            ),
        )

    def agree(self, rows: Iterable[Agreed]) -> None:
        """Remember which flags both sides of messages hold, and their stamps."""
        self._database.executemany(
            "UPDATE message SET near_flags = ?, near_stamp = CASE WHEN ? THEN near_stamp ELSE ? END,"
            " far_flags = ?, far_stamp = CASE WHEN ? THEN far_stamp ELSE ? END WHERE id = ?",
            (
                (
                    *(to_text(each.near.flags), each.near.as_before, each.near.stamp),
                    *(to_text(each.far.flags), each.far.as_before, each.far.stamp, each.row),
                )
                for each in rows
            ),
        )

    def note_carried(self, side: Side, at: float, mailbox: str, count: int) -> None:
        """Remember that deletions were carried over which were seen on a side; for a day."""
        self._database.execute("DELETE FROM carried WHERE at < ?", (at - DAY_S,))
        self._database.execute("INSERT INTO carried VALUES (?, ?, ?, ?)", (side, at, _name(mailbox), count))

    def carried(self, side: Side) -> list[Carried]:
        """Return the deletions that were carried over."""
        rows = self._database.execute("SELECT at, mailbox, count FROM carried WHERE side = ?", (side,))
        return [Carried(at, mailbox.decode("utf-8", "surrogateescape"), count) for at, mailbox, count in rows]

    def forget_carried(self, side: Side) -> None:
        """A person has said that they were meant."""
        self._database.execute("DELETE FROM carried WHERE side = ?", (side,))

    def drop_rows(self, rows: Iterable[int]) -> None:
        """Forget messages."""
        self._database.executemany("DELETE FROM message WHERE id = ?", ((row,) for row in rows))

    def intend(self, mailbox: MailboxRow, intentions: Iterable[Intention]) -> None:
        """Write down what is about to be added."""
        self._database.executemany(
            "INSERT INTO intention VALUES (?, ?, ?, ?)",
            ((mailbox.id, each.side, each.source, each.key) for each in intentions),
        )

    def bad(self, mailbox: MailboxRow, side: Side) -> dict[Key, Bad]:
        """Return the messages that could not be added to a side, each alone, by their key elsewhere."""
        query = "SELECT source, tries, at FROM bad WHERE mailbox = ? AND side = ?"
        rows = self._database.execute(query, (mailbox.id, side))
        return {source: Bad(tries, at) for source, tries, at in rows}

    def note_bad(self, mailbox: MailboxRow, side: Side, source: Key, at: float) -> None:
        """Remember that a message could not be added once more."""
        self._database.execute(
            "INSERT INTO bad VALUES (?, ?, ?, 1, ?)"
            " ON CONFLICT DO UPDATE SET tries = tries + 1, at = excluded.at",
            (mailbox.id, side, source, at),
        )

    def intentions(self, mailbox: MailboxRow) -> list[Intention]:
        """Return what was intended for a mailbox and not seen to be done."""
        query = "SELECT side, source, key FROM intention WHERE mailbox = ?"
        return [Intention(*row) for row in self._database.execute(query, (mailbox.id,))]

    def drop_intentions(self, mailbox: MailboxRow, side: Side) -> None:
        """Forget what was intended for a side of a mailbox: it is done, or found out."""
        self._database.execute("DELETE FROM intention WHERE mailbox = ? AND side = ?", (mailbox.id, side))


def _not_seen(sides: Collection[Side]) -> str:
    """Return the condition that bytes were not seen on one of these sides; an index finds these rows."""
    seen = [str(each) for each in (0, NEAR, FAR) if any(not each & seen_on(side) for side in sides)]
    return f"compared < 3 AND compared IN ({', '.join(seen)})"


def _is_nonsense(error: Exception) -> bool:
    """Tell whether a row was found that nobody wrote; its pages may be in order all the same."""
    return isinstance(error, DamagedError) or (
        isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode")
    )


def _is_damaged(path: Path) -> bool:
    """Look again: where a disk fails for a moment, SQLite calls a database malformed too."""
    try:
        with closing(_connect(os.fspath(path))) as database:
            if database.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
                return True
            return not _has_schema(database)
    except (OSError, sqlite3.OperationalError) as error:
        return _is_nonsense(error)
    except (ValueError, sqlite3.DatabaseError):
        return True


def _has_schema(database: sqlite3.Connection) -> bool:
    """Tell whether there are the tables and columns of a new state."""
    tables = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c ORDER BY 1, c.cid"
    with closing(sqlite3.connect(":memory:")) as new:
        new.executescript(_SCHEMA)
        return database.execute(tables).fetchall() == new.execute(tables).fetchall()


def _set_aside(path: Path) -> Path:
    """Move a damaged database away, and return what it is called now."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    path.rename(aside)
    for end in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    return aside


def _connect(path: str) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # keys and names are nobody else's
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # the caller holds a lock of its own
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        return _prepare(database)
    except BaseException:
        database.close()
        raise


def _prepare(database: sqlite3.Connection) -> sqlite3.Connection:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise TemporaryError(
            f"the state was written by a newer mailsync (version {version})",
            "use that one, or remove the state: messages are then paired anew",
        )
    steps = {1: (_FROM_1, _FROM_2), 2: (_FROM_2,)}.get(version, (_SCHEMA,))
    if version < VERSION:
        database.executescript(f"BEGIN; {' '.join(steps)} PRAGMA user_version = {VERSION}; COMMIT;")
    return database


def _mailbox_row(row: tuple[int, bytes, bytes, bytes, bytes, bytes, bytes, bytes]) -> MailboxRow:
    try:
        return MailboxRow(row[0], row[1].decode("utf-8", "surrogateescape"), *row[2:])
    except (AttributeError, TypeError, ValueError) as error:
        raise DamagedError(f"a mailbox that cannot be: {error}") from error


def _row(raw: RawRow) -> Row:
    number, near, far, near_flags, far_flags = raw
    return Row(number, near, far, _flags(near_flags), _flags(far_flags))


def _name(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _flags(text: str | None) -> Flags | None:
    return None if text is None else from_text(text)


def _text(flags: Flags | None) -> str | None:
    return None if flags is None else to_text(flags)
