"""The command that watches a store."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from mswatch.account import Store


@dataclass(frozen=True)
class WatchCommand:
    """What to start, and how to read it."""

    argv: tuple[str, ...]
    long_lines: bool


def watch_command(store: Store) -> WatchCommand:
    """Return how the watcher of this store is started: ours for a Maildir, else the user's, unchanged."""
    if store.maildir is not None:
        ours = ("-m", "watch_maildirs", "--long", "--stdin-eof", "--layout", store.layout)
        return WatchCommand((sys.executable, *ours, "--maildir", str(store.maildir)), long_lines=True)
    if store.inputkill:
        return WatchCommand(
            (sys.executable, "-m", "watch_maildirs.inputkill", "--", *store.command), long_lines=False
        )
    return WatchCommand(store.command, long_lines=False)
