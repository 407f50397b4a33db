"""What packaging/debian says and what the project says is the same."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def project() -> dict[str, Any]:
    """What pyproject.toml says."""
    found: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return found


def test_version(project: dict[str, Any]) -> None:
    """The package has the version of the project, in Debian's spelling."""
    newest = re.match(r"mswatch \(([^)]+)-[0-9.]+\)", (CHECKOUT / "packaging/debian/changelog").read_text())
    assert newest
    assert newest[1] == re.sub(r"\.?(dev|a|b|rc)", r"~\1", project["version"])


def test_every_command_has_a_page(project: dict[str, Any]) -> None:
    """There is a man page for each command that is installed."""
    documented = {path.name.removesuffix(".1.md") for path in (CHECKOUT / "docs").glob("*.1.md")}
    assert set(project["scripts"]) <= documented


def test_old_python_is_not_promised(project: dict[str, Any]) -> None:
    """The package asks for the Python that the project asks for."""
    control = (CHECKOUT / "packaging/debian/control").read_text()
    assert f"X-Python3-Version: {project['requires-python'].replace('>=', '>= ')}\n" in control
