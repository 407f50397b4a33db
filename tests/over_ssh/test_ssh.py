"""A store on another host: a real ssh and sshd, any login shell, every way to fail and to die.

Nothing is installed behind the ssh but python3: what watches there is sent.
"""

from __future__ import annotations

import mailbox
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.maildir import MaildirStore, deliver
from tests.servers.sshd import HOST, Sshd, running_sshd, write_script
from tests.servers.waiting import DEADLINE_S, wait_until
from tests.service.harness import DELAYS, Service, World, alive, environment, mswatch

pytestmark = [pytest.mark.slow, pytest.mark.server]

CHECKOUT = Path(__file__).resolve().parents[2]
ANSWER_S = 3  # a busy machine takes its time to answer, and must not count as dead
QUICK = ("ask_every = 1", f"answer_limit = {ANSWER_S}")
NO_ANSWER = f"Error: far watcher gave no answer within {ANSWER_S} s"


@pytest.fixture(scope="module")
def one_sshd() -> Iterator[Sshd]:
    """A server for all tests here."""
    with running_sshd() as server:
        yield server


@pytest.fixture
def sshd(one_sshd: Sshd) -> Sshd:
    """The server as it was at first, with a Maildir at home."""
    shutil.rmtree(one_sshd.home)
    one_sshd.home.mkdir()
    MaildirStore(one_sshd.home / "Maildir").make()
    one_sshd.set_shell('exec /bin/sh "$@"')
    one_sshd.write_config()
    one_sshd.know_host()
    one_sshd.let_in()
    return one_sshd


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


@pytest.fixture
def account(world: World, sshd: Sshd) -> Account:
    """An account of its own for the test."""
    return Account(world, sshd)


def synced(service: Service) -> None:
    """Wait until both stores are watched and everything was synced, and all is quiet."""
    service.expect("Watching mailstores")
    service.expect("(all mailboxes)")
    service.expect("Sync completed")


MESSAGE = b"From sender@example.org Mon Nov  2 10:00:00 2026\nSubject: a\n\nText.\n\n"
NOISE = r"printf 'Welcome!\nno newline at the end'; echo warning >&2; yes | head -c 300000; echo; echo"
SHELLS = {
    "sh": 'exec /bin/sh "$@"',
    "bash": 'exec bash "$@"',
    "fish": 'exec fish "$@"',
    "tcsh": 'exec tcsh "$@"',
    "csh that prints": f'{NOISE}; exec csh "$@"',
    "bash that prints": f'{NOISE}; exec bash "$@"',
    "no home": 'cd /; unset HOME; exec /bin/sh "$@"',
    "home that is read-only": 'chmod 555 "$HOME"; exec /bin/sh "$@"',
}


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_any_login_shell(account: Account, shell: str) -> None:
    """Whatever shell there is and whatever it prints, a delivery there starts a run here."""
    account.sshd.set_shell(shell)
    store = f'maildir = "{account.sshd.home}/Maildir"' if "unset HOME" in shell else 'maildir = "~/Maildir"'
    with account.service(store=store) as service:
        synced(service)
        account.deliver()
        assert service.expect("+ ").endswith("/syncer INBOX")
    account.sshd.home.chmod(0o755)
    left = {path.name for path in account.sshd.home.iterdir()}
    assert left - {".config", ".local", ".cache"} == {"Maildir"}  # those are fish's own


def test_strange_words_reach_the_host(account: Account) -> None:
    """A command's words arrive as they are, through each kind of shell."""
    printed = account.world.base / "printed"
    words = [
        "a b",
        "it's",
        'a"b',
        "$HOME",
        "back\\slash",
        "!!",
        "*",
        "ümläut",
        "",
        "~",
        "a;b|c&d",
        "#x",
        "(y)",
    ]
    tell = write_script_at(account.sshd.home / "tell", f'printf "%s\\n" "$@" >{printed}; echo; exec cat')
    for shell in ("sh", "fish", "tcsh"):
        account.sshd.set_shell(f'exec {shell} "$@"')
        command = [f"~/{tell.name}", *words]
        with account.service(store=f"command = {toml(command)}") as service:
            synced(service)
        assert printed.read_text().split("\n")[:-1] == words, shell
        printed.unlink()


def write_script_at(path: Path, text: str) -> Path:
    """Write a shell script, and return its path."""
    write_script(path, text)
    return path


def toml(words: list[str]) -> str:
    """Return a list of strings as TOML."""
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "[" + ", ".join(f'"{word}"' for word in quoted) + "]"


