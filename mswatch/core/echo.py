"""Which changes are the echo of our own runs.  Pure: what runs did in, judgements out.

A run that brings a message into a store changes that store, and its watcher tells of it.  To sync it again
would be the second run for one delivery.  So the syncer's own changes are remembered (the shim tells them),
and a change that a watcher names is compared with them.

The rule that makes it safe: what is compared is not who made a change, but **how things stand**.  A run that
succeeded left a name in ``cur`` or ``new`` there, or not there; as long as that is still so, there is nothing
about this name that the other store does not know.  Whatever somebody else does to a message, also while the
run goes on, changes its name, adds one or takes one away, and is never explained.  A run that failed explains
nothing, and a record that was lost costs a second run.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_KNOWN = 20_000


class Place(NamedTuple):
    """A name in a directory, whatever path leads to it."""

    device: int
    inode: int  # of the directory
    name: str


class Echoes:
    """How the runs left what they touched."""

    def __init__(self) -> None:
        self._run: dict[Place, bool] = {}
        self._known: dict[Place, bool] = {}  # the oldest first

    def note(self, place: Place, *, is_there: bool) -> None:
        """Remember what the run under way made (``is_there``) or removed; of too much, only the last."""
        self._run.pop(place, None)
        self._run[place] = is_there
        _shorten(self._run)

    def end_run(self, *, succeeded: bool) -> None:
        """Believe what the run did from now on, or forget it."""
        for place, is_there in self._run.items():
            self._known.pop(place, None)
            if succeeded:
                self._known[place] = is_there
        self._run.clear()
        _shorten(self._known)

    def is_known(self, place: Place) -> bool:
        """Tell whether a run touched this, so that it is worth a look how it stands."""
        return place in self._known

    def explain(self, place: Place, *, is_there: bool) -> bool:
        """Tell whether it stands as a run left it."""
        return self._known.get(place) is is_there


def _shorten(places: dict[Place, bool]) -> None:
    while len(places) > MOST_KNOWN:
        del places[next(iter(places))]
