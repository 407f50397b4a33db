"""What both file formats share: the policy made of the values, and the rule that delays must keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mswatch.config.settings import Setting
from mswatch.config.values import delay_text
from mswatch.core.policy import Policy, WatcherLimits
from mswatch.showing import show

Keys = tuple[str, ...]


def make_policy(
    values: Mapping[str, Any],
    stores: tuple[str, ...],
    watchers: tuple[WatcherLimits, ...] = (),
    *,
    hook: bool = False,
) -> Policy:
    """Put together the policy of an account whose values are checked."""
    return Policy(
        stores=stores,
        base_delay=values["base_delay"],
        inter_delay=values["inter_delay"],
        max_delay=values["max_delay"],
        poll_period=values["poll_period"],
        inter_delays=values["inter_delays"],
        ignore=values["ignore"],
        only=values["only"],
        watchers=watchers,
        hook=hook,
    )


def check_delays(values: Mapping[str, Any], settings: Mapping[str, Setting]) -> Iterator[tuple[Keys, str]]:
    """Give each inter_delay below base_delay, which could never be kept: (the key to blame, what is wrong).

    A changed mailbox waits for both, so the longer one always decides.  An unusable value is None here, and
    nothing is said of it.
    """
    base, inter = values["base_delay"], values["inter_delay"]
    if base is None:
        return
    if inter is not None and base > inter:
        default = " (the default)" if inter == settings["inter_delay"].default else ""
        yield (
            ("base_delay",),
            f"{delay_text(base)} is more than inter_delay, which is {delay_text(inter)}{default}; "
            "lower base_delay or raise inter_delay",
        )
    for pattern, delay in values["inter_delays"] or ():
        if base > delay:
            yield (
                ("inter_delays", pattern.text),
                f'inter_delay {delay_text(delay)} of "{show(pattern.text)}" is less than base_delay, '
                f"which is {delay_text(base)}; raise it or lower base_delay",
            )
