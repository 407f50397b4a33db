"""Where configuration and state are, as text: for who may import nothing, because it is started all the time.

The XDG base directory specification, and HOME.  Everybody else asks ``mswatch.paths``.
"""

from __future__ import annotations

from collections.abc import Mapping

from mswatch.errors import ConfigError

Environment = Mapping[str, str]


def home(environment: Environment) -> str:
    """Return the user's home directory.

    Raises:
        ConfigError: HOME is not set, or no absolute path.
    """
    value = environment.get("HOME", "")
    if not value.startswith("/"):
        raise ConfigError([f"HOME is {value!r}, no absolute path"], "set HOME to your home directory")
    return value


def config_directory(environment: Environment) -> str:
    """Return the directory of the accounts' files."""
    return _below(environment, "XDG_CONFIG_HOME", ".config")


def state_place(environment: Environment) -> str:
    """Return where the directory of locks and of mailsync's state is, or would be."""
    return _below(environment, "XDG_STATE_HOME", ".local/state")


def _below(environment: Environment, variable: str, default: str) -> str:
    value = environment.get(variable, "")
    place = value if value.startswith("/") else f"{home(environment).rstrip('/')}/{default}"
    return f"{place.rstrip('/')}/mswatch"
