"""From what the old file says of a store to the store: here, or a session with a server.

Passwords are in the file in clear text; so it must be its owner's alone, or nothing is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mswatch import paths
from mswatch.errors import ConfigError
from mswatch.imap.secret import Secret
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import READ_ONLY, Permissions
from mswatch.oldmailsync.local import LocalStore, Places, places
from mswatch.oldmailsync.names import INBOX, BadNameError, Spec, parse_spec, split
from mswatch.oldmailsync.rc import Channel, OldStore
from mswatch.oldmailsync.selected import SelectedStore
from mswatch.oldmailsync.selection import selection
from mswatch.showing import show

if TYPE_CHECKING:  # what only a server needs
    from mswatch.imap_session.session import Session
    from mswatch.mailsync.stores.imap import ImapStore

SECURE = ("SCRAM-SHA-256", "SCRAM-SHA-1")


@dataclass(frozen=True)
class Opened:
    """A store, not connected yet.

    Attributes:
        store: The mailboxes that it selects.
        old: What the file says of it.
        place: What tells it from other stores.
        is_read_only: Nothing may be changed in it.
    """

    store: SelectedStore
    old: OldStore
    place: str
    is_read_only: bool = False

    def permissions(self, usual: Permissions) -> Permissions:
        """Return what may be done to it, if ``usual`` is allowed in this run."""
        return READ_ONLY if self.is_read_only else usual


@dataclass(frozen=True)
class Opener:
    """What is the same for all stores of a run.

    Attributes:
        source: The old file.
        environment: Says where home, spool and state are.
        looks_only: Nothing is changed.
        tell: Told each login, as a line of output.
        warn: Told what deserves a warning.
    """

    source: Path
    environment: Mapping[str, str]
    looks_only: bool
    tell: Callable[[str], None]
    warn: Callable[[str], None]

    def of_channel(self, channel: Channel) -> tuple[Opened, Opened]:
        """Return both stores of a channel, without its msinfo, which is no mailbox.

        Raises:
            ConfigError: A store cannot be reached like this.
        """
        first, second = channel.stores
        return self.store(first, channel), self.store(second, channel)

    def store(self, old: OldStore, channel: Channel | None = None) -> Opened:
        """Return a store, without the msinfo of a channel.

        Raises:
            ConfigError: It cannot be reached like this.
        """
        hidden = channel.msinfo if channel is not None else ""
        try:
            if not old.server:
                where = self._places(hidden)
                chosen = selection(old)
                store = SelectedStore(LocalStore(old.name, chosen, where), lambda: chosen)
                return Opened(store, old, f"{where.home} {old.ref} {old.pat} {old.prefix}")
            spec = parse_spec(split(old.server)[0] or old.server)
            server, mailbox = split(hidden)
            is_there = bool(server) and parse_spec(server).host == spec.host
        except BadNameError as error:
            where_told = f'store "{show(old.name)}"'
            raise ConfigError([f"{show(str(self.source))}:{old.line}: {where_told}: {error}"]) from None
        remote = self._remote(old.name, spec, old.password)
        store = SelectedStore(remote, lambda: selection(old, remote.form, mailbox if is_there else ""))
        place = f"imap {spec.user} {spec.host.lower()} {old.ref} {old.pat} {old.prefix}"
        return Opened(store, old, place, spec.is_read_only)

    def msinfo(self, channel: Channel) -> SelectedStore:
        """Return a store of the one mailbox in which the old program remembered a channel."""
        server, mailbox = split(channel.msinfo)
        old = OldStore("msinfo", channel.line, server, pat=mailbox or INBOX, password=channel.password)
        return self.store(old).store

    def _places(self, hidden: str) -> Places:
        found = places(paths.home(self.environment), self.environment, paths.journals(self.environment))
        found = replace(found, looks_only=self.looks_only)
        if hidden and not split(hidden)[0]:
            found = replace(found, hidden=frozenset({found.path(hidden)}))
        return found

    def _remote(self, name: str, spec: Spec, password: Secret | None) -> ImapStore:
        from mswatch.imap_session.login import log_in
        from mswatch.mailsync.stores.imap import ImapStore

        if password is not None:
            self._check_privacy()
        if not spec.is_checked:
            self.warn(f"store {name}: the certificate of {spec.host} is not checked (/novalidate-cert)")
        server = Server(spec.host, spec.port, spec.security, is_checked=spec.is_checked)
        user = spec.user or self.environment.get("LOGNAME", "")
        mechanisms = SECURE if spec.is_secure else ()
        login = Login(user, given=password, asks=password is None, mechanisms=mechanisms)

        def log_in_and_tell() -> Session:
            self.tell(f"Authorizing against {{{show(spec.host)}/imap}}\n")
            return log_in(server, login)

        return ImapStore(name, log_in_and_tell, is_whole=True)

    def _check_privacy(self) -> None:
        status = self.source.stat()
        others = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        if others or status.st_uid not in (0, os.getuid()):
            file = show(str(self.source))
            raise ConfigError([f"{file}: others may read the passwords in it"], f"chmod 600 {file}")
