r"""Which mailboxes are left out of the sync for what a server says they are for (``\All``, ``\Junk``).  Pure.

    near says  far says  told before  in the sync
    -          \All      any          no, on neither side
    -          -         \All         yes: it is another one's use now
    -          not there \All         no: it was not said to be anything else
    -          nothing   \All         no: the server names no uses today

A mailbox that is not subscribed, where only those shall be synced, is such a use, too.

One side alone decides for both: left out on one side only, a mailbox would look removed there.  And what was
told stands until something else is told of that mailbox, so that one that a server lists no longer is not
taken for removed.  Of its messages everything stays remembered, as of those that a pattern leaves out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mswatch.mailsync.stores.contract import Seen

Uses = frozenset[str]
Told = Mapping[str, Uses]  # by mailbox: those of its uses for which it is left out; never empty ones


def told_now(before: Told, listed: Mapping[str, Seen], skip: Uses) -> dict[str, Uses]:
    """Return what a side has told, after another look at some mailboxes or at all of them."""
    now = {name: uses & skip for name, uses in before.items()}
    now |= {name: seen.uses & skip for name, seen in listed.items() if seen.uses is not None}
    return {name: uses for name, uses in now.items() if uses}


def renamed(
    told: Told, before: Told, listed: Mapping[str, Seen], base: Mapping[str, bytes]
) -> dict[str, Uses]:
    """Return what is told of mailboxes that are gone, and seem to be called otherwise now.

    One that was renamed to what is left out is left out as that is, and no longer than that.  ``base`` has
    the identities that are remembered of this side.  Some servers give several mailboxes one identity, so
    only one that was not known before is believed in.
    """
    now = dict(told)
    new = {seen.identity: name for name, seen in listed.items() if seen.identity and name not in base}
    for name, identity in base.items():
        if name not in listed and identity in new:
            if new[identity] not in told:
                now.pop(name, None)
            elif new[identity] not in before:
                now[name] = told[new[identity]]
    return now


def without_gone(told: Told, there: Collection[str]) -> dict[str, Uses]:
    """Return what is worth remembering when ``there`` are all mailboxes that anybody has or remembers."""
    return {name: uses for name, uses in told.items() if name in there}


def to_bytes(told: Told) -> bytes:
    """Return what was told as it is remembered; no name holds a NUL."""
    words = [word for name in sorted(told) for word in (name, " ".join(sorted(told[name])))]
    return "\0".join(words).encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> dict[str, Uses]:
    """Return what is remembered."""
    words = data.decode("utf-8", "surrogateescape").split("\0") if data else []
    return {name: frozenset(uses.split(" ")) for name, uses in zip(words[::2], words[1::2], strict=False)}
