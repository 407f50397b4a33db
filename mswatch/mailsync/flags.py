r"""Flags and keywords of a message: one set of words, spelt as IMAP spells them, and how two sets are merged.

``\Seen`` and the other system flags, ``$Forwarded`` (Maildir's P) and any keyword stand in one frozen
set, so that merging is arithmetic of sets, the same for all of them.  Keywords are compared as they are
written: IMAP says that case does not matter, but a store that keeps ``Work`` and ``work`` apart must not
lose one of them, and a store that does not answers with what it has made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

Flags = frozenset[str]

SEEN = r"\Seen"
ANSWERED = r"\Answered"
FLAGGED = r"\Flagged"
DELETED = r"\Deleted"
DRAFT = r"\Draft"
FORWARDED = "$Forwarded"

NONE: Flags = frozenset()


@dataclass(frozen=True, slots=True)
class FlagChange:
    """What is to become of a message's flags: those it was seen with, and those it is to have.

    Others may have changed the message since it was seen.  The difference
    undoes nothing of that: it touches no other flags.
    """

    seen: Flags
    wanted: Flags

    @property
    def added(self) -> Flags:
        """What the message gets."""
        return self.wanted - self.seen

    @property
    def removed(self) -> Flags:
        """What is taken from it."""
        return self.seen - self.wanted

    def upon(self, now: Flags) -> Flags:
        """Return what the flags of the message become if these are the ones it has."""
        return (now - self.removed) | self.added

    def agreed(self, kept: Flags) -> Flags:
        """Return the flags that both sides know of, if the store keeps only these of those that were added.

        What somebody else did since the message was seen is not among them, so that the next look finds it.
        """
        return (self.seen - self.removed) | (self.added & kept)


def merged(now: Flags, was: Flags, other_now: Flags, other_was: Flags) -> Flags:
    """Return what one side shall hold, given what both sides hold and held when they last agreed.

    Each flag is merged by itself: who changed it since then is right.  The sides may have agreed on different
    sets, because not every store can keep every flag: a flag that one of them never got is not taken
    for removed there.  When one side set a flag that the other one took away, it is set.
    """
    added = (now - was) | (other_now - other_was)
    removed = (was - now) | (other_was - other_now)
    return (now - (removed - added)) | added


def united(near: Flags, far: Flags) -> Flags:
    r"""Return what two copies shall hold that meet for the first time: all of both.

    Except ``\Deleted``, which both must have: a mark that leads to a message's end is not spread on
    suspicion.
    """
    return (near | far) - ((near ^ far) & {DELETED})


def cared_for(now: Flags, was: Flags) -> bool:
    r"""Tell whether a change of flags says that somebody still wants a message that the other side deleted.

    It was flagged, answered, given a keyword, or rescued from ``\Deleted``: all but having been read, and
    having been marked for deletion here too.
    """
    return bool((now ^ was) - {SEEN, DELETED}) or (DELETED in was and DELETED not in now)


def to_text(flags: Flags) -> str:
    """Return flags in one line, in a fixed order; no flag holds a blank."""
    return " ".join(sorted(flags))


_interned: dict[str, Flags] = {"": NONE}


def from_text(text: str) -> Flags:
    """Return the flags of ``to_text``, the same object for the same text: there are few combinations."""
    found = _interned.get(text)
    if found is None:
        found = _interned.setdefault(text, frozenset(text.split(" ")))
    return found
