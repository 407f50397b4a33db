"""The command ``mailsync``: an account's two stores brought into step once.

A shell: it reads the account, opens stores and state, runs the engine and says how it went.  It is the
one place that knows both the configuration and ``mailsync/``.  Whatever is not needed in every run is
imported where it is needed: a run that finds nothing changed must cost less than a look at a mailbox.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mswatch import account as accounts
from mswatch import paths
from mswatch.account import Account
from mswatch.errors import (
    EXIT_BUG,
    EXIT_PARTIAL,
    EXIT_REFUSED,
    EXIT_TEMPORARY,
    ConfigError,
    MswatchError,
    UnavailableError,
    UsageError,
)
from mswatch.imap_session.settings import Server
from mswatch.mailsync import settled
from mswatch.mailsync.decide import READ_ONLY, SIDES, Permissions, Rules, Side
from mswatch.mailsync.engine import Engine
from mswatch.mailsync.options import Edited, Options, Outcome
from mswatch.mailsync.safety import Refusal
from mswatch.mailsync.stores.contract import UNSUBSCRIBED, Store
from mswatch.mailsync.telling import Teller
from mswatch.mailsync_asked import Asked, simply_asked
from mswatch.mailsync_state import remembering, state_file
from mswatch.showing import show

if TYPE_CHECKING:
    from typing import TextIO

    from mswatch.imap_session.glance import Glimpse, Look


def main(arguments: Sequence[str] | None = None, glimpses: Mapping[str, Glimpse] | None = None) -> int:
    """Run the command, and return its exit status; ``glimpses`` were had of stores, by their names."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        asked = simply_asked(words)
        if _is_old(words, asked):
            from mswatch import oldmailsync_command

            return oldmailsync_command.run(words, os.environ)
        if asked is None:
            from mswatch import mailsync_parser

            asked = mailsync_parser.asked(words)
        return _run(asked, glimpses or {})
    except MswatchError as error:
        return failed(error)
    except KeyboardInterrupt:
        return EXIT_TEMPORARY
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads
        return 0
    except Exception as error:  # whatever else: ours
        import traceback

        traceback.print_exc()
        _warn(f"this is a bug of mailsync, please report it: {type(error).__name__}: {error}")
        return EXIT_BUG


def failed(error: MswatchError) -> int:
    """Say what is wrong, and return the exit status."""
    for line in [*(error.problems if isinstance(error, ConfigError) else [str(error)]), error.fix]:
        if line:
            _warn(line)
    return error.exit_status


def _is_old(words: list[str], asked: Asked | None) -> bool:
    """Tell whether the old mailsync's form is meant; without its file only its own options say so."""
    if asked is None:
        from mswatch.oldmailsync import options

        if options.begins_old(words):
            return True
    try:
        if not paths.old_mailsync(os.environ).exists():
            return False
    except ConfigError:
        return False
    from mswatch import oldmailsync_command

    return oldmailsync_command.is_meant(words, os.environ)


def _run(options: Asked, glimpses: Mapping[str, Glimpse]) -> int:
    if options.dedupe and options.undo_deletions:
        raise UsageError("--dedupe and --undo-deletions exclude each other", "first the one, then the other")
    account, mailboxes = _account(options)
    if options.verify:
        return _verify(options, account, mailboxes)
    if options.list is not None or options.diff is not None:
        return _look(options, account, mailboxes)
    near, far = (
        _store(account, store, glimpses.get(store.name), dry=options.dry_run) for store in account.stores
    )
    teller = _teller(options, account, sys.stdout if options.verbose and not options.json else None)
    stamps = None if options.dry_run or mailboxes else _stamps(account, near, far)
    tell = None if options.quiet else _warn
    with remembering(account.name, _pair(account), os.environ, dry=options.dry_run, tell=tell) as (
        state,
        note,
    ):
        if options.dry_run:
            from mswatch.mailsync.dry import DryStore

            near, far = DryStore(near), DryStore(far)
        try:
            engine = Engine(near, far, state, engine_options(account, options), teller)
            outcome = engine.run(mailboxes or None, _edited(options, account))
        except MswatchError:
            _tell_done(options, teller)  # until it broke off
            raise
        finally:
            teller.clear()
        outcome.notes += [note] if note else []
        share = state.compared_share() if options.json else (0, 0)
    if stamps and not teller.counts and outcome == Outcome():
        _settle(account, stamps, (near, far))
    _tell(options, account, teller, outcome, share)
    return _status(outcome)


