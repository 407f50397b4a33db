"""``mswatch setup``: a user whose mswatch is a checkout gets working units, and can take them away again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.hosts import mail
from tests.hosts.conftest import CHECKOUT, install
from tests.hosts.machine import Machine
from tests.hosts.roots import USER
from tests.servers.waiting import wait_until

HOME = f"/home/{USER}"
PROGRAM = f"{HOME}/my programs/mswatch"
SCRIPT = f"""#!/usr/bin/python3
import sys
sys.path.insert(0, "{HOME}/checkout")
import os
os.environ["PYTHONPATH"] = "{HOME}/checkout"  # for what it starts with this Python
from mswatch.entry import main
sys.exit(main())
"""


def put_checkout(machine: Machine) -> None:
    """Put the tracked files of this checkout, and a command, into the user's home."""
    archive = subprocess.run(
        ("tar", "-c", "--exclude=./.git", "--exclude=./.venv", "./mswatch", "./watch_maildirs", "./units"),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    machine.run(USER, "sh", "-ec", f"mkdir -p {HOME}/checkout; tar -x -C {HOME}/checkout", data=archive)
    machine.write(PROGRAM, SCRIPT)
    machine.run(USER, "chmod", "+x", PROGRAM)


def test_from_a_checkout(new_machine: Machine, packages: list[Path], tmp_path: Path) -> None:
    """The units are written with the path of the program, blanks and all; the service works; then they go."""
    install(new_machine, [path for path in packages if "inotify" in path.name])
    put_checkout(new_machine)
    mail.set_up(new_machine, tmp_path)

    said = new_machine.run(USER, PROGRAM, "setup", "work")

    assert "the user manager has read them" in said
    assert "started mswatch@work" in said
    wait_until(
        lambda: "in step" in new_machine.systemctl_user("status", "mswatch@work.service"), "it is in step"
    )
    assert mail.arrives(new_machine, mail.NEAR, mail.FAR)
    new_machine.systemctl_user("disable", "--now", "mswatch@work.service")
    assert "removed mswatch@.service" in new_machine.run(USER, PROGRAM, "setup", "--remove")
    assert new_machine.result(USER, "systemctl", "--user", "cat", "mswatch@work.service").returncode != 0


def test_with_the_package(clean_machine: Machine) -> None:
    """Where a package has brought the units, none are written."""
    said = clean_machine.run(USER, "mswatch", "setup")

    assert "the units are there already, from a package" in said
    assert not clean_machine.path(f"{HOME}/.local/share/systemd").exists()


def test_advice(clean_machine: Machine) -> None:
    """A journal that is not kept, and a service that ends at logout, are told with the remedy."""
    assert "enable-linger" not in clean_machine.run(USER, "mswatch", "setup")
    clean_machine.run("root", "mv", f"/var/lib/systemd/linger/{USER}", "/root/linger")
    clean_machine.run("root", "mv", "/var/log/journal", "/var/log/journal.away")
    try:
        said = clean_machine.run(USER, "mswatch", "setup")
    finally:
        clean_machine.run("root", "mv", "/root/linger", f"/var/lib/systemd/linger/{USER}")
        clean_machine.run("root", "mv", "/var/log/journal.away", "/var/log/journal")

    assert "loginctl enable-linger" in said
    assert "mkdir -p /var/log/journal" in said
