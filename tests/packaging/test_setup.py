"""The set-up scripts tell what they do, how long it took, and in one line why they cannot go on."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent


def run_with_setup(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run some shell after packaging/setup.sh, with its log in tmp_path."""
    preamble = f"set -eu; program=trial; TMPDIR='{tmp_path}'; . packaging/setup.sh; trap end_setup EXIT\n"
    return subprocess.run(["sh", "-c", preamble + script], cwd=CHECKOUT, capture_output=True, text=True)


def test_step_is_one_line(tmp_path: Path) -> None:
    """A long step is told in one line with its time; what it prints itself is not shown."""
    ended = run_with_setup("step 'doing it' 'remedy' echo noise", tmp_path)
    assert ended.stdout in ("doing it… 0 s\n", "doing it… 1 s\n")  # a second may begin meanwhile
    assert (ended.stderr, ended.returncode) == ("", 0)


def test_failed_step_shows_its_log(tmp_path: Path) -> None:
    """A step that fails shows the end of its log and the remedy, and ends the script."""
    ended = run_with_setup("step 'doing it' 'try harder' sh -c 'seq 100; exit 3'; echo not here", tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == "doing it… failed\n"
    assert ended.stderr.splitlines()[-2:] == ["    100", "trial: see the lines above; try harder"]


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Without apt-get, the packages that are missing are named in one line."""
    ended = run_with_setup("(PATH=/nowhere; need_packages isync procps shellcheck)", tmp_path)
    assert ended.returncode == 1
    assert ended.stderr == "trial: no apt-get here; install what Debian calls: isync procps shellcheck\n"


def test_nothing_is_left(tmp_path: Path) -> None:
    """The log of the set-up is removed, after a failure too."""
    run_with_setup("step 'doing it' 'remedy' false", tmp_path)
    assert list(tmp_path.iterdir()) == []
