"""The command line: words in, one call, an exit status out.

Each verb is a function here; what it needs is imported when it is called, so that ``mswatch changed``, which
a delivery agent starts for each message, does not load what only the service needs.  This is also the one
place where an error becomes a message and an exit status.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mswatch import __version__
from mswatch.errors import (
    EXIT_BUG,
    EXIT_TEMPORARY,
    EXIT_UNAVAILABLE,
    ConfigError,
    MswatchError,
    UnavailableError,
    UsageError,
)
from mswatch.instances import unescape

if TYPE_CHECKING:
    from mswatch.account import Account


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see: {self.prog} --help")


def _parser() -> _Parser:
    parser = _Parser(
        prog="mswatch",
        description="Keep two mail stores in step in real time.",
        epilog="Without a command: the old program, which reads ~/.mswatchrc.",
    )
    parser.add_argument("-?", action="help", help=argparse.SUPPRESS)  # the old program's
    parser.add_argument("-V", "--version", action="version", version=f"mswatch {__version__}")
    _run_options(parser)
    commands = parser.add_subparsers(dest="verb", metavar="COMMAND")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    run = verb("run", "be the service of an account, in the foreground")
    run.add_argument("account", nargs="?", metavar="ACCOUNT")
    _run_options(run, of_a_verb=True)
    run.add_argument(
        "--launch",
        choices=("auto", "units", "children"),
        default="auto",
        help="start watchers and runs as units of the user manager or as children; auto: as it was itself",
    )
    run.add_argument("--record", metavar="FILE", help="write down all events and decisions, for a bug report")

    sync = verb("sync", "bring mailboxes (default: all) into step now, and wait for it")
    sync.add_argument("account", metavar="ACCOUNT")
    sync.add_argument("mailboxes", nargs="*", metavar="MAILBOX")

    changed = verb("changed", "tell the service that mailboxes changed")
    changed.add_argument("account", metavar="ACCOUNT")
    changed.add_argument("mailboxes", nargs="+", metavar="MAILBOX")

    status = verb("status", "say how accounts (default: all) stand")
    status.add_argument("accounts", nargs="*", metavar="ACCOUNT")
    status.add_argument("--json", action="store_true", help="for programs")

    check = verb("check", "try the configuration and the stores of accounts (default: all)")
    check.add_argument("accounts", nargs="*", metavar="ACCOUNT")
    check.add_argument("-c", "--config", metavar="FILE", help="this file instead of an account's")

    old = verb("import", "turn an old .mswatchrc or .mailsync into an account's TOML, on standard output")
    old.add_argument("file", metavar="FILE")
    old.add_argument("channel", nargs="?", metavar="CHANNEL", help="of a .mailsync that has several")

    reload = verb("reload", "have the service read its configuration again")
    reload.add_argument("account", metavar="ACCOUNT")

    setup = verb("setup", "install the systemd units for you, and say what is missing")
    setup.add_argument(
        "account", nargs="?", metavar="ACCOUNT", help="enable and start this account's service too"
    )
    setup.add_argument("--remove", action="store_true", help="take the units away again")

    ended = commands.add_parser("unit-ended")  # for the units alone
    ended.add_argument("unit")

    verb("sample", "print a commented configuration, on standard output")
    return parser


def _run_options(parser: argparse.ArgumentParser, *, of_a_verb: bool = False) -> None:
    # Of a verb they have no default: it would undo what stands before the verb.
    off = argparse.SUPPRESS if of_a_verb else False
    parser.add_argument("-c", "--config", metavar="FILE", default=off or None, help="read this file")
    parser.add_argument("-d", "--dry-run", "--dry", action="store_true", default=off, help="start no sync")
    parser.add_argument("-q", "--quiet", action="store_true", default=off, help="tell only what goes wrong")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit status."""
    try:
        options = _parser().parse_args(arguments)
        return _VERBS[options.verb](options)
    except MswatchError as error:
        _complain(error)
        return error.exit_status
    except KeyboardInterrupt:
        return EXIT_TEMPORARY
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # nobody reads; say nothing at exit either
        return 0
    except Exception as error:  # whatever else: ours
        traceback.print_exc()
        _tell("BUG", f"this is a bug of mswatch, please report it: {type(error).__name__}: {error}")
        return EXIT_BUG


def _complain(error: MswatchError) -> None:
    problems = error.problems if isinstance(error, ConfigError) else [str(error)]
    for line in [*problems, *([error.fix] if error.fix else [])]:
        _tell("START_FAILED", line)


