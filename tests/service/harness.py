"""The real ``mswatch run`` around stores and syncers that a test controls.

The service is started as its users start it, as a process of its own; a test sees what they see: its log, its
status, what it starts.  Watchers are ``cat`` on a FIFO that the test writes into; syncers are small shell
scripts.  Nothing sleeps: a test waits for a line of the log, with a deadline.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.servers.waiting import DEADLINE_S

DELAYS = 'base_delay = 0\ninter_delay = 0\nmax_delay = "1s"\n'


def environment(base: Path) -> dict[str, str]:
    """Return an environment whose directories are all below a test's own."""
    runtime = base / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    (base / "home").mkdir(exist_ok=True)
    kept = {
        key: os.environ[key]
        for key in ("PATH", "LANG", "PYTHONPATH", "PYTHONPYCACHEPREFIX")
        if key in os.environ
    }
    return {**kept, "HOME": str(base / "home"), "XDG_RUNTIME_DIR": str(runtime), "PYTHONUNBUFFERED": "1"}


def mswatch(*words: str) -> list[str]:
    """Return the words that start mswatch."""
    return [sys.executable, "-m", "mswatch", *words]


def script(path: Path, text: str) -> Path:
    """Write an executable shell script; one that is there and may just be started is replaced."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(f"#!/bin/sh\n{text}\n")
    new.chmod(0o755)
    return new.rename(path)


class Fifo:
    """A watcher that says what the test writes; the same FIFO serves its restarts."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR)
        self.command = ["cat", str(path)]

    def say(self, data: bytes) -> None:
        """Print, as the watcher."""
        os.write(self._fd, data)

    def close(self) -> None:
        """Let go of the FIFO."""
        os.close(self._fd)


class Service:
    """A running ``mswatch run``; its log is read all the time, so that it never waits for the test."""

    def __init__(
        self, base: Path, *options: str, env: dict[str, str] | None = None, argv: list[str] | None = None
    ) -> None:
        self.base = base
        self.environment = env or environment(base)
        self.process = subprocess.Popen(
            argv or mswatch("run", *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            cwd=base,
        )
        assert self.process.stdout is not None
        self._pipe = self.process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._log = b""
        self._seen = 0
        self._is_over = False
        self._news = threading.Condition()
        threading.Thread(target=self._follow, daemon=True).start()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        if error is not None:
            self.wait()
            sys.stderr.write(self.log)

    @property
    def log(self) -> str:
        """Everything that it has printed so far."""
        return self._log.decode("utf-8", "replace")

    def expect(self, text: str, deadline_s: float = DEADLINE_S) -> str:
        """Wait for a line that holds a text, after the last one that was expected; return the line."""
        end = time.monotonic() + deadline_s
        with self._news:
            while True:
                while (line_end := self._log.find(b"\n", self._seen)) >= 0:
                    line = self._log[self._seen : line_end].decode("utf-8", "replace")
                    self._seen = line_end + 1
                    if text in line:
                        return line
                if self._is_over or not self._news.wait(end - time.monotonic()):
                    raise AssertionError(f"{text!r} was not printed; the log is:\n{self.log}")

    def _follow(self) -> None:
        while not self._is_over:
            select.select([self._pipe], [], [])
            self._take()

    def _take(self) -> None:
        """Read what is in the pipe."""
        with self._news:
            try:
                while data := os.read(self._pipe, 65536):
                    self._log += data
                self._is_over = True
            except BlockingIOError:
                pass
            self._news.notify_all()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the service, and return its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, read the log to where it ends then, and return the exit status."""
        status = self.process.wait(DEADLINE_S)
        self._take()  # to its end: what the service left behind may still hold the pipe
        return status

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call mswatch beside the service, and return how it went."""
        return subprocess.run(
            mswatch(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            cwd=self.base,
        )

    def status(self) -> dict[str, Any]:
        """Return the status of the only account."""
        answer = self.call("status", "--json")
        account: dict[str, Any] = json.loads(answer.stdout)["accounts"][0]
        return account


class World:
    """A test's account: two stores whose watchers it speaks for, and a syncer that it wrote."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.near = Fifo(base / "near.fifo")
        self.far = Fifo(base / "far.fifo")
        self.syncer = script(base / "syncer", "exit 0")
        self.file = base / "work.toml"

    def write(
        self, *, sync: str = "", near: list[str] | None = None, far: list[str] | None = None, top: str = ""
    ) -> Path:
        """Write the account's configuration."""
        self.file.write_text(
            f"{DELAYS}{top}\n[sync]\n{sync or f'command = [{json.dumps(str(self.syncer))}]'}\n"
            f"[store.near]\ncommand = {json.dumps(near or self.near.command)}\n"
            f"[store.far]\ncommand = {json.dumps(far or self.far.command)}\n"
        )
        return self.file

    @contextmanager
    def service(self, *options: str) -> Iterator[Service]:
        """Run the service until both first runs are done, if both watchers are to be ready."""
        if not self.file.exists():
            self.write()
        with Service(self.base, "--config", str(self.file), *options) as service:
            yield service

    @contextmanager
    def in_step(self, *options: str) -> Iterator[Service]:
        """Run the service, and begin when the first run for all mailboxes is done."""
        with self.service(*options) as service:
            self.near.say(b"\n")
            self.far.say(b"\n")
            service.expect("Sync completed after")
            service.expect("(all mailboxes)")
            service.expect("(all mailboxes)")
            yield service


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
