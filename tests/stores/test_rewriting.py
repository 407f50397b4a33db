"""Rewriting in place: killed before every call, also with others appending meanwhile, nothing is lost."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mswatch.mailsync.stores.contract import MailboxError
from mswatch.mailsync.stores.rewriting import HEAD, Journals
from tests.mailsync.test_worlds import in_child
from tests.mailsync.worlds import each_call

KEPT = b"kept\n" * 3
MORE = b"From another program\n\nmore\n"
CASES = {
    "longer": (b"From old\n" * 40, b"From new, and longer\n" * 40),
    "shorter": (b"From old, and longer\n" * 40, b"From new\n" * 40),
    "as long": (b"From old\n" * 40, b"From new\n" * 40),
    "appended": (b"", b"\nFrom new\n" * 40),
    "emptied": (b"From old\n" * 40, b""),
    "like what others append": (b"", MORE * 3),
    "longer than a page": (b"From old\n" * 40, b"From new\n" * 4000),
}


def rewrite(directory: Path, new: bytes) -> None:
    """Write the file's new end."""
    journals = Journals(os.fsencode(directory / "journals"))
    file = directory / "box"
    fd = os.open(file, os.O_RDWR)
    spool = journals.spool(os.fsencode(file))
    spool.write(new)
    journals.write(fd, os.fsencode(file), len(KEPT), spool, HEAD)
    spool.drop()
    os.close(fd)


def recover(directory: Path) -> None:
    """Do what the next run does."""
    journals = Journals(os.fsencode(directory / "journals"))
    file = directory / "box"
    if journals.pending(os.fsencode(file)):
        fd = os.open(file, os.O_RDWR)
        try:
            journals.recover(fd, os.fsencode(file))
        finally:
            os.close(fd)
    assert not journals.pending(os.fsencode(file))


def until(act: partial[None], step: int) -> bool:
    """Do something and be killed before the call with this number; tell whether it came to its end."""
    calls = itertools.count()

    def die(call: str) -> None:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def child() -> None:
        with each_call(die):
            act()

    return in_child(child) == 0


def fresh(directory: Path, old: bytes) -> Path:
    """Return a directory with the file as it was before."""
    directory.mkdir(parents=True)
    (directory / "box").write_bytes(KEPT + old)
    return directory


@pytest.mark.parametrize("more", [b"", MORE], ids=["alone", "appended to"])
@pytest.mark.parametrize("case", CASES)
def test_killed_at_every_call(case: str, more: bytes, tmp_path: Path) -> None:
    """The file is the old one or the new one afterwards, and what others appended is behind it."""
    old, new = CASES[case]
    seen = set()
    for step in itertools.count():
        directory = fresh(tmp_path / str(step), old)
        is_over = until(partial(rewrite, directory, new), step)
        with (directory / "box").open("ab") as file:
            file.write(more)
        recover(directory)
        found = (directory / "box").read_bytes()
        assert found in (KEPT + old + more, KEPT + new + more), step
        seen.add(found)
        if is_over:
            break
    assert len(seen) == (1 if old == new else 2)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["longer", "shorter", "appended"])
def test_killed_again_while_it_recovers(case: str, tmp_path: Path) -> None:
    """Killed twice, and appended to each time: the end is the same."""
    old, new = CASES[case]
    stride = 1 if os.environ.get("MSWATCH_LONG") else 4
    for first in range(0, 60, stride):
        for second in range(0, 100, stride):
            directory = fresh(tmp_path / f"{first}-{second}", old)
            first_is_over = until(partial(rewrite, directory, new), first)
            with (directory / "box").open("ab") as file:
                file.write(MORE)
            second_is_over = until(partial(recover, directory), second)
            with (directory / "box").open("ab") as file:
                file.write(b"From last\n")
            recover(directory)
            ends = [KEPT + old + MORE + b"From last\n", KEPT + new + MORE + b"From last\n"]
            assert (directory / "box").read_bytes() in ends, (first, second)
            if second_is_over:
                break
        assert second_is_over
        if first_is_over:
            break
    assert first_is_over


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=400), st.binary(max_size=400), st.integers(0, 30))
def test_any_bytes(old: bytes, new: bytes, step: int) -> None:
    """Whatever the bytes are, a file that nobody else touched is the old or the new one."""
    with tempfile.TemporaryDirectory() as name:
        directory = fresh(Path(name) / "it", old)
        until(partial(rewrite, directory, new), step)
        recover(directory)
        assert (directory / "box").read_bytes() in (KEPT + old, KEPT + new)


def test_file_that_became_another_one(tmp_path: Path) -> None:
    """A file that somebody else wrote anew is left alone, and what was to be written is kept and named."""
    old, new = CASES["longer"]
    for step in itertools.count():
        directory = fresh(tmp_path / str(step), old)
        assert not until(partial(rewrite, directory, new), step)
        if (directory / "box").stat().st_size > len(KEPT + old):
            break
    (directory / "box").write_bytes(b"other\n")
    with pytest.raises(MailboxError, match=r"\.aside"):
        recover(directory)
    recover(directory)
    assert (directory / "box").read_bytes() == b"other\n"
    (kept,) = (directory / "journals").glob("*.aside")
    assert kept.read_bytes().endswith(new)
