"""The command line of socketwatch."""

from __future__ import annotations

import getopt
import re
from dataclasses import dataclass

from mswatch.errors import UsageError
from mswatch.showing import show

# Longer than a healthy run is silent: a server that sorts a large mailbox, resolvers that give up
# after 30 s, mbsync's own Timeout of 20 s.  Shorter than the kernel tries to connect (127 s).
TIMEOUT_S = 120.0
GRACE_S = 5.0  # as inputkill has it
_LONGEST_S = 366 * 86400.0
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) *(ms|s|m|h|d)?")
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

HELP = """\
Usage: socketwatch [OPTION]... [--] COMMAND [ARGUMENT]...
Run COMMAND, and end it when it makes no progress: no byte on the network or on a
pipe, no change in a mail store.  Options are read before COMMAND only.

  -t, --timeout=TIME    how long it may make no progress (default: 120s)
      --hard-cap=TIME   how long it may run at all (default: for ever)
      --grace=TIME      time between SIGTERM and SIGKILL (default: 5s)
  -V, --version         print the version
  -h, -?, --help        print this

TIME is a number of seconds, or a number with a unit: 300ms, 90s, 5m, 1h, 1d.
The exit status is that of COMMAND, 128 + the signal that ended it, 127 if it was
not found, 126 if it cannot be run; 75 if socketwatch ended it.
"""


@dataclass(frozen=True)
class Options:
    """What the command line asks for; ``text`` is to be printed instead of running anything."""

    command: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S
    hard_cap_s: float | None = None
    grace_s: float = GRACE_S
    text: str = ""


def parse(arguments: list[str], version: str) -> Options:
    """Read the arguments; options end where the command begins.

    Raises:
        UsageError: they ask for something that cannot be.
    """
    try:
        given, command = getopt.getopt(
            arguments, "t:Vh?", ["timeout=", "hard-cap=", "grace=", "version", "help"]
        )
    except getopt.GetoptError as error:
        raise UsageError(show(error.msg)) from None
    values = dict(given)
    if values.keys() & {"-h", "-?", "--help"}:
        return Options(text=HELP)
    if values.keys() & {"-V", "--version"}:
        return Options(text=f"socketwatch {version}\n")
    if not command:
        raise UsageError("there is no command to run")
    timeouts = [value for name, value in given if name in ("-t", "--timeout")]
    return Options(
        tuple(command),
        timeout_s=duration_s("--timeout", timeouts[-1]) if timeouts else TIMEOUT_S,
        hard_cap_s=duration_s("--hard-cap", values["--hard-cap"]) if "--hard-cap" in values else None,
        grace_s=duration_s("--grace", values["--grace"], least=0.0) if "--grace" in values else GRACE_S,
    )


def duration_s(option: str, text: str, least: float = 0.001) -> float:
    """Return the seconds that an option's value says."""
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNITS_S[match[2] or "s"] if match else -1.0
    if not least <= seconds <= _LONGEST_S:
        raise UsageError(f'{option} is "{show(text)}", which is no time such as 90, 90s or 5m, up to a year')
    return seconds
