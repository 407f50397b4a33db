"""The Debian packages: what they bring, what they leave, and that all of it works where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mswatch import messages
from tests.hosts import mail
from tests.hosts.conftest import CHECKOUT, INSTALL_LIMIT_S, install
from tests.hosts.machine import Machine
from tests.hosts.roots import USER
from tests.servers.waiting import read_line, read_until, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.server]

UNITS = sorted(path.name for path in (CHECKOUT / "units").glob("*.service"))
PAGES = sorted(path.name.removesuffix(".md") for path in (CHECKOUT / "docs").glob("*.[1-9].md"))
OLD_FILES = ("mswatch", "watch_maildirs", "inputkill", "socketwatch")  # of the one package of mswatch 1.2


def test_everything_is_in_place(machine: Machine) -> None:
    """The packages are installed whole, and the commands run."""
    assert machine.run("root", "dpkg", "--audit") == ""
    assert machine.run("root", "dpkg", "--verify", "mswatch", "watch-maildirs") == ""
    for command in ("mswatch", "watch_maildirs", "inputkill"):
        assert machine.run(USER, command, "--version").startswith(f"{command} ")


def test_library_is_preloaded(machine: Machine) -> None:
    """The library that tells of progress is found where it is installed, and the system can load it."""
    found = "from mswatch.socketwatch.preload import shim_path; print(shim_path())"
    library = machine.run(USER, "python3", "-c", found).strip()
    assert library.startswith("/usr/lib/")
    loaded = machine.result(USER, "env", f"LD_PRELOAD={library}", "cat", "/proc/self/maps")
    assert library in loaded.stdout
    assert loaded.stderr == ""


@pytest.mark.parametrize("page", PAGES)
def test_manual(machine: Machine, page: str) -> None:
    """``man`` shows each page, and groff has nothing to say about it."""
    name, _, section = page.rpartition(".")
    shown = machine.result(USER, "man", "--warnings", section, name)
    assert shown.stderr == ""
    assert shown.stdout.startswith(name.upper())
    assert "SEE ALSO" in shown.stdout


def test_nothing_is_enabled(clean_machine: Machine) -> None:
    """An account runs for who enables it; the package enables it for nobody."""
    for unit in UNITS:
        instance = unit.replace("@", "@work")
        assert clean_machine.result(USER, "systemctl", "--user", "is-enabled", instance).stdout.strip() in (
            "disabled",
            "static",
        )
    assert clean_machine.run("root", "find", "/etc/systemd/user", "-name", "mswatch*") == ""


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_flawless(clean_machine: Machine, unit: str) -> None:
    """There is nothing in a unit that systemd does not know or would ignore."""
    file = f"/usr/lib/systemd/user/{unit}"
    verify = ("systemd-analyze", "--user", "--man=no", "--recursive-errors=yes", "verify", file)
    verified = clean_machine.result(USER, *verify)
    assert (verified.stdout, verified.stderr, verified.returncode) == ("", "", 0)


def test_journal_explains(machine: Machine) -> None:
    """The journal's catalogue knows every record of ours."""
    known = machine.run("root", "journalctl", "--list-catalog", *(message.id for message in messages.ALL))
    assert len(known.splitlines()) == len(messages.ALL)
    assert "mswatch" in known


def test_watcher(clean_machine: Machine) -> None:
    """watch_maildirs watches the Maildir of the user, with inotify."""
    clean_machine.run(USER, "mkdir", "-p", "Maildir/cur", "Maildir/new", "Maildir/tmp")
    with clean_machine.running(USER, "watch_maildirs") as watcher:
        assert read_line(watcher.stdout) == b"\n"
        clean_machine.run(USER, "touch", "Maildir/new/1.desk")
        assert read_line(watcher.stdout) == b"INBOX\n"
        watcher.kill()
        watcher.wait()
        assert b"watch_maildirs" not in watcher.stderr.read()  # nothing about polling instead


def test_main_job(clean_machine: Machine, tmp_path: Path) -> None:
    """``mswatch check`` finds nothing wrong, and ``mswatch run`` brings mail from each side to the other."""
    mail.set_up(clean_machine, tmp_path)
    checked = clean_machine.result(USER, "mswatch", "check", "work")
    assert (checked.stderr, checked.returncode) == ("", 0), checked.stdout
    with clean_machine.running(USER, "mswatch", "run", "work") as service:
        read_until(service.stdout, b"Sync completed")
        assert mail.arrives(clean_machine, mail.NEAR, mail.FAR)
        assert mail.arrives(clean_machine, mail.FAR, mail.NEAR)
        service.kill()
        assert service.wait() == 0