def test_every_python_there_is(account: Account) -> None:
    """The helper that is sent runs on every python3 of this machine."""
    names = [f"python3.{minor}" for minor in range(6, 20)]
    found = [path for name in names if (path := shutil.which(name)) and works(path)]
    for path in [sys.executable, *found]:
        account.sshd.set_shell(
            f'mkdir -p bin; ln -sf {path} bin/python3; PATH="$HOME/bin:$PATH" exec sh "$@"'
        )
        with account.service() as service:
            synced(service)
            account.deliver()
            service.expect("syncer INBOX")


def works(path: str) -> bool:
    """Tell whether this is an interpreter and not a stand-in for one that is not installed."""
    return subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


# Ways to fail.


def refuse_connections(account: Account) -> None:
    """Have the configuration lead to a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    account.sshd.write_config(port=port)


def lead_to_silence(account: Account) -> None:
    """Have the configuration lead to a port where nobody answers."""
    silent = socket.create_server(("127.0.0.1", 0))
    silent_servers.append(silent)
    account.sshd.write_config(port=silent.getsockname()[1])


def have_python(account: Account, script: str) -> None:
    """Have a script be the host's python3."""
    (account.sshd.home / "bin").mkdir()
    write_script(account.sshd.home / "bin/python3", script)
    account.sshd.set_shell('PATH="$HOME/bin:$PATH" exec sh "$@"')


