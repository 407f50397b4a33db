"""A laptop and a mail server on a cable: Dovecot and sshd there, mswatch and mbsync here, and their mishaps.

After each mishap the same is demanded: both stores hold the same messages with the same flags, by their
content, and mail goes both ways again.  MSWATCH_LONG=1 makes the random part last for half an hour.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from tests.hosts.conftest import install
from tests.hosts.machine import Json, Machine, Network
from tests.hosts.roots import UID, USER, base_root
from tests.servers.maildir import MaildirStore, make_message, messages, remove, set_flags
from tests.servers.waiting import DEADLINE_S, TooLateError, read_line, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.server]

HOME = f"/home/{USER}"
UNIT = "mswatch@work.service"
NOWHERE = ("lladdr", "02:00:00:00:00:99", "nud", "permanent", "dev", "host0")
# By suite: Dovecot 2.3 and 2.4 have other words for everything.
DOVECOT = {
    "bookworm": """
disable_plaintext_auth = no
ssl = no
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = password=secret
}
""",
    "trixie": """
auth_allow_cleartext = yes
ssl = no
mail_driver = maildir
mail_path = ~/Maildir
mail_inbox_path = ~/Maildir
passdb static {
  password = secret
}
""",
}
IMAP = "Host mail\nUser alice\nPass secret\nSSLType None\nAuthMechs LOGIN"
# Instead of mbsync; it stands in the account's [store.far].
MAILSYNC = """
imap = "mail"
security = "plain"
user = "alice"
password_file = "~/password"
silence_limit = 5
"""
TUNNEL = 'Tunnel "ssh -q mail exec /usr/lib/dovecot/imap"'
MBSYNCRC = f"""FSync no

IMAPStore far
Timeout 5
{{far}}

MaildirStore near
Path {HOME}/Mail/
Inbox {HOME}/Mail/INBOX
SubFolders Verbatim

Channel work
Near :near:
Far :far:
Patterns *
Create Both
Expunge Both
SyncState *
"""
ACCOUNT = """
base_delay = "100ms"
inter_delay = "200ms"
max_delay = "5s"
[sync]
with = "mbsync"
idle_limit = 20
[store.near]
maildir = "~/Mail"
layout = "nested"
[store.far]
ssh = "mail"
maildir = "~/Maildir"
"""
QUICK = "ask_every = 2\nanswer_limit = 2\n"  # for links that are cut
# What answers everybody who wants to leave some networks, on the ports of ssh and of IMAP.
PORTAL = """
import select, socket
ports = [socket.create_server(("", number)) for number in (22, 143)]
print("ready", flush=True)
while True:
    for port in select.select(ports, [], [])[0]:
        connection, _ = port.accept()
        connection.sendall(b"HTTP/1.1 302 Found\\r\\nLocation: http://192.0.2.2/please-pay\\r\\n\\r\\n")
        connection.close()
"""
# Takes all that the kernel gives to one user.
HOG = """
import ctypes
while ctypes.CDLL(None).inotify_init() >= 0:
    pass
