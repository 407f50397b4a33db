"""One account as configured: two stores, how to sync them, and the policy of when.

Plain frozen data, made by ``mswatch.config`` from a TOML or an old rc file and read by everybody else.
Whoever holds an Account may rely on it: it was checked as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from mswatch.core.policy import Policy
from mswatch.names import CANONICAL, NameForm, Pattern

Layout = Literal["maildir++", "nested"]
SyncKind = Literal["mailsync", "mbsync", "offlineimap", "command"]


@dataclass(frozen=True)
class Store:
    """One side of an account.  Exactly one of ``maildir`` and ``command`` is set."""

    name: str
    maildir: Path | None = None
    layout: Layout = "maildir++"
    command: tuple[str, ...] = ()  # any program that speaks the watcher protocol
    names: NameForm = CANONICAL
    inputkill: bool = False  # run the command under inputkill, because it does not look at its own stdin
    # What mailsync may do here.
    create: bool = True
    delete: bool = True
    expunge: bool = True  # False: deleted messages are only marked so
    read_only: bool = False
    trash: str = ""  # the mailbox that deleted messages are moved to; empty: they are removed


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

    @property
    def guards_itself(self) -> bool:
        """Whether the command is the old way of guarding a syncer, which we leave alone then."""
        return PurePath(self.command[0]).name == "socketwatch"

    @property
    def leaves_both_equal(self) -> bool:
        """Whether what its own process changes is on both sides when it has succeeded."""
        return self.kind != "command"


@dataclass(frozen=True)
class Account:
    """Everything that is configured for ``mswatch@NAME``."""

    name: str
    source: Path
    stores: tuple[Store, Store]
    sync: Sync
    policy: Policy
