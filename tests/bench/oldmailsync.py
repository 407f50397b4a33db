"""Measures the old form beside the old program: ``python3 -m tests.bench.oldmailsync [MESSAGES]...``.

For each number of messages (default 500 1000) of 2 kB in one mbox: the first sync, nothing changed, one
new message.  The old program copies one message after the other and looks through the target for each.  Told:
wall time of both, ours as a share of the old one's.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.oldmailsync.homes import Home, Mail


def seconds(run: Callable[[str], object]) -> float:
    """Return how long a run takes."""
    began = time.monotonic()
    run("ab")
    return time.monotonic() - began


def main() -> None:
    """Measure, and tell."""
    print(f"{'':<24}{'ours':>8}{'old':>8}{'share':>8}")
    for count in [int(word) for word in sys.argv[1:]] or [500, 1000]:
        with tempfile.TemporaryDirectory(prefix="bench.") as name:
            old = Home(Path(name) / "old")
            old.write("A/box", *(Mail(f"m{number}", size=2000) for number in range(count)))
            old.write("B/box")
            ours = old.copy(Path(name) / "ours")
            for what in ("first", "nothing changed", "one new"):
                if what == "one new":
                    for home in (old, ours):
                        with (home.directory / "A/box").open("a") as file:
                            file.write(Mail("new").text())
                mine, theirs = seconds(ours.start), seconds(old.old)
                print(f"{f'{count}: {what}':<24}{mine:>8.2f}{theirs:>8.2f}{mine / theirs:>8.2f}")


if __name__ == "__main__":
    main()
