"""From the statements of an old mswatchrc to an Account with the old meaning and the old defaults.

Names are literal, stores are commands, the syncer is called by the old interface; ``~`` and
wildcards have no meaning.  All times are whole seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mswatch.account import Account, Store, Sync
from mswatch.config import rcfile
from mswatch.config.naming import clean_name
from mswatch.config.policies import make_policy
from mswatch.config.problems import Problems
from mswatch.config.rcfile import RcText, Statement
from mswatch.config.settings import rc_default
from mswatch.config.values import LONGEST_DELAY_S
from mswatch.names import Pattern
from mswatch.showing import show

DELAYS = ("base_delay", "inter_delay", "max_delay", "poll_period")


def read_rc(text: str, name: str, source: Path) -> Account:
    """Make the account ``name`` of the text of an old rc file; bytes that are no UTF-8 come as surrogates.

    Raises:
        ConfigError: With every problem found.
    """
    return read_parsed(text, name, source)[1]


def read_parsed(text: str, name: str, source: Path) -> tuple[RcText, Account]:
    """Do the same and return the statements as well, for the import."""
    problems = Problems(source)
    parsed = rcfile.parse(text, problems)
    account = _Reader(problems).account(parsed.statements, name, source)
    problems.raise_if_any()
    if account is None:
        raise AssertionError("a file without problems makes an account")
    return parsed, account


def store_names(given: list[str]) -> list[str]:
    """Return names that a store may have today for those of an old file, where any word was one."""
    names: list[str] = []
    for old in given:
        name = clean_name(old)
        names.append(f"{name}_2" if name in names else name)
    return names


@dataclass(frozen=True)
class _Given:
    """The statements of a file, sorted."""

    once: Mapping[str, Statement]  # by keyword; inter_delay without names is one of these
    named_delays: tuple[Statement, ...]
    ignores: tuple[Statement, ...]
    stores: tuple[Statement, ...]


class _Reader:
    """One reading of one file."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def account(self, statements: tuple[Statement, ...], name: str, source: Path) -> Account | None:
        given = self._sorted(statements)
        values: dict[str, Any] = {key: self._delay_of(given, key) for key in DELAYS}
        values["inter_delays"] = self._named_delays(given, values["base_delay"])
        values["ignore"] = tuple(Pattern(word, literal=True) for each in given.ignores for word in each.words)
        values["only"] = ()
        self._check_base_delay(given, values)
        sync, stores = self._sync(given), self._stores(given)
        if sync is None or stores is None:
            return None
        policy = make_policy(values, (stores[0].name, stores[1].name))
        return Account(name, source, stores, sync, policy)

    def _sorted(self, statements: tuple[Statement, ...]) -> _Given:
        once: dict[str, Statement] = {}
        lists: dict[str, list[Statement]] = {"inter_delay": [], "ignore": [], "store": []}
        for statement in statements:
            if statement.keyword in ("ignore", "store") or (
                statement.keyword == "inter_delay" and len(statement.words) > 1
            ):
                lists[statement.keyword].append(statement)
            elif statement.keyword in once:
                first = once[statement.keyword].line
                self._problems.add(statement.line, f"{statement.keyword}: given again; first in line {first}")
            else:
                once[statement.keyword] = statement
        return _Given(once, *(tuple(lists[key]) for key in ("inter_delay", "ignore", "store")))

    def _delay_of(self, given: _Given, key: str) -> float | None:
        statement = given.once.get(key)
        return rc_default(key) if statement is None else self._delay(statement)

    def _delay(self, statement: Statement) -> float | None:
        text = statement.words[0] if statement.words else ""
        extra = statement.words[1:] if statement.keyword != "inter_delay" else ()
        if not re.fullmatch("[0-9]{1,20}", text) or extra or int(text) > LONGEST_DELAY_S:
            shown = show(" ".join(statement.words))
            self._problems.add(
                statement.line, f'{statement.keyword}: "{shown}"; allowed: whole seconds, up to ten years'
            )
            return None
        return float(text)

    def _named_delays(self, given: _Given, base: float | None) -> tuple[tuple[Pattern, float], ...]:
        delays: dict[str, float] = {}
        for statement in given.named_delays:
            delay = self._delay(statement)
            if delay is None:
                continue
            if base is not None and base > delay:
                shown = show(", ".join(statement.words[1:]))
                message = f"{delay:.0f} for {shown} is less than base_delay, which is {base:.0f}"
                self._problems.add(statement.line, f"inter_delay: {message}")
            for mailbox in statement.words[1:]:
                if delays.setdefault(mailbox, delay) != delay:
                    message = f'{delay:.0f} for "{show(mailbox)}", which has {delays[mailbox]:.0f} already'
                    self._problems.add(statement.line, f"inter_delay: {message}")
        return tuple((Pattern(mailbox, literal=True), delay) for mailbox, delay in delays.items())

    def _check_base_delay(self, given: _Given, values: Mapping[str, Any]) -> None:
        base, inter = values["base_delay"], values["inter_delay"]
        if base is None or inter is None or base <= inter:
            return
        default = "" if "inter_delay" in given.once else " (the default)"
        line = given.once["base_delay" if "base_delay" in given.once else "inter_delay"].line
        self._problems.add(
            line, f"base_delay {base:.0f} is more than inter_delay, which is {inter:.0f}{default}"
        )

    def _sync(self, given: _Given) -> Sync | None:
        prefix = given.once.get("mailbox_prefix")
        if prefix is not None and len(prefix.words) != 2:
            self._problems.add(
                prefix.line, f"mailbox_prefix: {len(prefix.words)} words; allowed: a prefix and a separator"
            )
        statement = given.once.get("sync")
        if statement is None:
            self._problems.add(0, "sync: missing; write sync PROGRAM ARGUMENT ...")
            return None
        self._need_program(statement, "sync")
        sync = Sync("command", statement.words)
        if prefix is not None and len(prefix.words) == 2:
            sync = replace(sync, mailbox_prefix=(prefix.words[0], prefix.words[1]))
        return sync

    def _need_program(self, statement: Statement, what: str) -> None:
        if not statement.words or not statement.words[0]:
            self._problems.add(statement.line, f"{what}: the program is missing")

    def _stores(self, given: _Given) -> tuple[Store, Store] | None:
        names = [statement.store for statement in given.stores]
        for number, statement in enumerate(given.stores):
            self._need_program(statement, f'watch of store "{show(statement.store)}"')
            if number >= 2:
                self._problems.add(
                    statement.line, f'store "{show(statement.store)}": the third; allowed: two'
                )
            elif number and statement.store == names[0]:
                self._problems.add(
                    statement.line,
                    f'store "{show(statement.store)}": the name is taken in line {given.stores[0].line}',
                )
        if len(names) < 2:
            has = f'only one store ("{show(names[0])}")' if names else "no stores"
            self._problems.add(0, f"store: {has}; allowed: two")
            return None
        if len(names) > 2:
            return None
        first, second = (
            Store(name, command=statement.words)
            for name, statement in zip(store_names(names), given.stores, strict=True)
        )
        return first, second
