"""One store's watcher as a process: started, read, ended.  The engine says when."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from mswatch import messages
from mswatch.account import Store
from mswatch.core.events import Event, StoreChanged, WatcherAnswered, WatcherEnded, WatcherReady
from mswatch.launch.process import End, Job, Launcher, Process
from mswatch.lines import Lines
from mswatch.logs import Log
from mswatch.service.tasks import spawn
from mswatch.watchers.commands import watch_command
from mswatch.watchers.reader import (
    Answered,
    AnythingChanged,
    Changed,
    Note,
    Ready,
    Unreadable,
    WatcherReader,
    Word,
)
from mswatch.watchers.ssh import explain

_ERROR_LINE_LIMIT = 4096
_ERRORS_KEPT = 50
_LAST_WORDS_S = 1.0
_MOST_SAID = 1000


class Watching:
    """The watcher of one store; ``tell`` takes what it says, as events."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        tell: Callable[[list[Event]], None],
        news: Callable[[Store, Changed], Sequence[Event]],
        log: Log,
    ) -> None:
        self.store = store
        self.note = ""  # the last thing it wanted people to know since its start
        self._launcher = launcher
        self._tell = tell
        self._news = news
        self._log = log
        self._process: Process | None = None
        self._is_retry = False  # the one before ended without watching
        self._silence: asyncio.TimerHandle | None = None
        self._last_errors: deque[str] = deque(maxlen=_ERRORS_KEPT)
        self._said: set[bytes] = set()  # on stderr, by those that ended without watching

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the watcher; WatcherReady or WatcherEnded will be told."""
        command = watch_command(self.store)
        name = self.store.name
        if not self._is_retry:
            self._log.tell(messages.WATCHER_STARTED, f"Starting {name} watcher", store=name)
        self._is_retry = True
        self._reader = WatcherReader(self.store.names, long_lines=command.long_lines, marker=command.marker)
        self._errors = Lines(_ERROR_LINE_LIMIT)
        self._reason = self.note = ""
        self._last_errors.clear()
        try:
            self._process = self._launcher.start(
                Job("watcher", name, command.argv, self._on_stdout, self._on_stderr, stdin=command.stdin)
            )
        except OSError as error:
            ended: list[Event] = [WatcherEnded(name, f"cannot start {command.argv[0]!r}: {error.strerror}")]
            asyncio.get_running_loop().call_soon(self._tell, ended)
            return
        spawn(self._await_end(self._process))

    def ask(self, question: int) -> None:
        """Ask the watcher whether it is there; WatcherAnswered is told if it is."""
        if self._process is not None:
            self._process.write(b"%d\n" % question)

    def stop(self) -> None:
        """End the watcher; WatcherEnded is told when it is gone."""
        if self._process is not None:
            self._process.stop()

    async def _await_end(self, process: Process) -> None:
        end = await process.wait()
        self._process = None
        if self._silence is not None:
            self._silence.cancel()
        self._tell([WatcherEnded(self.store.name, self._detail(end))])

    def _detail(self, end: End) -> str:
        lines = [*self._last_errors, *self._reader.noise.splitlines()]
        known = explain(self.store.ssh, end.status, lines) if self.store.ssh is not None else ""
        if known and not self._reason:
            return f"ended: {known}"
        detail = self._reason or end.detail
        return f"{detail} ({self._last_errors[-1]})" if self._last_errors else detail

    def _on_stdout(self, data: bytes) -> None:
        events = [event for word in self._reader.feed(data) for event in self._events(word)]
        if events:
            self._tell(events)
        if not data:  # most often because it is about to end, and how it does so tells more
            self._silence = asyncio.get_running_loop().call_later(_LAST_WORDS_S, self._on_silence)

    def _on_silence(self) -> None:
        self._reason = self._reason or "closed its output"
        self.stop()

    def _events(self, word: Word) -> list[Event]:
        name = self.store.name
        match word:
            case Ready():
                self._is_retry = False
                self._said.clear()
                return [WatcherReady(name)]
            case Answered(question):
                return [WatcherAnswered(name, question)]
            case Changed():
                return [*self._news(self.store, word)]
            case AnythingChanged(reason):
                if reason:
                    text = f"{name} watcher printed {reason}: taken as a change of any mailbox"
                    self._log.tell(messages.WATCHER_ODD, text, store=name)
                return [StoreChanged(name)]
            case Note(text):
                self.note = text
                self._log.tell(messages.WATCHER_NOTE, f"{name} watcher: {text}", store=name)
            case Unreadable(reason):
                self._reason = reason
                self.stop()
        return []

    def _on_stderr(self, data: bytes) -> None:
        for line in self._errors.take(data):
            if self._is_new(line):
                self._log.output(
                    messages.WATCHER_OUTPUT, f"{self.store.name} watcher", line, store=self.store.name
                )
            if line:
                self._last_errors.append(line.decode("utf-8", "replace")[:200])

    def _is_new(self, line: bytes | None) -> bool:
        """Tell whether no try before this one printed it too: a server may be away for days."""
        if line is None or not self._is_retry:
            return True
        if line in self._said:
            return False
        if len(self._said) < _MOST_SAID:
            self._said.add(line)
        return True