OLD_PYTHON = f'exec {sys.executable} -c "import sys; sys.version_info = (3, 5, 0); $3"'
silent_servers: list[socket.socket] = []
FAILURES: dict[str, tuple[Callable[[Account], object], str]] = {
    "no python3": (
        lambda account: account.sshd.set_shell('PATH=/nonexistent; export PATH; exec /bin/sh "$@"'),
        "there is no python3 at mail.test: install it there",
    ),
    "no python3 for fish": (
        lambda account: account.sshd.set_shell('PATH=/nonexistent exec /usr/bin/fish "$@"'),
        "there is no python3 at mail.test: install it there",
    ),
    "no python3 for csh": (
        lambda account: account.sshd.set_shell('PATH=/nonexistent exec /bin/tcsh -f "$@"'),
        "there is no python3 at mail.test: install it there",
    ),
    "old python3": (
        lambda account: have_python(account, OLD_PYTHON),
        "python3 3.5 of mail.test is too old: install 3.6 or later there",
    ),
    "host key unknown": (
        lambda account: (account.sshd.directory / "known_hosts").write_text(""),
        "the host key of mail.test is not known here: log in once by hand, ssh mail.test",
    ),
    "host key changed": (
        lambda account: account.sshd.know_host("other_host_key"),
        "the host key of mail.test is not the one that is known: ",
    ),
    "key refused": (
        lambda account: (account.sshd.directory / "authorized_keys").write_text(""),
        "mail.test lets nobody in without a question (it takes: publickey): put a key there",
    ),
    "name unknown": (
        lambda account: account.sshd.write_config(name="nowhere.invalid"),
        "",
    ),
    "connection refused": (refuse_connections, "mail.test refuses the connection: nothing, if the server"),
    "no answer": (lead_to_silence, "mail.test does not answer: "),
    "no shell": (
        lambda account: account.sshd.set_shell("exec /usr/sbin/nologin"),
        "the account at mail.test may run no command: give it a login shell",
    ),
    "wrong configuration": (
        lambda account: account.sshd.write_config("Nonsense yes"),
        "ssh cannot read its configuration: mend what it names",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_start_that_fails(account: Account, name: str) -> None:
    """Each way in which a start can fail is told in a line that says what to do."""
    fail, told = FAILURES[name]
    fail(account)
    more = ['ssh_command = ["ssh", "-o", "ConnectTimeout=1"]'] if name == "no answer" else []
    with account.service(*more) as service:
        line = service.expect("Error: far watcher")
    names = ("no name can be looked up", "nowhere.invalid is not known by name")
    assert told in line if told else any(text in line for text in names)


# Ways to die.


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


def test_an_installed_watch_maildirs(account: Account) -> None:
    """The host's own watch_maildirs is used when that is asked for, with all that ours can."""
    (account.sshd.home / "bin").mkdir()
    ours = f'PYTHONPATH={CHECKOUT} exec {sys.executable} -m watch_maildirs "$@"'
    write_script(account.sshd.home / "bin/watch_maildirs", ours)
    account.sshd.set_shell('PATH="$HOME/bin:$PATH" exec sh "$@"')
    with account.service('helper = "installed"', "ask_every = 1") as service:
        synced(service)
        account.deliver()
        service.expect("syncer INBOX")


def test_the_old_programs(account: Account) -> None:
    """``inputkill watch_maildirs`` of old is a command like any other, and speaks its plain lines."""
    (account.sshd.home / "bin").mkdir()
    for name in ("watch_maildirs", "inputkill"):
        module = {"inputkill": "watch_maildirs.inputkill"}.get(name, name)
        text = f'PYTHONPATH={CHECKOUT} exec {sys.executable} -m {module} "$@"'
        write_script(account.sshd.home / "bin" / name, text)
    account.sshd.set_shell('PATH="$HOME/bin:$PATH" exec sh "$@"')
    with account.service(store='command = ["inputkill", "watch_maildirs"]\nseparator = "."') as service:
        synced(service)
        account.deliver()
        service.expect("syncer INBOX")
        program = account.sshd.program()
        service.end()
    wait_until(lambda: not alive(program), "it is gone")


def test_a_prefix(account: Account) -> None:
    """Words of the user's come before the command."""
    with account.service('prefix = ["env", "MARK=here"]') as service:
        synced(service)
        assert b"MARK=here\0" in Path(f"/proc/{account.sshd.program()}/environ").read_bytes()


def test_no_such_maildir(account: Account) -> None:
    """A Maildir that is not there is told, and waited for."""
    shutil.rmtree(account.sshd.home / "Maildir")
    with account.service() as service:
        line = service.expect("far watcher: there is no directory")
        assert line.endswith(f'"{account.sshd.home}/Maildir" that can be read; waiting for it')
        assert "waiting for it" in service.status()["stores"]["far"]["note"]
        service.expect("Sync completed")
        MaildirStore(account.sshd.home / "Maildir").make()
        service.expect("Sync started (all mailboxes)")


def test_polling_is_told(account: Account) -> None:
    """A store that is polled says so in the status, with how often."""
    with account.service("poll = 0.2") as service:
        synced(service)
        assert "looking every 0.2 s" in service.status()["stores"]["far"]["note"]
        assert "looking every 0.2 s" in service.call("status").stdout
        account.deliver()
        service.expect("syncer INBOX")


def test_check(account: Account) -> None:
    """The check of an account tries the same, and says what is to be done."""
    account.write()
    account.world.near.say(b"\n")
    service = ("check", "-c", str(account.world.file))
    assert "store far" in check(account, *service)
    (account.sshd.directory / "known_hosts").write_text("")
    account.world.near.say(b"\n")
    assert "is not known here: log in once by hand" in check(account, *service)


def check(account: Account, *words: str) -> str:
    """Run a command of mswatch, and return what it printed."""
    ended = subprocess.run(
        mswatch(*words),
        env=environment(account.world.base),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
    )
    return ended.stdout


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


def test_mboxes_there(account: Account) -> None:
    """The mbox files of the host are watched by the helper that is sent; who reads one changes nothing."""
    folder, spool = account.sshd.home / "mail/lists/python", account.sshd.home / "spool"
    folder.parent.mkdir(parents=True)
    for path in (folder, spool):
        path.write_bytes(MESSAGE)
    with account.service(store='mbox = "~/mail"\ninbox = "~/spool"') as service:
        synced(service)
        assert folder.read_bytes() == spool.read_bytes() == MESSAGE
        for path, name in ((folder, "lists/python"), (spool, "INBOX")):
            with path.open("ab") as file:
                file.write(MESSAGE)
            assert service.expect("+ ").endswith(f"/syncer {name}")


def test_mh_there(account: Account) -> None:
    """So are MH folders."""
    folder = account.sshd.home / "Mail/inbox"
    folder.mkdir(parents=True)
    with account.service(store='mh = "~/Mail"') as service:
        synced(service)
        mailbox.MH(folder, create=False).add(b"Subject: b\n\nText.\n")
        assert service.expect("+ ").endswith("/syncer INBOX")


def test_watches_that_are_used_up(account: Account) -> None:
    """Where the limit of inotify is reached there, the rest is polled; status says so, and what to do."""
    lower = 'echo 2 >/proc/sys/user/max_inotify_watches && exec "$@"'
    prefix = toml(["unshare", "--user", "--map-root-user", "sh", "-c", lower, "sh"])
    with account.service(f"prefix = {prefix}") as service:
        synced(service)
        note = service.status()["stores"]["far"]["note"]
        assert "the limit user.max_inotify_watches = 2 is reached" in note
        assert "are polled every 10 s instead; raise it: sudo sysctl" in note
        account.deliver()
        service.expect("syncer INBOX")
