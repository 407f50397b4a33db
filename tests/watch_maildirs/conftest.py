"""Fixtures: a Maildir, and watchers on it that are ended with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.watch_maildirs.harness import Watcher, make_maildir

Start = Callable[..., Watcher]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A Maildir with one folder, ``.one``, in a directory of its own."""
    base = make_maildir(tmp_path / "home" / "Maildir")
    make_maildir(base / ".one")
    return base


@pytest.fixture
def start(base: Path) -> Iterator[Start]:
    """Start a watcher on the Maildir, with more options if given."""
    started: list[Watcher] = []

    def start_one(*options: str, maildir: Path = base, command: list[str] | None = None) -> Watcher:
        started.append(Watcher(maildir, *options, command=command))
        return started[-1]

    yield start_one
    for watcher in started:
        watcher.end()


@pytest.fixture(params=["inotify", pytest.param("polling", marks=pytest.mark.slow)])
def eyes(request: pytest.FixtureRequest) -> list[str]:
    """The options for one of the two pairs of eyes; a test that takes it holds for both."""
    return [] if request.param == "inotify" else ["--poll", "0.02"]
