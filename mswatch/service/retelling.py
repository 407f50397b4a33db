"""What failing runs told already, so that people hear of a change of state and not of each try.

A server may be away for days, and what failed is tried again and again.  The rule: nothing is told that was
told by a run that failed since all was well.  What is new is told as ever, and so is every success.
"""

from __future__ import annotations

from mswatch.messages import Message

_MOST = 1000  # what is more is told each time


class Retelling:
    """The memory of one account."""

    def __init__(self) -> None:
        self._failed: set[tuple[str, str]] = set()  # told by runs that failed
        self._present: set[tuple[str, str]] = set()  # told by the run under way

    def is_new(self, message: Message, text: str) -> bool:
        """Tell whether people are to hear this of the run under way."""
        what = (message.name, text)
        if what in self._failed:
            return False
        if len(self._present) < _MOST:
            self._present.add(what)
        return True

    def end(self, *, failed: bool, all_is_well: bool) -> None:
        """The run has ended; ``all_is_well``: nothing at all is failing any more."""
        if all_is_well:
            self._failed.clear()
        elif failed and len(self._failed) < _MOST:
            self._failed |= self._present
        self._present.clear()