def _verify(options: Asked, account: Account, only: Sequence[str]) -> int:
    """Compare both stores by content, and say what differs."""
    if options.dry_run or options.dedupe or options.accept_deletions or options.undo_deletions:
        raise UsageError("--verify changes nothing in either store, and goes with no option that would")
    from mswatch.mailsync import telling
    from mswatch.mailsync.verifying import Verification

    near, far = (_store(account, store, None, dry=True) for store in account.stores)
    teller = _teller(options, account)
    tell = None if options.quiet else _warn
    report: dict[str, dict[str, object]] = {}
    failed: dict[str, str] = {}
    is_equal = True
    with remembering(account.name, _pair(account), os.environ, dry=False, tell=tell) as (state, note):
        if note:
            _warn(note)
        verification = Verification(near, far, state, engine_options(account, options), teller)
        try:
            for name, found in verification.run(only):
                teller.clear()
                if isinstance(found, Exception):
                    failed[name] = str(found)
                    _warn(f"{show(name)}: {found}")
                    continue
                is_equal = is_equal and found.is_equal
                report[name] = telling.verified_as_json(found, teller.stores)
                for line in telling.verified(name, found, teller.stores) if not options.json else ():
                    if not options.quiet or not found.is_equal:
                        _say(line)
        finally:
            teller.clear()
        compared, pairs = state.compared_share()
    if options.json:
        import json

        totals = {"compared": compared, "pairs": pairs}
        _say(json.dumps({"account": account.name, "verified": report, "failed": failed, **totals}, indent=1))
    elif not options.quiet:
        _say(f"{compared} of {pairs} pairs of messages are known to be equal")
    return 0 if is_equal and not failed else EXIT_PARTIAL


def _edited(options: Asked, account: Account) -> Edited:
    """Return what was written into, by side and mailbox."""
    sides = {store.name: side for store, side in zip(account.stores, SIDES, strict=True)}
    found: dict[Side, dict[str, list[str]]] = {side: {} for side in SIDES}
    for word in options.written:
        parts = word.split("\t")
        if len(parts) != 3:
            raise UsageError(
                f'--written: "{show(word)}" is not a store, a mailbox and a file, with tabs between'
            )
        store, mailbox, file = parts
        if store not in sides:
            raise UsageError(
                f'account {account.name} has no store "{show(store)}"', f"it has {' and '.join(sides)}"
            )
        found[sides[store]].setdefault(mailbox, []).append(file)
    return found


def _teller(options: Asked, account: Account, each: TextIO | None = None) -> Teller:
    bar = sys.stderr if sys.stderr.isatty() and not (options.quiet or options.json) else None
    return Teller({"near": account.stores[0].name, "far": account.stores[1].name}, bar, each)


def _look(options: Asked, account: Account, only: Sequence[str]) -> int:
    """List the mailboxes of a store, or say how they differ from what is remembered."""
    name = (options.diff if options.list is None else options.list) or ""
    names = [store.name for store in account.stores]
    if name not in names:
        raise UsageError(
            f'account {account.name} has no store "{show(name)}"', f"it has {' and '.join(names)}"
        )
    side, asked = SIDES[names.index(name)], engine_options(account, options)
    store = _store(account, account.stores[names.index(name)], None, dry=True)
    try:
        if not store.open():
            raise UnavailableError(f"store {name} is not there", "make it, or mount it")
        if options.list is not None:
            from mswatch.mailsync.looking import listed

            seen: dict[str, dict[str, int] | str] = {each: {} for each in listed(store, asked, only)}
        else:
            seen = _differences(account, store, side, asked, only)
        for note in store.notes:
            _warn(note)
    finally:
        store.close()
    _tell_look(options, account, name, seen)
    return EXIT_PARTIAL if any(isinstance(what, str) for what in seen.values()) else 0


def _differences(
    account: Account, store: Store, side: Side, asked: Options, only: Sequence[str]
) -> dict[str, dict[str, int] | str]:
    """Return how mailboxes differ, or why they cannot be looked at."""
    from mswatch.mailsync.looking import differences

    with remembering(account.name, _pair(account), os.environ, dry=True, tell=_warn) as (state, _):
        return {
            mailbox: str(seen) if isinstance(seen, Exception) else vars(seen)
            for mailbox, seen in differences(store, state, side, asked, only)
        }


