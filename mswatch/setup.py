"""``mswatch setup``: the units for who has mswatch by pip or a checkout, and what the machine lacks.

A distribution's package has its units where systemd looks, and needs nothing of this.  Otherwise they are
written to the user's own directory of data units, with the full path of this very program in them, because
systemd does not know of a virtual environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from mswatch.errors import TemporaryError, UnavailableError
from mswatch.instances import escape
from mswatch.paths import home

SYSTEM_UNITS = (Path("/usr/lib/systemd/user"), Path("/usr/local/lib/systemd/user"), Path("/etc/systemd/user"))
NAMES = ("mswatch@.service", "mswatch-watch@.service", "mswatch-sync@.service", "mswatch-hook@.service")
_PERSISTENT_JOURNAL = Path("/var/log/journal")


def user_units(environment: Mapping[str, str]) -> Path:
    """Return where units of a user's own programs belong (systemd.unit(5))."""
    data = environment.get("XDG_DATA_HOME", "")
    base = Path(data) if data.startswith("/") else home(environment) / ".local/share"
    return base / "systemd/user"


def install(environment: Mapping[str, str]) -> Iterator[str]:
    """Write the units and have the manager read them; the lines say what was done.

    Raises:
        TemporaryError: they cannot be written.
        UnavailableError: there are no units to write.
    """
    program = _program()
    if packaged := _packaged(program):
        yield f"the units are there already, from a package: {packaged}"
        return
    source = _source()
    target = user_units(environment)
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            text = (source / name).read_text()
            (target / name).write_text(_with_program(text, program))
    except OSError as error:
        raise TemporaryError(
            f"cannot write {error.filename!r}: {error.strerror}", "make it writable"
        ) from error
    yield f"wrote {', '.join(NAMES)} to {target}"
    yield from _reload(environment)


def remove(environment: Mapping[str, str]) -> Iterator[str]:
    """Take the units away again; the lines say what was done."""
    target = user_units(environment)
    found = [target / name for name in NAMES if (target / name).exists()]
    for path in found:
        path.unlink()
    yield (
        f"removed {', '.join(path.name for path in found)}"
        if found
        else f"there are no units of ours in {target}"
    )
    if found:
        yield from _reload(environment)


def advice(environment: Mapping[str, str]) -> Iterator[str]:
    """Say what the machine lacks for mswatch as a service."""
    if not _PERSISTENT_JOURNAL.is_dir():
        yield (
            "the journal is not kept on disk, so `journalctl --user` shows nothing; as root: "
            "mkdir -p /var/log/journal && systemctl restart systemd-journald"
        )
    if not _lingers(environment):
        yield "the service ends when you log out; to keep it running: loginctl enable-linger"


def _program() -> Path:
    """Return the full path of the program that is running."""
    found = shutil.which(sys.argv[0]) or sys.argv[0]
    return Path(found).absolute()


def _packaged(program: Path) -> Path | None:
    if not program.is_relative_to("/usr"):
        return None
    return next((directory for directory in SYSTEM_UNITS if (directory / NAMES[0]).exists()), None)


def _source() -> Path:
    """Return where the units came to with this program: a checkout, or the data of an installation."""
    checkout = Path(__file__).parent.parent / "units"
    installed = Path(sysconfig.get_path("data")) / "share/mswatch/units"
    for directory in (checkout, installed):
        if (directory / NAMES[0]).exists():
            return directory
    raise UnavailableError(f"no units in {checkout} or {installed}", "install mswatch again")


def _with_program(text: str, program: Path) -> str:
    """Name the program by its path; systemd takes a quoted one with blanks and doubled per cent signs."""
    escaped = str(program).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    for start in ("ExecStart=", "ExecReload=", "ExecStopPost=-"):
        text = text.replace(f"{start}mswatch ", f'{start}"{escaped}" ')
    return text


def _reload(environment: Mapping[str, str]) -> Iterator[str]:
    if _systemctl(environment, "daemon-reload"):
        yield "the user manager has read them"
    else:
        yield "no user manager answers: the units are read at your next login"


def _systemctl(environment: Mapping[str, str], *words: str) -> bool:
    try:
        done = subprocess.run(
            ("systemctl", "--user", "--quiet", *words),
            env=dict(environment),
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def start(account: str, environment: Mapping[str, str]) -> None:
    """Enable an account's service, and start it now.

    Raises:
        UnavailableError: the manager cannot.
    """
    unit = f"mswatch@{escape(account)}.service"
    if not _systemctl(environment, "enable", "--now", unit):
        raise UnavailableError(f"{unit} could not be started", f"see: systemctl --user status {unit}")


def _lingers(environment: Mapping[str, str]) -> bool:
    user = environment.get("USER") or environment.get("LOGNAME") or str(os.getuid())
    return Path("/var/lib/systemd/linger", Path(user).name).exists()
