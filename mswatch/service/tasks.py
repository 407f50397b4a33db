"""Work on the event loop that nobody awaits: kept alive until its end, and its errors not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

_running: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly


def spawn(work: Coroutine[None, None, None]) -> None:
    """Start it; an error in it is one of the loop's, which ends the service."""
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_end)


def _end(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.result()
