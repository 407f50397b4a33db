"""Telling a hung synchroniser from a slow one: the shim, and the command that acts on what it tells.

The shim (C, ``*.c``) is loaded into the synchroniser by LD_PRELOAD and sends ``WATCHDOG=1`` to
$NOTIFY_SOCKET when it is loaded and while there is progress.  Who owns that socket ends a run that says
nothing for too long: systemd, by the unit's WatchdogSec; where no manager is, the command ``socketwatch``.

The rule that must hold: a run is ended only for silence of a program that has spoken.  A program that the
shim is not in (static, setuid, of another architecture) never arms the clock; it has only the hard cap.
"""

from mswatch.socketwatch.preload import shim_environment, shim_path

__all__ = ["shim_environment", "shim_path"]
