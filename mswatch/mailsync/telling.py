"""What a run says: a line for each mailbox that was changed, or JSON, and a bar while it takes long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

from mswatch.mailsync import pulse
from mswatch.mailsync.decide import Side
from mswatch.mailsync.options import Done, Outcome
from mswatch.showing import show

BAR_AFTER_S = 1.0
BAR_EVERY_S = 0.1
BAR_WIDTH = 30


class Teller:
    """Counts what is done, and shows a bar on a terminal."""

    def __init__(self, stores: dict[Side, str], bar: TextIO | None, each: TextIO | None = None) -> None:
        self._stores = stores
        self._each = each
        self._bar = bar
        self._began = self._shown = time.monotonic()
        self._expected = self._advanced = 0
        self._is_shown = False
        self.counts: Counter[tuple[str, str, str, str]] = Counter()  # mailbox, what, store, detail

    def expect(self, messages: int) -> None:
        """So many more messages are to be read."""
        self._expected += messages

    def advance(self, messages: int = 1) -> None:
        """So many of them are; 0: the run goes on."""
        pulse.RUN.beat()
        self._advanced += messages
        if self._bar is not None and self._expected:
            self._show(self._bar)

    def done(self, done: Done) -> None:
        """Count what was done."""
        store = self._stores[done.side]
        detail = done.detail if not done.key else ""
        self.counts[done.mailbox, done.what, store, detail] += bool(done.key)
        if self._each is not None:
            words = [
                show(done.mailbox),
                done.what,
                store,
                show(done.key.decode("utf-8", "replace")),
                done.detail,
            ]
            self._each.write("\t".join(words) + "\n")

    def _show(self, bar: TextIO) -> None:
        now = time.monotonic()
        if now - self._began < BAR_AFTER_S or now - self._shown < BAR_EVERY_S:
            return
        self._shown, self._is_shown = now, True
        filled = BAR_WIDTH * self._advanced // max(1, self._expected)
        line = f"[{'#' * filled:<{BAR_WIDTH}}] {self._advanced} of {self._expected} messages"
        bar.write(f"\r{line}\x1b[K")
        bar.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar is not None and self._is_shown:
            self._bar.write("\r\x1b[K")
            self._bar.flush()

    def summary(self) -> Iterator[str]:
        """Give a line for each mailbox to which something was done."""
        lines: dict[str, list[str]] = {}
        for (mailbox, what, store, detail), count in self.counts.items():
            words = [f"{count} {what} in {store}" if count else f"{what} in {store}"]
            lines.setdefault(mailbox, []).append(
                " ".join([*words, *([f"to {show(detail)}"] if detail else [])])
            )
        for mailbox, parts in lines.items():
            yield f"{show(mailbox)}: {', '.join(parts)}"

    def as_json(self, outcome: Outcome) -> dict[str, Any]:
        """Return how a run went, for programs."""
        return {
            "done": [
                {"mailbox": mailbox, "what": what, "store": store, "messages": count, "detail": detail}
                for (mailbox, what, store, detail), count in self.counts.items()
            ],
            "failed": outcome.failed,
            "problems": outcome.problems,
            "refused": [
                {"store": self._stores[each.side], "mailbox": each.mailbox, "seen": each.seen}
                for each in outcome.refused
            ],
            "notes": outcome.notes,
        }
