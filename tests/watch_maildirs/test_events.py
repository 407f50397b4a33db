"""events: the numbers are the kernel's."""

import inotify_simple
import pytest

from watch_maildirs import events

NAMES = [name for name in vars(events) if name.isupper() and hasattr(inotify_simple.flags, name)]


def test_all_are_compared() -> None:
    """No number of inotify's is left out by a slip in its name."""
    assert len(NAMES) == 15


@pytest.mark.parametrize("name", NAMES)
def test_number(name: str) -> None:
    """Each number is the one that inotify_simple has from the kernel's header."""
    assert getattr(events, name) == getattr(inotify_simple.flags, name)
