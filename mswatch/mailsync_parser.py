"""The command line of ``mailsync`` with all its options, and what it says of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from mswatch import __version__
from mswatch.errors import UsageError
from mswatch.mailsync_asked import Asked


def asked(words: Sequence[str]) -> Asked:
    """Return what a command line asks for.

    Raises:
        UsageError: It is none.
        SystemExit: Help or the version was asked for, and is told.
    """
    found = vars(_parser().parse_args(words))
    account, mailboxes = found.pop("account"), found.pop("mailboxes")
    found["written"] = tuple(found["written"])
    return Asked(names=[*([account] if account is not None else []), *mailboxes], **found)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see: {self.prog} --help")


class _Formatter(argparse.HelpFormatter):
    """As wide as the terminal.  Told so, argparse does not import shutil for it at every start (3 ms)."""

    def __init__(self, prog: str) -> None:
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isdecimal() else 0
        if not width:
            with suppress(OSError):
                width = os.get_terminal_size(1).columns
        super().__init__(prog, width=(width or 80) - 2)


def _parser() -> _Parser:
    parser = _Parser(
        prog="mailsync",
        formatter_class=_Formatter,
        description="Bring the two mail stores of an account into step.",
        epilog="With -f FILE, or a channel or store of ~/.mailsync, it is the old program: see mailsync(1).",
        allow_abbrev=False,
    )
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="the account, of which there is a file")
    parser.add_argument("mailboxes", nargs="*", metavar="MAILBOX", help="only these (default: all)")
    parser.add_argument("-c", "--config", metavar="FILE", help="read this file instead of an account's")
    parser.add_argument("-n", "--dry-run", action="store_true", help="change nothing, say what would be done")
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what goes wrong")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is done to each message")
    parser.add_argument("--json", action="store_true", help="say how it went as JSON")
    looking = parser.add_mutually_exclusive_group()
    looking.add_argument("--list", metavar="STORE", help="print the names of a store's mailboxes, and end")
    looking.add_argument(
        "--diff", metavar="STORE", help="say how a store differs from what both sides last had, and end"
    )
    parser.add_argument(
        "--written",
        action="append",
        default=[],
        metavar="STORE<tab>MAILBOX<tab>FILE",
        help="a program wrote into this file of a Maildir (empty: into any); look into it",
    )
    looking.add_argument(
        "--verify",
        action="store_true",
        help="compare all messages of both stores by their content, and end (again: go on from there)",
    )
    deletions = parser.add_mutually_exclusive_group()
    deletions.add_argument(
        "--accept-deletions", action="store_true", help="what is missing was deleted, however much it is"
    )
    deletions.add_argument(
        "--undo-deletions",
        action="store_true",
        help="what is missing was lost: bring it back from the other side",
    )
    parser.add_argument(
        "--dedupe",
        action="store_true",
        help="of messages in one mailbox that are equal byte for byte, leave one",
    )
    parser.add_argument("-V", "--version", action="version", version=f"mailsync (mswatch) {__version__}")
    return parser