def _tell(message: str, text: str) -> None:
    """Complain: to who called, or, in a unit, where "journalctl --user -u mswatch" finds it."""
    if "JOURNAL_STREAM" not in os.environ:
        _warn(text)
        return
    from mswatch import messages
    from mswatch.logs import open_log

    open_log(os.environ).tell(getattr(messages, message), text)


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what this command is for


def _warn(text: str) -> None:
    from mswatch.showing import show

    print(f"mswatch: {show(text)}", file=sys.stderr)  # noqa: T201


def _account(name: str | None, file: str | None) -> Account:
    from mswatch import config

    if file is not None:
        return config.load_file(file, os.environ)
    if name is None:
        raise UsageError("an ACCOUNT, or --config FILE, is needed", "see: mswatch run --help")
    return config.load_account(unescape(name), os.environ)


def _run(options: argparse.Namespace) -> int:
    if options.account is not None and options.config is not None:
        raise UsageError("ACCOUNT and --config exclude each other")
    return _serve(options, lambda: _account(options.account, options.config), options.launch, options.record)


def _old_program(options: argparse.Namespace) -> int:
    from mswatch.paths import home

    file = options.config or str(home(os.environ) / ".mswatchrc")
    return _serve(options, lambda: _account(None, file), "children", None)


def _serve(options: argparse.Namespace, read: Callable[[], Account], launch: str, record: str | None) -> int:
    import asyncio

    from mswatch.launch import launcher
    from mswatch.logs import open_log
    from mswatch.notify import Notifier
    from mswatch.service.coordinator import Coordinator

    account = read()
    log = open_log(os.environ, quiet=options.quiet)
    try:
        file = open(record, "w") if record is not None else None  # noqa: SIM115, PTH123 - open for the whole life
    except OSError as error:
        raise UsageError(f"cannot write the record {record!r}: {error.strerror}") from error
    starts = launcher(launch, account.name, os.environ)
    notifier = Notifier(os.environ)
    coordinator = Coordinator(
        account,
        os.environ,
        log,
        launcher=starts,
        notifier=notifier,
        reread=read,
        dry=options.dry_run,
        record=file,
    )
    asyncio.run(coordinator.serve())
    return 0


def _reload(options: argparse.Namespace) -> int:
    from mswatch.config import account_name
    from mswatch.control import ask
    from mswatch.paths import runtime_directory

    account = account_name(unescape(options.account))
    if ask(runtime_directory(os.environ) / f"{account}.sock", {"command": "reload"}) is None:
        raise UnavailableError(
            f"no service for {account} is running", f"start it with: mswatch run {account}"
        )
    return 0


def _sync(options: argparse.Namespace) -> int:
    from mswatch.config import account_name
    from mswatch.control import ask
    from mswatch.paths import runtime_directory

    account = account_name(unescape(options.account))
    mailboxes = tuple(options.mailboxes) or None
    path = runtime_directory(os.environ) / f"{account}.sock"
    answer = ask(path, {"command": "sync", "mailboxes": mailboxes}, timeout_s=None)
    if answer is None:
        return _sync_here(options.account, mailboxes)
    if answer["success"]:
        return 0
    _warn(answer["detail"])
    return EXIT_TEMPORARY


def _sync_here(name: str, mailboxes: tuple[str, ...] | None) -> int:
    import asyncio

    from mswatch.core.events import Result
    from mswatch.launch.children import ChildLauncher
    from mswatch.logs import open_log
    from mswatch.service.coordinator import run_lock
    from mswatch.service.running import Running, run_once

    account = _account(name, None)
    log = open_log({}, timestamps=False)
    lock = run_lock(account.name, os.environ)
    running = Running(account.sync, ChildLauncher(os.environ), os.environ, lock, log)
    result, detail = asyncio.run(run_once(running, mailboxes))
    if result is Result.SUCCESS:
        return 0
    _warn(detail)
    return EXIT_TEMPORARY


def _changed(options: argparse.Namespace) -> int:
    from mswatch.config import account_name
    from mswatch.control import ask
    from mswatch.paths import runtime_directory

    account = account_name(unescape(options.account))
    request = {"command": "changed", "mailboxes": options.mailboxes}
    if ask(runtime_directory(os.environ) / f"{account}.sock", request) is None:
        # No failure: a delivery must not bounce for it, and a service that starts looks at everything.
        _warn(f"no service for {account} is running; its next start looks at everything")
    return 0


