"""Mailbox names of an IMAP account: the canonical ones, and the server's own under its personal namespace.

Some servers have everything but INBOX below a prefix (``INBOX.lists.python``); it is left out of canonical
names, so that ``lists/python`` is the same mailbox on every store.  What is not below the prefix is other
people's.
"""

from __future__ import annotations

from dataclasses import dataclass

from mswatch.mailsync.stores.contract import MailboxError
from mswatch.names import NameForm, canonical, own
from mswatch.showing import show

INBOX = "INBOX"


@dataclass(frozen=True)
class ImapNames:
    """How this server writes names; ``others`` are the prefixes of other people's mailboxes."""

    form: NameForm
    prefix: str = ""
    others: tuple[str, ...] = ()

    def canonical(self, own_name: str) -> str | None:
        """Return the canonical name of a mailbox; None when it is not ours, or its name leads elsewhere."""
        if own_name.upper() == INBOX:
            return INBOX
        if any(prefix and own_name.startswith(prefix) for prefix in self.others):
            return None
        if not own_name.startswith(self.prefix):
            return None
        name = canonical(own_name[len(self.prefix) :], self.form)
        if not _is_safe(name) or name.upper() == INBOX:
            return None
        return name if self.own(name, or_none=True) == own_name else None

    def own(self, name: str, *, or_none: bool = False) -> str:
        """Return what the server calls a mailbox.

        Raises:
            MailboxError: it cannot have a mailbox of that name.
        """
        if name == INBOX:
            return INBOX
        spelt = own(name, self.form) if _is_safe(name) else None
        if spelt is None:
            if or_none:
                return ""
            raise MailboxError(f"{show(name)}: the server cannot have a mailbox of this name")
        return self.prefix + spelt


def _is_safe(name: str) -> bool:
    return "\0" not in name and all(part not in ("", ".", "..") for part in name.split("/"))
