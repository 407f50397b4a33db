"""What the user decided about one account, as the engine needs it: stores, delays, which mailboxes count.

All times are seconds.  How the user wrote them down is the business of ``mswatch.config``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mswatch.names import Pattern


@dataclass(frozen=True)
class WatcherLimits:
    """How long the watcher of one store may be silent, in seconds.

    Attributes:
        store: whose watcher it is.
        start: until it says that it is watching.
        remote: whether a connection lies between, that may be dead without an end.
        ask_every: how often it is asked whether it is there; 0: never, because it cannot answer.
        answer: from the question to the answer.
    """

    store: str
    start: float = 60.0
    remote: bool = False
    ask_every: float = 0.0
    answer: float = 10.0


@dataclass(frozen=True)
class Policy:
    """The settings that decisions depend on; see docs/internals.md, "When a run starts"."""

    stores: tuple[str, ...]
    base_delay: float
    inter_delay: float
    max_delay: float
    poll_period: float  # 0: never poll
    inter_delays: tuple[tuple[Pattern, float], ...] = ()  # the first pattern that matches counts
    ignore: tuple[Pattern, ...] = ()
    only: tuple[Pattern, ...] = ()  # empty: all mailboxes
    watchers: tuple[WatcherLimits, ...] = ()  # of the stores with limits of their own
    hook: bool = False  # runs are followed by one

    def inter_delay_of(self, mailbox: str) -> float:
        """Return the shortest time from the end of a mailbox's last run to the start of its next."""
        for pattern, delay in self.inter_delays:
            if pattern.matches(mailbox):
                return delay
        return self.inter_delay

    def limits_of(self, store: str) -> WatcherLimits:
        """Return the limits of a store's watcher."""
        return next((limits for limits in self.watchers if limits.store == store), WatcherLimits(store))

    def wants(self, mailbox: str) -> bool:
        """Tell whether a change of this mailbox starts a run; runs for all mailboxes cover it anyway."""
        if self.only and not any(pattern.matches(mailbox) for pattern in self.only):
            return False
        return not any(pattern.matches(mailbox) for pattern in self.ignore)
