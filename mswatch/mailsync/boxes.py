"""The open mailbox of each store: one at a time, opened when it is needed."""

from __future__ import annotations

from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.stores.contract import Mailbox, Store


class Boxes:
    """Two stores, and which mailbox of each is open."""

    def __init__(self, near: Store, far: Store) -> None:
        self._stores: dict[Side, Store] = {"near": near, "far": far}
        self._open: dict[Side, tuple[str, Mailbox]] = {}

    def store(self, side: Side) -> Store:
        """Return the store of a side."""
        return self._stores[side]

    def get(self, side: Side, name: str) -> Mailbox:
        """Return a mailbox, opening it if another one is open."""
        now = self._open.get(side)
        if now is not None and now[0] == name:
            return now[1]
        self.close(side)
        mailbox = self._stores[side].open_mailbox(name)
        self._open[side] = (name, mailbox)
        return mailbox

    def close(self, side: Side | None = None) -> None:
        """Close what is open."""
        for each in SIDES if side is None else (side,):
            now = self._open.pop(each, None)
            if now is not None:
                now[1].close()
