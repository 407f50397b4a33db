"""Which mailboxes belong to an old store, and what they are called there.  Pure.

``ref`` and ``pat`` make a pattern (``%``: anything within a level, ``*``: also deeper).  What remains of a
full name without ``prefix`` is the *boxname*; mailboxes of two stores pair if their boxnames are equal.  It
may be empty: then two single mailboxes with different names are a pair.  A name that does not begin with the
prefix is its own boxname.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mswatch.names import NameForm, Pattern, canonical
from mswatch.oldmailsync.names import INBOX, split
from mswatch.oldmailsync.rc import OldStore
from mswatch.showing import show


@dataclass(frozen=True)
class Selection:
    """A store's pattern and prefix, with ``/`` between levels whatever the store uses."""

    pattern: str
    prefix: str
    hidden: str = ""  # the full name of what is no mailbox for us, although it looks like one
    _compiled: Pattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", Pattern(self.pattern))

    @property
    def _fixed(self) -> str:
        return re.split("[%*]", self.pattern, maxsplit=1)[0]

    @property
    def top(self) -> str:
        """The levels that all names have in common: as far as there is no wildcard."""
        return self._fixed.rpartition("/")[0]

    @property
    def single(self) -> str | None:
        """The one name that is meant; None if there are wildcards."""
        return self.pattern if self._fixed == self.pattern else None

    def wants(self, name: str) -> bool:
        """Tell whether a mailbox of this full name belongs to the store."""
        return self._compiled.matches(name) and (not name or name != self.hidden)

    def boxname(self, name: str) -> str:
        """Return what a mailbox is called in the store."""
        return name.removeprefix(self.prefix)

    def full(self, boxname: str) -> str:
        """Return the full name of a mailbox that is to be made."""
        return self.prefix + boxname


def selection(store: OldStore, form: NameForm = NameForm(), hidden: str = "") -> Selection:  # noqa: B008 - frozen
    """Return what a store selects; ``form`` is how its server writes names."""
    _, ref = split(store.ref)
    pat = split(store.pat)[1]
    pattern = pat if pat.startswith(("#", "/", "~")) else ref + pat
    pattern = INBOX if pattern.upper() == INBOX else canonical(pattern, form)
    return Selection(pattern, canonical(split(store.prefix)[1], form), canonical(hidden, form))


def is_boxname(name: str) -> bool:
    """Tell whether the other store may make a mailbox of this name here: it leads nowhere but down."""
    if "\0" in name or name.startswith(("#", "~", "{", "/")):
        return False
    return not name or all(level not in ("", ".", "..") for level in name.split("/"))


def by_boxname(names: Iterable[str], chosen: Selection) -> tuple[dict[str, str], list[str]]:
    """Return the full names of the wanted mailboxes by their boxnames, and what is wrong with others."""
    found: dict[str, str] = {}
    wrong = []
    for name in sorted(names):
        if not chosen.wants(name):
            continue
        boxname = chosen.boxname(name)
        if boxname in found:
            wrong.append(
                f"left out {show(name)}: without its prefix it is called like {show(found[boxname])}"
            )
        elif not is_boxname(boxname):
            wrong.append(f"left out {show(name)}: no mailbox can be called like that on the other side")
        else:
            found[boxname] = name
    return found, wrong
