"""From a change to the end of a run: what is called, and what becomes of every way to fail."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.servers.waiting import DEADLINE_S, wait_until
from tests.service.harness import Service, World, alive, mswatch, script


def test_start_up(world: World) -> None:
    """At the start INBOX is synced alone, then all mailboxes, whose name in the old interface is empty."""
    with world.service() as service:
        world.near.say(b"\n")
        world.far.say(b"\n")

        assert service.expect("+ ").endswith("/syncer INBOX")
        service.expect("Sync completed after")
        assert service.expect("+ ").endswith("/syncer ")
        service.expect("(all mailboxes)")


def test_changes_are_gathered(world: World) -> None:
    """Changes of both stores that come together share one call, each named once, in order."""
    world.write(top='[inter_delays]\n"gate" = 0\n')
    with world.in_step() as service:
        world.near.say(b"lists/python\nINBOX\nINBOX\n")

        assert service.expect("+ ").endswith("/syncer INBOX lists/python")


def test_a_change_during_a_run_is_synced_by_the_next(world: World, tmp_path: Path) -> None:
    """A change that comes while the syncer runs causes another run of the same mailbox."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with world.in_step() as service:
        script(world.syncer, f"echo running; cat {gate}")
        world.near.say(b"INBOX\n")
        service.expect("syncer: running")
        world.near.say(b"INBOX\n")
        gate.write_text("")

        assert service.expect("+ ").endswith("/syncer INBOX")
        service.expect("syncer: running")
        gate.write_text("")
        service.expect("Sync completed")


def test_a_failing_run_is_told_and_repeated(world: World) -> None:
    """A failure is told with status and output, and the mailbox is tried again until it works."""
    with world.in_step() as service:
        script(world.syncer, "echo no network >&2; exit 3")
        world.near.say(b"INBOX\n")

        service.expect("syncer: no network")
        assert "syncer exited with status 3" in service.expect("Sync errored")
        wait_until(lambda: inbox(service)["failures"] >= 2, "it is tried again")
        # Which it is not while one is under way.
        wait_until(lambda: inbox(service)["next_try_at"], "the next try is foretold")
        script(world.syncer, "exit 0")
        service.expect("Sync completed")
        assert inbox(service)["failures"] == 0


def inbox(service: Service) -> dict[str, Any]:
    """Return how INBOX stands."""
    found: dict[str, Any] = service.status()["mailboxes"]["INBOX"]
    return found


def test_a_failure_is_told_once_for_each_mailbox_and_cause(world: World, tmp_path: Path) -> None:
    """While a server is away there is a line for each change of state and none for each try."""
    tries = tmp_path / "tries"

    def fail(words: str) -> None:
        tries.write_text("")
        script(world.syncer, f"echo {words} >&2; echo >> {tries}; exit 3")

    def wait_for_tries() -> None:
        wait_until(lambda: len(tries.read_text()) >= 6, "it is tried again and again")

    with world.in_step() as service:
        begin = len(service.log)
        fail("no network")
        world.near.say(b"INBOX\n")
        service.expect("Sync errored")
        world.near.say(b"lists\n")
        service.expect("Sync errored")
        wait_for_tries()
        fail("no quota")
        service.expect("syncer: no quota")
        wait_for_tries()

        script(world.syncer, "exit 0")
        while "all mailboxes" not in service.expect("Sync completed"):
            pass
        said = service.log[begin:]
        assert said.count("syncer: no network") == 1
        assert said.count("syncer: no quota") == 1
        assert said.count("Sync errored") == 3  # INBOX, lists, and all, which a bad mailbox leads to
        fail("no network")
        world.near.say(b"INBOX\n")
        service.expect("syncer: no network")


