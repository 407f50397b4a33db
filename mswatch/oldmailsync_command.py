"""The old mailsync: ``mailsync [options] CHANNEL | STORE | CHANNEL STORE``, with its file, on today's engine.

A shell, beside ``mailsync_command``, which calls it when the old form is meant.  Its output is the old one;
its exit statuses are today's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from mswatch import paths
from mswatch.config.files import known_accounts, read_old_text
from mswatch.errors import (
    EXIT_PARTIAL,
    EXIT_REFUSED,
    EXIT_USAGE,
    ConfigError,
    MswatchError,
    UnavailableError,
    UsageError,
)
from mswatch.instances import escape
from mswatch.mailsync.decide import SIDES, Permissions, Rules
from mswatch.mailsync.dry import DryStore
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Options, Outcome
from mswatch.mailsync.safety import Refusal
from mswatch.mailsync.state import State
from mswatch.mailsync.stores.contract import MailboxError
from mswatch.mailsync_state import remembering
from mswatch.oldmailsync import looking, options, rc, report, takeover
from mswatch.oldmailsync.msinfo import Memory
from mswatch.oldmailsync.opening import Opened, Opener
from mswatch.oldmailsync.options import OldOptions
from mswatch.oldmailsync.rc import Channel, OldConfiguration, OldStore
from mswatch.oldmailsync.recorder import Recorder
from mswatch.oldmailsync.report import Style
from mswatch.showing import show

if TYPE_CHECKING:  # what only a server needs
    pass

NO_DELETION = Permissions(delete=False, expunge=False)


def is_meant(words: list[str], environment: Mapping[str, str]) -> bool:
    """Tell whether a command line is of the old form, where there is an old file.

    Raises:
        UsageError: It names both an account and a channel or store.
        ConfigError: The old file is wrong, and nothing else can be meant.
    """
    file = paths.old_mailsync(environment)
    accounts = known_accounts(environment)
    try:
        old = rc.read(read_old_text(file), file)
    except ConfigError:
        named = options.first_name(words)
        if named is None or named in accounts:
            return False
        raise
    return options.is_meant(words, {*old.stores, *old.channels}, accounts)


def run(words: list[str], environment: Mapping[str, str]) -> int:
    """Run the old form, and return the exit status."""
    asked = options.parse(words)
    if asked.help or not asked.names:
        _print(options.USAGE)
        return 0 if asked.help else EXIT_USAGE
    file = Path(asked.file) if asked.file is not None else paths.old_mailsync(environment)
    return _Run(asked, rc.read(read_old_text(file), file), environment).run()


class _Run:
    """One call."""

    def __init__(self, asked: OldOptions, found: OldConfiguration, environment: Mapping[str, str]) -> None:
        self._asked = asked
        self._found = found
        self._environment = environment
        is_sync = len(asked.names) == 1 and not asked.simulate
        self._opener = Opener(found.source, environment, not is_sync, _print, _warn)

    def run(self) -> int:
        """Find out which of three things is meant, and do it."""
        channels = [self._found.channels[name] for name in self._asked.names if name in self._found.channels]
        stores = [self._found.stores[name] for name in self._asked.names if name in self._found.stores]
        for name in self._asked.names:
            if name not in self._found.channels and name not in self._found.stores:
                raise UsageError(
                    f'{show(str(self._found.source))} has no channel or store "{show(name)}"',
                    f"it has {_listed([*self._found.channels, *self._found.stores])}",
                )
        if len(channels) == 1 and not stores:
            return self._sync(channels[0])
        if len(stores) == 1 and not channels:
            return self._list(stores[0])
        if len(channels) == len(stores) == 1:
            return self._diff(channels[0], stores[0])
        raise UsageError(
            f"Don't know what to do with {len(channels)} channels and {len(stores)} stores.",
            "name a channel, a store, or a channel and one of its stores",
        )

    # Synchronizing

    def _sync(self, channel: Channel) -> int:
        opened = self._opener.of_channel(channel)
        if self._asked.simulate:
            _print("Only simulating\n")
        first, second = (show(old.name) for old in channel.stores)
        _print(f'Synchronizing stores "{first}" <-> "{second}"...\n')
        recorder = Recorder(self._asked.method, messages=self._asked.messages)
        with self._state(channel, opened, dry=self._asked.simulate) as (state, note):
            if not note:  # others or damaged: there were runs before, and msinfo is too old
                self._take_over(channel, opened, state)
            near, far = (
                recorder.around(DryStore(each.store) if self._asked.simulate else each.store, side)
                for side, each in zip(SIDES, opened, strict=True)
            )
            outcome = Engine(near, far, state, self._engine_options(channel, opened), recorder).run()
            rows = state.mailboxes()
            for name in {*recorder.listed["near"], *recorder.listed["far"]}:
                recorder.box(name).remembered = state.count(rows[name]) if name in rows else 0
            if not outcome.refused:
                takeover.finish(state)
            outcome.notes += [note] if note else []
        self._tell(channel, opened, recorder, outcome)
        if outcome.refused:
            return EXIT_REFUSED
        return EXIT_PARTIAL if outcome.failed or outcome.problems else 0

    def _engine_options(self, channel: Channel, opened: tuple[Opened, Opened]) -> Options:
        asked = self._asked
        usual = Permissions() if asked.delete else NO_DELETION
        near, far = (each.permissions(usual) for each in opened)
        return Options(
            rules=Rules(near, far, restore=asked.undo_deletions, copy_deleted=asked.copy_deleted),
            size_limit=channel.size_limit,
            believe=asked.accept_deletions,
            dedupe=asked.dedupe,
            leaving="clear" if asked.remove_empty else "keep",
        )

    @contextmanager
    def _state(
        self, channel: Channel, opened: tuple[Opened, Opened], *, dry: bool
    ) -> Iterator[tuple[State, str]]:
        """Give what is remembered of a channel: by its name and its msinfo, as it always was."""
        which = sha256(channel.msinfo.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        name = f"{escape(channel.name)[:150]}:{which}"
        pair = "\n".join(each.place for each in opened)
        with remembering(name, pair, self._environment, dry=dry, tell=_warn) as found:
            yield found

    def _take_over(self, channel: Channel, opened: tuple[Opened, Opened], state: State) -> None:
        """Take over what the old program remembered, if there was no run of this one yet."""
        memory = self._read_msinfo(channel) if channel.msinfo and takeover.is_due(state) else None
        if memory is not None:
            stores = {side: each.store for side, each in zip(SIDES, opened, strict=True)}
            count = takeover.take_over(stores, state, memory)
            _warn(f"taken over from {show(channel.msinfo)}: {count} messages in {len(memory)} mailboxes")

    def _read_msinfo(self, channel: Channel) -> Memory | None:
        store = self._opener.msinfo(channel)
        try:
            return takeover.read_memory(store, channel.name)
        except (OSError, MswatchError) as error:
            raise UnavailableError(
                f"{show(channel.msinfo)}: what the old program remembered cannot be read: {error}",
                "make it readable; or, if nothing of it matters any more, take msinfo out of the channel",
            ) from error
        finally:
            store.close()

    def _tell(
        self, channel: Channel, opened: tuple[Opened, Opened], recorder: Recorder, outcome: Outcome
    ) -> None:
        style = self._style(channel)
        for name in report.sync_order(recorder.listed["near"], recorder.listed["far"]):
            box = recorder.box(name)
            if name in outcome.failed:
                _warn(f"Error: {show(name)}: {outcome.failed[name]}")
            elif self._asked.simulate and box.made:
                _print(f"Creating {show(name)} in {style.store(box.made[0])}\n")
            else:
                _print("".join(report.sync_report(box, style)))
        for name, box in sorted(recorder.boxes.items()):
            if box.unmade:
                full = [f"{each.old.server}{each.store.full(name)}" for each in opened]
                _print(report.removal(name, full))
        for name, reason in outcome.failed.items():
            if name not in {*recorder.listed["near"], *recorder.listed["far"]}:
                _warn(f"Error: {show(name)}: {reason}")
        for problem in outcome.problems:
            _warn(f"Error: {problem}")
        for note in outcome.notes:
            if ": not copied: " not in note:  # there was a line about it
                _warn(note)
        for refusal in outcome.refused:
            for line in self._refused(channel, refusal):
                _warn(line)

    def _refused(self, channel: Channel, refusal: Refusal) -> Iterator[str]:
        import shlex

        where = f"{refusal.mailbox}: " if refusal.mailbox is not None else ""
        store = channel.stores[SIDES.index(refusal.side)].name
        file = ["-f", self._asked.file] if self._asked.file is not None else []
        begin, end = ["mailsync"], [*file, channel.name]
        if refusal.copies:
            yield f"{where}{refusal.seen} (store {store}); none is removed"
            yield f"  to remove them: {shlex.join([*begin, '--dedupe', '--accept-deletions', *end])}"
            return
        yield f"{where}{refusal.seen} (store {store}); nothing is deleted on the other side"
        yield f"  if they were deleted on purpose: {shlex.join([*begin, '--accept-deletions', *end])}"
        yield f"  if they were lost, to bring them back: {shlex.join([*begin, '--undo-deletions', *end])}"

    def _style(self, channel: Channel) -> Style:
        first, second = channel.stores
        return Style((first.name, second.name), self._asked.messages, self._asked.ids)

    # Looking

    def _list(self, old: OldStore) -> int:
        where = self._opener.store(old)
        _print(f'Listing store "{show(old.name)}"\n')
        style = Style((old.name, old.name), self._asked.messages, self._asked.ids)
        failed = False
        try:
            there = where.store.mailboxes() if where.store.open() else {}
            for name in sorted(there):
                entries: list[report.Entry] | None = []
                if style.messages:
                    try:
                        entries = looking.entries(where.store, name, self._asked.method)
                    except (OSError, MailboxError) as error:
                        failed, entries = True, None
                        _warn(f"Error: {show(name)}: {error}")
                _print("".join(report.list_report(name, entries, style)))
            for note in where.store.notes:
                _warn(note)
        finally:
            where.store.close()
        return EXIT_PARTIAL if failed else 0

    def _diff(self, channel: Channel, old: OldStore) -> int:
        if old not in channel.stores:
            raise UsageError(
                f'store "{show(old.name)}" is none of channel "{show(channel.name)}"',
                f"it has {_listed([each.name for each in channel.stores])}",
            )
        side = SIDES[channel.stores.index(old)]
        opened = self._opener.of_channel(channel)
        where = opened[SIDES.index(side)]
        shown = show(old.name)
        _print(f'Comparing store "{shown}" <-> "{shown}"...\n')
        with self._state(channel, opened, dry=True) as (state, _):
            known = looking.remembered(state, side) or self._old_memory(channel)
        failed = False
        try:
            there = where.store.mailboxes() if where.store.open() else {}
            for name in report.sync_order([*there, *(name for name in known if name not in there)], []):
                remembered = known.get(name, looking.Known())
                try:
                    if name not in there:
                        found = report.Difference(0, deleted=len(remembered.keys) + len(remembered.ids))
                    else:
                        found = looking.difference(where.store, name, remembered, self._asked.method)
                except (OSError, MailboxError) as error:
                    failed = True
                    _warn(f"Error: {show(name)}: {error}")
                    continue
                _print(report.diff_report(name, found, old.name, self._style(channel)))
        finally:
            where.store.close()
        return EXIT_PARTIAL if failed else 0

    def _old_memory(self, channel: Channel) -> dict[str, looking.Known]:
        memory = self._read_msinfo(channel) if channel.msinfo else None
        return looking.remembered_by_the_old(memory or {})


def _listed(names: list[str]) -> str:
    return ", ".join(show(name) for name in names) or "none"


def _print(text: str) -> None:
    sys.stdout.write(text)


def _warn(text: str) -> None:
    sys.stdout.flush()
    print(f"mailsync: {show(text)}", file=sys.stderr)  # noqa: T201 - what this command is for
