"""When deletions are not believed.  Pure.

A store that is missing, empty, not mounted or made anew looks exactly like one whose owner deleted
everything; the old mailsync then deleted everything on the other side.  Here such a sight stops what
would be deleted, says what was seen, and a person says which of the two it was.

    seen                                                        stopped
    the store is not there, but was                             the run
    no mailbox is there, but was; INBOX is not there, but was   the run
    another directory (account) at the store's place, and
    messages are gone                                           the run
    more than a share of the whole store is gone                the run
    the same within a day, with what was carried over before    all deletions of the run
    half of that within BURST_S, some of it carried over before all deletions of the run, until it was quiet
    more than a share of a mailbox is gone within a day         deletions of this mailbox

Shares count only from FEW messages on: deleting three of four messages is everyday life.

A service runs while somebody deletes, so that an accident comes in bites, none of which is large.  So
deletions are counted over time, and over the store: of a store that is deleted bite by bite no more than half
of a share is carried over at once, and no more than a share in a day, before a person says what is meant.
What people do every day is told apart by what it is: a message that went to another mailbox is moved and not
deleted; Trash and Junk are there to be emptied, and do not count (``is_for_deleted``); expiring mail, and a
mail reader that expunges when it ends, take a small part of a store, or a large part of a small mailbox.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mswatch.mailsync.decide import Side

FEW = 20
BURST_S = 600.0  # deletions so close to each other are one event; so long it has to be quiet after it
DAY_S = 86400.0
_FOR_DELETED = ("trash", "junk", "spam", "deleted items", "deleted messages")  # of the last level of a name


@dataclass(frozen=True)
class Refusal:
    """What was seen and not believed; ``mailbox`` is None for a whole store."""

    side: Side
    mailbox: str | None
    seen: str
    copies: bool = False  # of others, that were to be taken away


@dataclass(frozen=True)
class StoreSight:
    """How a store looks compared to what is remembered of it."""

    side: Side
    name: str  # for the message
    there: bool
    same: bool  # it is the store that was there before, as far as can be told
    had_mailboxes: int
    has_mailboxes: int
    lost_inbox: bool
    had: int  # messages that both sides had
    gone: int  # of these, how many are gone
    came: int  # messages that are new


def judge_store(sight: StoreSight, largest_share: float) -> Refusal | None:
    """Return why nothing of what this store seems to say is believed, if so."""
    reason = _store_reason(sight, largest_share)
    return Refusal(sight.side, None, f"store {sight.name}: {reason}") if reason else None


def _store_reason(sight: StoreSight, largest_share: float) -> str:
    if not sight.there:
        return f"is not there, but had {sight.had} messages" if sight.had_mailboxes else ""
    if sight.had_mailboxes and not sight.has_mailboxes:
        return f"holds no mailbox, but had {sight.had_mailboxes}, with {sight.had} messages"
    if sight.lost_inbox:
        return "has no INBOX any more"
    if not sight.same and sight.gone > sight.came:
        return f"is another one than before (made anew, or not mounted), and misses {sight.gone} messages"
    if _too_many(sight.gone - sight.came, sight.had, largest_share):
        return f"{sight.gone} of {sight.had} messages are gone"
    return ""


@dataclass(frozen=True)
class Carried:
    """Deletions that were carried over: when (seconds since 1970), in which mailbox, how many."""

    at: float
    mailbox: str
    count: int


def is_for_deleted(mailbox: str) -> bool:
    """Tell whether a mailbox is there to be emptied, by its name."""
    return mailbox.rpartition("/")[2].lower() in _FOR_DELETED


def judge_pace(
    side: Side,
    wanted: Mapping[str, int],
    had: Mapping[str, int],
    before: Sequence[Carried],
    now: float,
    largest_share: float,
    spared: Collection[str] = (),
) -> list[Refusal]:
    """Return which of the deletions that a run wants to carry over are not believed.

    Args:
        side: Where the messages are gone.
        wanted: How many of each mailbox.
        had: How many messages both sides had of each mailbox that lost some, and under "" of all.
        before: What was carried over before.
        now: Seconds since 1970.
        largest_share: Of a store or a mailbox, that may be deleted within a day.
        spared: Mailboxes that do not count, beside those that are for deleted mail.
    """

    def counts(mailbox: str) -> bool:
        return mailbox not in spared and not is_for_deleted(mailbox)

    today = [each for each in before if each.at > now - DAY_S and counts(each.mailbox)]
    gone_now = sum(count for mailbox, count in wanted.items() if counts(mailbox))
    total = had[""] - sum(count for mailbox, count in had.items() if mailbox and not counts(mailbox))
    for span_s, share, when in ((DAY_S, largest_share, "a day"), (BURST_S, largest_share / 2, "10 minutes")):
        earlier = sum(each.count for each in today if each.at > now - span_s)
        of = total + earlier
        if (earlier or span_s == DAY_S) and gone_now and _too_many(earlier + gone_now, of, share):
            until = "" if span_s == DAY_S else "; the rest is carried over when it was quiet for as long"
            return [Refusal(side, None, f"{earlier + gone_now} of {of} messages went within {when}{until}")]
    refusals = []
    for mailbox, count in wanted.items():
        earlier = sum(each.count for each in today if each.mailbox == mailbox)
        if counts(mailbox) and _too_many(earlier + count, had[mailbox] + earlier, largest_share):
            seen = f"{earlier + count} of {had[mailbox] + earlier} messages are gone"
            refusals.append(Refusal(side, mailbox, seen))
    return refusals


def judge_mailbox(side: Side, mailbox: str, had: int, gone: int, largest_share: float) -> Refusal | None:
    """Return why the deletions in a mailbox are not carried to the other side, if so."""
    if not _too_many(gone, had, largest_share):
        return None
    return Refusal(side, mailbox, f"{gone} of {had} messages are gone")


def _too_many(gone: int, had: int, largest_share: float) -> bool:
    return gone >= FEW and gone > had * largest_share
