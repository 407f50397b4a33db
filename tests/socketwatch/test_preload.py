"""Where the shim is looked for, and what goes into the environment."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from mswatch.socketwatch import preload, shim_environment, shim_path


def installed(prefix: Path, library: str) -> Path:
    """Put a file where a shim may be."""
    path = prefix / library / "mswatch" / "shim.so"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


@pytest.fixture
def prefixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A Python in a virtual environment, which has no shim yet, nor has its system."""
    own, system = tmp_path / "venv", tmp_path / "usr"
    monkeypatch.setattr(sys, "prefix", str(own))
    monkeypatch.setattr(sys, "base_prefix", str(system))
    monkeypatch.setattr(preload, "__file__", str(tmp_path / "site" / "preload.py"))
    return own, system


def test_nowhere(prefixes: tuple[Path, Path]) -> None:
    """Where there is no shim, nothing is added to the environment."""
    assert shim_path() is None
    assert (
        shim_environment({"LD_PRELOAD": "x"}, None, notify_socket="/run/notify", echo_socket="/run/echo")
        == {}
    )


def test_places(prefixes: tuple[Path, Path], tmp_path: Path) -> None:
    """The system's is found, before it one of the virtual environment, before that the one of the wheel."""
    own, system = prefixes
    multiarch = sysconfig.get_config_var("MULTIARCH")
    assert multiarch
    for prefix, library in ((system, "lib"), (system, f"lib/{multiarch}"), (own, "lib")):
        path = installed(prefix, library)
        assert shim_path() == path
    (tmp_path / "site").mkdir()
    beside = tmp_path / "site" / "shim.abi3.so"
    beside.touch()
    assert shim_path() == beside


def test_path_that_cannot_be_said(
    prefixes: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that LD_PRELOAD would take for two is as good as none."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "my venv"))
    installed(tmp_path / "my venv", "lib")
    assert shim_path() is None


def test_environment() -> None:
    """The shim is appended to what is preloaded already; sockets are named when there are any."""
    shim = Path("/x/shim.so")
    assert shim_environment({}, shim) == {"LD_PRELOAD": "/x/shim.so"}
    assert shim_environment({"LD_PRELOAD": "/a.so"}, shim, notify_socket="/n", echo_socket="@e") == {
        "LD_PRELOAD": "/a.so:/x/shim.so",
        "NOTIFY_SOCKET": "/n",
        "MSWATCH_ECHO_SOCKET": "@e",
    }
