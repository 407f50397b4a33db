"""Connections to a store on another host that die, or say nothing: noticed in time, and replaced."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.over_ssh.account import ANSWER_S, NO_ANSWER, QUICK, Account, synced
from tests.servers.sshd import HOST
from tests.servers.waiting import wait_until
from tests.service.harness import DELAYS, Service, alive, environment, mswatch

pytestmark = [pytest.mark.slow, pytest.mark.server]


def kill_ssh(account: Account, service: Service) -> None:
    """Kill our end of the connection."""
    os.kill(service.status()["stores"]["far"]["pid"], signal.SIGKILL)


def kill_login(account: Account, service: Service) -> None:
    """Kill the server's end of the connection."""
    for pid in account.sshd.sessions():
        os.kill(pid, signal.SIGKILL)


def kill_service(account: Account, service: Service) -> None:
    """Kill the coordinator."""
    service.process.kill()


def freeze_ssh(account: Account, service: Service) -> None:
    """Have nothing pass the connection any more, and nobody be told."""
    os.kill(service.status()["stores"]["far"]["pid"], signal.SIGSTOP)


@pytest.mark.parametrize("die", [kill_ssh, kill_login, kill_service], ids=lambda die: die.__name__)
@pytest.mark.parametrize(
    "store", ['maildir = "~/Maildir"', 'command = ["sh", "-c", "echo; exec sleep 1000"]\ninputkill = true']
)
def test_the_helper_ends_with_the_connection(
    account: Account, store: str, die: Callable[[Account, Service], None]
) -> None:
    """Whichever part is killed: what runs at the host is gone, and watching begins anew if there is who."""
    with account.service(store=store) as service:
        synced(service)
        program = account.sshd.program()
        die(account, service)

        wait_until(lambda: not alive(program), "the helper is gone")
        if die is not kill_service:
            service.expect("The far watcher is watching again")
            assert account.sshd.program() != program


def test_a_connection_that_dies_in_silence(account: Account) -> None:
    """With nothing to tell of it, it is noticed at both ends, within the stated times; then all goes on."""
    with account.service(*QUICK) as service:
        synced(service)
        program = account.sshd.program()
        freeze_ssh(account, service)

        service.expect(NO_ANSWER)
        service.expect("The far watcher is watching again")
        wait_until(lambda: not alive(program), "the helper is gone")
        service.expect("Sync completed")
        account.deliver()
        service.expect("syncer INBOX")


def test_a_helper_whose_service_is_silent(account: Account) -> None:
    """The helper ends by itself when nobody asks it any more, as behind a cut cable."""
    with account.service(*QUICK) as service:
        synced(service)
        program = account.sshd.program()
        service.process.send_signal(signal.SIGSTOP)

        wait_until(lambda: not alive(program), "the helper is gone")
        service.process.send_signal(signal.SIGCONT)
        service.expect("The far watcher is watching again")


def test_a_frozen_helper_is_replaced(account: Account) -> None:
    """A helper that does not answer is replaced by one that does."""
    with account.service(*QUICK) as service:
        synced(service)
        program = account.sshd.program()
        os.kill(program, signal.SIGSTOP)

        service.expect(NO_ANSWER)
        service.expect("The far watcher is watching again")
        os.kill(program, signal.SIGKILL)


def test_a_server_that_is_away(account: Account) -> None:
    """However many tries it takes, the journal has a line for each change of state; and it comes back."""
    with account.service() as service:
        synced(service)
        account.sshd.write_config(port=1)
        kill_login(account, service)
        service.expect("Error: far watcher ended: ")
        line = service.expect("Error: far watcher ended: mail.test refuses the connection")
        assert line.endswith("started again in 1 s")
        wait_until(lambda: service.status()["stores"]["far"]["failures"] >= 4, "it is tried again")
        account.sshd.write_config()
        service.expect("The far watcher is watching again")

        assert service.log.count("Error: far watcher") == 2
        assert service.log.count("Starting far watcher") == 2
        assert service.log.count("Connection refused") == 1


# Other ways to have it.


def test_an_existing_master_is_used(account: Account) -> None:
    """A master connection of the user's carries the watcher; when it dies in silence, that is noticed."""
    path = account.sshd.directory / "master"
    account.sshd.write_config(f"ControlPath {path}", "ControlMaster auto", "ControlPersist yes")
    command = ("ssh", "-F", str(account.sshd.config), "-M", "-N", "-o", "ControlPersist=no", HOST)
    with subprocess.Popen(command) as master:
        wait_until(path.exists, "the master is there")
        with account.service(*QUICK) as service:
            synced(service)
            assert len(account.sshd.logins()) == 1
            master.send_signal(signal.SIGSTOP)
            service.expect(NO_ANSWER)
            master.kill()
            path.unlink(missing_ok=True)
            service.expect("The far watcher is watching again")
    assert not path.exists(), "no master was made"


# Sleep, and other networks.


def test_after_sleep(account: Account, tmp_path: Path) -> None:
    """After sleep the watcher is asked at once: one that answers stays, and a dead one is replaced."""
    ahead = tmp_path / "ahead"
    ahead.touch()
    shim = tmp_path / "boottime.so"
    source = Path(__file__).with_name("boottime.c")
    subprocess.run(("cc", "-shared", "-fPIC", "-o", shim, source), check=True)
    account.write("ask_every = '1d'", f"answer_limit = {ANSWER_S}")
    record = tmp_path / "record"
    options = ("--config", str(account.world.file), "--record", str(record))
    env = {**environment(account.world.base), "LD_PRELOAD": str(shim), "BOOTTIME_AHEAD": str(ahead)}
    with Service(account.world.base, *options, env=env) as service:
        account.world.near.say(b"\n")
        synced(service)
        program = account.sshd.program()
        sleep(ahead, service, 1000)
        wait_until(lambda: "WatcherAnswered" in record.read_text(), "it has answered")
        assert account.sshd.program() == program

        freeze_ssh(account, service)
        sleep(ahead, service, 5000)
        service.expect(NO_ANSWER)
        service.expect("The far watcher is watching again")
        service.expect("Sync completed")
    assert record.read_text().count("Resumed") == 2


def sleep(ahead: Path, service: Service, seconds: int) -> None:
    """Have the service wake up after so much sleep."""
    os.truncate(ahead, seconds)
    service.process.send_signal(signal.SIGCONT)
    service.call("changed", "work", "Wake")


def test_another_network(account: Account) -> None:
    """A change of the network has what is down tried at once, however long its wait would be."""
    failing = ["sh", "-c", f"printf x >>{account.world.base}/tries; exit 1"]
    account.world.write(far=failing, top='inter_delay = "1h"\nmax_delay = "1d"')
    account.world.file.write_text(account.world.file.read_text().replace(DELAYS, "base_delay = 0\n"))
    apart = ["unshare", "--user", "--map-root-user", "--net"]
    argv = [*apart, *mswatch("run", "--config", str(account.world.file))]
    with Service(account.world.base, argv=argv) as service:
        account.world.near.say(b"\n")
        service.expect("Error: far watcher exited with status 1; started again in 3600 s")
        assert service.status()["stores"]["far"]["failures"] == 1
        inside = ("nsenter", "--preserve-credentials", "--user", "--net", f"--target={service.process.pid}")
        subprocess.run((*inside, "ip", "address", "add", "192.0.2.1/32", "dev", "lo"), check=True)

        wait_until(lambda: tries(account) >= 2, "it is tried again")


def tries(account: Account) -> int:
    """Return how often the far watcher was started."""
    return len((account.world.base / "tries").read_text())
