"""Where ``mailsync`` starts: to the end if nothing changed (``settled``, ``glance``), else to the command.

It imports next to nothing, because it is started for each look at an account.  For the same reason the
collector of cycles never looks at what imports made, neither between them nor at the end: that is a fifth of
a start.
"""

from __future__ import annotations

import gc
import os
import sys

from mswatch import xdg
from mswatch.errors import EXIT_TEMPORARY, MswatchError
from mswatch.mailsync import settled

TYPE_CHECKING = False  # as type checkers know it, without typing: 7 ms
if TYPE_CHECKING:
    from mswatch.imap_session.glance import Glimpse

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-")


def main() -> int:
    """Run the command, and return its exit status."""
    gc.disable()
    glimpses: dict[str, Glimpse] | None = {}
    account = _account(sys.argv[1:])
    if account is not None:
        place, file, is_whole = account
        looks = settled.looks(place, file)
        if looks == []:
            return 0
        if looks and is_whole:  # of some mailboxes something else would be asked
            try:
                glimpses = _glimpses(looks)
            except MswatchError as error:
                settled.forget(place)
                from mswatch import mailsync_command

                return mailsync_command.failed(error)
            except KeyboardInterrupt:
                return EXIT_TEMPORARY
            if glimpses is None:
                return 0
            settled.forget(place)  # whatever comes of this run, it is not as it was
    from mswatch import mailsync_command

    gc.freeze()
    gc.enable()
    try:
        return mailsync_command.main(glimpses=glimpses)
    finally:
        gc.freeze()


def _glimpses(looks: list[bytes]) -> dict[str, Glimpse] | None:
    """Ask the servers; return what may be gone on with, or None when nothing has changed."""
    from mswatch.imap_session.glance import Look, glance

    try:
        asked = [Look.read(line) for line in looks]
    except (AttributeError, TypeError, ValueError):
        return {}
    found = {}
    for look in asked:
        found[look.store] = glance(look)
        if not found[look.store].is_same:
            return found
    for glimpse in found.values():
        glimpse.link.close()
    return None


def _account(words: list[str]) -> tuple[bytes, bytes, bool] | None:
    """Return where it says how an account was, its file, and whether all of it is meant.

    None if more is asked for than a sync.
    """
    words = [word for word in words if word not in ("-q", "--quiet")]  # nothing is said anyway
    if words[:1] in (["--config"], ["-c"]) and len(words) > 1:
        file = os.path.abspath(words[1])  # noqa: PTH100 - as the command makes it
        name, end = os.path.splitext(os.path.basename(file))  # noqa: PTH119, PTH122
        rest = words[2:]
    elif words:
        name, end, file, rest = words[0], ".toml", "", words[1:]
    else:
        return None
    if end != ".toml" or name.startswith((".", "-")) or not _NAME.issuperset(name):
        return None
    if any(word.startswith("-") and word != "--" for word in rest):
        return None
    try:
        file = file or f"{xdg.config_directory(os.environ)}/{name}.toml"
        place = f"{xdg.state_place(os.environ)}/{name}.mailsync.settled"
    except MswatchError:
        return None  # the command tells it
    return os.fsencode(place), os.fsencode(file), not rest


if __name__ == "__main__":
    sys.exit(main())
