"""What the user decided about one account, as the engine needs it: stores, delays, which mailboxes count.

All times are seconds.  How the user wrote them down is the business of ``mswatch.config``.
"""

from __future__ import annotations

from dataclasses import dataclass

from mswatch.names import Pattern


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

    def inter_delay_of(self, mailbox: str) -> float:
        """Return the shortest time from the end of a mailbox's last run to the start of its next."""
        for pattern, delay in self.inter_delays:
            if pattern.matches(mailbox):
                return delay
        return self.inter_delay

    def wants(self, mailbox: str) -> bool:
        """Tell whether a change of this mailbox starts a run; runs for all mailboxes cover it anyway."""
        if self.only and not any(pattern.matches(mailbox) for pattern in self.only):
            return False
        return not any(pattern.matches(mailbox) for pattern in self.ignore)
