"""The command that watches a store."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mswatch.account import Ssh, Store
from mswatch.watchers.sent import PYTHON, sent
from mswatch.watchers.ssh import MARKER, over_ssh


@dataclass(frozen=True)
class WatchCommand:
    """What to start, what to write to it at first, and how to read it: ``marker`` comes before its lines."""

    argv: tuple[str, ...]
    long_lines: bool
    stdin: bytes = b""
    marker: bytes = b""


def watch_command(store: Store) -> WatchCommand:
    """Return how the watcher of this store is started: ours for what is on disk, else a command as it is."""
    if store.ssh is not None:
        return _remote(store, store.ssh)
    if store.tree is not None:
        ours = (sys.executable, "-m", "watch_maildirs", *_options(store))
        return WatchCommand(ours, long_lines=True)
    if store.inputkill:
        ours = (sys.executable, "-m", "watch_maildirs.inputkill")
        return WatchCommand((*ours, "--", *store.command), long_lines=False)
    return WatchCommand(store.command, long_lines=False)


def _options(store: Store) -> tuple[str, ...]:
    layout = store.layout if store.maildir else "mbox" if store.mbox else "mh"
    options = ["--long", "--stdin-eof", f"--layout={layout}"]
    if store.inbox is not None:
        options.append(f"--inbox={store.inbox}")
    if store.poll_s is not None:
        options.append(f"--poll={store.poll_s:g}")
    if store.answer_s is not None:
        options.append(f"--answer={store.answer_s:g}")
    return (*options, "--maildir", str(store.tree))


def _remote(store: Store, ssh: Ssh) -> WatchCommand:
    words, stdin = _words_there(store, ssh)
    argv = over_ssh(ssh, words)
    return WatchCommand(argv, long_lines=store.tree is not None, stdin=stdin, marker=MARKER)


def _words_there(store: Store, ssh: Ssh) -> tuple[tuple[str, ...], bytes]:
    """Return what is run on the host, and what it reads at first."""
    if store.tree is not None and ssh.is_helper_installed:
        return ("watch_maildirs", *_options(store)), b""
    if store.tree is not None:
        return PYTHON, sent("watch_maildirs.cli", _options(store))
    if store.inputkill:
        return PYTHON, sent("watch_maildirs.inputkill", ("--", *store.command))
    return store.command, b""
