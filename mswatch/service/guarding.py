"""Ending a run that hangs, where no manager does: the service plays the manager's part for the shim.

The shim in the syncer reports progress to the socket named in its environment, as it does to systemd in a
unit (``socketwatch``); when it is silent for too long, or the run has reached its cap, the run is ended.  The
service does this itself instead of putting the command ``socketwatch`` between, because a second Python for
each run would cost more than many a run takes.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from mswatch.launch.process import CAPPED, HUNG, End
from mswatch.socketwatch.idle import Reason, Watch
from mswatch.socketwatch.notify import notify_socket
from mswatch.socketwatch.preload import shim_environment


class Guard:
    """The guard of one call of the syncer, from before its start to its end."""

    def __init__(
        self,
        environment: Mapping[str, str],
        shim: Path | None,
        echo_socket: str | None,
        idle_limit_s: float,
        hard_cap_s: float,
        end: Callable[[], None],
    ) -> None:
        """Listen for reports.

        Args:
            environment: what the syncer gets otherwise.
            shim: see ``shim_path``.
            echo_socket: where the shim tells what the syncer changed, if anybody wants to know.
            idle_limit_s: how long it may be silent; 0: for ever.
            hard_cap_s: how long it may run; 0: for ever.
            end: ends it.

        Raises:
            OSError: there is no place for the socket.
        """
        self._loop = asyncio.get_running_loop()
        self._end = end
        self._open = ExitStack()
        self._socket = self._open.enter_context(notify_socket(environment))
        self._watch = Watch(idle_limit_s or math.inf, hard_cap_s or None, self._loop.time())
        self._reason: Reason | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.environment = shim_environment(
            environment, shim, notify_socket=self._socket.path, echo_socket=echo_socket
        )
        self.never_spoke = False
        self._loop.add_reader(self._socket, self._on_report)
        self._arm()

    def _on_report(self) -> None:
        if self._socket.reports():
            self._watch.report(self._loop.time())
            self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._watch.next_wakeup()
        self._timer = None if at is None or at == math.inf else self._loop.call_at(at, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self.never_spoke |= self._watch.never_spoke(now)
        self._reason = self._watch.overdue(now)
        if self._reason is not None:
            self._end()
        else:
            self._arm()

    def close(self, end: End) -> End:
        """Listen no more, and return how the run ended: as it was, or cut off by us."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._open.close()
        match self._reason:
            case Reason.IDLE:
                return End(end.status or 1, HUNG, "hung")
            case Reason.HARD_CAP:
                return End(end.status or 1, CAPPED, "cap")
            case None:
                return end
