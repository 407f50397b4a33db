"""How long to wait after failures: the one rule, for runs and for watchers.

The old mswatch's sequence (1 1 2 2 4 4 ... times inter_delay, up to max_delay) with a floor, because
inter_delay may be 0 here and a failing command must never be started in a tight loop.
"""

from __future__ import annotations

from mswatch.core.policy import Policy

SHORTEST_S = 1.0
_DOUBLINGS = 40  # more never matters, and keeps the power small


def backoff(failures: int, policy: Policy) -> float:
    """Return the wait in seconds after so many failures in a row: 0 after none."""
    if failures == 0:
        return 0.0
    step = max(policy.inter_delay, SHORTEST_S)
    doublings = min(failures // 2, _DOUBLINGS)
    return float(min(step * 2**doublings, max(policy.max_delay, step)))
