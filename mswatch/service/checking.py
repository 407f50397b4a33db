"""``mswatch check``: each part of an account tried once, by the code that the service uses.

Nothing is synchronised: watchers are started until they are ready and ended again, and the syncer is asked
only for what changes nothing.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from mswatch.account import Account, Store, Sync
from mswatch.core.events import Event, WatcherEnded, WatcherReady
from mswatch.launch.children import Child, ChildLauncher
from mswatch.logs import Log
from mswatch.service.watching import Watching
from mswatch.syncers import probe

PROBE_LIMIT_S = 60.0
_LAST_LINES = 2  # what was found, and what to do


@dataclass(frozen=True)
class Finding:
    """What was tried, whether it works, and what to do if not."""

    what: str
    works: bool
    detail: str
    fix: str = ""


async def check(account: Account, environment: Mapping[str, str], log: Log) -> list[Finding]:
    """Try both stores, side by side, and the syncer."""
    stores = [
        _check_store(store, account.policy.limits_of(store.name).start, environment, log)
        for store in account.stores
    ]
    return await asyncio.gather(*stores, _check_sync(account.sync, environment))


async def _check_store(store: Store, limit_s: float, environment: Mapping[str, str], log: Log) -> Finding:
    if not store.is_watched:
        return Finding(f"store {store.name}", works=True, detail="not watched, as configured")
    told: asyncio.Queue[Event] = asyncio.Queue()

    def tell(events: list[Event]) -> None:
        for event in events:
            told.put_nowait(event)

    watching = Watching(store, ChildLauncher(environment), tell, lambda *_: (), log)
    watching.start()
    what = f"store {store.name}"
    try:
        first = await asyncio.wait_for(_next_of(told, WatcherReady, WatcherEnded), limit_s)
    except asyncio.TimeoutError:
        first = WatcherEnded(store.name, f"did not say within {limit_s:g} s that it is watching")
    if isinstance(first, WatcherReady):
        finding = Finding(
            what, works=True, detail="watching" + (f"; {watching.note}" if watching.note else "")
        )
    else:
        finding = Finding(what, works=False, detail=f"watcher {first.detail}", fix=_fix_store(store))
    if watching.pid is not None:
        watching.stop()
        await _next_of(told, WatcherEnded)
    return finding


async def _next_of(told: asyncio.Queue[Event], *kinds: type[Event]) -> WatcherReady | WatcherEnded:
    while True:
        event = await told.get()
        if isinstance(event, kinds) and isinstance(event, WatcherReady | WatcherEnded):
            return event


def _fix_store(store: Store) -> str:
    if store.ssh is not None:
        return f"try by hand: ssh -o BatchMode=yes {store.ssh.host} true"
    if store.tree is not None:
        return f"see that {str(store.tree)!r} is there, and that you can read it"
    return "run the command by hand: its first line must be empty, and come when it is watching"


async def _check_sync(sync: Sync, environment: Mapping[str, str]) -> Finding:
    what = f"syncer {sync.kind}"
    program = sync.command[0]
    if shutil.which(program, path=environment.get("PATH")) is None:
        return Finding(
            what, works=False, detail=f"there is no program {program!r}", fix="install it, or mend PATH"
        )
    call = probe(sync)
    if call is None:
        return Finding(what, works=True, detail=f"{program} is there; what it does is not tried")
    output: list[bytes] = []
    child = Child(call, on_stdout=lambda data: None, on_stderr=output.append, environment=environment)
    timer = asyncio.get_running_loop().call_later(PROBE_LIMIT_S, child.stop)
    end = await child.wait()
    timer.cancel()
    if end.status == 0:
        return Finding(what, works=True, detail=f"{' '.join(call)} succeeded")
    last = b"".join(output).decode("utf-8", "replace").strip().split("\n")[-_LAST_LINES:]
    detail = f"{' '.join(call)} {end.detail}" + "".join(f": {line}" for line in last if line)
    fix = "" if sync.kind == "mailsync" else "mend the syncer's own configuration"  # ours says it itself
    return Finding(what, works=False, detail=detail, fix=fix)