print("ready", flush=True)
input()
"""
BUSY_S = 60.0  # what a busy machine adds to a bound
LONG_S = 2 * DEADLINE_S  # for what takes several tries, with pauses between them
LONG = bool(os.environ.get("MSWATCH_LONG"))
KILL_LOGINS = ("pkill", "-KILL", "-f", "^sshd: alice@notty")
NUMBERS = itertools.count(1)


class Pair:
    """The two machines, and the account on the first of them."""

    def __init__(self, laptop: Machine, server: Machine, cable: Network) -> None:
        self.laptop = laptop
        self.server = server
        self.cable = cable

    def set_up(self, suite: str) -> None:
        """Make the server one, and let the laptop's user log in there."""
        server, laptop = self.server, self.laptop
        server.path("/etc/dovecot/local.conf").write_text(DOVECOT[suite])
        for unit in ("ssh.service", "dovecot.service"):
            server.path(f"/etc/systemd/system/{unit}").unlink()
        server.run("root", "systemctl", "daemon-reload")
        server.run("root", "systemctl", "enable", "--now", "ssh.service", "dovecot.service")
        laptop.run(USER, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{HOME}/.ssh/id_ed25519")
        server.write(f"{HOME}/.ssh/authorized_keys", laptop.run(USER, "cat", f"{HOME}/.ssh/id_ed25519.pub"))
        host_key = server.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text()
        laptop.run(USER, "sh", "-ec", f"umask 077; echo secret > {HOME}/password")
        laptop.write(f"{HOME}/.ssh/known_hosts", f"mail {host_key}")
        hosts = laptop.path("/etc/hosts")
        hosts.write_text(f"127.0.0.1 localhost\n{self.cable.addresses[1]} mail\n")

    def start(self, far: str = IMAP, more: str = QUICK) -> None:
        """Begin anew with empty stores, and return when both are watched."""
        self.connect()
        self.laptop.result(USER, "systemctl", "--user", "stop", UNIT)
        self.laptop.run(USER, "rm", "-rf", f"{HOME}/Mail")
        self.server.run(USER, "rm", "-rf", f"{HOME}/Maildir")
        parts = ("cur", "new", "tmp")
        self.laptop.run(USER, "mkdir", "-p", *(f"{HOME}/Mail/INBOX/{part}" for part in parts))
        self.server.run(USER, "mkdir", "-p", *(f"{HOME}/Maildir/{part}" for part in parts))
        account = ACCOUNT + more
        if far == MAILSYNC:
            account = account.replace('with = "mbsync"', 'with = "mailsync"') + MAILSYNC
        self.laptop.write(f"{HOME}/.mbsyncrc", MBSYNCRC.format(far=far))
        self.laptop.write(f"{HOME}/.config/mswatch/work.toml", account)
        self.cursor = self.begin = self.laptop.cursor()
        self.laptop.systemctl_user("start", UNIT)
        self.expect(lambda record: record["MESSAGE"] == "Watching mailstores")

    def expect(self, is_it: Callable[[Json], bool], deadline_s: float = LONG_S) -> Json:
        """Wait for a record after the last one that was expected."""
        record = self.laptop.wait_for_record(is_it, "-u", "mswatch", after=self.cursor, deadline_s=deadline_s)
        self.cursor = record["__CURSOR"]
        return record

    def expect_told(self, text: str, deadline_s: float = LONG_S) -> None:
        """Wait for a record that holds a text."""
        self.expect(lambda record: text in record["MESSAGE"], deadline_s)

    # What is in the stores.

    @property
    def near(self) -> Path:
        """The INBOX of the laptop."""
        return self.laptop.path(f"{HOME}/Mail/INBOX")

    @property
    def far(self) -> Path:
        """The INBOX of the server."""
        return self.server.path(f"{HOME}/Maildir")

    def deliver(self, inbox: Path) -> None:
        """Deliver a message, as the user."""
        name = f"{time.time_ns()}.{next(NUMBERS)}.test"
        written = inbox / "tmp" / name
        written.write_bytes(make_message(name))
        os.chown(written, UID, UID)
        written.rename(inbox / "new" / name)

    def act_on_any(self, act: Callable[[Path], object]) -> None:
        """Do something to some message at the laptop, if there is one; it may be renamed meanwhile."""
        if found := messages(self.near):
            with suppress(OSError):
                act(random.choice(found))

    def is_equal(self) -> bool:
        """Tell whether both stores hold the same."""
        near = MaildirStore(self.laptop.path(f"{HOME}/Mail"), "nested")
        far = MaildirStore(self.server.path(f"{HOME}/Maildir"))
        with suppress(OSError):  # a message is renamed just now
            return near.contents() == far.contents()
        return False

    def check_in_step(self) -> None:
        """Demand that mail goes both ways, and that both stores hold the same then."""
        before = len(messages(self.near))
        self.deliver(self.far)
        self.deliver(self.near)
        wait_until(
            lambda: self.is_equal() and len(messages(self.near)) >= min(before, 2) + 1,
            "both stores hold the same",
            LONG_S,
        )

    def take_their_course(self, most_s: float) -> None:
        """Leave things alone until there are as many messages here as there, or for so long."""
        with suppress(TooLateError):
            wait_until(lambda: len(messages(self.near)) == len(messages(self.far)), "all is there", most_s)

    def status(self) -> Json:
        """Return the account's status."""
        answer = json.loads(self.laptop.result(USER, "mswatch", "status", "--json", "work").stdout)
        found: Json = answer["accounts"][0]
        return found

    # What befalls them.

    @contextmanager
    def no_cable(self) -> Iterator[None]:
        """Have no network at all."""
        self.cable.cut()
        try:
            yield
        finally:
            self.connect()

    @contextmanager
    def no_name(self) -> Iterator[None]:
        """Have a network in which nobody knows the server's name yet."""
        hosts = self.laptop.path("/etc/hosts")
        known = hosts.read_text()
        hosts.write_text("127.0.0.1 localhost\n")
        try:
            yield
        finally:
            hosts.write_text(known)

    @contextmanager
    def portal(self) -> Iterator[None]:
        """Have a network that answers instead of the server."""
        self.server.run("root", "systemctl", "stop", "ssh.service", "dovecot.service")
        try:
            with self.server.running("root", "python3", "-c", PORTAL) as portal:
                assert read_line(portal.stdout) == b"ready\n"
                yield
        finally:
            self.server.run("root", "systemctl", "start", "ssh.service", "dovecot.service")

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Have no room for mail at the server."""
        self.server.result(USER, "sh", "-c", f"cat /dev/zero > {HOME}/Maildir/full")
        try:
            yield
        finally:
            self.server.run(USER, "rm", f"{HOME}/Maildir/full")

    @contextmanager
    def small_disk(self) -> Iterator[None]:
        """Have a file system of 4 MB for the mail at the server."""
        self.laptop.systemctl_user("stop", UNIT)
        options = f"size=4M,uid={UID},gid={UID},mode=700"
        self.server.run("root", "mount", "-t", "tmpfs", "-o", options, "mail", f"{HOME}/Maildir")
        self.server.run(USER, "mkdir", *(f"{HOME}/Maildir/{part}" for part in ("cur", "new", "tmp")))
        self.laptop.systemctl_user("start", UNIT)
        try:
            yield
        finally:
            self.laptop.systemctl_user("stop", UNIT)
            self.server.run("root", "umount", "--lazy", f"{HOME}/Maildir")

    @contextmanager
    def no_inotify(self) -> Iterator[None]:
        """Have nothing left of what the kernel at the server gives to the user for watching."""
        with self.server.running(USER, "python3", "-c", HOG) as hog:
            assert read_line(hog.stdout) == b"ready\n"
            yield

    def connect(self) -> None:
        """Undo all that was done to the cable."""
        self.cable.connect()
        self.server_hears(True)

    def server_hears(self, hears: bool) -> None:
        """Have the packets in both directions go nowhere, of which nobody is told; or not any more."""
        for end, peer in zip(self.cable.ends, reversed(self.cable.addresses), strict=True):
            words = ("replace", peer, *NOWHERE) if not hears else ("delete", peer, "dev", "host0")
            ip(end, "neighbour", *words)

    def helpers(self) -> list[str]:
        """Return the processes of helpers at the server."""
        listed = self.server.result("root", "ps", "-C", "python3", "-o", "pid,args", "--no-headers").stdout
        return [line for line in listed.splitlines() if "iter(lambda" in line]


Trouble = Callable[[Pair], AbstractContextManager[None]]


def ip(end: str, *words: str) -> None:
    """Change the network at an end; what is so already is no error."""
    subprocess.run(("ip", "-n", end, *words), capture_output=True)


@pytest.fixture(scope="module", params=["bookworm"])
def machines(
    request: pytest.FixtureRequest, packages: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Two machines on a cable, with our packages on the laptop only."""
    root = base_root(request.param)
    directory = tmp_path_factory.mktemp("remote")
    with (
        Network(f"r{os.getpid()}") as cable,
        Machine(root, directory / "laptop", "laptop", cable.ends[0]) as laptop,
        Machine(root, directory / "server", "server", cable.ends[1]) as server,
    ):
        install(laptop, packages)
        pair = Pair(laptop, server, cable)
        pair.set_up(request.param)
        yield pair


@pytest.fixture
def pair(machines: Pair) -> Iterator[Pair]:
    """The two machines, with the cable plugged in after the test as before; a failure shows the journal."""
    yield machines
    records = machines.laptop.journal("-u", "mswatch", after=machines.begin)
    print(*(str(record["MESSAGE"]) for record in records), sep="\n")
    machines.connect()
    machines.laptop.result(USER, "systemctl", "--user", "stop", UNIT)


@pytest.mark.parametrize("machines", DOVECOT, indirect=True)
@pytest.mark.parametrize("far", [IMAP, TUNNEL, MAILSYNC], ids=["imap", "tunnel", "mailsync"])
def test_mail_goes_both_ways(pair: Pair, far: str) -> None:
    """Deliveries, flags and deletions on either side are on both, and nothing is installed at the server."""
    pair.start(far)
    pair.check_in_step()
    pair.act_on_any(lambda message: set_flags(message, "FS"))
    wait_until(lambda: pair.is_equal() and any("FS" in m.name for m in messages(pair.far)), "flags")
    pair.act_on_any(remove)
    wait_until(lambda: pair.is_equal() and len(messages(pair.far)) == 1, "the deletion")

    assert pair.server.result(USER, "sh", "-c", "command -v watch_maildirs").returncode != 0
    wait_until(lambda: len(pair.helpers()) == 1, "one helper is there")
    pair.laptop.systemctl_user("stop", UNIT)
    wait_until(lambda: pair.helpers() == [], "the helper is gone")


def test_a_link_that_is_dead_for_long(pair: Pair) -> None:
    """With packets dropped and nobody told, both ends notice within the stated times, and it comes back.

    MSWATCH_LONG=1 makes it those of an account that names none: 70 seconds here, of which ssh itself needs 60
    at most, and three minutes there.
    """
    told, more, here_s, there_s = "ended: the connection to mail is dead", "", 70, 180
    if not LONG:
        told, more, here_s, there_s = "gave no answer within 2 s", QUICK, 4, 6
    pair.start(more=more)
    pair.check_in_step()
    began = time.monotonic()
    pair.server_hears(False)
    pair.expect_told(f"Error: far watcher {told}", here_s + BUSY_S)
    wait_until(
        lambda: pair.helpers() == [], "the helper is gone", began + there_s + BUSY_S - time.monotonic()
    )
    pair.deliver(pair.far)
    pair.deliver(pair.near)
    pair.server_hears(True)

    pair.expect_told("The far watcher is watching again")
    pair.check_in_step()


def test_a_link_that_is_dead_for_a_moment(pair: Pair) -> None:
    """A short outage ends no connection, and what happened in it is told after it."""
    pair.start(more="")
    pair.check_in_step()
    before = pair.helpers()
    pair.server_hears(False)
    pair.deliver(pair.far)
    pair.server_hears(True)

    pair.check_in_step()
    assert pair.helpers() == before


def test_ssh_notices_a_dead_link_too(pair: Pair) -> None:
    """A command of the user's cannot be asked; ssh itself ends then, and is started again."""
    alive = 'ssh_command = ["ssh", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=1"]\n'
    pair.start(more=alive)
    text = (ACCOUNT + alive).replace('maildir = "~/Maildir"', 'command = ["sh", "-c", "echo; exec cat"]')
    pair.laptop.write(f"{HOME}/.config/mswatch/work.toml", text)
    pair.laptop.systemctl_user("restart", UNIT)
    pair.expect_told("Watching mailstores")
    pair.server_hears(False)

    pair.expect_told("far watcher ended: the connection to mail is dead")
    pair.server_hears(True)
    pair.expect_told("The far watcher is watching again")


def test_another_address(pair: Pair) -> None:
    """When the laptop's address changes, the watcher is asked at once, though its turn is in an hour."""
    pair.start(more='ask_every = "1h"\nanswer_limit = 2\n')
    pair.check_in_step()
    near, _ = pair.cable.ends
    ip(near, "address", "add", "192.0.2.77/24", "dev", "host0")
    ip(near, "address", "delete", f"{pair.cable.addresses[0]}/24", "dev", "host0")
    ip(near, "address", "add", "192.0.2.77/24", "dev", "host0")
    try:
        pair.expect_told("Error: far watcher ")
        pair.expect_told("The far watcher is watching again")
        pair.check_in_step()
    finally:
        ip(near, "address", "add", f"{pair.cable.addresses[0]}/24", "dev", "host0")
        ip(near, "address", "delete", "192.0.2.77/24", "dev", "host0")
        ip(near, "address", "add", f"{pair.cable.addresses[0]}/24", "dev", "host0")


def test_a_server_that_is_away(pair: Pair) -> None:
    """While the server boots there is a line for each cause and not for each try; and it comes back."""
    pair.start()
    pair.check_in_step()
    start = pair.cursor
    pair.server.reboot()
    pair.server_hears(True)

    pair.expect_told("The far watcher is watching again")
    pair.check_in_step()
    records = pair.laptop.journal("-u", "mswatch", after=start)
    lost = [record["MESSAGE"] for record in records if record.get("CODE_FUNC") == "WATCHER_LOST"]
    assert len(lost) == len(set(lost))


@pytest.mark.parametrize("trouble", [Pair.no_cable, Pair.no_name, Pair.portal])
def test_starting_without_a_network(pair: Pair, trouble: Trouble) -> None:
    """What is wrong is told once for each cause, however long it takes; then mail goes both ways by itself.

    MSWATCH_LONG=1 makes it take ten minutes.
    """
    pair.start()
    pair.check_in_step()
    pair.laptop.systemctl_user("stop", UNIT)
    pair.deliver(pair.far)
    pair.deliver(pair.near)
    start = pair.cursor = pair.laptop.cursor()

    def wait_for_tries(more: int) -> None:
        def failures() -> int:
            return int(pair.status()["stores"]["far"]["failures"])

        enough = failures() + more
        wait_until(lambda: failures() >= enough, "it is tried again", LONG_S)

    def told() -> list[str]:
        return [record["MESSAGE"] for record in pair.laptop.journal("-u", "mswatch", after=start)]

    with trouble(pair):
        pair.laptop.systemctl_user("start", UNIT)
        wait_for_tries(3)
        wait_until(lambda: pair.status()["everything"]["failures"] >= 2, "runs are tried again", LONG_S)
        end = time.monotonic() + (600 if LONG else 0)
        wait_for_tries(2)
        while time.monotonic() < end:
            wait_for_tries(1)
        lines = told()
        assert len(lines) == len(set(lines))
        assert sum("Sync errored" in line for line in lines) == 2  # INBOX, and all

    pair.expect_told("The far watcher is watching again")
    pair.check_in_step()


def test_no_room_for_watches(pair: Pair) -> None:
    """Where the kernel at the server has no room for another watcher, it looks by itself and says so."""
    pair.start()
    with pair.no_inotify():
        pair.server.run("root", *KILL_LOGINS)
        pair.expect_told("max_user_instances = ")
        wait_until(lambda: "every 10 s" in pair.status()["stores"]["far"]["note"], "the status says so")
        pair.check_in_step()
    pair.expect_told("inotify watches everything again")
    pair.check_in_step()


def test_a_full_disk(pair: Pair) -> None:
    """Nothing is lost while the server has no room for mail, and all is in step when it has room again.

    By mailsync: mbsync does not offer again what a server refused, see mswatch(1).
    """
    pair.start(MAILSYNC)
    with pair.small_disk():
        pair.check_in_step()
        with pair.full_disk():
            pair.deliver(pair.near)
            pair.expect_told("Sync errored")
            assert not pair.is_equal()
        pair.check_in_step()


def test_sshd_is_restarted(pair: Pair) -> None:
    """When the server's sshd is restarted and all its connections are ended, watching begins anew."""
    pair.start()
    pair.check_in_step()
    pair.server.run("root", "systemctl", "restart", "ssh.service")
    pair.server.run("root", *KILL_LOGINS)

    pair.expect_told("The far watcher is watching again")
    wait_until(lambda: len(pair.helpers()) == 1, "one helper is there")
    pair.check_in_step()


@pytest.mark.parametrize("far", [IMAP, MAILSYNC], ids=["mbsync", "mailsync"])
def test_anything_at_random(pair: Pair, far: str) -> None:
    """Mail comes and goes while the link and its ends do what they like; in the end all is equal."""
    seed = random.SystemRandom().randrange(10**6)
    random.seed(seed)
    print(f"seed {seed}")
    pair.start(far)
    mail: list[Callable[[], object]] = [
        *[lambda: pair.deliver(pair.far)] * 4,
        *[lambda: pair.deliver(pair.near)] * 4,
        *[lambda: pair.act_on_any(lambda message: set_flags(message, "S"))] * 2,
        lambda: pair.act_on_any(remove),
    ]
    outages: list[Callable[[], object]] = [lambda: pair.server_hears(False), pair.cable.cut]
    deaths: list[Callable[[], object]] = [
        lambda: pair.server.result("root", *KILL_LOGINS),
        lambda: pair.laptop.result(USER, "pkill", "-KILL", "-x", "ssh"),
        lambda: pair.laptop.result(USER, "systemctl", "--user", "restart", UNIT),
        # As often as it comes: systemd refuses a sixth start within ten seconds if nobody says that it may.
        lambda: pair.server.result("root", "sh", "-c", "systemctl reset-failed; systemctl restart dovecot"),
    ]
    is_connected = True
    end = time.monotonic() + (1800 if LONG else 20)
    while time.monotonic() < end:
        for _ in range(random.randrange(4)):
            random.choice(mail)()
        if not is_connected and random.random() < 0.2:
            pair.connect()
            is_connected = True
        elif random.random() < 0.2:
            act = random.choice(outages + deaths)
            act()
            is_connected = is_connected and act not in outages
        pair.take_their_course(random.uniform(0, 4))
    pair.connect()

    pair.check_in_step()
    told = [record.get("CODE_FUNC") for record in pair.laptop.journal("-u", "mswatch", after=pair.begin)]
    print(f"{told.count('RUN_SUCCEEDED')} runs succeeded, {told.count('RUN_FAILED')} failed")
