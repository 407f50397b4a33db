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
    more than a share of a mailbox is gone                      deletions of this mailbox

Shares count only from FEW messages on: deleting three of four messages is everyday life.
"""

from __future__ import annotations

from dataclasses import dataclass

from mswatch.mailsync.decide import Side

FEW = 20


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


def judge_mailbox(side: Side, mailbox: str, had: int, gone: int, largest_share: float) -> Refusal | None:
    """Return why the deletions in a mailbox are not carried to the other side, if so."""
    if not _too_many(gone, had, largest_share):
        return None
    return Refusal(side, mailbox, f"{gone} of {had} messages are gone")


def _too_many(gone: int, had: int, largest_share: float) -> bool:
    return gone >= FEW and gone > had * largest_share
