"""A store on another host: a real ssh and sshd, any login shell, every way to fail at the start.

Nothing is installed behind the ssh but python3: what watches there is sent.
"""

from __future__ import annotations

import mailbox
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.over_ssh.account import Account, synced
from tests.servers.maildir import MaildirStore
from tests.servers.sshd import write_script
from tests.servers.waiting import DEADLINE_S, wait_until
from tests.service.harness import alive, environment, mswatch

pytestmark = [pytest.mark.slow, pytest.mark.server]

CHECKOUT = Path(__file__).resolve().parents[2]

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
