"""When the hook runs, and for which mailboxes.

A hook is the user's program that a run's new mail is for: an index, a notice, a mail reader.  The rules:

    H1  Each run that succeeded is followed by the hook, for the mailboxes that the run was for.
    H2  One hook runs at a time; what runs finish meanwhile is gathered for the next one.
    H3  Runs never wait for a hook, nor a hook for runs.
    H4  A hook that fails or takes too long is told of and not repeated: the next run has one again.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Hooks:
    """What the hook is still to be told."""

    is_running: bool = False
    _everything: bool = False
    _mailboxes: set[str] = field(default_factory=set)

    def note(self, mailboxes: tuple[str, ...] | None) -> None:
        """Remember what a run has brought into step; None: everything."""
        self._everything |= mailboxes is None
        self._mailboxes.update(mailboxes or ())

    @property
    def is_due(self) -> bool:
        """Whether the hook is to be started."""
        return not self.is_running and (self._everything or bool(self._mailboxes))

    def start(self) -> tuple[str, ...] | None:
        """Return what the hook is for now, which is told to nobody else; None: everything."""
        mailboxes = None if self._everything else tuple(sorted(self._mailboxes, key=_bytes))
        self.forget()
        self.is_running = True
        return mailboxes

    def forget(self) -> None:
        """There is no hook."""
        self._everything = False
        self._mailboxes.clear()


def _bytes(mailbox: str) -> bytes:
    return mailbox.encode("utf-8", "surrogateescape")