@pytest.mark.parametrize(
    ("sync", "told"),
    [
        ('command = ["/nowhere/syncer"]', "cannot start '/nowhere/syncer': No such file or directory"),
        ('command = ["/etc/passwd"]', "cannot start '/etc/passwd': Permission denied"),
        ('command = ["sh", "-c", "kill -9 $$"]', "sh was killed by SIGKILL"),
    ],
    ids=["missing", "not executable", "killed"],
)
def test_a_syncer_that_cannot_work(world: World, sync: str, told: str) -> None:
    """A syncer that cannot be started, or is killed, is a failed run with its reason; the service goes on."""
    world.write(sync=sync)
    with world.service() as service:
        assert told in service.expect("Sync errored")
        assert service.call("status").returncode == 0


def test_binary_output(world: World) -> None:
    """What a syncer prints is made visible: it can neither fake a record nor drive a terminal."""
    with world.in_step() as service:
        script(world.syncer, r"printf 'a\033[2Jb\377\000c\n'; head -c 100000 /dev/zero; echo; echo end")
        world.near.say(b"INBOX\n")

        line = service.expect("syncer: a")
        assert "\x1b" not in line
        assert "\\u001b[2Jb" in line
        service.expect("syncer: (a line that was too long)")
        service.expect("syncer: end")
        service.expect("Sync completed")


def test_endless_output_is_cut(world: World) -> None:
    """A syncer that prints without end fills no log; its run goes on."""
    with world.in_step() as service:
        script(world.syncer, "yes | head -n 200000")
        world.near.say(b"INBOX\n")

        service.expect("Sync completed")
        world.near.say(b"INBOX\n")
        service.expect("lines of children were not shown")
        assert service.log.count("syncer: y") < 10_000


def test_a_dry_run_starts_nothing(world: World, tmp_path: Path) -> None:
    """With --dry-run calls are shown and not made."""
    script(world.syncer, f"touch {tmp_path}/called")
    with world.in_step("--dry-run") as service:
        world.near.say(b"INBOX\n")

        assert service.expect("+ ").endswith("/syncer INBOX")
        service.expect("Sync completed")
        assert not (tmp_path / "called").exists()


def test_quiet(world: World, tmp_path: Path) -> None:
    """With --quiet only what goes wrong is told."""
    script(
        world.syncer, f'echo "$1" > {tmp_path}/called.new; mv {tmp_path}/called.new {tmp_path}/called; exit 9'
    )
    with world.service("--quiet") as service:
        service.expect("Sync errored")

        assert "Starting" not in service.log
        assert "+ " not in service.log


@pytest.mark.slow
def test_the_end_takes_the_whole_run_along(world: World, tmp_path: Path) -> None:
    """At the end the syncer and its descendants are ended, by force if need be, and the watchers are."""
    script(
        world.syncer,
        "trap '' TERM\n"
        f"sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/child; echo started; while :; do sleep 1; done' &\n"
        f"echo $$ > {tmp_path}/leader\necho told\nwait; wait",
    )
    with world.service() as service:
        wait_until(lambda: service.log.count("syncer: ") == 2, "both have written their numbers")
        status = service.status()
        pids = [int((tmp_path / name).read_text()) for name in ("child", "leader")]
        pids += [store["pid"] for store in status["stores"].values()]
        assert all(alive(pid) for pid in pids)

        assert service.end() == 0
        assert not any(alive(pid) for pid in pids)


