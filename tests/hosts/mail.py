"""Mail on a machine: two stores of the user that mbsync brings into step, and a delivery into one of them."""

from __future__ import annotations

from pathlib import Path

from tests.hosts.machine import Machine
from tests.hosts.roots import USER
from tests.servers import mbsync
from tests.servers.maildir import MaildirStore, digest, make_message
from tests.servers.waiting import arrivals

HOME = Path("/home", USER)
NEAR = MaildirStore(HOME / "near", "nested")
FAR = MaildirStore(HOME / "far", "nested")
MBSYNCRC = str(HOME / ".mbsyncrc")
ACCOUNT = f"""\
base_delay = "100ms"

[sync]
with = "mbsync"
channel = "{mbsync.CHANNEL}"

[store.near]
maildir = "{NEAR.root}"
layout = "nested"

[store.far]
maildir = "{FAR.root}"
layout = "nested"
"""
OLD_CONFIGURATION = f"""\
# Two Maildirs, as the first mswatch was told of them.
base_delay 1
inter_delay 1
sync mbsync
mailbox_prefix {mbsync.CHANNEL} :
store near {{
    watch watch_maildirs --layout=nested --maildir={NEAR.root}
}}
store far {{ watch inputkill watch_maildirs --layout=nested -m {FAR.root} }}
"""


def set_up(desk: Machine, directory: Path) -> None:
    """Make both stores with an INBOX, mbsync's configuration, and the account ``work``."""
    for store in (NEAR, FAR):
        inbox = store.path("INBOX")
        desk.run(USER, "mkdir", "-p", *(str(inbox / part) for part in ("cur", "new", "tmp")))
    desk.write(MBSYNCRC, mbsync.write_configuration(directory, NEAR, FAR).read_text())
    desk.write(str(HOME / ".config/mswatch/work.toml"), ACCOUNT)


def arrives(desk: Machine, source: MaildirStore, target: MaildirStore) -> bool:
    """Deliver a message into one INBOX, and tell whether it is what comes into the other one."""
    message = make_message()
    inbox, other = source.path("INBOX"), desk.path(str(target.path("INBOX")))
    with arrivals(other / "new", other / "cur") as arrived:
        desk.run(USER, "sh", "-ec", 'cd "$0"; cat >tmp/m; mv tmp/m new/$$.desk', str(inbox), data=message)
        return digest(arrived.next().read_bytes()) == digest(message)
