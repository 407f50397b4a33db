"""Where the shim is, and what of the environment puts it into a program.

ld.so(8) takes blanks and colons for separators in LD_PRELOAD, and nothing quotes them: a shim below such a
path cannot be used, and counts as absent.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

_BESIDE = "shim.abi3.so"  # the name that setuptools gives it in a wheel
_INSTALLED = Path("mswatch", "shim.so")


def shim_path() -> Path | None:
    """Return the shim; None if there is none that can be used.

    It is looked for beside this file (a wheel), then below the prefix of the running Python and below the
    system's: in ``lib/MULTIARCH/mswatch`` (Debian), ``lib64/mswatch``, ``lib/mswatch`` (a checkout's .venv).
    """
    for path in _places():
        if path.is_file() and not any(separator in str(path) for separator in " :\t\n"):
            return path
    return None


def _places() -> Iterator[Path]:
    yield Path(__file__).resolve().parent / _BESIDE
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    for prefix in (sys.prefix, sys.base_prefix):
        for library in (f"lib/{multiarch}", sys.platlibdir, "lib"):
            yield Path(prefix) / library / _INSTALLED


def shim_environment(
    environment: Mapping[str, str],
    shim: Path | None,
    *,
    notify_socket: str | None = None,
    echo_socket: str | None = None,
) -> dict[str, str]:
    """Return the variables to be set beside those of ``environment``; none without a shim.

    Args:
        environment: what the program gets otherwise; the shim is appended to its LD_PRELOAD.
        shim: see ``shim_path``.
        notify_socket: where ``WATCHDOG=1`` goes, a path or ``@NAME``; None under systemd, which sets it.
        echo_socket: a datagram socket for the names of messages that the program made or removed (format:
            echo.c); None if nobody wants them.
    """
    if shim is None:
        return {}
    before = environment.get("LD_PRELOAD", "")
    added = {"LD_PRELOAD": f"{before}:{shim}" if before else str(shim)}
    if notify_socket is not None:
        added["NOTIFY_SOCKET"] = notify_socket
    if echo_socket is not None:
        added["MSWATCH_ECHO_SOCKET"] = echo_socket
    return added