def test_old_configuration(clean_machine: Machine, tmp_path: Path) -> None:
    """An .mswatchrc of the first mswatch does its work as it is."""
    mail.set_up(clean_machine, tmp_path)
    clean_machine.write(str(mail.HOME / ".mswatchrc"), mail.OLD_CONFIGURATION)
    with clean_machine.running(USER, "mswatch") as service:
        read_until(service.stdout, b"Sync completed")
        assert mail.arrives(clean_machine, mail.FAR, mail.NEAR)
        service.kill()
        assert service.wait() == 0


def test_service(clean_machine: Machine, tmp_path: Path) -> None:
    """``systemctl --user enable --now mswatch@work`` is all it takes, and its log is found."""
    mail.set_up(clean_machine, tmp_path)
    before = clean_machine.cursor()
    clean_machine.systemctl_user("enable", "--now", "mswatch@work.service")
    watching = messages.WATCHING.id.replace("-", "")
    clean_machine.wait_for_record(
        lambda record: record.get("MESSAGE_ID") == watching, "--unit=mswatch", after=before
    )
    clean_machine.run(USER, "mswatch", "sync", "work")
    assert mail.arrives(clean_machine, mail.NEAR, mail.FAR)
    status = json.loads(clean_machine.run(USER, "mswatch", "status", "--json", "work"))
    assert {store["state"] for store in status["accounts"][0]["stores"].values()} == {"watching"}


def test_upgrade_and_removal(new_machine: Machine, packages: list[Path], tmp_path: Path) -> None:
    """Mswatch 1.2 makes room; an upgrade restarts what runs; a removal ends it and leaves what is theirs."""
    install(new_machine, [old_package(tmp_path)])
    install(new_machine, packages)
    mail.set_up(new_machine, tmp_path)
    new_machine.systemctl_user("enable", "--now", "mswatch@work.service")
    pid = main_pid(new_machine)
    apt_get(new_machine, "install", "--reinstall", *inside(packages))
    wait_until(lambda: main_pid(new_machine) not in (pid, 0), "the new one is started")
    apt_get(new_machine, "purge", "mswatch", "watch-maildirs")
    ours = ("pgrep", "-a", "-f", "mswatch|watch_maildirs|mbsync")
    wait_until(lambda: new_machine.result("root", *ours).stdout == "", "all of ours has ended")
    found = (
        "find",
        "/usr",
        "/etc",
        "/var/lib/systemd/catalog",
        "-path",
        "*mswatch*",
        "-o",
        "-path",
        "*watch_maildirs*",
    )
    assert new_machine.run("root", *found) == ""
    assert new_machine.run(USER, "cat", ".config/mswatch/work.toml") == mail.ACCOUNT


def apt_get(machine: Machine, *words: str) -> None:
    """Have apt-get do something."""
    machine.run("root", "apt-get", "--yes", *words, deadline_s=INSTALL_LIMIT_S)


def old_package(directory: Path) -> Path:
    """Make a package that holds what that of mswatch 1.2 held, in the same places."""
    tree = directory / "old"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: mswatch\nVersion: 1.2.0-2\nArchitecture: all\n"
        "Maintainer: A <a@example.org>\nDescription: old\n"
    )
    for name in OLD_FILES:
        file = tree / "usr/bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("#!/bin/false\n")
    package = directory / "mswatch-old.deb"
    subprocess.run(
        ("dpkg-deb", "--root-owner-group", "--build", tree, package), check=True, capture_output=True
    )
    return package


def inside(packages: list[Path]) -> list[str]:
    """Return where ``install`` has put the packages."""
    return [f"/root/packages/{package.name}" for package in packages]


def main_pid(machine: Machine) -> int:
    """Return the process of the service, 0 if there is none."""
    return int(machine.systemctl_user("show", "--property=MainPID", "--value", "mswatch@work.service"))


def test_lintian(packages: list[Path]) -> None:
    """Debian's own checker has nothing to say, but that no bug number of an intended upload is named."""
    lintian = shutil.which("lintian")
    assert lintian, "lintian is not installed; `sh tests/run` installs what the tests need"
    tolerated = "--suppress-tags=initial-upload-closes-no-bugs"
    checked = subprocess.run(
        (lintian, "--allow-root", "--fail-on=warning", tolerated, *packages), capture_output=True, text=True
    )
    assert (checked.stdout, checked.returncode) == ("", 0)
