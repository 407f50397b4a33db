"""The errors a person is told about, and the exit statuses they end in.

Each error says what was found and where, and ``fix`` what to do about it.  ``exit_status`` follows
sysexits.h, so that unit files can name it (``RestartPreventExitStatus=CONFIG``).  Any other exception is a
bug of ours and ends in EXIT_BUG; the one place that turns an error into a message and a status is
``mswatch.cli.main``.
"""

from __future__ import annotations

EXIT_PARTIAL = 1  # some of it was done, the rest was told
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_BUG = 70
EXIT_TEMPORARY = 75
EXIT_REFUSED = 77  # nothing is broken; a person has to say which of two things is meant (EX_NOPERM)
EXIT_CONFIG = 78


class MswatchError(Exception):
    """Something a person can mend: ``str(error)`` is what was found, ``fix`` what to do (may be empty)."""

    exit_status = EXIT_BUG

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class UsageError(MswatchError):
    """The command line asks for something that cannot be."""

    exit_status = EXIT_USAGE


class UnavailableError(MswatchError):
    """A store, a server or the service is not reachable."""

    exit_status = EXIT_UNAVAILABLE


class TemporaryError(MswatchError):
    """It may work later, with nothing changed."""

    exit_status = EXIT_TEMPORARY


class ConfigError(MswatchError):
    """A configuration cannot be used.  ``problems`` has one complete line for each thing found in it."""

    exit_status = EXIT_CONFIG

    def __init__(self, problems: list[str], fix: str = "") -> None:
        super().__init__("\n".join(problems), fix)
        self.problems = problems
