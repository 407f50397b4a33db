"""Where things are: configuration, state, the control socket.

Computed here and in ``xdg``, and nowhere else, from the environment that is handed in (systemd's %S moves
between versions, so the units do not say it either).  State holds locks, and what mailsync remembers; the
control socket lives where the session's sockets live.
"""

from __future__ import annotations

import os
from pathlib import Path

from mswatch import xdg
from mswatch.errors import TemporaryError
from mswatch.xdg import Environment


def home(environment: Environment) -> Path:
    """Return the user's home directory.

    Raises:
        ConfigError: HOME is not set, or no absolute path.
    """
    return Path(xdg.home(environment))


def old_mailsync(environment: Environment) -> Path:
    """Return the configuration of the old mailsync, if there is one.

    Raises:
        ConfigError: As ``home``.
    """
    return home(environment) / ".mailsync"


def config_directory(environment: Environment) -> Path:
    """Return the directory of the accounts' files (XDG base directory specification)."""
    return Path(xdg.config_directory(environment))


def state_place(environment: Environment) -> Path:
    """Return where the directory of locks and of mailsync's state is, or would be."""
    return Path(xdg.state_place(environment))


def state_directory(environment: Environment) -> Path:
    """Return the directory of locks and of mailsync's state, made if it is not there."""
    return _private(state_place(environment))


def journals(environment: Environment) -> Path:
    """Return where what is being written into files of mail is kept, for all accounts."""
    return state_place(environment) / "journals"


def runtime_directory(environment: Environment) -> Path:
    """Return the directory of control sockets, made if it is not there.

    Where the environment names no runtime directory (cron, sudo), the session's own is used if there is one,
    so that a command finds the service; otherwise the state directory.
    """
    value = environment.get("XDG_RUNTIME_DIR", "")
    if value.startswith("/"):
        return _private(Path(value) / "mswatch")
    session = Path(f"/run/user/{os.getuid()}")
    return _private(session / "mswatch") if os.access(session, os.W_OK) else state_directory(environment)


def _private(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TemporaryError(
            f"cannot make the directory {str(directory)!r}: {error.strerror}",
            "make it, or make its parent directory writable",
        ) from error
    return directory
