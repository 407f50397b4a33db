"""From the TOML file of an account to an Account.

Two steps: each table is checked against the table of settings, then the values are put together and
checked against each other.  Nothing stops at the first problem; values that depend on an unusable one are
left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mswatch.account import Account, Hook, Ssh, Store, Sync, SyncKind
from mswatch.config import toml_text
from mswatch.config.naming import NAME_ALLOWED, is_name
from mswatch.config.policies import check_delays, make_policy
from mswatch.config.problems import Problems, nearest
from mswatch.config.settings import DEFAULT_FORMS, HOOK, STORE, SYNC, TOP, settings_of
from mswatch.config.toml_text import Document, Keys, NoTomlError
from mswatch.config.values import Mailboxes, UnfitError, delay_text, found
from mswatch.core.policy import WatcherLimits
from mswatch.imap_session.settings import BY_TOKEN, Login, Server
from mswatch.names import NameForm
from mswatch.showing import show

Values = dict[str, Any]


def read_toml(text: str, name: str, source: Path, home: Path | None) -> Account:
    """Make the account ``name`` of the text of a TOML file.

    Args:
        text: The whole file.
        name: The name of the account, which some settings default to.
        source: The file, for messages.
        home: Where relative paths and ``~/`` lead; None if HOME is not set.

    Raises:
        ConfigError: With every problem found.
    """
    problems = Problems(source)
    try:
        document = toml_text.parse(text)
    except NoTomlError as error:
        problems.add(error.line, f"this is no TOML: {show(str(error))}")
        problems.raise_if_any()
        raise
    return _Reader(document, problems, name, home).account(source)


class _Reader:
    """One reading of one document."""

    def __init__(self, document: Document, problems: Problems, name: str, home: Path | None) -> None:
        self._document = document
        self._problems = problems
        self._name = name
        self._home = home
        self._limits: list[WatcherLimits] = []

    def account(self, source: Path) -> Account:
        data = dict(self._document.data)
        stores = self._stores(data.pop("store", None))
        sync = self._sync(data.pop("sync", None), stores, source)
        hook = self._hook(data.pop("hook", {}))
        top = self._table(TOP, (), data, also=("sync", "store", "hook"))
        for key, message in check_delays(top, settings_of(TOP)):
            self._complain(key, message)
        self._check_unwatched(top, stores)
        self._check_limits(sync, stores)
        self._problems.raise_if_any()
        if len(stores) != 2 or sync is None:
            raise AssertionError("an account without problems has two stores and a syncer")
        watched = tuple(store.name for store in stores if store.is_watched)
        policy = make_policy(top, watched, tuple(self._limits), hook=hook is not None)
        return Account(self._name, source, (stores[0], stores[1]), sync, policy, hook)

    def _check_unwatched(self, top: Values, stores: list[Store]) -> None:
        for store in stores:
            if not store.is_watched and store.imap is not None and top["poll_period"] == 0:
                self._complain(
                    ("poll_period",),
                    f"0 means never, and store {store.name} is not watched, so nobody would see its changes; "
                    "give it a poll_period, or say how the store is watched",
                )

    def _check_limits(self, sync: Sync | None, stores: list[Store]) -> None:
        """Complain of waits that idle_limit would cut off: nobody could tell then what was waited for."""
        if sync is None or sync.kind != "mailsync" or not sync.idle_limit_s:
            return
        for store in stores:
            waits = {} if store.imap is None else {"silence_limit": store.imap.timeout_s}
            if store.login.command or store.login.asks:
                waits["password_limit"] = store.login.limit_s
            for key, limit_s in waits.items():
                if limit_s is not None and limit_s >= sync.idle_limit_s:
                    self._complain(
                        ("store", store.name, key),
                        f"{delay_text(limit_s)} is not less than idle_limit of [sync], which is "
                        f"{delay_text(sync.idle_limit_s)}; lower it or raise idle_limit",
                    )

    def _hook(self, data: object) -> Hook | None:
        if not isinstance(data, dict):
            self._complain(("hook",), f"{found(data)}; allowed: a table")
            return None
        values = self._table(HOOK, ("hook",), data)
        return Hook(values["command"], values["limit"]) if values["command"] else None

    def _complain(self, keys: Keys, message: str) -> None:
        shown = ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{show(key)}"' for key in keys)
        self._problems.add(self._document.line(keys), f"{shown}: {message}")

    def _table(
        self, place: str, keys: Keys, data: Values, also: Keys = (), *, is_remote: bool = False
    ) -> Values:
        """Return the values of a table: the default where it says nothing, None where it says rubbish."""
        settings = settings_of(place)
        checked: Values = {key: setting.default for key, setting in settings.items()}
        for key, value in data.items():
            if place == STORE and key in _SECRETS:
                remedy = "write password_command or password_file"
                self._complain((*keys, key), f"a password has no place in this file; {remedy}")
                continue
            if key not in settings:
                hint = nearest(key, (*settings, *also)) or f"; known here: {', '.join((*settings, *also))}"
                self._complain((*keys, key), f"no such setting{hint}")
                continue
            try:
                home = _HOME_THERE if is_remote and settings[key].is_there else self._home
                checked[key] = settings[key].kind.check(value, home)
            except UnfitError as error:
                checked[key] = None
                for below, reason in error.faults:
                    self._complain((*keys, key, *below), f"{reason}; allowed: {settings[key].kind.allowed}")
        return checked

    def _stores(self, data: object) -> list[Store]:
        if not isinstance(data, dict) or not all(isinstance(table, dict) for table in data.values()):
            there = "missing" if data is None else "no table of tables"
            self._complain(("store",), f"{there}; write two tables [store.NAME], one for each side")
            return []
        if len(data) != 2:
            names = ", ".join(found(name) for name in data) or "none"
            self._complain(
                ("store",), f"{len(data)} stores ({names}); allowed: exactly two tables [store.NAME]"
            )
        return [self._store(name, table) for name, table in data.items()]

    def _store(self, name: str, data: dict[str, Any]) -> Store:
        keys = ("store", name)
        if not is_name(name):
            self._complain(keys, f"{found(name)} is no name for a store; allowed: {NAME_ALLOWED}")
        values = self._table(STORE, keys, data, is_remote="ssh" in data)
        given = [key for key in _WATCHED if key in data]
        served = [key for key in _SERVED if key in data]
        if len(given) > 1 or len(served) > 1:
            self._complain(keys, f"{' and '.join(given if len(given) > 1 else served)}; allowed: one of them")
        if not given and not served:
            self._complain(keys, f"none of {', '.join((*_WATCHED, *_SERVED))}; allowed: one of them")
        is_ours = bool({*_TREES}.intersection(given))
        self._only_with("command", keys, data, ("inputkill",))
        self._only_with("maildir", keys, data, ("layout",))
        self._only_with("mbox", keys, data, ("inbox",))
        if not is_ours:
            self._only_with("maildir", keys, data, ("poll", "helper", *_QUESTIONS))
        if served and not given:
            self._only_with(_WATCHED, keys, data, ("separator", "encoding", "start_limit", "ssh"))
        imap, login = self._imap(keys, data, values)
        self._only_with("ssh", keys, data, _ONLY_WITH_SSH)
        kind = values["layout"] if "maildir" in data else (given or ["imap" if served else "command"])[0]
        ssh = None if values["ssh"] is None else _ssh(values)
        is_asked = ssh is not None and is_ours
        trash, trash_use = values["trash"] or ("", "")
        if trash_use and not served:
            self._complain((*keys, "trash"), f"{found(trash_use)}: {_NO_SERVER}; write the mailbox's name")
        limits = WatcherLimits(
            name,
            start=values["start_limit"],
            remote=ssh is not None,
            ask_every=values["ask_every"] if is_asked else 0.0,
            answer=values["answer_limit"],
        )
        if limits != WatcherLimits(name):
            self._limits.append(limits)
        return Store(
            name,
            maildir=values["maildir"],
            layout=values["layout"],
            mbox=values["mbox"],
            inbox=values["inbox"],
            mh=values["mh"],
            command=values["command"] or (),
            imap=imap,
            login=login,
            subscribed=values["subscribed"],
            names=_name_form(values, kind),
            inputkill=values["inputkill"],
            create=values["create"],
            delete=values["delete"],
            expunge=values["expunge"],
            read_only=values["read_only"],
            trash=trash,
            trash_use=trash_use,
            ssh=ssh,
            poll_s=values["poll"],
            answer_s=_MISSED_QUESTIONS * (values["ask_every"] or 0.0) if is_asked else None,
        )

    def _imap(self, keys: Keys, data: Values, values: Values) -> tuple[Server | None, Login]:
        """Return how the server of a store is reached, if it has one, and who logs in there."""
        self._only_with("imap", keys, data, (*_ONLY_WITH_TLS, "security"))
        self._only_with(_SERVED, keys, data, _ONLY_WITH_IMAP)
        if not any(key in data for key in _SERVED):
            return None, Login()
        for key in _ONLY_WITH_TLS if values["security"] == "plain" else ():
            if key in data:
                self._complain((*keys, key), 'means nothing with security = "plain"; take one of them out')
        sources = [key for key in _PASSWORDS if key in data]
        if len(sources) > 1:
            self._complain(keys, f"{' and '.join(sources)}; allowed: one of them")
        if "user" not in data and ("imap" in data or sources) and "client_certificate" not in data:
            self._complain((*keys, "user"), "missing; who logs in to the server?")
        is_token = "token_command" in data
        for name in values["mechanisms"] or ():
            if is_token != (name in BY_TOKEN):
                wanted = "a password" if is_token else "a token; write token_command"
                self._complain((*keys, "mechanisms"), f"{found(name)} takes {wanted}")
        host, port = values["imap"] or ("", 0)
        server = Server(
            host,
            port,
            values["security"] or "tls",
            authorities=values["authorities"],
            pins=values["fingerprints"] or (),
            client_certificate=values["client_certificate"],
            tunnel=values["tunnel"] or (),
            timeout_s=values["silence_limit"],
            connections=values["connections"],
        )
        login = Login(
            values["user"] or "",
            command=values["password_command"] or values["token_command"] or (),
            file=values["password_file"],
            asks="user" in data and not sources and "client_certificate" not in data,
            limit_s=values["password_limit"],
            is_token=is_token,
            mechanisms=values["mechanisms"] or (),
        )
        return server, login

    def _only_with(self, needed: str | Keys, keys: Keys, data: Values, dependent: Keys) -> None:
        """Complain of what stands there without any of those that it belongs to."""
        needed = (needed,) if isinstance(needed, str) else needed
        for key in dependent:
            if key in data and not any(each in data for each in needed):
                self._complain((*keys, key), f"means nothing without {' or '.join(needed)}; take it out")

    def _sync(self, data: object, stores: list[Store], source: Path) -> Sync | None:
        readable = len(stores) == 2 and all(store.is_readable for store in stores)
        if data is None and not readable:
            self._complain(("sync",), 'missing; write a table [sync] with = "mbsync", or with a command')
            return None
        data = {} if data is None else data
        if not isinstance(data, dict):
            self._complain(("sync",), f"{found(data)}; allowed: a table")
            return None
        values = self._table(SYNC, ("sync",), data)
        kind = self._sync_kind(values, data, readable=readable)
        if kind is None:
            return None
        self._check_sync_keys(kind, data)
        if kind == "mailsync" and not readable:
            self._complain(
                ("sync", "with"),
                "mailsync has to read both stores; give each a maildir, mbox or mh on this machine, or imap",
            )
        skip = values["skip"] or Mailboxes()
        if skip.uses and not any(store.imap for store in stores):
            shown = ", ".join(map(found, sorted(skip.uses)))
            self._complain(("sync", "skip"), f"{shown}: {_NO_SERVER}; write the mailbox's name")
        target = {
            "mailsync": str(source.absolute()),
            "mbsync": values["channel"],
            "offlineimap": values["account"],
            "command": "",
        }[kind]
        return Sync(
            kind,
            command=(values["command"] or _PROGRAMS.get(kind, (kind,))) + (values["arguments"] or ()),
            target=self._name if target is None else target,
            mailbox_prefix=values["mailbox_prefix"],
            by_mailbox=values["by_mailbox"],
            idle_limit_s=values["idle_limit"],
            hard_cap_s=values["hard_cap"],
            names=_name_form(values, kind),
            size_limit=values["size_limit"],
            largest_deletion=values["largest_deletion"],
            skip=skip.patterns,
            skip_uses=skip.uses,
        )

    def _sync_kind(self, values: Values, data: Values, *, readable: bool) -> SyncKind | None:
        kind: SyncKind | None = values["with"]
        if "with" not in data and "command" in data:
            kind = "command"
        elif "with" not in data and readable:
            kind = "mailsync"
        if kind is None and "with" not in data:
            self._complain(("sync", "with"), f"missing; allowed: {settings_of(SYNC)['with'].kind.allowed}")
        return kind

    def _check_sync_keys(self, kind: SyncKind, given: Values) -> None:
        for key, kinds in _ONLY_FOR.items():
            if key in given and kind not in kinds:
                self._complain(("sync", key), f'means nothing with "{kind}"; take it out')
        if kind == "command" and "command" not in given:
            self._complain(("sync", "command"), 'missing; with = "command" needs the command')


# The program that came with this Python, whatever PATH says.
_PROGRAMS = {"mailsync": (sys.executable, "-m", "mswatch.mailsync_entry")}
_TREES = ("maildir", "mbox", "mh")
_WATCHED = (*_TREES, "command")
_SERVED = ("imap", "tunnel")
_PASSWORDS = ("password_command", "password_file", "token_command")
_ONLY_WITH_IMAP = (
    *("user", *_PASSWORDS, "password_limit", "mechanisms", "silence_limit", "connections", "subscribed"),
)
_ONLY_WITH_TLS = ("fingerprints", "authorities", "client_certificate")
_SECRETS = ("password", "pass")
_NO_SERVER = "only a server says what a mailbox is for, and there is no imap"
# The home directory on another host, which only that knows.
_HOME_THERE = Path("~")
_QUESTIONS = ("ask_every", "answer_limit")
_ONLY_WITH_SSH = ("port", "identity", "ssh_config", "ssh_command", "prefix", "helper", *_QUESTIONS)
_MISSED_QUESTIONS = 3

_ONLY_FOR = {
    "channel": ("mbsync",),
    "account": ("offlineimap",),
    "arguments": ("mailsync", "mbsync", "offlineimap"),
    "skip": ("mailsync",),
    "size_limit": ("mailsync",),
    "largest_deletion": ("mailsync",),
    "separator": ("mbsync", "offlineimap", "command"),
    "encoding": ("mbsync", "offlineimap", "command"),
    "names": ("mbsync", "offlineimap", "command"),
    "mailbox_prefix": ("command",),
}


def _ssh(values: Values) -> Ssh:
    return Ssh(
        values["ssh"],
        port=values["port"],
        identity=values["identity"],
        config=values["ssh_config"],
        command=values["ssh_command"] or ("ssh",),
        prefix=values["prefix"] or (),
        is_helper_installed=values["helper"] == "installed",
    )


def _name_form(values: Values, kind: str) -> NameForm:
    default = DEFAULT_FORMS.get(kind, NameForm())
    return NameForm(
        values["separator"] or default.separator,
        values["encoding"] or default.encoding,
        values["names"] or default.own_names,
    )
