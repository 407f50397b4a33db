"""A real watch_maildirs on real directories, and how to read what it tells without ever sleeping.

What it told *by now* is found with fences: a folder is made whose name nobody else has, and everything is
read up to the line that tells of it.  The polling eyes see things one after the other, so that a change
just before the first fence may be told after it; it is told before the second.  And a repeated line is held
for a window, so that fences go on until one window is over.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.servers.waiting import DEADLINE_S
from watch_maildirs.outbox import WINDOW_S
from watch_maildirs.protocol import CONTENT, NOTE, WRITTEN, Change, parse

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
ALL_LINE = b"\tall\t"


def make_maildir(path: Path) -> Path:
    """Make a directory with cur, new and tmp."""
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    return path


def ordinary() -> list[str]:
    """Return the words before a command that make even root obey the modes of files."""
    drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"]
    return drop if os.geteuid() == 0 else []


class Lines:
    """Reads lines from a pipe, with a deadline."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""

    def next(self) -> bytes | None:
        """Return the next line without its newline, None at the end of file."""
        give_up = time.monotonic() + DEADLINE_S
        while b"\n" not in self._buffer:
            ready = select.select([self._fd], [], [], give_up - time.monotonic())[0]
            assert ready, f"nothing was told for {DEADLINE_S} s; left over: {self._buffer!r}"
            chunk = os.read(self._fd, 65536)
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


class Watcher:
    """A running watch_maildirs that has told that it is ready."""

    def __init__(self, base: Path, *options: str, command: list[str] | None = None) -> None:
        self.base = base
        self.is_long = "--long" in options
        self._is_nested = "nested" in options
        self._fences = 0
        program = command or [*ordinary(), sys.executable, "-m", "watch_maildirs"]
        self.process = subprocess.Popen(
            [*program, "--maildir", str(base), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
        )
        assert self.process.stdout is not None and self.process.stderr is not None
        self.out = Lines(self.process.stdout.fileno())
        self.errors = Lines(self.process.stderr.fileno())
        assert self.out.next() == b""

    def told(self) -> list[Change]:
        """Return all that was told by now and not returned before (long protocol)."""
        return [parse(line) for line in self.told_lines()]

    def told_lines(self) -> list[bytes]:
        """Return all lines that were printed by now and not returned before, without those about fences."""
        lines = self._up_to_fence()
        window_end = time.monotonic() + 2 * WINDOW_S
        while True:
            is_last = time.monotonic() > window_end
            lines += self._up_to_fence()
            if is_last:
                return lines

    def told_of(self) -> set[tuple[str, str]]:
        """Return the (kind, mailbox) of all that was told by now; notes left out.

        What was made in its place was written and closed too, which is told apart only if one was slow.
        """
        told = [change for change in self.told() if change.kind != NOTE]
        made = {(change.mailbox, change.file) for change in told if change.kind == CONTENT}
        return {
            (change.kind, change.mailbox)
            for change in told
            if change.kind != WRITTEN or (change.mailbox, change.file) not in made
        }

    def _up_to_fence(self) -> list[bytes]:
        self._fences += 1
        name = f"fence{self._fences}"
        folder = make_maildir(self.base / (name if self._is_nested else "." + name))
        lines = self._read_until(name.encode(), folder)
        shutil.rmtree(folder)
        return lines

    def _read_until(self, name: bytes, fence: Path) -> list[bytes]:
        lines: list[bytes] = []
        while True:
            line = self.out.next()
            assert line is not None, "watch_maildirs ended"
            if line.split(b"\t")[0] == name:
                return lines
            if line == ALL_LINE and self.is_long:  # it may stand for the fence as well
                (fence / "new" / f"m{len(lines)}").touch()
            if b"fence" not in line:
                lines.append(line)

    def wait_for_note(self, text: str) -> None:
        """Read lines up to a note with this text (long protocol)."""
        while True:
            line = self.out.next()
            assert line is not None, "watch_maildirs ended"
            if text in parse(line).file:
                return

    def end(self) -> None:
        """End the process, and close its pipes."""
        self.process.kill()
        self.process.communicate()


def notes(changes: list[Change]) -> list[str]:
    """Return the texts of the notes among changes."""
    return [change.file for change in changes if change.kind == NOTE]