def _status(options: argparse.Namespace) -> int:
    import json
    import time

    from mswatch.config import account_name, known_accounts
    from mswatch.control import ask
    from mswatch.mailsync_state import share_compared
    from mswatch.paths import runtime_directory
    from mswatch.report import report

    directory = runtime_directory(os.environ)
    names = [account_name(name) for name in options.accounts]
    if not names:
        names = sorted({*known_accounts(os.environ), *(path.stem for path in directory.glob("*.sock"))})
    answers = {name: ask(directory / f"{name}.sock", {"command": "status"}) for name in names}
    running = {name: answer["account"] for name, answer in answers.items() if answer is not None}
    missing = [name for name in names if name not in running]
    for name, account in running.items():
        share = share_compared(name, os.environ)
        account["messages"] = None if share is None else dict(zip(("compared", "pairs"), share, strict=True))
    if options.json:
        _say(json.dumps({"accounts": list(running.values()), "not_running": missing}, indent=1))
    else:
        for account in running.values():
            for line in report(account, time.time()):
                _say(line)
        for name in missing:
            _say(f"{name}: not running; start it with: mswatch run {name}")
    return EXIT_UNAVAILABLE if missing and (options.accounts or not running) else 0


def _check(options: argparse.Namespace) -> int:
    from mswatch.config import known_accounts

    if options.config is not None:
        return _check_account(None, options.config)
    names = options.accounts or known_accounts(os.environ)
    if not names:
        raise ConfigError(["there is no account yet"], "make one from: mswatch sample")
    return max(_check_account(name, None) for name in names)


def _check_account(name: str | None, file: str | None) -> int:
    import asyncio

    from mswatch.logs import open_log
    from mswatch.service.checking import check
    from mswatch.showing import show

    try:
        account = _account(name, file)
    except ConfigError as error:
        _complain(error)
        return error.exit_status
    _say(f"{account.name}: configuration {account.source}: works")
    findings = asyncio.run(check(account, os.environ, open_log({}, quiet=True, timestamps=False)))
    for finding in findings:
        verdict = "works" if finding.works else "DOES NOT WORK"
        _say(show(f"{account.name}: {finding.what}: {verdict}: {finding.detail}"))
        if finding.fix:
            _say(show(f"    {finding.fix}"))
    return 0 if all(finding.works for finding in findings) else EXIT_UNAVAILABLE


def _import(options: argparse.Namespace) -> int:
    from mswatch.config.files import read_old_text
    from mswatch.config.rc_import import import_rc
    from mswatch.oldmailsync import importing

    path = Path(options.file)
    old = read_old_text(path)
    if options.channel is not None or importing.is_old(old, path):
        text, doubts = importing.import_channel(old, path, options.channel)
    else:
        text, doubts = import_rc(old, path)
    _say(text.rstrip("\n"))
    for doubt in doubts:
        _warn(doubt)
    return 0


def _setup(options: argparse.Namespace) -> int:
    from mswatch import setup

    if options.remove:
        for line in setup.remove(os.environ):
            _say(line)
        return 0
    account = None if options.account is None else _account(options.account, None)
    for line in [*setup.install(os.environ), *setup.advice(os.environ)]:
        _say(line)
    if account is not None:
        setup.start(account.name, os.environ)
        _say(f"started mswatch@{account.name}; its log: journalctl --user -u mswatch")
    return 0


def _unit_ended(options: argparse.Namespace) -> int:
    from mswatch import messages
    from mswatch.logs import open_log

    result = os.environ.get("SERVICE_RESULT", "success")
    if result != "success":
        how = " ".join(os.environ.get(name, "") for name in ("EXIT_CODE", "EXIT_STATUS")).strip()
        account = unescape(options.unit.partition("@")[2].removesuffix(".service"))
        text = f"{options.unit} ended: {result} ({how})"
        open_log(os.environ).tell(messages.UNIT_ENDED, text, unit=options.unit, account=account)
    return 0


def _sample(options: argparse.Namespace) -> int:
    from mswatch.config.texts import sample

    _say(sample().rstrip("\n"))
    return 0


_VERBS = {
    None: _old_program,
    "run": _run,
    "sync": _sync,
    "changed": _changed,
    "status": _status,
    "check": _check,
    "import": _import,
    "reload": _reload,
    "setup": _setup,
    "unit-ended": _unit_ended,
    "sample": _sample,
}