def _tell_look(
    options: Asked, account: Account, store: str, found: Mapping[str, Mapping[str, int] | str]
) -> None:
    if options.json:
        import json

        _say(json.dumps({"account": account.name, "store": store, "mailboxes": found}, indent=1))
        return
    for mailbox, what in found.items():
        if isinstance(what, str):
            _warn(f"{show(mailbox)}: {what}")
        else:
            _say(f"{show(mailbox)}: {_counts(what)}" if what else show(mailbox))


def _counts(counts: Mapping[str, int]) -> str:
    words = (("new", "new"), ("deleted", "deleted"), ("flags", "with other flags"))
    parts = [f"{counts[key]} {word}" for key, word in words if counts[key]]
    return ", ".join([*parts, f"{counts['count']} there"])


def _stamps(account: Account, *stores: Store) -> list[bytes] | None:
    """Return stamps of all that a run depends on, taken before it looks; None if they cannot tell."""
    places = [[os.fsencode(account.source.absolute()), os.fsencode(__file__)]]
    with suppress(ConfigError):  # may name what the account is called
        places[0].append(os.fsencode(paths.old_mailsync(os.environ)))
    for place, store in zip(account.stores, stores, strict=True):
        found = store.stamp_paths() if place.imap is None else ()  # a server is asked
        if found is None:
            return None
        places.append(list(found))
    return settled.stamps(path for part in places for path in part)


def _settle(account: Account, stamps: list[bytes], stores: Iterable[Store]) -> None:
    """Leave the stamps for the next run, with one of the state, which may be removed at any time."""
    directory = paths.state_directory(os.environ)
    state = settled.stamps([os.fsencode(state_file(account.name, directory))])
    looks = _looks(account, stores)
    if state and looks is not None:
        file = os.fsencode(directory / f"{account.name}.mailsync.settled")
        settled.write(file, stamps + state, [look.written() for look in looks])


def _looks(account: Account, stores: Iterable[Store]) -> list[Look] | None:
    """Return what is to be asked of servers to know that nothing has changed; None if that is not known."""
    looks = []
    for place, store in zip(account.stores, stores, strict=True):
        if place.imap is None:
            continue
        from mswatch.imap_session.glance import Look
        from mswatch.mailsync.stores.imap import ImapStore

        if not isinstance(store, ImapStore) or store.said is None:
            return None
        if place.login.asks or place.login.given is not None:
            return None  # a secret is not written, and a person is asked by a program that can explain itself
        looks.append(Look(place.name, place.imap, place.login, store.said))
    return looks


def _account(options: Asked) -> tuple[Account, Sequence[str]]:
    from mswatch import config
    from mswatch.instances import unescape

    words = options.names
    if options.config is not None:
        return config.load_file(options.config, os.environ), words
    if not words:
        raise UsageError("an ACCOUNT, or --config FILE, is needed", "see: mailsync --help")
    return config.load_account(unescape(words[0]), os.environ), words[1:]


def _store(account: Account, store: accounts.Store, glimpse: Glimpse | None, *, dry: bool) -> Store:
    if store.imap is not None:
        return _imap_store(store, store.imap, glimpse, uses=bool(account.sync.skip_uses or store.trash_use))
    if not store.is_readable:
        raise ConfigError(
            [f"store {store.name} only tells of changes, by a command or by ssh; mailsync has to read it"],
            'give it a maildir, mbox or mh here, or imap, or use another syncer in [sync] with = "..."',
        )
    journals = paths.journals(os.environ)
    if store.mbox is not None:
        from mswatch.mailsync.stores.mbox import MboxStore

        return MboxStore(store.name, store.mbox, store.names, journals, inbox=store.inbox, looks_only=dry)
    if store.mh is not None:
        from mswatch.mailsync.stores.mh import MhStore

        return MhStore(store.name, store.mh, store.names, journals, looks_only=dry)
    from mswatch.mailsync.stores.maildir import MaildirStore

    if store.maildir is None:
        raise AssertionError("a store that can be read is of a kind that is known here")
    return MaildirStore(store.name, store.maildir, store.layout, store.names)


