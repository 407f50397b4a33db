"""The mailboxes here, each of a format of its own, which is found by looking: Maildir, mbox, MH.

What is no mailbox is left alone: the old program took any file for one, and copied it as a message; and it
made a file where the other side had a directory.  A mailbox that is made gets the format of those that are
there already; without any it is an mbox.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mswatch.errors import UnavailableError
from mswatch.mailsync.stores.contract import Added, Key, Mailbox, MailboxError, Message, Seen, Store
from mswatch.mailsync.stores.maildir import MaildirStore
from mswatch.mailsync.stores.mbox import MboxStore
from mswatch.mailsync.stores.mh import MhStore
from mswatch.mailsync.stores.synced import bring_to_disk
from mswatch.names import NameForm
from mswatch.oldmailsync.around import MailboxAround
from mswatch.oldmailsync.names import INBOX, BadNameError, Local, local
from mswatch.oldmailsync.selection import Selection
from mswatch.showing import show

# ruff: noqa: D102 - what a method does is in contract.py

Format = Literal["maildir", "mbox", "mh"]
PLAIN = NameForm("/", "utf-8")
_MAILDIR_PARTS = ("cur", "new", "tmp")


@dataclass(frozen=True)
class Places:
    """Where things are: ``spool`` is where mail is delivered to, ``mh`` the directory of MH folders."""

    home: Path
    spool: Path
    mh: Path
    journals: Path  # for what is being written
    hidden: frozenset[Path] = frozenset()  # what is no mailbox, although it looks like one
    looks_only: bool = False  # nothing is changed, nor finished

    @property
    def inbox(self) -> Path:
        """Where INBOX is: the first of these that is there."""
        candidates = [self.home / INBOX, self.home / "mbox", self.spool, self.home / "Maildir"]
        return next((path for path in candidates if path.exists()), self.spool)

    def path(self, name: str) -> Path:
        """Return where the mailbox of a name is.

        Raises:
            BadNameError: There can be none.
        """
        found = local(name, str(self.home), _home_of)
        return self._at(found)

    def _at(self, found: Local) -> Path:
        if found.kind == "inbox":
            return self.inbox
        return self.mh / found.place if found.kind == "mh" else Path(found.place)


def places(home: Path, environment: Mapping[str, str], journals: Path) -> Places:
    """Return where things are for the user whose environment this is."""
    mail = environment.get("MAIL", "")
    user = pwd.getpwuid(os.geteuid()).pw_name
    spool = Path(mail) if mail.startswith("/") else Path("/var/mail") / user
    return Places(home, spool, home / _mh_path(home / ".mh_profile"), journals)


def _mh_path(profile: Path) -> str:
    try:
        lines = profile.read_text(errors="surrogateescape").splitlines()
    except OSError:
        lines = []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return next((value.strip() for key, value in fields.items() if key.lower() == "path"), "Mail")


def _home_of(user: str) -> str:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        raise BadNameError(f"~{show(user)}: there is no such user") from None


class LocalStore(Store):
    """What a selection finds here, under full names as c-client has them."""

    def __init__(self, name: str, chosen: Selection, where: Places) -> None:
        self.name = name
        self.notes: list[str] = []
        self._chosen = chosen
        self._places = where
        self._formats: dict[str, Format] = {}  # by full name, as last listed
        self._unreadable: list[Path] = []  # directories, at that time

    @property
    def _top(self) -> Path:
        top = self._chosen.top
        if top == "#mh":
            return self._places.mh
        if not top:
            return Path("/") if self._chosen.pattern.startswith("/") else self._places.home
        return self._path(top)

    def _path(self, name: str) -> Path:
        try:
            return self._places.path(name)
        except BadNameError as error:
            raise MailboxError(f"store {self.name}: {error}") from None

    def open(self) -> bool:
        try:
            if self._chosen.single != INBOX:
                next(self._top.iterdir(), None)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UnavailableError(
                f"store {self.name}: {show(str(self._top))} cannot be read: {error.strerror}"
            ) from error
        return True

    def make(self) -> None:
        self._top.mkdir(mode=0o700, parents=True, exist_ok=True)

    def identity(self) -> bytes:
        # One mailbox by its name has no store around it that could be told from another.
        return b"" if self._chosen.single is not None else b"%d" % self._top.stat().st_ino

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        if only is None:
            self.notes.clear()
            self._formats.clear()
            self._unreadable.clear()
        found: dict[str, Seen] = {}
        names = list(self._candidates() if only is None else only)
        folders = self._folders(notes=only is None) if any(map(_is_mh, names)) else {}
        for name in names:
            format_ = _format(self._path(name), is_mh=_is_mh(name))
            if format_ is None:
                continue
            store, inner = self._store(name, format_)
            seen = folders.get(inner) if format_ == "mh" else store.mailboxes([inner]).get(inner)
            if seen is not None:
                self._formats[name] = format_
                if name == INBOX:
                    self._note_spool()
                found[name] = Seen(mark=seen.mark)
        return found

    def _note_spool(self) -> None:
        """Tell of mail that the old library would have moved from the spool into ~/mbox."""
        where = self._places
        if where.inbox == where.home / "mbox" and where.spool.is_file() and where.spool.stat().st_size:
            note = (
                f"store {self.name}: INBOX is ~/mbox, and mail in {show(str(where.spool))} is not moved"
                " there any more; have it delivered to ~/mbox, or move ~/mbox away"
            )
            if note not in self.notes:  # also INBOX alone may be all that is selected
                self.notes.append(note)

    def _folders(self, *, notes: bool) -> Mapping[str, Seen]:
        """List the MH folders, all at once."""
        store = self._mh()
        folders = store.mailboxes() if store.open() else {}
        self.notes += [note for note in store.notes if notes and note not in self.notes]
        return folders

    def _candidates(self) -> Iterator[str]:
        """Give the names that the pattern wants, of whatever is there."""
        if self._chosen.single is not None:
            yield self._chosen.single
            return
        if self._chosen.wants(INBOX):
            yield INBOX
        top = self._chosen.top
        prefix = f"{top}/" if top or self._chosen.pattern.startswith("/") else ""
        for levels in self._walk(self._top, (), frozenset()):
            name = prefix + "/".join(levels)
            if name.upper() != INBOX and self._chosen.wants(name):
                yield name

    def _walk(
        self, directory: Path, above: tuple[str, ...], seen: frozenset[tuple[int, int]]
    ) -> Iterator[tuple[str, ...]]:
        """Give what is in a directory, as deep as the pattern goes; links are followed, never in a circle."""
        try:
            status = directory.stat()
            entries = sorted(path.name for path in directory.iterdir())
        except OSError as error:
            self.notes.append(f"store {self.name}: passed over {_shown(directory)}: {error.strerror}")
            self._unreadable.append(directory)
            return
        here = (status.st_dev, status.st_ino)
        depth = len(self._chosen.pattern.split("/")) - len(self._chosen.top.split("/")) * bool(
            self._chosen.top
        )
        is_deep = "*" in self._chosen.pattern or len(above) + 1 < depth
        parts = _MAILDIR_PARTS if _format(directory, is_mh=False) == "maildir" else ()
        for entry in entries if here not in seen else ():
            path = directory / entry
            if entry.startswith(".") or entry in parts or path in self._places.hidden:
                continue
            yield (*above, entry)
            if is_deep and path.is_dir():
                yield from self._walk(path, (*above, entry), seen | {here})

    def _store(self, name: str, format_: Format) -> tuple[Store, str]:
        """Return a store of the mailbox's format, and what the mailbox is called in it."""
        path = self._path(name)
        if format_ == "mbox":  # a store of this file alone
            return self._mboxes(path, inbox=path), INBOX
        if format_ == "mh":
            return self._mh(), str(path.relative_to(self._places.mh))
        return MaildirStore(self.name, path.parent, "nested", PLAIN), path.name

    def _mh(self) -> Store:
        where = self._places
        return MhStore(self.name, where.mh, PLAIN, where.journals, looks_only=where.looks_only)

    def _mboxes(self, path: Path, inbox: Path | None = None) -> Store:
        where = self._places
        return MboxStore(self.name, path, PLAIN, where.journals, inbox=inbox, looks_only=where.looks_only)

    def _format_of(self, name: str) -> Format:
        known = self._formats.get(name)
        if known is not None:
            return known
        path = self._path(name)
        is_mh = _is_mh(name)
        there = _format(path, is_mh=is_mh)
        if there is not None:
            return there
        if not self._formats:
            self.mailboxes()
        others = {each for other, each in self._formats.items() if other != INBOX}
        format_: Format = "mh" if is_mh else others.pop() if len(others) == 1 else "mbox"
        if os.path.lexists(path) and not (path.is_dir() and format_ != "mbox"):
            raise MailboxError(f"{show(str(path))} is no mailbox, and left alone", "rename it")
        return format_

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        found = {}
        for name in mailboxes:
            path = self._path(name)
            if os.path.lexists(path):
                found[name] = f"{show(str(path))} is no mailbox any more, or cannot be read"
            elif unreadable := [each for each in self._unreadable if each in path.parents]:
                found[name] = f"{show(str(unreadable[0]))} cannot be read"
        return found

    def make_mailbox(self, mailbox: str) -> None:
        format_ = self._formats[mailbox] = self._format_of(mailbox)
        store, inner = self._store(mailbox, format_)
        store.make_mailbox(inner)

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        old, new = self._path(mailbox), self._path(new_name)
        if os.path.lexists(new):
            raise MailboxError(f"store {self.name}: there is something called {show(str(new))} already")
        new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old.rename(new)
        for directory in (old.parent, new.parent):
            bring_to_disk(os.fsencode(directory))
        self._formats.clear()

    def remove_mailbox(self, mailbox: str) -> None:
        format_ = self._format_of(mailbox)
        if format_ == "mbox":
            path = self._path(mailbox)
            self._mboxes(path.parent).remove_mailbox(path.name)
        else:
            store, inner = self._store(mailbox, format_)
            store.remove_mailbox(inner)
        self._formats.pop(mailbox, None)

    def open_mailbox(self, mailbox: str) -> Mailbox:
        store, inner = self._store(mailbox, self._format_of(mailbox))
        return _LocalMailbox(store.open_mailbox(inner), self)

    def close(self) -> None:
        pass


class _LocalMailbox(MailboxAround):
    def __init__(self, inner: Mailbox, store: LocalStore) -> None:
        super().__init__(inner)
        self._store = store

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        """Copy, then remove what has arrived: the other mailbox may be of another format."""
        target = self._store.open_mailbox(mailbox)
        messages = (each for each in self.inner.read(keys) if isinstance(each, Message))
        arrived = {each.source: each.key for each in target.add(messages) if isinstance(each, Added)}
        target.close()
        for key in self.inner.remove(list(arrived)):
            yield key, arrived[key]


def _shown(path: Path) -> str:
    """Return a path as the stores inside show it, so that what both tell is told once."""
    return repr(show(str(path)))


def _is_mh(name: str) -> bool:
    return name.lower().startswith("#mh")


def _format(path: Path, *, is_mh: bool) -> Format | None:
    """Return the format of the mailbox at a place; None if there is none."""
    if is_mh:
        return "mh" if path.is_dir() else None
    if path.is_dir():
        # is_dir of pathlib fails where a directory cannot be searched.
        return "maildir" if all(os.path.isdir(path / part) for part in ("cur", "new")) else None  # noqa: PTH112
    return "mbox" if path.is_file() else None
