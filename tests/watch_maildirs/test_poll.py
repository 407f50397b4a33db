"""poll: what a clock that is too coarse would hide."""

import os
from pathlib import Path

import pytest

from watch_maildirs import events as ev
from watch_maildirs.poll import Polling


@pytest.fixture
def eyes() -> Polling:
    """Polling eyes that are due at 1, 2, 3 ..."""
    return Polling(1.0, 0.0)


def test_same_time_other_names(eyes: Polling, tmp_path: Path) -> None:
    """A change that leaves the directory's modification time as it was is found by the names."""
    wd = eyes.watch(str(tmp_path), ev.WATCH_CONTENT)
    before = tmp_path.stat()
    (tmp_path / "m1").touch()
    os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert eyes.read(1.0) == [ev.Event(wd, ev.CREATE, 0, "")]
    assert eyes.read(2.0) == []


def test_same_time_after_a_change_of_long_ago(eyes: Polling, tmp_path: Path) -> None:
    """The names are compared once more after each change, even where the file system's clock is wrong."""
    os.utime(tmp_path, (1000, 1000))
    wd = eyes.watch(str(tmp_path), ev.WATCH_CONTENT)
    for number, modified_s in enumerate((2000, 2000)):
        (tmp_path / f"m{number}").touch()
        os.utime(tmp_path, (modified_s, modified_s))
        assert eyes.read(1.0 + number) == [ev.Event(wd, ev.CREATE, 0, "")]
    assert eyes.read(3.0) == []


def test_not_before_it_is_due(eyes: Polling, tmp_path: Path) -> None:
    """Nothing is looked at before its time, and with nothing to look at there is no such time."""
    assert eyes.next_wakeup() is None
    eyes.watch(str(tmp_path), ev.WATCH_CONTENT)
    (tmp_path / "m1").touch()
    assert eyes.next_wakeup() == 1.0
    assert eyes.read(0.9) == []


def test_another_directory(eyes: Polling, tmp_path: Path) -> None:
    """A directory that was replaced, or is gone, is lost."""
    (tmp_path / "d").mkdir()
    wd = eyes.watch(str(tmp_path / "d"), ev.WATCH_ENTRIES)
    (tmp_path / "d").rename(tmp_path / "e")
    (tmp_path / "d").mkdir()
    assert eyes.read(1.0) == [ev.Event(wd, ev.IGNORED, 0, "")]
    (tmp_path / "d").rmdir()
    assert eyes.read(2.0) == [ev.Event(wd, ev.IGNORED, 0, "")]
    eyes.unwatch(wd)
    assert eyes.read(3.0) == []


def test_errors_are_those_of_inotify(eyes: Polling, tmp_path: Path) -> None:
    """What inotify would refuse is refused in the same way."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(".")
    with pytest.raises(FileNotFoundError):
        eyes.watch(str(tmp_path / "missing"), ev.WATCH_SELF)
    for name in ("file", "link"):
        with pytest.raises(NotADirectoryError):
            eyes.watch(str(tmp_path / name), ev.WATCH_CONTENT)


def test_name_of_nothing(eyes: Polling, tmp_path: Path) -> None:
    """A name that means nothing yet can be looked at until it does."""
    wd = eyes.watch_name(str(tmp_path), "later")
    assert eyes.read(1.0) == []
    (tmp_path / "later").touch()
    assert eyes.read(2.0) == [ev.Event(wd, ev.IGNORED, 0, "")]
