"""The command watch_maildirs: reads the command line, chooses the eyes and the form, and runs the loop.

Exit statuses follow sysexits.h: 0 the reader of standard output has gone (or standard input is over), 64
usage, 69 the store can neither be watched nor waited for, 70 a fault of this program.
"""

import errno
import getopt
import os
import signal
import sys
import time
from typing import List, Mapping, NamedTuple, Optional, Tuple

from watch_maildirs import __version__
from watch_maildirs.loop import Loop, complain
from watch_maildirs.mounts import shared_file_system
from watch_maildirs.naming import LAYOUTS, MAILDIR_PLUS_PLUS, MBOX
from watch_maildirs.poll import DEFAULT_INTERVAL_S, Polling
from watch_maildirs.protocol import Long, Plain
from watch_maildirs.questions import Questions
from watch_maildirs.tree import Tree

EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_BUG = 70

_LEAST_INTERVAL_S, _MOST_INTERVAL_S = 0.01, 604800
_MAY_COME = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP)

HELP = """\
Usage: watch_maildirs [OPTION]...
Print the name of each mailbox of a Maildir that changes, one to a line; first an
empty line when it is watched.  A Maildir that is not there is waited for.

  -m, --maildir=DIR     the Maildir (default: $MAILDIR, else ~/Maildir)
      --layout=LAYOUT   maildir++ (default): folders are DIR/.a.b, and DIR is INBOX
                        nested: a folder is any directory with cur and new in DIR
                        mbox: a folder is any mbox below DIR; DIR may be an mbox itself
                        mh: a folder is any directory in DIR, with messages 1, 2, 3...
      --inbox=FILE      with mbox: the mbox that is INBOX, if it is not below DIR
      --long            print MAILBOX, kind of change and file, with tabs between
      --poll=SECONDS    look every so often instead of using inotify (NFS)
      --stdin-eof       end when standard input ends
      --answer=SECONDS  with --long: the same, and answer each line of standard input
                        by a line; end when none came for so long
  -V, --version         print the version
  -h, -?, --help        print this
"""


class UsageError(Exception):
    """The command line asks for something that cannot be."""


class Options(NamedTuple):
    """What the command line asks for."""

    base: str
    layout: str = MAILDIR_PLUS_PLUS
    is_long: bool = False
    poll_s: Optional[float] = None
    until_eof: bool = False
    inbox: str = ""
    answer_s: Optional[float] = None


def main() -> int:
    """Run the command and return its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return run(sys.argv[1:])
    except UsageError as error:
        complain("{}; see watch_maildirs --help".format(error))
        return EXIT_USAGE
    except Exception as error:
        import traceback  # only here: it costs more to import than all the rest

        traceback.print_exc()
        complain("this is a fault of watch_maildirs, please report it: {!r}".format(error))
        return EXIT_BUG


def run(arguments: List[str], fallback_interval_s: float = DEFAULT_INTERVAL_S) -> int:
    """Do what the arguments ask for; return the exit status, or raise UsageError.

    Args:
        arguments: the command line without the program.
        fallback_interval_s: how often to look at what inotify cannot watch.
    """
    given, rest = _read_options(arguments)
    if any(name in given for name in ("-h", "-?", "--help")):
        sys.stdout.write(HELP)
        return 0
    if "-V" in given or "--version" in given:
        sys.stdout.write("watch_maildirs {}\n".format(__version__))
        return 0
    if rest:
        raise UsageError('"{}" is no option; name the Maildir with --maildir={}'.format(rest[0], rest[0]))
    options = parse_options(given, os.environ)
    try:
        os.lstat(options.base)
    except OSError as error:
        if error.errno not in _MAY_COME:
            complain('cannot wait for "{}": {}'.format(options.base, error.strerror))
            return EXIT_UNAVAILABLE
    eyes, form = _open_eyes(options, fallback_interval_s), Long() if options.is_long else Plain()
    questions = Questions(time.monotonic(), options.answer_s) if options.until_eof else None
    tree = Tree(eyes, options.base, options.layout, options.inbox)
    Loop(eyes, tree, form, options.base, questions).run()
    return 0


def _read_options(arguments: List[str]) -> Tuple[Mapping[str, str], List[str]]:
    try:
        given, rest = getopt.gnu_getopt(
            arguments,
            "m:Vh?",
            ["maildir=", "layout=", "inbox=", "long", "poll=", "stdin-eof", "answer=", "version", "help"],
        )
    except getopt.GetoptError as error:
        raise UsageError(error.msg) from None
    return dict(given), rest


def parse_options(given: Mapping[str, str], environment: Mapping[str, str]) -> Options:
    """Check the options and fill in the defaults; raise UsageError."""
    layout = given.get("--layout", MAILDIR_PLUS_PLUS)
    if layout not in LAYOUTS:
        raise UsageError('--layout is "{}"; it is one of {}'.format(layout, ", ".join(LAYOUTS)))
    poll_s = _interval("--poll", given["--poll"]) if "--poll" in given else None
    answer_s = _interval("--answer", given["--answer"]) if "--answer" in given else None
    if answer_s is not None and "--long" not in given:
        raise UsageError("--answer needs --long: an answer has no place among names")
    until_eof = "--stdin-eof" in given or answer_s is not None
    inbox = given.get("--inbox", "")
    if inbox and layout != MBOX:
        raise UsageError("--inbox is for --layout=mbox: elsewhere INBOX is below the base")
    base = _base(given, environment)
    inbox = _absolute(inbox, environment) if inbox else ""
    return Options(base, layout, "--long" in given, poll_s, until_eof, inbox, answer_s)


def _base(given: Mapping[str, str], environment: Mapping[str, str]) -> str:
    home = environment.get("HOME")
    default = environment.get("MAILDIR") or (home + "/Maildir" if home else "")
    base = given.get("--maildir", given.get("-m", default))
    if not base and ("-m" in given or "--maildir" in given):
        raise UsageError("--maildir is empty; it is a directory")
    if not base:
        raise UsageError("neither MAILDIR nor HOME is set; name the Maildir with --maildir=DIR")
    return _absolute(base, environment)


def _absolute(path: str, environment: Mapping[str, str]) -> str:
    home = environment.get("HOME")
    if path.startswith("~/") and home:
        return home + path[1:]  # what was sent to us was seen by no shell
    return path if path.startswith("/") else os.getcwd() + "/" + path  # noqa: PTH109 - see poll.py


def _interval(option: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not _LEAST_INTERVAL_S <= seconds <= _MOST_INTERVAL_S:
        raise UsageError(
            '{} is "{}"; it is a number of seconds from {} to {}'.format(
                option, text, _LEAST_INTERVAL_S, _MOST_INTERVAL_S
            )
        )
    return seconds


def _open_eyes(options: Options, fallback_interval_s: float) -> Polling:
    now = time.monotonic()
    if options.poll_s is not None:
        return Polling(options.poll_s, now, "--poll asks for it")
    shared = shared_file_system(options.base)
    if shared:
        reason = "no kernel tells what other machines do on {}; watch where its disks are".format(shared)
        return Polling(fallback_interval_s, now, reason)
    try:
        from watch_maildirs.watch import Inotify
    except ImportError:
        return Polling(
            fallback_interval_s,
            now,
            "inotify_simple is not installed; install it: python3 -m pip install --user inotify_simple",
        )
    return Inotify(fallback_interval_s, now)
