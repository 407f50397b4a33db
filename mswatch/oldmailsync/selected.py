"""The mailboxes that an old store selects, under their boxnames, out of all those that are there.

Boxnames come from the other side, so whatever could lead elsewhere is refused here (``is_boxname``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from mswatch.mailsync.stores.contract import Key, Mailbox, MailboxError, Seen, Store
from mswatch.oldmailsync.around import MailboxAround, StoreAround
from mswatch.oldmailsync.selection import Selection, by_boxname, is_boxname
from mswatch.showing import show

# ruff: noqa: D102 - what a method does is in contract.py


class SelectedStore(StoreAround):
    """A store with other names; ``choose`` is called when the store is open and knows its separator."""

    def __init__(self, inner: Store, choose: Callable[[], Selection]) -> None:
        super().__init__(inner)
        self._choose = choose
        self._full: dict[str, str] = {}  # by boxname, as last listed

    def mailboxes(self, only: Collection[str] | None = None) -> Mapping[str, Seen]:
        chosen = self._choose()
        if only is None:
            self.notes.clear()
            there = self.inner.mailboxes(None if chosen.single is None else [chosen.single])
            self._full, wrong = by_boxname(there, chosen)
            self.notes += [f"store {self.name}: {each}" for each in wrong]
        else:
            there = self.inner.mailboxes([self.full(name) for name in only])
        named = {name: self.full(name) for name in (self._full if only is None else only)}
        # Without identities: a mailbox that is renamed is a new one, as it always was.
        return {name: Seen(mark=there[full].mark) for name, full in named.items() if full in there}

    def full(self, boxname: str) -> str:
        """Return the full name of a mailbox.

        Raises:
            MailboxError: There can be no such mailbox in this store.
        """
        known = self._full.get(boxname)
        if known is not None:
            return known
        chosen = self._choose()
        name = chosen.full(boxname)
        if not is_boxname(boxname) or not name or name.endswith("/"):
            raise MailboxError(f"store {self.name} cannot have a mailbox {show(boxname)!r}", "rename it")
        if not chosen.wants(name):
            raise MailboxError(
                f"store {self.name} would not list {show(name)!r}: its pattern is {show(chosen.pattern)!r}",
                "change pat or prefix of one of the stores, so that both list the same mailboxes",
            )
        return name

    def hidden(self, mailboxes: Collection[str]) -> Mapping[str, str]:
        named = {self.full(name): name for name in mailboxes if self._is_possible(name)}
        return {named[full]: why for full, why in self.inner.hidden(named).items()}

    def _is_possible(self, boxname: str) -> bool:
        try:
            self.full(boxname)
        except MailboxError:
            return False
        return True

    def make_mailbox(self, mailbox: str) -> None:
        self.inner.make_mailbox(self.full(mailbox))

    def rename_mailbox(self, mailbox: str, new_name: str) -> None:
        self.inner.rename_mailbox(self.full(mailbox), self.full(new_name))

    def remove_mailbox(self, mailbox: str) -> None:
        self.inner.remove_mailbox(self.full(mailbox))

    def open_mailbox(self, mailbox: str) -> Mailbox:
        return _SelectedMailbox(self.inner.open_mailbox(self.full(mailbox)), self.full)


class _SelectedMailbox(MailboxAround):
    def __init__(self, inner: Mailbox, full: Callable[[str], str]) -> None:
        super().__init__(inner)
        self._full_of = full

    def move(self, keys: Sequence[Key], mailbox: str) -> Iterator[tuple[Key, Key | None]]:
        return self.inner.move(keys, self._full_of(mailbox))
