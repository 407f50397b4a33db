"""The machines that all tests here share: one for each suite of Debian, with our packages on it.

They need root; for anybody else there is nothing to collect here, which ``sh tests/run`` says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.machine import Machine
from tests.hosts.roots import SUITES, base_root

CHECKOUT = Path(__file__).resolve().parent.parent.parent
INSTALL_LIMIT_S = 300.0

collect_ignore_glob = [] if os.geteuid() == 0 else ["test_*.py"]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Our Debian packages: those that ``sh tests/run`` has built, or else built here."""
    built = os.environ.get("MSWATCH_TEST_PACKAGES")
    directory = Path(built) if built else tmp_path_factory.mktemp("packages")
    if not built:
        subprocess.run(("sh", "packaging/build-deb", directory), cwd=CHECKOUT, check=True)
    return sorted(path for path in directory.glob("*.deb") if "-dbgsym_" not in path.name)


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each suite of Debian."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def machine(suite: str, packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of this suite with our packages installed."""
    with Machine(base_root(suite), tmp_path_factory.mktemp("machine") / suite) as booted:
        install(booted, packages)
        yield booted


@pytest.fixture
def clean_machine(machine: Machine) -> Machine:
    """That machine, with a user who has never used it."""
    machine.clean_user()
    return machine


@pytest.fixture
def new_machine(suite: str, tmp_path: Path) -> Iterator[Machine]:
    """A machine of this suite without our packages, for this test alone."""
    with Machine(base_root(suite), tmp_path / "machine") as booted:
        yield booted


def install(machine: Machine, packages: list[Path]) -> str:
    """Install packages as a person does, from files; what they depend on must be there."""
    directory = machine.path("/root/packages")
    directory.mkdir(exist_ok=True)
    for package in packages:
        shutil.copy(package, directory)
    files = [f"/root/packages/{package.name}" for package in packages]
    command = ("apt-get", "install", "--yes", "--no-install-recommends", *files)
    return machine.run("root", "env", "DEBIAN_FRONTEND=noninteractive", *command, deadline_s=INSTALL_LIMIT_S)
