"""One account as configured: two stores, how to sync them, and the policy of when.

Plain frozen data, made by ``mswatch.config`` from a TOML or an old rc file and read by everybody else.
Whoever holds an Account may rely on it: it was checked as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal

from mswatch.core.policy import Policy
from mswatch.imap_session.settings import Login, Server
from mswatch.names import CANONICAL, NameForm, Pattern

Layout = Literal["maildir++", "nested"]
SyncKind = Literal["mailsync", "mbsync", "offlineimap", "command"]


@dataclass(frozen=True)
class Ssh:
    """How a store's host is reached."""

    host: str  # what ssh calls a destination: a name, with a user before @ if need be
    port: int | None = None
    identity: Path | None = None  # a private key
    config: Path | None = None  # instead of ~/.ssh/config
    command: tuple[str, ...] = ("ssh",)  # the program and its first arguments
    prefix: tuple[str, ...] = ()  # the words before the watcher's command, on the host
    is_helper_installed: bool = False  # watch_maildirs of the host is used; otherwise ours is sent


@dataclass(frozen=True)
class Store:
    """One side of an account.

    At most one of ``maildir``, ``mbox``, ``mh`` and ``command`` is set: it says how the store is watched.
    With ``ssh`` they are on its host, and ``~`` at their start is the home there.  ``imap`` says how
    mailsync reads the store; without it that is a ``maildir`` on this machine.
    """

    name: str
    maildir: Path | None = None
    layout: Layout = "maildir++"  # of maildir
    mbox: Path | None = None  # a directory of mboxes, or one of them
    inbox: Path | None = None  # with mbox: INBOX, where it lies elsewhere
    mh: Path | None = None
    command: tuple[str, ...] = ()  # any program that speaks the watcher protocol
    imap: Server | None = None
    login: Login = field(default_factory=Login)  # with imap
    subscribed: bool = False  # with imap: mailboxes that are not subscribed there are not synced
    names: NameForm = CANONICAL
    inputkill: bool = False  # run the command under inputkill, because it does not look at its own stdin
    # What mailsync may do here.
    create: bool = True
    delete: bool = True
    expunge: bool = True  # False: deleted messages are only marked so
    read_only: bool = False
    trash: str = ""  # the mailbox that deleted messages are moved to; empty: they are removed
    trash_use: str = ""  # one of names.USES: the mailbox that the server says is for that
    ssh: Ssh | None = None
    poll_s: float | None = None  # look at the Maildir so often, instead of being told
    answer_s: float | None = None  # our watcher there ends when it was not asked for so long

    @property
    def tree(self) -> Path | None:
        """What our own watcher watches; None where a command does."""
        return self.maildir or self.mbox or self.mh

    @property
    def is_watched(self) -> bool:
        """Whether anything tells of changes."""
        return self.tree is not None or bool(self.command)

    @property
    def is_readable(self) -> bool:
        """Whether mailsync can read it."""
        return self.imap is not None or (self.tree is not None and self.ssh is None)

    @property
    def local_maildir(self) -> Path | None:
        """The Maildir if it is on this machine."""
        return self.maildir if self.ssh is None else None


@dataclass(frozen=True)
class Sync:
    """How the syncer is called.

    ``kind`` "mailsync": target is the account's file; "mbsync": the channel; "offlineimap": the account's
    name there; "command": the old interface, ``command`` with the mailbox names appended.
    """

    kind: SyncKind
    command: tuple[str, ...]  # program and fixed arguments; for a named syncer, program and extra options
    target: str = ""
    mailbox_prefix: tuple[str, str] | None = None  # (prefix, separator), only for "command"
    by_mailbox: bool = True  # False: the syncer is always called for all mailboxes
    names: NameForm = CANONICAL
    idle_limit_s: float = 120.0  # without progress; 0: none
    hard_cap_s: float = 3600.0  # of a whole run; 0: none
    # For mailsync.
    size_limit: int | None = None  # bytes
    largest_deletion: float = 0.5  # share of a mailbox or a store that may be missing at once
    skip: tuple[Pattern, ...] = ()  # mailboxes that are not synced
    skip_uses: frozenset[str] = frozenset()  # nor are those that a server says are for one of these

    @property
    def guards_itself(self) -> bool:
        """Whether the command is the old way of guarding a syncer, which we leave alone then."""
        return PurePath(self.command[0]).name == "socketwatch"

    @property
    def leaves_both_equal(self) -> bool:
        """Whether what its own process changes is on both sides when it has succeeded."""
        return self.kind != "command"


@dataclass(frozen=True)
class Hook:
    """What is started after runs, with the names of their mailboxes in its environment."""

    command: tuple[str, ...]
    limit_s: float = 300.0


@dataclass(frozen=True)
class Account:
    """Everything that is configured for ``mswatch@NAME``."""

    name: str
    source: Path
    stores: tuple[Store, Store]
    sync: Sync
    policy: Policy
    hook: Hook | None = None