def _imap_store(store: accounts.Store, server: Server, glimpse: Glimpse | None, *, uses: bool) -> Store:
    from mswatch.imap_session.login import log_in
    from mswatch.mailsync.stores.imap import ImapStore

    login = store.login
    connections = 1 if login.asks else server.connections
    begun = [glimpse] if glimpse is not None else []  # once
    return ImapStore(
        store.name,
        lambda: log_in(server, login, glimpse=begun.pop() if begun else None),
        store.names.own_names,
        connections=connections,
        uses=uses,
        subscribed=store.subscribed,
    )


def _pair(account: Account) -> str:
    """Return what tells the two stores of an account from others."""
    return "\n".join(map(_place, account.stores))


def _place(store: accounts.Store) -> str:
    """Return what tells a store from another one: with another one nothing that is remembered is true."""
    if store.imap is None:
        kind = store.layout if store.maildir else "mbox" if store.mbox else "mh"
        return f"{store.tree} {kind}" + (f" {store.inbox}" if store.inbox else "")
    return f"imap {store.login.user} {store.imap.host.lower()} {' '.join(store.imap.tunnel)}"


def engine_options(account: Account, options: Asked) -> Options:
    """Return what the account and the command line ask for."""
    near, far = account.stores
    unsubscribed = {UNSUBSCRIBED} if near.subscribed or far.subscribed else set[str]()
    return Options(
        rules=Rules(_permissions(near), _permissions(far), restore=options.undo_deletions),
        near_trash=near.trash,
        far_trash=far.trash,
        near_trash_use=near.trash_use,
        far_trash_use=far.trash_use,
        size_limit=account.sync.size_limit,
        largest_share=account.sync.largest_deletion,
        believe=options.accept_deletions,
        skip=account.sync.skip,
        skip_uses=account.sync.skip_uses | unsubscribed,
        dedupe=options.dedupe,
    )


def _permissions(store: accounts.Store) -> Permissions:
    if store.read_only:
        return READ_ONLY
    return Permissions(create=store.create, delete=store.delete, expunge=store.expunge)


def _tell(options: Asked, account: Account, teller: Teller, outcome: Outcome, share: tuple[int, int]) -> None:
    if options.json:
        import json

        report = {"account": account.name, "dry_run": options.dry_run, **teller.as_json(outcome)}
        report |= {"compared": share[0], "pairs": share[1]}
        _say(json.dumps(report, indent=1))
    else:
        _tell_done(options, teller)
        for note in outcome.notes if not options.quiet else ():
            _warn(note)
    for name, reason in outcome.failed.items():
        _warn(f"{name}: {reason}")
    for problem in outcome.problems:
        _warn(problem)
    for refusal in outcome.refused:
        for line in _refused(refusal, options, account):
            _warn(line)


def _tell_done(options: Asked, teller: Teller) -> None:
    if not options.quiet and not options.json:
        teller.clear()
        for line in teller.summary():
            _say(f"would be: {line}" if options.dry_run else line)


def _refused(refusal: Refusal, options: Asked, account: Account) -> Iterator[str]:
    """Say what was seen, and the command for each of both intentions."""
    import shlex

    where = f"{refusal.mailbox}: " if refusal.mailbox is not None else ""
    named = ["--config", options.config] if options.config is not None else [account.name]
    begin = ["mailsync", *named, *([refusal.mailbox] if refusal.mailbox is not None else [])]
    store = account.stores[0 if refusal.side == "near" else 1].name
    if refusal.copies:
        yield f"{where}{refusal.seen} (store {store}); none is removed"
        yield f"  to remove them: {shlex.join([*begin, '--dedupe', '--accept-deletions'])}"
        return
    yield f"{where}{refusal.seen} (store {store}); nothing is deleted on the other side"
    yield f"  if they were deleted on purpose: {shlex.join([*begin, '--accept-deletions'])}"
    yield f"  if they were lost, to bring them back: {shlex.join([*begin, '--undo-deletions'])}"


def _status(outcome: Outcome) -> int:
    if outcome.refused:
        return EXIT_REFUSED
    return EXIT_PARTIAL if outcome.failed or outcome.problems else 0


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what this command is for


def _warn(text: str) -> None:
    print(f"mailsync: {show(text)}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
