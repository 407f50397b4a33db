"""The status of accounts as text for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from mswatch.showing import show

Json = dict[str, Any]
_STATES = {
    "down": "not running",
    "starting": "starting",
    "watching": "watching",
    "ending": "being ended: it did not get ready in time",
    "replacing": "being started anew",
    "waiting": "down",
    "leaving": "ending",
    "unwatched": "not watched",
}


def report(account: Json, now: float) -> Iterator[str]:
    """Give the lines that say how an account stands."""
    used = f"{account['cpu_s']:.1f} s of CPU, {account['memory_bytes'] / 2**20:.0f} MiB"
    yield f"{account['account']}: process {account['pid']}, up {_span(now - account['since'])}, {used}"
    for name, store in account["stores"].items():
        yield f"  store {name}: {_store(store, now)}"
    runs, running = account["runs"], account["running"]
    yield f"  runs: {runs['succeeded']} succeeded, {runs['failed']} failed; {_next(account, now)}"
    if running is not None:
        yield f"  running: {_names(running['mailboxes'])}, for {_span(now - running['since'])}"
    if error := account["hook"]["error"]:
        yield f"  hook: {show(error)}"
    messages = account["messages"]
    if messages is not None and messages["compared"] < messages["pairs"]:
        share = f"{messages['compared']} of {messages['pairs']} messages were compared in both stores"
        yield f"  {share}; mailsync --verify {show(account['account'])} compares the rest"
    yield f"  all mailboxes: {_target(account['everything'], now)}"
    for mailbox, target in account["mailboxes"].items():
        yield f"  {show(mailbox)}: {_target(target, now)}"


def _store(store: Json, now: float) -> str:
    state = _STATES[store["state"]]
    words = [state if store["since"] is None else f"{state} for {_span(now - store['since'])}"]
    if store["detail"]:
        words.append(show(store["detail"]))
    if store["retry_at"] is not None:
        words.append(f"started again {_when(store['retry_at'], now)}")
    if store["note"]:
        words.append(show(store["note"]))
    return "; ".join([*words, show(store["where"])])


def _next(account: Json, now: float) -> str:
    poll = account["next_poll_at"]
    return "no poll" if poll is None else f"next poll {_when(poll, now)}"


def _names(mailboxes: list[str] | None) -> str:
    return "all mailboxes" if mailboxes is None else ", ".join(show(name) for name in mailboxes)


def _target(target: Json, now: float) -> str:
    in_step = target["in_step_at"]
    words = ["never in step yet" if in_step is None else f"in step {_ago(in_step, now)}"]
    if target["pending_since"] is not None:
        words.append(f"changed {_ago(target['pending_since'], now)}, pending")
    if target["failures"]:
        words.append(f"failed {target['failures']} times: {show(target['error'])}")
    if target["next_try_at"] is not None:
        words.append(f"tried again {_when(target['next_try_at'], now)}")
    return "; ".join(words)


def _when(moment: float, now: float) -> str:
    return f"in {_span(moment - now)}" if moment > now else "now"


def _ago(moment: float, now: float) -> str:
    if now - moment < 86400:
        return f"{_span(now - moment)} ago"
    return time.strftime("on %F at %H:%M", time.localtime(moment))


def _span(seconds: float) -> str:
    """Say a time span in its largest two units at most."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole < 172800 else f"{whole // 86400} days"
