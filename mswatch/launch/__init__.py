"""How watchers and runs are started: as children (``children``), or as user units (``units``).

Both give the service the same pipes, so all code behind those is shared (``process``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from mswatch.launch.children import ChildLauncher
from mswatch.launch.process import Launcher
from mswatch.launch.units import UnitLauncher

__all__ = ["launcher"]


def launcher(wanted: str, account: str, environment: Mapping[str, str]) -> Launcher:
    """Return the way of starting that is wanted: "units", "children", or "auto".

    "auto" means units exactly if the service is one itself ($SYSTEMD_EXEC_PID of systemd.exec(5)): then a
    user manager answers and our units are installed.  A service that a person started in a terminal stays in
    that terminal.
    """
    as_unit = environment.get("SYSTEMD_EXEC_PID") == str(os.getpid()) and "NOTIFY_SOCKET" in environment
    if wanted == "units" or (wanted == "auto" and as_unit):
        return UnitLauncher(account, environment)
    return ChildLauncher(environment)
