"""What mailsync remembers of a pair of stores: where it is, its lock, and a copy of it for a dry run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mswatch import paths
from mswatch.locks import Lock
from mswatch.mailsync.state import State

Tell = Callable[[str], None]


@contextmanager
def remembering(
    name: str, pair: str, environment: Mapping[str, str], *, dry: bool, tell: Tell | None
) -> Iterator[tuple[State, str]]:
    """Give the state of a pair, locked, and what a person should know of it; in a dry run a copy of it.

    Args:
        name: Of the account; no ``/`` in it.
        pair: What tells these two stores from others: of others nothing that is remembered is true.
        environment: Says where it is.
        dry: Nothing is made nor changed.
        tell: Told if another run has to be waited for.
    """
    if dry:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="mailsync.") as copy:
            with _locked(name, paths.state_place(environment), tell, make=False) as directory:
                State.copy_file(state_file(name, directory), Path(copy))
            with _opened(name, pair, Path(copy)) as opened:
                yield opened
        return
    with (
        _locked(name, paths.state_directory(environment), tell, make=True) as directory,
        _opened(name, pair, directory) as opened,
    ):
        yield opened


def share_compared(name: str, environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return how many pairs of messages are known to be equal, of how many; None: nothing is remembered."""
    file = state_file(name, paths.state_place(environment))
    return State.share_compared(file) if file.exists() else None


def state_file(name: str, directory: Path) -> Path:
    """Return the file of a state."""
    return directory / f"{name}.mailsync.sqlite"


@contextmanager
def _locked(name: str, directory: Path, tell: Tell | None, *, make: bool) -> Iterator[Path]:
    """Hold the lock of the state: two runs for one pair come one after the other."""
    path = directory / f"{name}.mailsync"
    if not make and not path.exists():
        yield directory
        return
    lock = Lock(path)
    holder = f"pid {os.getpid()}" if make else ""
    if not lock.take(holder):
        if tell is not None:
            tell(f"another mailsync of this account is at work ({lock.holder()}); waiting for its end")
        lock.wait(holder)
    try:
        yield directory
    finally:
        lock.close()


@contextmanager
def _opened(name: str, pair: str, directory: Path) -> Iterator[tuple[State, str]]:
    with State.opened(state_file(name, directory)) as (state, note):
        remembered = state.about("pair").decode("utf-8", "surrogateescape")
        if pair != remembered:
            if remembered:
                note = "the stores are others than before; they meet as for the first time"
            state.forget_everything()
            state.set_about("pair", pair.encode("utf-8", "surrogateescape"))
        yield state, note
