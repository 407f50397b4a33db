"""Where ``mailsync`` starts: straight to the end if nothing changed (``settled``), else to the command.

It imports next to nothing, because it is started for each look at an account.
"""

from __future__ import annotations

import os
import sys

from mswatch import xdg
from mswatch.errors import MswatchError
from mswatch.mailsync import settled

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-")


def main() -> int:
    """Run the command, and return its exit status."""
    if _nothing_changed(sys.argv[1:]):
        return 0
    from mswatch import mailsync_command

    return mailsync_command.main()


def _nothing_changed(words: list[str]) -> bool:
    """Tell whether this is a plain call, for an account of which nothing changed since it was in step."""
    if words[:1] in (["--config"], ["-c"]) and len(words) > 1:
        file = os.path.abspath(words[1])  # noqa: PTH100 - as the command makes it
        name, end = os.path.splitext(os.path.basename(file))  # noqa: PTH119, PTH122
        rest = words[2:]
    elif words:
        name, end, file, rest = words[0], ".toml", "", words[1:]
    else:
        return False
    if end != ".toml" or name.startswith((".", "-")) or not _NAME.issuperset(name):
        return False
    if any(word.startswith("-") and word != "--" for word in rest):
        return False
    try:
        file = file or f"{xdg.config_directory(os.environ)}/{name}.toml"
        place = f"{xdg.state_place(os.environ)}/{name}.mailsync.settled"
    except MswatchError:
        return False  # the command tells it
    return settled.holds(os.fsencode(place), os.fsencode(file))


if __name__ == "__main__":
    sys.exit(main())
