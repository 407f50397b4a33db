"""mswatch@ACCOUNT under a real user manager: from enable to reboot, and killed in every way.

After each mishap the same is demanded: mail that is delivered on either side is on both, exactly the
processes that belong there are alive, and the journal tells what happened.  MSWATCH_LONG=1 makes the random
part last for minutes.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mswatch.instances import escape
from tests.hosts.machine import Machine
from tests.hosts.roots import UID, USER
from tests.servers.waiting import wait_until

HOME = f"/home/{USER}"
UNIT = "mswatch@work.service"
CONFIGURATION = f"""
base_delay = "100ms"
inter_delay = "200ms"
max_delay = "2s"
[sync]
command = ["{HOME}/syncer"]
[store.near]
maildir = "~/near"
layout = "nested"
[store.far]
maildir = "~/far"
layout = "nested"
"""
MBSYNCRC = f"""FSync no

MaildirStore near
Path {HOME}/near/
Inbox {HOME}/near/INBOX
SubFolders Verbatim

MaildirStore far
Path {HOME}/far/
Inbox {HOME}/far/INBOX
SubFolders Verbatim

Channel work
Near :near:
Far :far:
Patterns *
Create Both
Expunge Both
SyncState *
"""
# mbsync for everything, which first waits at a gate if a test has put one there.
SYNCER = f"""#!/bin/sh
if test -p {HOME}/gate; then cat {HOME}/gate; fi
exec mbsync work
"""
QUICK = "[Service]\nTimeoutAbortSec=1\nRestartSec=200ms\n"
WATCHED = "[Service]\nWatchdogSec=3\n"  # for one that is frozen; a busy machine may take as long
DROP_INS = f"{HOME}/.config/systemd/user/mswatch@.service.d"
NUMBERS = itertools.count(1)


class Account:
    """The account "work" of the machine's user."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.delivered = 0
        machine.write(f"{HOME}/.config/mswatch/work.toml", CONFIGURATION)
        machine.write(f"{HOME}/.mbsyncrc", MBSYNCRC)
        machine.write(f"{HOME}/syncer", SYNCER)
        machine.write(f"{DROP_INS}/quick.conf", QUICK)
        machine.run(USER, "chmod", "+x", f"{HOME}/syncer")
        for store in ("near", "far"):
            for part in ("tmp", "cur", "new"):
                machine.run(USER, "mkdir", "-p", f"{HOME}/{store}/INBOX/{part}")
        machine.systemctl_user("daemon-reload")

    def deliver(self, store: str) -> None:
        """Deliver a message, as the user."""
        name = f"{time.time_ns()}.{next(NUMBERS)}.test"
        inbox = self.machine.path(f"{HOME}/{store}/INBOX")
        written = inbox / "tmp" / name
        written.write_text(f"Subject: {name}\nMessage-ID: <{name}>\n\n{name}\n")
        os.chown(written, UID, UID)
        written.rename(inbox / "new" / name)
        self.delivered += 1

    def count(self, store: str) -> int:
        """Return how many messages a store has."""
        inbox = self.machine.path(f"{HOME}/{store}/INBOX")
        return sum(len(os.listdir(inbox / part)) for part in ("cur", "new"))  # noqa: PTH208

    def is_equal(self) -> bool:
        """Tell whether both stores have everything that was delivered, once."""
        return self.count("near") == self.count("far") == self.delivered

    def pid(self, unit: str = UNIT) -> int:
        """Return the main process of a unit, seen from inside; 0 if there is none."""
        return int(self.machine.systemctl_user("show", "--value", "--property=MainPID", unit))

    def processes(self) -> list[str]:
        """Return the command lines of all that is alive below our slice."""
        slice_path = f"user.slice/user-{UID}.slice/user@{UID}.service/app.slice/app-mswatch.slice"
        found: list[str] = []
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            for directory, _, _ in os.walk(self.machine.path(f"{root}/{slice_path}")):
                with suppress(OSError):  # a unit's group goes with it
                    found += (Path(directory) / "cgroup.procs").read_text().split()
        return [text for pid in found if pid != "0" and (text := self._command(pid))]

    def _command(self, pid: str) -> str:
        for path in (Path(f"/proc/{pid}"), self.machine.path(f"/proc/{pid}")):
            try:
                return (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
        return ""

    def start(self) -> None:
        """Start the service, and return when it is ready."""
        self.machine.systemctl_user("start", UNIT)

    def status(self) -> dict[str, Any]:
        """Return the account's status."""
        answer = json.loads(self.machine.result(USER, "mswatch", "status", "--json", "work").stdout)
        found: dict[str, Any] = answer["accounts"][0]
        return found

    def wait_for_log(self, words: str) -> None:
        """Wait until the log holds these words, as the command that everybody knows shows it."""
        command = ("journalctl", "--user", "-u", "mswatch", "--no-pager")
        wait_until(lambda: words in self.machine.run(USER, *command), f"the log says {words!r}")

    def check_in_step(self) -> None:
        """Demand that mail goes both ways, and that nothing but what belongs there is alive."""
        self.deliver("near")
        self.deliver("far")
        wait_until(self.is_equal, f"all mail is on both sides: {self.delivered}")
        wait_until(self._is_at_rest, "a service, two watchers, and no run")

    def _is_at_rest(self) -> bool:
        try:
            status = self.status()
        except (IndexError, ValueError):
            return False
        states = {store["state"] for store in status["stores"].values()}
        watchers = [text for text in self.processes() if "watch_maildirs" in text]
        return (
            states == {"watching"}
            and status["running"] is None
            and len(watchers) == 2 == len(self.processes()) - 1
        )


@pytest.fixture
def account(clean_machine: Machine) -> Iterator[Account]:
    """The account of a user who begins anew, with short limits."""
    account = Account(clean_machine)
    yield account
    clean_machine.result(USER, "systemctl", "--user", "stop", UNIT)


def test_as_people_use_it(account: Account) -> None:
    """Enable, deliver, see it synced, read the journal by the literal command; stop leaves nothing behind."""
    machine = account.machine
    machine.systemctl_user("enable", "--now", UNIT)
    account.check_in_step()

    for words in ("Service of work started", "Watching mailstores", "Sync completed", "+ /home/alice/syncer"):
        account.wait_for_log(words)
    # A run that begins just now says something else for a moment.
    wait_until(lambda: 'Status: "in step' in machine.systemctl_user("status", UNIT), "it says so")
    machine.systemctl_user("stop", UNIT)
    assert account.processes() == []


def test_records_have_fields(account: Account) -> None:
    """A record can be found by its kind, account, store and run."""
    account.start()
    account.check_in_step()
    account.wait_for_log("Sync completed")
    records = account.machine.journal("-u", "mswatch")
    by_kind = {record["CODE_FUNC"]: record for record in records if "CODE_FUNC" in record}

    assert by_kind["WATCHER_STARTED"]["MSWATCH_STORE"] in ("near", "far")
    assert by_kind["RUN_SUCCEEDED"]["MSWATCH_RUN"].isdigit()
    assert by_kind["RUN_SUCCEEDED"]["MSWATCH_ACCOUNT"] == "work"
    assert all(len(record["MESSAGE_ID"]) == 32 for record in by_kind.values())


def test_a_frozen_service_is_restarted(account: Account) -> None:
    """A coordinator that does not turn its loop is ended by the watchdog, told of, and started again."""
    account.machine.write(f"{DROP_INS}/watched.conf", WATCHED)
    account.machine.systemctl_user("daemon-reload")
    account.start()
    frozen = account.pid()
    cursor = account.machine.cursor()
    account.machine.run("root", "kill", "-STOP", str(frozen))
    account.machine.wait_for_record(
        lambda r: "ended: watchdog" in r["MESSAGE"], "-u", "mswatch", after=cursor
    )

    account.check_in_step()
    assert account.pid() != frozen


KILLED = {
    "service": lambda account: account.pid(),
    "near": lambda account: account.pid("mswatch-watch@work:near.service"),
    "far": lambda account: account.pid("mswatch-watch@work:far.service"),
    "run": lambda account: account.pid("mswatch-sync@work.service"),
}


def kill(account: Account, names: tuple[str, ...]) -> None:
    """Kill these processes at once, those of them that are there."""
    pids = [str(pid) for name in names if (pid := KILLED[name](account))]
    if pids:
        account.machine.result("root", "kill", "-KILL", *pids)


VICTIMS = [*((name,) for name in KILLED), *itertools.combinations(KILLED, 2)]


@pytest.mark.parametrize("names", [names for names in VICTIMS if "run" not in names], ids="+".join)
def test_killed_while_idle(account: Account, names: tuple[str, ...]) -> None:
    """Whatever is killed while nothing goes on comes back, and mail goes both ways."""
    account.start()
    kill(account, names)

    account.check_in_step()


@pytest.mark.parametrize("names", VICTIMS, ids="+".join)
def test_killed_during_a_run(account: Account, names: tuple[str, ...]) -> None:
    """The same while the syncer runs: no second syncer beside one that lives on, and nothing is lost."""
    account.start()
    account.machine.run(USER, "mkfifo", f"{HOME}/gate")
    account.deliver("near")
    wait_until(lambda: any("gate" in text for text in account.processes()), "the syncer waits at its gate")
    kill(account, names)
    account.deliver("far")
    gate = account.machine.path(f"{HOME}/gate")
    open_gate(gate)

    account.check_in_step()


def open_gate(gate: Path) -> None:
    """Take the gate away, and let through who waits there, or comes to it just now."""
    fd = os.open(gate, os.O_RDWR)  # at once, whether there is somebody or not
    gate.unlink()
    os.close(fd)


@pytest.mark.parametrize("names", VICTIMS, ids="+".join)
def test_killed_during_the_start(account: Account, names: tuple[str, ...]) -> None:
    """The same while the service starts."""
    account.deliver("near")
    account.machine.systemctl_user("start", "--no-block", UNIT)
    wait_until(lambda: KILLED[names[-1]](account) or account.is_equal(), "it has started")
    kill(account, names)

    account.check_in_step()


def test_anything_at_random_with_mail_arriving(account: Account) -> None:
    """Stops, starts, reloads, kills in any order while mail arrives: in the end no message is missing."""
    seed = random.SystemRandom().randrange(10**6)
    chance = random.Random(seed)
    machine = account.machine
    acts: list[Callable[[], object]] = [
        lambda: machine.result(USER, "systemctl", "--user", "restart", UNIT),
        lambda: machine.result(USER, "systemctl", "--user", "stop", UNIT),
        lambda: machine.result(USER, "systemctl", "--user", "reload", UNIT),
        lambda: machine.result(USER, "systemctl", "--user", "start", "--no-block", UNIT),
        lambda: machine.result(USER, "systemctl", "--user", "daemon-reexec"),
        lambda: kill(account, (chance.choice(list(KILLED)),)),
        lambda: machine.result(USER, "mswatch", "sync", "work"),
        lambda: machine.result(USER, "mswatch", "changed", "work", "INBOX"),
    ]
    end = time.monotonic() + (180 if os.environ.get("MSWATCH_LONG") else 12)
    print(f"seed {seed}")
    while time.monotonic() < end:
        chance.choice(acts)()
        account.deliver(chance.choice(["near", "far"]))
    manager = ("systemctl", "--user", "show", "--property=Version")
    wait_until(lambda: machine.result(USER, *manager).returncode == 0, "the manager answers")  # if it was new
    account.start()

    account.check_in_step()


def test_a_day_offline(account: Account) -> None:
    """While watchers and syncer fail at once, the service keeps trying, and no start is refused."""
    failing = CONFIGURATION.replace('maildir = "~/far"\nlayout = "nested"', 'command = ["false"]').replace(
        f'"{HOME}/syncer"', '"false"'
    )
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", failing)
    cursor = account.machine.cursor()
    account.start()
    wait_until(lambda: account.status()["stores"]["far"]["failures"] >= 8, "it is tried again and again")

    records = account.machine.journal("-u", "mswatch", after=cursor)
    assert [r.get("CODE_FUNC") for r in records].count("WATCHER_LOST") == 1
    assert account.machine.systemctl_user("is-active", UNIT).strip() == "active"
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", CONFIGURATION)
    account.machine.systemctl_user("reload", UNIT)
    account.check_in_step()


def test_a_wrong_configuration_is_not_restarted(account: Account) -> None:
    """A configuration that cannot be used ends the start with 78, for good, and the journal says why."""
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", "base_dellay = 3")
    result = account.machine.result(USER, "systemctl", "--user", "start", UNIT)

    assert result.returncode != 0
    shown = account.machine.systemctl_user("show", "--property=ExecMainStatus,NRestarts", UNIT)
    assert "ExecMainStatus=78" in shown
    assert "NRestarts=0" in shown
    account.wait_for_log("base_dellay")
    account.wait_for_log("mswatch@work.service ended: exit-code (exited 78)")


def test_a_watcher_of_somebody_else(account: Account) -> None:
    """Any program that prints lines is a watcher, by /dev/stdout as well; it ends with the service."""
    polling = "while :; do test ! -f poke || { rm poke; echo INBOX >/dev/stdout; }; sleep 0.1; done"
    command = json.dumps(["sh", "-c", f"cd; echo >/dev/stdout; {polling}"])
    text = CONFIGURATION.replace('maildir = "~/far"\nlayout = "nested"', f"command = {command}")
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", text)
    account.start()
    wait_until(lambda: account.status()["everything"]["in_step_at"], "the first run is done")
    cursor = account.machine.cursor()
    account.machine.write(f"{HOME}/poke", "")

    account.machine.wait_for_record(
        lambda r: r["MESSAGE"] == f"+ {HOME}/syncer INBOX", "-u", "mswatch", after=cursor
    )
    account.machine.systemctl_user("stop", UNIT)
    assert account.processes() == []


def test_a_hook(account: Account) -> None:
    """The hook is a unit, is told of mailboxes, is ended at its limit, and leaves nothing behind."""
    hook = f"{HOME}/hook"
    account.machine.write(
        hook, f'#!/bin/sh\necho "told of <$MSWATCH_MAILBOXES>"\ntest ! -e {HOME}/hang || sleep 1000\n'
    )
    account.machine.run(USER, "chmod", "+x", hook)
    text = CONFIGURATION.replace("[sync]", f'[hook]\ncommand = ["{hook}"]\nlimit = "5s"\n[sync]')
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", text)
    cursor = account.machine.cursor()
    account.start()
    account.deliver("near")
    account.machine.wait_for_record(
        lambda r: "told of <INBOX>" in r["MESSAGE"] and r["CODE_FUNC"] == "HOOK_OUTPUT",
        "-u",
        "mswatch",
        after=cursor,
    )
    account.check_in_step()

    cursor = account.machine.cursor()
    account.machine.write(f"{HOME}/hang", "")
    account.deliver("far")
    account.machine.wait_for_record(
        lambda r: "took longer than 5 s and was ended" in r["MESSAGE"], "-u", "mswatch", after=cursor
    )
    account.machine.systemctl_user("stop", UNIT)
    assert account.processes() == []


def test_stopped_while_a_hook_starts(account: Account) -> None:
    """Whenever a stop comes, it ends the hook with everything else, also one that is just being started."""
    text = CONFIGURATION.replace("[sync]", '[hook]\ncommand = ["sleep", "1000"]\nlimit = 0\n[sync]')
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", text)
    for number in range(8):
        account.machine.systemctl_user("start", "--no-block", UNIT)
        account.deliver("near")
        wait_until(lambda: len(account.processes()) > 2, "it has started")
        if number % 2:
            wait_until(lambda: "sleep 1000" in account.processes(), "the hook has started")
        account.machine.systemctl_user("stop", UNIT)
        assert account.processes() == []


def test_exposure(account: Account) -> None:
    """The service's unit keeps what hardening a user unit can have without a user namespace."""
    unit = "/usr/lib/systemd/user/mswatch@.service"
    command = ("systemd-analyze", "--user", "--offline=yes", "--threshold=65", "security", unit)
    result = account.machine.result(USER, *command)

    assert result.returncode == 0, result.stdout


def limited(account: Account, syncer: str, limits: str) -> None:
    """Give the account another syncer, with limits."""
    text = CONFIGURATION.replace("[store.near]", f"{limits}\n[store.near]")
    account.machine.write(f"{HOME}/.config/mswatch/work.toml", text)
    account.machine.write(f"{HOME}/syncer", f"#!/bin/sh\n{syncer}\n")


def failure(account: Account) -> str:
    """Start the service, and return how its first run failed."""
    cursor = account.machine.cursor()
    account.machine.systemctl_user("start", UNIT)
    record = account.machine.wait_for_record(
        lambda r: r.get("CODE_FUNC") in ("RUN_FAILED", "RUN_SUCCEEDED"), "-u", "mswatch", after=cursor
    )
    message: str = record["MESSAGE"]
    return message


def told(account: Account, cursor: str) -> list[str]:
    """Return the kinds of what the journal says since then."""
    return [record.get("CODE_FUNC", "") for record in account.machine.journal("-u", "mswatch", after=cursor)]


def test_a_hung_run_is_ended(account: Account) -> None:
    """The unit's watchdog ends a run that is silent, and the journal says that it hung."""
    limited(account, "exec sleep 1000", "idle_limit = 2")

    assert "syncer made no progress and was ended" in failure(account)
    account.machine.write(f"{HOME}/syncer", SYNCER)
    account.check_in_step()


def test_a_run_that_takes_too_long_is_ended(account: Account) -> None:
    """The unit's start timeout ends a run that goes on and on; with other limits, those hold."""
    endless = f"while :; do : > {HOME}/made; rm {HOME}/made; sleep 0.2; done"
    limited(account, endless, "hard_cap = 5")
    assert "syncer took too long and was ended" in failure(account)

    account.machine.systemctl_user("stop", UNIT)
    limited(account, "exec sleep 1000", "idle_limit = 1")
    assert "syncer made no progress and was ended" in failure(account)


def test_a_slow_run_is_left_alone(account: Account) -> None:
    """A run that takes longer than its idle limit, and always does something, ends by itself."""
    slow = f"for i in 1 2 3 4 5 6 7 8 9 10; do : > {HOME}/made.$i; sleep 0.4; done"
    limited(account, slow, "idle_limit = 2")
    cursor = account.machine.cursor()

    assert "completed" in failure(account)
    assert "RUN_UNSEEN" not in told(account, cursor)


def test_a_run_that_nobody_can_look_into(account: Account, tmp_path: Path) -> None:
    """A static program is left to the hard cap, and the journal says so once."""
    source, static = "#include <unistd.h>\nint main(void) { return sleep(5); }\n", tmp_path / "static"
    subprocess.run(("gcc", "-static", "-x", "c", "-o", static, "-"), input=source, text=True, check=True)
    limited(account, "", "idle_limit = 1")
    syncer = account.machine.path(f"{HOME}/syncer")
    syncer.unlink()
    shutil.copy(static, syncer)
    cursor = account.machine.cursor()
    account.start()

    account.machine.wait_for_record(
        lambda r: "completed" in r["MESSAGE"] and "all mailboxes" in r["MESSAGE"],
        "-u",
        "mswatch",
        after=cursor,
    )
    assert told(account, cursor).count("RUN_UNSEEN") == 1


def test_accounts_with_strange_names(account: Account) -> None:
    """Accounts whose names hold . - @ + run side by side; one that cannot be is refused."""
    machine = account.machine
    names = ["a.b-c", "me@example.org", "x+y"]
    for name in names:
        machine.write(f"{HOME}/.config/mswatch/{name}.toml", CONFIGURATION.replace(f"{HOME}/syncer", "true"))
        machine.systemctl_user("start", f"mswatch@{escape(name)}.service")

    def watching() -> list[str]:
        status = json.loads(machine.run(USER, "mswatch", "status", "--json", *names))
        return [
            found["account"]
            for found in status["accounts"]
            if all(store["state"] == "watching" for store in found["stores"].values())
        ]

    wait_until(lambda: watching() == names, "all of them are watched")
    refused = machine.result(USER, "mswatch", "run", "../etc")
    assert refused.returncode == 64
    for name in names:
        machine.systemctl_user("stop", f"mswatch@{escape(name)}.service")
    assert account.processes() == []


def test_reexec_and_reboot(account: Account) -> None:
    """The manager's own restart is not noticed; after a reboot everything is there again."""
    account.machine.systemctl_user("enable", "--now", UNIT)
    before = account.pid()
    account.machine.systemctl_user("daemon-reexec")
    account.check_in_step()
    assert account.pid() == before

    account.machine.reboot()
    wait_until(account._is_at_rest, "the service is back after the boot")
    account.check_in_step()
