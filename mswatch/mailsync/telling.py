"""What a run says: a line for each mailbox that was changed, or JSON, and a bar while it takes long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from mswatch.mailsync import pulse
from mswatch.mailsync.decide import Side
from mswatch.mailsync.options import Done, Outcome
from mswatch.showing import show

if TYPE_CHECKING:
    from mswatch.mailsync.looking import Difference
    from mswatch.mailsync.verifying import Differing, Verified

BAR_AFTER_S = 1.0
BAR_EVERY_S = 0.1
BAR_WIDTH = 30


class Teller:
    """Counts what is done, and shows a bar on a terminal."""

    def __init__(self, stores: dict[Side, str], bar: TextIO | None, each: TextIO | None = None) -> None:
        self.stores = stores
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
        store = self.stores[done.side]
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
                {"store": self.stores[each.side], "mailbox": each.mailbox, "seen": each.seen}
                for each in outcome.refused
            ],
            "notes": outcome.notes,
        }


def verified(name: str, found: Verified, stores: dict[Side, str]) -> Iterator[str]:
    """Say what a verification found out about a mailbox, a line for each message that differs."""
    count = len(found.differing) + found.more_differing
    words = [f"{found.pairs} pairs compared", f"{count} differ" if count else "all equal"]
    for side, other in found.sides.items():
        words += [f"{text} {stores[side]}" for text in _counts(other)]
    yield f"{show(name)}: {', '.join(words)}"
    for each in found.differing:
        yield f"{show(name)}: {_differing(each, stores)}"
    if found.more_differing:
        yield f"{show(name)}: and {found.more_differing} more"
    for reason in found.not_read:
        yield f"{show(name)}: not compared: {reason}"


def _counts(difference: Difference) -> Iterator[str]:
    for count, word in (
        (difference.new, "only in"),
        (difference.deleted, "gone from"),
        (difference.flags, "with other flags in"),
    ):
        if count:
            yield f"{count} {word}"


def _keys(each: Differing) -> dict[Side, bytes]:
    return {"near": each.near, "far": each.far}


def _differing(each: Differing, stores: dict[Side, str]) -> str:
    where = " and ".join(
        f"{stores[side]} {show(key.decode('utf-8', 'replace'))}" for side, key in _keys(each).items()
    )
    if each.changed:
        changed = " and ".join(stores[side] for side in each.changed)
        what = f"changed in {changed} since both were the same"
    else:
        what = "two messages; the next sync carries both"
    return f'{what}: {where} ("{show(each.subject)}")'


def verified_as_json(found: Verified, stores: dict[Side, str]) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "pairs": found.pairs,
        "differing": [
            {
                "keys": {stores[side]: key.decode("utf-8", "replace") for side, key in _keys(each).items()},
                "changed_in": [stores[side] for side in each.changed],
                "subject": each.subject,
            }
            for each in found.differing
        ],
        "more_differing": found.more_differing,
        "not_read": found.not_read,
        "stores": {stores[side]: vars(difference) for side, difference in found.sides.items()},
    }
