"""The start-up code of a unit: hands its pipes to the service, and becomes the command that it names.

It imports little, because every run pays for its start; what is said between the two is in ``launch.units``.
"""

from __future__ import annotations

import os
import sys

from mswatch.control import ask
from mswatch.errors import EXIT_UNAVAILABLE, MswatchError, UsageError
from mswatch.instances import unescape
from mswatch.paths import runtime_directory

HELD_LOCK = 3  # the descriptor with the run lock, kept open in the command


def main(role: str, instance: str) -> int:
    """Become what a unit is for, or tell why not and return the exit status."""
    try:
        return become(role, instance)
    except MswatchError as error:
        print(f"mswatch: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_status


def become(role: str, instance: str) -> int:
    """Become the watcher or the run of a unit's instance (ACCOUNT:STORE, or ACCOUNT).

    Returns:
        The exit status if there is no service to work for.

    Raises:
        MswatchError: the service does not answer, or expects no such unit.
        OSError: the command cannot be started.
    """
    account, _, name = unescape(instance).partition(":")
    if role not in ("watcher", "run", "hook") or "/" in account:
        raise UsageError(f"cannot become {role!r} of {instance!r}", "units do this, not people")
    near_in, far_in = os.pipe()
    far_out, near_out = os.pipe()
    far_err, near_err = os.pipe()
    received: list[int] = []
    answer = ask(
        runtime_directory(os.environ) / f"{account}.sock",
        {"command": "become", "role": role, "name": name},
        send=(far_in, far_out, far_err),
        received=received,
    )
    if answer is None:
        print(f"mswatch: no service of {account} is running", file=sys.stderr)  # noqa: T201
        return EXIT_UNAVAILABLE
    for fd, place in ((near_in, 0), (near_out, 1), (near_err, 2)):
        os.dup2(fd, place)
    if received:
        os.dup2(received[0], HELD_LOCK, inheritable=True)
    os.closerange(HELD_LOCK + bool(received), 64)
    argv = [os.fsencode(word) for word in answer["argv"]]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("WATCHDOG_")}
    if role == "watcher":
        environment.pop("NOTIFY_SOCKET", None)
    environment.update(answer["environment"])
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - no shell is the point
    except OSError as error:
        print(f"cannot start {os.fsdecode(argv[0])!r}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 127
