"""An account whose far store is behind a real ssh and sshd."""

from __future__ import annotations

from tests.servers.maildir import MaildirStore, deliver
from tests.servers.sshd import HOST, Sshd
from tests.service.harness import Service, World

ANSWER_S = 3  # a busy machine takes its time to answer, and must not count as dead
QUICK = ("ask_every = 1", f"answer_limit = {ANSWER_S}")
NO_ANSWER = f"Error: far watcher gave no answer within {ANSWER_S} s"


class Account:
    """An account whose far store is behind ssh."""

    def __init__(self, world: World, sshd: Sshd) -> None:
        self.world = world
        self.sshd = sshd

    def write(self, *lines: str, store: str = 'maildir = "~/Maildir"', host: str = HOST) -> None:
        """Write the configuration, with more lines for the far store."""
        self.world.write()
        text = self.world.file.read_text().partition("[store.far]")[0]
        more = "\n".join(lines)
        self.world.file.write_text(
            f'{text}[store.far]\nssh = "{host}"\nssh_config = "{self.sshd.config}"\n{store}\n{more}\n'
        )

    def service(self, *lines: str, store: str = 'maildir = "~/Maildir"') -> Service:
        """Start the service; the near store is watched."""
        self.write(*lines, store=store)
        service = Service(self.world.base, "--config", str(self.world.file))
        self.world.near.say(b"\n")
        return service

    def deliver(self) -> None:
        """Deliver a message at the server."""
        deliver(MaildirStore(self.sshd.home / "Maildir").path())


def synced(service: Service) -> None:
    """Wait until both stores are watched and everything was synced, and all is quiet."""
    service.expect("Watching mailstores")
    service.expect("(all mailboxes)")
    service.expect("Sync completed")
