"""The coordinator: feeds the engine with what happens, and carries out what it wants.

The one rule: no decision is made here.  What happens becomes an event, ``feed`` hands it to the engine, and
each effect has one method that does it.  All reading is in bounded pieces, so that a watcher that prints
without end delays nobody else on the loop by more than one piece.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import SystemRandom
from typing import Any, TextIO

from mswatch import messages
from mswatch.account import Account, Store
from mswatch.config.values import delay_text
from mswatch.control import Server
from mswatch.core import effects as ef
from mswatch.core import events as ev
from mswatch.core import transcript
from mswatch.core.engine import Engine
from mswatch.core.supervision import State
from mswatch.errors import ConfigError, TemporaryError
from mswatch.launch.process import Launcher
from mswatch.locks import Lock
from mswatch.logs import Log
from mswatch.notify import Notifier
from mswatch.paths import runtime_directory, state_directory
from mswatch.service.answering import Answering
from mswatch.service.clock import now
from mswatch.service.echoes import Listener
from mswatch.service.hooking import Hooking
from mswatch.service.network import NetworkListener
from mswatch.service.retelling import Retelling
from mswatch.service.running import Running
from mswatch.service.sleep import SleepWatch
from mswatch.service.status import Counters, count_of, looked_at, pending_lines, summary
from mswatch.service.tasks import spawn
from mswatch.service.watching import Watching

_PINGS_PER_LIMIT = 2


def run_lock(account: str, environment: Mapping[str, str]) -> Lock:
    """Return the lock that every run of an account is under."""
    return Lock(state_directory(environment) / f"{account}.run")


def socket_path(account: str, environment: Mapping[str, str]) -> Path:
    """Return where the service of an account listens."""
    return runtime_directory(environment) / f"{account}.sock"


class Coordinator:
    """The service of one account."""

    def __init__(
        self,
        account: Account,
        environment: Mapping[str, str],
        log: Log,
        *,
        launcher: Launcher,
        notifier: Notifier,
        reread: Callable[[], Account],
        dry: bool = False,
        record: TextIO | None = None,
    ) -> None:
        self.account = account
        self.launcher = launcher
        self.log = log
        self.started_at = time.time()
        self.counters = Counters()
        self._retelling = Retelling()
        self._environment = environment
        self._notifier = notifier
        self._reread = reread
        self._dry = dry
        self._record = record
        seed = SystemRandom().randrange(1 << 30)
        self.engine = Engine(account.policy, seed)
        self.watchings = {store.name: self._watching(store) for store in account.stores if store.is_watched}
        self.running: Running | None = None
        self.hooking = Hooking(account.name, launcher, self.feed, log)
        self._answering = Answering(self)
        self._timer: asyncio.TimerHandle | None = None
        self._told_ready = self._told_watching = False
        self._told_unwatched: set[str] = set()
        self._bug: Exception | None = None
        log.fields["MSWATCH_ACCOUNT"] = account.name
        self._write_record(transcript.head(account.policy, seed))

    async def serve(self) -> None:
        """Serve until a signal ends it.

        Raises:
            TemporaryError: another service of this account is running, or a file cannot be made.
        """
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._loop.set_exception_handler(self._on_bug)
        lock = Lock(state_directory(self._environment) / f"{self.account.name}.service")
        if not lock.take(str(os.getpid())):
            raise TemporaryError(
                f"account {self.account.name!r} already has a service: process {lock.holder()}",
                f"end it with: kill {lock.holder()}",
            )
        self._run_lock = run_lock(self.account.name, self._environment)
        path = socket_path(self.account.name, self._environment)
        server = Server(path, self._answering.on_request, self._loop)
        self.echoes = Listener(path.with_suffix(".echo"), self.account.sync, self._loop)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._stop)
        self._loop.add_signal_handler(signal.SIGUSR1, self._show_pending)
        self.log.tell(
            messages.SERVICE_STARTED, f"Service of {self.account.name} started, {self.account.source}"
        )
        self._sleep = SleepWatch(self._advance)
        network = self._listen_to_network()
        try:
            self._ping()
            await self._limit_runs()
            self.feed([ev.ServiceStarted()])
            await self._end.wait()
        finally:
            self._sleep.close()
            if network is not None:
                network.close()
            self.echoes.close()
            server.close()
            lock.release()
        if self._bug is not None:
            raise self._bug
        self.log.tell(messages.SERVICE_ENDED, f"Service of {self.account.name} ended")

    def _listen_to_network(self) -> NetworkListener | None:
        try:
            return NetworkListener(lambda: self.feed([ev.NetworkChanged()]))
        except OSError as error:
            text = f"the kernel does not tell of the network ({error.strerror}); going on without it"
            self.log.tell(messages.NETWORK_UNSEEN, text)
            return None

    def _on_bug(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End on an error that nobody expected: we may have lost count, and a restart looks at everything."""
        error = context.get("exception")
        self._bug = error if isinstance(error, Exception) else RuntimeError(str(context.get("message")))
        self._end.set()

    def _watching(self, store: Store) -> Watching:
        return Watching(store, self.launcher, self.feed, lambda *change: self.echoes.news(*change), self.log)

    # Events in.

    def feed(self, events: list[ev.Event]) -> None:
        """Hand events to the engine, do what it wants, and come back when it has more to do."""
        time_now = now()
        if self._sleep.has_slept():
            events = [ev.Resumed(), *events]
        for event in events:
            done = self.engine.receive(event, time_now)
            self._write_record([transcript.event_line(time_now, event)])
            self._carry_out(done, time_now)
        self._advance()

    def _advance(self) -> None:
        if self._sleep.has_slept():
            self.feed([ev.Resumed()])
            return
        time_now = now()
        done = self.engine.advance(time_now)
        if done:
            self._write_record([transcript.advance_line(time_now)])
            self._carry_out(done, time_now)
        if self._timer is not None:
            self._timer.cancel()
        wakeup = self.engine.next_wakeup()
        self._timer = (
            None if wakeup is None else self._loop.call_later(max(0.0, wakeup - now()), self._advance)
        )
        self._tell_state()

    def _stop(self) -> None:
        self._notifier.stopping()
        self.feed([ev.StopRequested()])

    def reload(self) -> None:
        """Read the configuration again; pending changes stay pending.

        Raises:
            ConfigError: it cannot be used, and the one before stays in force.
        """
        self._notifier.reloading()
        try:
            account = self._reread()
        except ConfigError as error:
            self.log.tell(
                messages.RELOAD_FAILED, f"The new configuration cannot be used: {'; '.join(error.problems)}"
            )
            raise
        else:
            self._take_over(account)
            self.log.tell(messages.RELOADED, f"Read {account.source} again")
        finally:
            self._notifier.ready()

    def _take_over(self, account: Account) -> None:
        known = {store.name: store for store in self.account.stores}
        changed = tuple(s.name for s in account.stores if s.name in known and s != known[s.name])
        for store in account.stores:
            if not store.is_watched:
                continue
            if store.name in self.watchings:
                self.watchings[store.name].store = store
            else:
                self.watchings[store.name] = self._watching(store)
        self.account = account
        self.echoes.sync = account.sync
        spawn(self._limit_runs())
        self.feed([ev.PolicyChanged(account.policy, changed)])

    async def _limit_runs(self) -> None:
        sync = self.account.sync
        try:
            await self.launcher.limit_runs(sync.idle_limit_s, sync.hard_cap_s)
        except OSError as error:
            self.log.tell(messages.LIMITS_FAILED, f"cannot write {error.filename!r}: {error.strerror}")

    def _tell_state(self) -> None:
        """Tell people and the manager, when it is so, that the stores are watched and we are ready."""
        watchers = self.engine.watchers
        is_watching = bool(watchers) and all(watcher.is_watching for watcher in watchers.values())
        unwatched = {store.name for store in self.account.stores if not store.is_watched}
        for name in sorted(unwatched - self._told_unwatched):
            text = f"Store {name} is not watched: {looked_at(self.account.policy)}"
            self.log.tell(messages.UNWATCHED, text, store=name)
        self._told_unwatched = unwatched
        if is_watching and not self._told_watching:
            what = f"mailstore {', '.join(watchers)}" if unwatched else "mailstores"
            self.log.tell(messages.WATCHING, f"Watching {what}")
        self._told_watching = is_watching
        states = {watcher.state for watcher in watchers.values()}
        if State.STARTING not in states and not self._told_ready:
            self._told_ready = True
            self._notifier.ready()
        self._notifier.status(summary(self.engine, sorted(unwatched)))

    def _ping(self) -> None:
        """Let the manager know that this loop turns; nothing else here is done at intervals."""
        if self._notifier.watchdog_s is not None:
            self._notifier.alive()
            self._loop.call_later(self._notifier.watchdog_s / _PINGS_PER_LIMIT, self._ping)

    def _write_record(self, lines: list[str]) -> None:
        if self._record is None:
            return
        try:
            self._record.write("".join(f"{line}\n" for line in lines))
            self._record.flush()
        except OSError as error:
            text = f"cannot write the record any more: {error.strerror}; going on without it"
            self.log.tell(messages.RECORD_FAILED, text)
            self._record = None

    # Effects out.

    def _carry_out(self, done: list[ef.Effect], time_now: float) -> None:
        self._write_record([transcript.effect_line(time_now, effect) for effect in done])
        for effect in done:
            match effect:
                case ef.StartWatcher(store):
                    self.watchings[store].start()
                case ef.StopWatcher(store):
                    self.watchings[store].stop()
                case ef.AskWatcher(store, question):
                    self.watchings[store].ask(question)
                case ef.StartRun():
                    self._start_run(effect)
                case ef.StopRun():
                    if self.running is not None:
                        self.running.stop()
                case ef.StartHook(mailboxes):
                    if self.account.hook is not None:
                        self.hooking.start(self.account.hook, mailboxes)
                case ef.StopHook():
                    self.hooking.stop()
                case ef.AnswerRequest(request, success, detail):
                    self._answering.answer(request, success=success, detail=detail)
                case ef.AnnounceRestart(store, detail, delay_s):
                    when = f"in {delay_s:g} s" if delay_s else "at once"
                    text = f"Error: {store} watcher {detail}; started again {when}"
                    self.log.tell(messages.WATCHER_LOST, text, store=store)
                case ef.AnnounceReturn(store):
                    self.log.tell(
                        messages.WATCHER_BACK, f"The {store} watcher is watching again", store=store
                    )
                case ef.EndService():
                    self._end.set()

    def _start_run(self, run: ef.StartRun) -> None:
        fields = {"run": str(run.run)} | ({"mailbox": ", ".join(run.mailboxes)} if run.mailboxes else {})
        self.running = Running(
            self.account.sync,
            self.launcher,
            self._environment,
            self._run_lock,
            self.log.if_new(self._retelling.is_new),
            self.echoes,
            **fields,
        )
        self.echoes.begin(run.mailboxes)
        spawn(self._run(self.running, run, fields))

    async def _run(self, running: Running, started_run: ef.StartRun, fields: dict[str, str]) -> None:
        number, mailboxes = started_run.run, started_run.mailboxes
        started = time.monotonic()
        what = count_of(mailboxes)
        run = self.engine.schedule.run
        if run is not None and not run.is_retry:
            self.log.tell(messages.RUN_STARTED, f"Sync started ({what})", **fields)
        try:
            result, detail = await running.carry_out(mailboxes, started_run.written, dry=self._dry)
        except OSError as error:
            result, detail = ev.Result.FAILED, f"cannot run it: {error.strerror}"
        took = f"after {time.monotonic() - started:.1f}s ({what})"
        self.counters.count(result)
        self.running = None
        if result is ev.Result.SUCCESS:
            self.log.tell(messages.RUN_SUCCEEDED, f"Sync completed {took}", **fields)
        elif self.engine.ending:
            self.log.tell(messages.RUN_STOPPED, f"Sync ended with the service {took}", **fields)
        elif self._is_news(mailboxes, detail):
            text = f"Sync errored: {detail} {took}"
            if result is ev.Result.BARRED:
                text += f"; the next one in {delay_text(self.account.policy.max_delay)}, or when asked for"
            self.log.tell(messages.RUN_FAILED, text, **fields)
        found = self.echoes.end(succeeded=result is ev.Result.SUCCESS and not self._dry)
        self.feed([*found, ev.RunFinished(number, result, detail)])
        failed = result is not ev.Result.SUCCESS
        self._retelling.end(failed=failed, all_is_well=not self.engine.schedule.is_failing)

    def _is_news(self, mailboxes: tuple[str, ...] | None, detail: str) -> bool:
        """Tell whether for any of the mailboxes it is new that it fails, or why."""
        news = [
            self._retelling.is_new(messages.RUN_FAILED, f"{mailbox}: {detail}")
            for mailbox in mailboxes or ("",)
        ]
        return any(news)

    def _show_pending(self) -> None:
        for line in pending_lines(self.engine):
            self.log.tell(messages.PENDING, line)
