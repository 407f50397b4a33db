"""The linters are tests: what they find is a failure, and so is a linter that is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow


def assert_clean(*argv: str) -> None:
    """Run a linter over the checkout; fail with all that it said."""
    ended = subprocess.run(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ended.returncode == 0, f"{' '.join(argv)}\n{ended.stdout}"


def shell_scripts() -> list[str]:
    """Return all shell scripts of the checkout: by their first line, or by the name if they are sourced."""
    found = []
    for directory in ("packaging", "tests", ".ci"):
        files = (path for path in (CHECKOUT / directory).rglob("*") if path.is_file())
        found += [str(path.relative_to(CHECKOUT)) for path in files if is_shell_script(path)]
    return sorted(found)


def is_shell_script(path: Path) -> bool:
    """Tell whether a file is meant for a shell."""
    with path.open("rb") as file:
        first_line = file.readline(80)
    words = first_line[2:].split() if first_line.startswith(b"#!") else []
    return path.suffix == ".sh" or any(word.endswith((b"/sh", b"bash")) for word in words)


def test_ruff_check() -> None:
    """Ruff finds nothing to complain about."""
    assert_clean(sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", ".")


def test_ruff_format() -> None:
    """All Python is formatted as ruff formats it."""
    assert_clean(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", ".")


def test_mypy(tmp_path: Path) -> None:
    """All Python is typed, in mypy's strict sense."""
    assert_clean(sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}")


def test_shellcheck() -> None:
    """ShellCheck finds nothing in any shell script, and the known ones are among those looked at."""
    scripts = shell_scripts()
    assert {"packaging/setup.sh", "packaging/try", "tests/run", ".ci/run"} <= set(scripts)
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "shellcheck is not installed; `sh tests/run` installs what the tests need"
    assert_clean(shellcheck, "--external-sources", *scripts)