def test_what_a_syncer_leaves_behind_is_ended(world: World, tmp_path: Path) -> None:
    """A background process of the syncer does not live on after its run."""
    script(world.syncer, f"sleep 1000 >/dev/null 2>&1 & echo $! > {tmp_path}/left; exit 0")
    with world.in_step():
        assert not alive(int((tmp_path / "left").read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_the_service(world: World, number: signal.Signals) -> None:
    """The ending signals of the old program end the service with status 0."""
    with world.in_step() as service:
        assert service.end(number) == 0


def test_usr1_shows_the_pending_mailboxes(world: World) -> None:
    """SIGUSR1 tells the pending mailboxes of each store, in the old program's form."""
    world.write(sync=f'command = ["{world.syncer}"]\n', top='[inter_delays]\n"*" = "1h"\n')
    with world.in_step() as service:
        world.far.say(b"b\na\n")
        service.expect("syncer a b")
        service.expect("Sync completed")
        world.near.say(b"INBOX\n")
        world.far.say(b"b\na\nINBOX\n")
        changed = {"INBOX": ["far", "near"], "a": ["far"], "b": ["far"]}
        wait_until(lambda: changed_in(service) == changed, "the changes are noted")
        service.process.send_signal(signal.SIGUSR1)

        service.expect("Pending mailboxes at ")
        assert service.expect("near:").endswith("near: INBOX")
        service.expect("far: INBOX a b")


def changed_in(service: Service) -> dict[str, list[str]]:
    """Return the pending mailboxes, and in which stores each has changed."""
    mailboxes = service.status()["mailboxes"].items()
    return {name: target["changed_in"] for name, target in mailboxes if target["pending_since"]}


def test_a_killed_service_and_its_syncer(world: World, tmp_path: Path) -> None:
    """A syncer that outlives its killed service keeps the next service's runs waiting: never two at once."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script(world.syncer, f"echo running; cat {gate}")
    with world.service() as service:
        service.expect("syncer: running")
        watchers = [store["pid"] for store in service.status()["stores"].values()]
        service.end(signal.SIGKILL)
        wait_until(lambda: not any(alive(pid) for pid in watchers), "the watchers are gone with the service")
    script(world.syncer, "exit 0")

    with Service(tmp_path, "--config", str(world.file)) as service:
        service.expect("Another run of this account is under way (pid ")
        gate.write_text("")
        service.expect("Sync completed")


def test_sync_waits_for_its_own_run(world: World) -> None:
    """`mswatch sync` ends when a run for its mailboxes that began after it has ended, with its outcome."""
    with world.in_step() as service:
        assert service.call("sync", "work", "Sent").returncode == 0
        assert service.expect("+ ").endswith("/syncer Sent")
        assert service.call("sync", "work").returncode == 0
        assert service.expect("+ ").endswith("/syncer ")
        script(world.syncer, "exit 1")

        failed = service.call("sync", "work", "Sent")

        assert failed.returncode == 75
        assert "syncer exited with status 1" in failed.stderr


def test_sync_without_a_service_queues_behind_another_run(world: World) -> None:
    """Without a service, `mswatch sync` does one run itself, but only after the one under way."""
    import fcntl
    import subprocess

    from tests.service.harness import environment

    world.write()
    env = environment(world.base)
    accounts = world.base / "home/.config/mswatch"
    accounts.mkdir(parents=True)
    world.file.rename(accounts / "work.toml")
    state = world.base / "home/.local/state/mswatch"
    state.mkdir(parents=True)
    with (state / "work.run").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sync = subprocess.Popen(mswatch("sync", "work", "INBOX"), env=env, stdout=subprocess.PIPE, text=True)
        assert sync.stdout is not None
        assert "Another run" in sync.stdout.readline()
    rest, _ = sync.communicate(timeout=DEADLINE_S)

    assert sync.returncode == 0
    assert rest.strip().endswith("/syncer INBOX")


def test_changed_is_a_watcher(world: World) -> None:
    """`mswatch changed` returns at once, and the mailboxes are synced as if a watcher had named them."""
    with world.in_step() as service:
        assert service.call("changed", "work", "Drafts", "INBOX").returncode == 0
        assert service.expect("+ ").endswith("/syncer Drafts INBOX")


def test_changed_without_a_service_is_no_failure(world: World) -> None:
    """A delivery agent that calls `mswatch changed` does not bounce mail because the service is down."""
    import subprocess

    from tests.service.harness import environment

    done = subprocess.run(
        mswatch("changed", "work", "INBOX"), env=environment(world.base), capture_output=True, text=True
    )

    assert done.returncode == 0
    assert "no service for work is running" in done.stderr
