"""Show the main job: two stores, mswatch between them, and each change on one side arriving on the other.

Everything is real but the mail: ``mswatch run`` as a user would start it, the built-in mailsync, two
Maildirs.  All of it is in a temporary directory that is removed at the end, whatever the end is.  Called by
packaging/try.
"""
# telling is what this program does

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, os.fspath(CHECKOUT))

from tests.servers.maildir import MaildirStore, deliver, digest, flags_of, set_flags  # noqa: E402
from tests.servers.waiting import TooLateError, arrivals, wait_until  # noqa: E402

MSWATCH = os.fspath(Path(sys.prefix, "bin", "mswatch"))
NAME = "demonstration"
DEADLINE_S = 60.0
NEXT = """
Most of each time is waiting by intention: mswatch gathers changes (base_delay) and lets a mailbox rest after
a run (inter_delay).

mswatch works on this machine.  To use it with your own mail, describe the two stores in
~/.config/mswatch/NAME.toml as in the account shown above (`mswatch sample` has all settings; mbsync,
offlineimap or a command of your own can take mailsync's place), and then

    {mswatch} check NAME    tells what is wrong with it, if anything
    {mswatch} run NAME      keeps the two in step until you press Ctrl-C
    {mswatch} setup NAME    has systemd do that from now on: systemctl --user status mswatch@NAME
"""
ACCOUNT = """\
[store.near]
maildir = "{near}"
layout = "nested"

[store.far]
maildir = "{far}"
layout = "nested"
"""


@dataclass(frozen=True)
class Stage:
    """The directory of one demonstration and what is in it."""

    directory: Path

    @property
    def near(self) -> MaildirStore:
        """The one store."""
        return MaildirStore(self.directory / "near", "nested")

    @property
    def far(self) -> MaildirStore:
        """The other store."""
        return MaildirStore(self.directory / "far", "nested")

    @property
    def account(self) -> Path:
        """The configuration of mswatch, where the environment's HOME makes it look."""
        return self.directory / ".config" / "mswatch" / f"{NAME}.toml"

    @property
    def log(self) -> Path:
        """What mswatch said."""
        return self.directory / "log"

    def environment(self) -> dict[str, str]:
        """Return an environment in which mswatch finds nothing of the caller's."""
        own = {
            "HOME": self.directory,
            "XDG_RUNTIME_DIR": self.directory / "run",
            "PYTHONPYCACHEPREFIX": self.directory / "pycache",
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MSWATCH_"))
        }
        return kept | {name: os.fspath(path) for name, path in own.items()}


def set_the_stage(directory: Path) -> Stage:
    """Make two stores and the two configurations."""
    stage = Stage(directory)
    (directory / "run").mkdir(mode=0o700)
    for store in (stage.near, stage.far):
        store.make("INBOX")
    account = ACCOUNT.format(near=stage.near.root, far=stage.far.root)
    stage.account.parent.mkdir(parents=True)
    stage.account.write_text(account)
    print("Two Maildirs, near and far; mailsync brings them into step.  The account:\n")
    print(textwrap.indent(account, "    "))
    return stage


@contextlib.contextmanager
def running_mswatch(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """Run mswatch until the block ends, and be sure that it ended."""
    command = (MSWATCH, "run", NAME)
    with stage.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=stage.environment(),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(DEADLINE_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(
                    process.pid, signal.SIGKILL
                )  # its own session: what may be left of it, nothing else


def is_ready(stage: Stage, process: subprocess.Popen[bytes]) -> bool:
    """Ask mswatch whether it watches both stores and has synced once."""
    if process.poll() is not None:
        raise ChildProcessError(f"mswatch ended with status {process.returncode}")
    asked = subprocess.run(
        (MSWATCH, "status", NAME, "--json"),
        env=stage.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if asked.returncode != 0:
        return False
    (account,) = json.loads(asked.stdout)["accounts"]
    watching = all(store["state"] == "watching" for store in account["stores"].values())
    return watching and account["runs"]["succeeded"] > 0


@contextlib.contextmanager
def told(text: str) -> Iterator[None]:
    """Tell a step, and when it is done how long it took."""
    print(f"{text:<60}", end="", flush=True)
    began = time.monotonic()
    yield
    print(f"{(time.monotonic() - began) * 1000:6.0f} ms", flush=True)


def wait_for_message(store: MaildirStore, act: Callable[[], Path], flags: str = "") -> Path:
    """Do something to a message on the other side; return its file here once it is here with these flags."""
    inbox = store.path("INBOX")
    with arrivals(inbox / "new", inbox / "cur") as arrived:
        wanted = digest(act().read_bytes())
        path = arrived.next(DEADLINE_S)
        while not is_message(path, wanted, flags):
            path = arrived.next(DEADLINE_S)
    return path


def is_message(path: Path, wanted: str, flags: str) -> bool:
    """Tell whether a file is a certain message with certain flags; one renamed meanwhile is not."""
    try:
        return flags_of(path) == flags and digest(path.read_bytes()) == wanted
    except FileNotFoundError:
        return False


def perform(stage: Stage) -> None:
    """Play the whole demonstration."""
    near, far = stage.near.path("INBOX"), stage.far.path("INBOX")
    with running_mswatch(stage) as process:
        with told("mswatch started: it watches both stores and has synced once"):
            wait_until(lambda: is_ready(stage, process), "mswatch watches both stores", DEADLINE_S)
        with told("a message was delivered into near: it is in far"):
            wait_for_message(stage.far, lambda: deliver(near))
        with told("a message was delivered into far: it is in near"):
            message = wait_for_message(stage.near, lambda: deliver(far))
        with told("that message was read in near: it is read in far"):
            wait_for_message(stage.far, lambda: set_flags(message, "S"), "S")
        with told("mswatch was ended"):
            process.terminate()
            process.wait(DEADLINE_S)


def tell_failure(error: Exception, stage: Stage) -> None:
    """Say what did not happen, and what mswatch said last."""
    print(f"\n\nThis did not work: {error}.  The last lines of mswatch's log:\n", file=sys.stderr)
    lines = stage.log.read_text(errors="backslashreplace").splitlines() if stage.log.exists() else []
    print("".join(f"    {line}\n" for line in lines[-20:]), file=sys.stderr)


def main() -> int:
    """Set the stage, play, clear away."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    with tempfile.TemporaryDirectory(prefix="mswatch.") as directory:
        stage = set_the_stage(Path(directory))
        try:
            perform(stage)
        except (ChildProcessError, TooLateError, subprocess.TimeoutExpired) as error:
            tell_failure(error, stage)
            return 1
        except KeyboardInterrupt:
            return 128 + signal.SIGINT
    print(NEXT.format(mswatch=os.path.relpath(MSWATCH)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
