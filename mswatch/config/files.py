"""Finding and reading the files of accounts.

Any path may be named on the command line, so nothing is taken for granted: a FIFO must not hang the
service, a device or a huge file must not fill its memory, and every refusal names the file and the
reason.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from mswatch import paths
from mswatch.account import Account
from mswatch.config.naming import account_name, clean_name, is_name
from mswatch.config.problems import nearest
from mswatch.config.toml_account import read_toml
from mswatch.errors import ConfigError
from mswatch.showing import show

LIMIT_BYTES = 1 << 20


def known_accounts(environment: Mapping[str, str]) -> list[str]:
    """Return the names of all accounts that have a file; none if the directory cannot be read.

    Raises:
        ConfigError: HOME is not set.
    """
    try:
        found = [
            path.stem for path in paths.config_directory(environment).iterdir() if path.suffix == ".toml"
        ]
    except OSError:
        return []
    return sorted(name for name in found if is_name(name))


def account_file(name: str, environment: Mapping[str, str]) -> Path:
    """Return where the file of an account is, or belongs.

    Raises:
        UsageError: No account can have this name.
        ConfigError: HOME is not set.
    """
    return paths.config_directory(environment) / f"{account_name(name)}.toml"


def load_account(name: str, environment: Mapping[str, str]) -> Account:
    """Read the account of this name from its file below ``~/.config/mswatch``.

    Raises:
        UsageError: No account can have this name.
        ConfigError: There is no such file, or it cannot be used; ``problems`` has all that is wrong.
    """
    path = account_file(name, environment)
    if not path.exists():
        known = known_accounts(environment)
        there = f"there are {', '.join(known)}" if known else "there is no account yet"
        raise ConfigError(
            [f'{show(str(path))}: no account "{name}"; {there}{nearest(name, known)}'],
            "write this file; `mswatch sample` prints one to start from",
        )
    return _load_toml(path, name, environment)


def load_file(file: str | Path, environment: Mapping[str, str]) -> Account:
    """Read an account from any file: TOML if it is called ``*.toml``, otherwise the old rc format.

    The account is named after the file.

    Raises:
        ConfigError: The file cannot be used; ``problems`` has all that is wrong.
    """
    path = Path(file)
    name = file_account_name(path)
    if path.suffix == ".toml":
        return _load_toml(path, name, environment)
    from mswatch.config.rc_account import read_rc  # the old format, which costs as much as all the rest

    return read_rc(read_old_text(path), name, path)


def file_account_name(path: Path) -> str:
    """Return the name of the account made of a file at an unusual place: ``.mswatchrc`` is "mswatchrc"."""
    return clean_name(path.stem.lstrip(".") or "account")


def read_old_text(path: Path) -> str:
    """Return the text of an old rc file; bytes that are no UTF-8 come as surrogates (PEP 383).

    Raises:
        ConfigError: The file cannot be read.
    """
    return _read(path).decode("utf-8-sig", "surrogateescape")


def _load_toml(path: Path, name: str, environment: Mapping[str, str]) -> Account:
    data = _read(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"{show(str(path))}:{line}: byte 0x{data[error.start]:02x} is no UTF-8"
        raise ConfigError([problem], "save the file in UTF-8") from None
    return read_toml(text, name, path, _home(environment))


def _home(environment: Mapping[str, str]) -> Path | None:
    try:
        return paths.home(environment)
    except ConfigError:
        return None  # only ~ and relative paths need it, and say so


def _read(path: Path) -> bytes:
    try:
        # Non-blocking, so that a FIFO without a writer opens at once and can be refused.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([f"{show(str(path))}: cannot be opened: {reason}"]) from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ConfigError([f"{show(str(path))}: is no regular file"])
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise ConfigError([f"{show(str(path))}: cannot be read: {error.strerror}"]) from None
    finally:
        os.close(fd)
    if len(data) > LIMIT_BYTES:
        raise ConfigError(
            [f"{show(str(path))}: is larger than {LIMIT_BYTES} bytes, so it is no configuration"]
        )
    return data
