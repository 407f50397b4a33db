"""What the control socket's clients ask, and who waits for which answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mswatch.control import Client, Json
from mswatch.core import events as ev
from mswatch.errors import ConfigError
from mswatch.launch.units import UnitLauncher
from mswatch.service.clock import now
from mswatch.service.status import status

if TYPE_CHECKING:
    from mswatch.service.coordinator import Coordinator

MAILBOX_LIMIT = 4096


class Answering:
    """The requests of one service's clients."""

    def __init__(self, service: Coordinator) -> None:
        self._service = service
        self._waiting: dict[int, Client] = {}
        self._last = 0

    def on_request(self, client: Client, request: Json) -> None:
        """Serve a request; what cannot be one is refused."""
        match request:
            case {"command": "status"}:
                client.answer({"ok": True, "account": status(self._service, now())})
            case {"command": "changed", "mailboxes": mailboxes} if _are_mailboxes(mailboxes):
                client.answer({"ok": True})
                self._service.feed([ev.MailboxChanged("", mailbox) for mailbox in mailboxes])
            case {"command": "sync", "mailboxes": None}:
                self._sync(client, None)
            case {"command": "sync", "mailboxes": mailboxes} if _are_mailboxes(mailboxes):
                self._sync(client, tuple(mailboxes))
            case {"command": "reload"}:
                self._reload(client)
            case {"command": "become", "role": str(role), "name": str(name)}:
                self._become(client, role, name)
            case _:
                client.refuse("unknown request")

    def _sync(self, client: Client, mailboxes: tuple[str, ...] | None) -> None:
        self._last += 1
        request = self._last
        self._waiting[request] = client
        client.on_gone = lambda: self._on_gone(request)
        self._service.feed([ev.SyncRequested(request, mailboxes)])

    def _on_gone(self, request: int) -> None:
        if self._waiting.pop(request, None) is not None:
            self._service.feed([ev.RequestDropped(request)])

    def answer(self, request: int, *, success: bool, detail: str) -> None:
        """Answer who waits for this request, if anybody does."""
        client = self._waiting.pop(request, None)
        if client is not None:
            client.answer({"ok": True, "success": success, "detail": detail})

    def _reload(self, client: Client) -> None:
        try:
            self._service.reload()
        except ConfigError as error:
            client.refuse("\n".join(error.problems))
        else:
            client.answer({"ok": True})

    def _become(self, client: Client, role: str, name: str) -> None:
        launcher = self._service.launcher
        unit = None
        if isinstance(launcher, UnitLauncher):
            unit = launcher.hand_over(role, name, client.pid, client.descriptors)
        if unit is None:
            client.refuse(f"no {role} {name!r} is waited for")
            return
        keep = () if unit.job.keep is None else (unit.job.keep,)
        argv = [os.fsdecode(word) for word in unit.job.argv]
        client.answer({"ok": True, "argv": argv, "environment": dict(unit.job.environment)}, keep)


def _are_mailboxes(value: object) -> bool:
    """Tell whether this is a list of what can be mailbox names."""
    if not isinstance(value, list) or not value:
        return False
    return all(
        isinstance(name, str) and 0 < len(name) <= MAILBOX_LIMIT and "\0" not in name for name in value
    )
