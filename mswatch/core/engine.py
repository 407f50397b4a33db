"""The engine of one account: events with a time in, effects out.

The service calls ``receive`` for what happened, ``advance`` when it has no more to tell, carries out the
effects of both in order, and calls ``advance`` again not later than ``next_wakeup``.  Both do at once all
that is due at ``now``, and ``advance`` with nothing due changes nothing; so a record of the events and of the
advances that had effects replays exactly (``transcript``).

The rules of runs are in ``schedule``, those of hooks in ``hooks``, the life of watchers in ``supervision``;
here they meet:

* A watcher that has become ready owes a run for everything, because nobody told what changed before.
* At the start INBOX goes first, alone, because it is what a person waits for.
* A poll (a run for everything each poll_period, a tenth more or less) covers what no watcher and no exit
  status tells.
* A change of the network is a hint to look after all watchers and to try what failed.  Such changes come in
  bursts: the hint is taken SETTLE_S after the last of them, at most SETTLE_LIMIT_S after the first, and not
  more often than each HINT_SPACING_S.  After sleep the hint is taken at once.
* At the end the run is ended and the watchers are; nothing is started any more.
"""

from __future__ import annotations

from random import Random

from mswatch.core import events as ev
from mswatch.core.effects import (
    AnswerRequest,
    Effect,
    EndService,
    StartHook,
    StartRun,
    StopHook,
    StopRun,
)
from mswatch.core.hooks import Hooks
from mswatch.core.policy import Policy
from mswatch.core.schedule import EVERYTHING, Run, Schedule
from mswatch.core.supervision import Input, State, Watcher

SETTLE_S = 1.0
SETTLE_LIMIT_S = 5.0
HINT_SPACING_S = 10.0
_JITTER = 0.1
_ENDING = "the service is ending"


class Engine:
    """All decisions for one account.  Times are seconds on any clock that does not go backwards."""

    def __init__(self, policy: Policy, seed: int = 0) -> None:
        self.policy = policy
        self.schedule = Schedule(policy)
        self.watchers = {store: Watcher(store) for store in policy.stores}
        self.hooks = Hooks()
        self.poll_at: float | None = None
        self.hint_at: float | None = None
        self._hint_limit = 0.0  # the latest that it may be put off to
        self._next_hint = 0.0  # the earliest that it may be taken
        self.ending = False
        self._ended = False
        self._random = Random(seed)
        self._requests: dict[int, frozenset[str] | None] = {}  # not yet taken up by a run
        self._awaited: dict[int, list[int]] = {}  # run number: requests that it answers

    # What happened.

    def receive(self, event: ev.Event, now: float) -> list[Effect]:
        """Take note of an event and return what must be done because of it alone."""
        match event:
            case ev.MailboxChanged(store, mailbox, gone, written):
                if self.policy.wants(mailbox):
                    self.schedule.change(mailbox, now, store=store or None, gone=gone, written=written)
                return self._heard(store, now)
            case ev.StoreChanged(store):
                self.schedule.change(EVERYTHING, now, store=store)
                return self._heard(store, now)
            case ev.WatcherAnswered(store, question):
                watcher = self.watchers[store]
                happened = Input.ANSWERED if question == watcher.question else Input.HEARD
                return watcher.handle(happened, now, self.policy)
            case ev.NetworkChanged():
                return self._network_changed(now)
            case ev.Resumed():
                self.schedule.forgive_all()
                return self._each_watcher(Input.RESUMED, now)
            case ev.WatcherReady(store):
                return self._watcher_ready(store, now)
            case ev.WatcherEnded(store, detail):
                return self._watcher_ended(store, detail, now)
            case ev.RunFinished():
                return self._run_finished(event, now)
            case ev.HookFinished():
                self.hooks.is_running = False
                return []
            case ev.SyncRequested(request, mailboxes):
                return self._requested(request, mailboxes, now)
            case ev.RequestDropped(request):
                return self._request_dropped(request)
            case ev.PolicyChanged(policy, restart):
                return self._policy_changed(policy, restart, now)
            case ev.ServiceStarted():
                return self._started(now)
            case ev.StopRequested():
                return self._stop(now)

    def _started(self, now: float) -> list[Effect]:
        if self.policy.wants("INBOX"):
            self.schedule.change("INBOX", now, urgent=True)
        self.schedule.change(EVERYTHING, now)
        return self._each_watcher(Input.WANTED, now)

    def _each_watcher(self, happened: Input, now: float) -> list[Effect]:
        return [
            effect
            for watcher in self.watchers.values()
            for effect in watcher.handle(happened, now, self.policy)
        ]

    def _heard(self, store: str, now: float) -> list[Effect]:
        return self.watchers[store].handle(Input.HEARD, now, self.policy) if store in self.watchers else []

    def _network_changed(self, now: float) -> list[Effect]:
        if self.hint_at is None:
            self._hint_limit = now + SETTLE_LIMIT_S
        self.hint_at = max(min(now + SETTLE_S, self._hint_limit), self._next_hint)
        return []

    def _take_hint(self, now: float) -> list[Effect]:
        if self.hint_at is None or self.hint_at > now:
            return []
        self.hint_at = None
        self._next_hint = now + HINT_SPACING_S
        self.schedule.forgive_all()
        return self._each_watcher(Input.HINT, now)

    def _watcher_ready(self, store: str, now: float) -> list[Effect]:
        watcher = self.watchers[store]
        if watcher.state is State.STARTING:
            self.schedule.change(EVERYTHING, now, store=store)
            self.schedule.targets[EVERYTHING].failures = 0  # the store is back, so what failed may work now
        return watcher.handle(Input.READY, now, self.policy)

    def _watcher_ended(self, store: str, detail: str, now: float) -> list[Effect]:
        watcher = self.watchers[store]
        if watcher.state is State.ENDING:
            detail = f"did not say in time that it is watching; {detail}"
        watcher.detail = detail
        effects = watcher.handle(Input.ENDED, now, self.policy)
        self._forget_unwanted()
        return effects

    def _run_finished(self, event: ev.RunFinished, now: float) -> list[Effect]:
        run = self.schedule.run
        if run is None or run.number != event.run:
            raise AssertionError(f"run {event.run} ended, but {run} is under way")
        success = event.result is ev.Result.SUCCESS
        if success:
            self.schedule.finish_success(now)
            if self.policy.hook:
                self.hooks.note(run.mailboxes)
        elif event.result in (ev.Result.CAPPED, ev.Result.INTERRUPTED):
            self.schedule.finish_unfinished(now, event.detail)
        else:
            barred = event.result is ev.Result.BARRED
            self.schedule.finish_failure(now, event.detail, barred=barred)
        if run.mailboxes is None:
            self._draw_poll(now)
        return [
            AnswerRequest(request, success, event.detail) for request in self._awaited.pop(run.number, [])
        ]

    def _draw_poll(self, now: float) -> None:
        period = self.policy.poll_period
        self.poll_at = now + period * self._random.uniform(1 - _JITTER, 1 + _JITTER) if period else None

    def _requested(self, request: int, mailboxes: tuple[str, ...] | None, now: float) -> list[Effect]:
        if self.ending:
            return [AnswerRequest(request, False, _ENDING)]
        self._requests[request] = None if mailboxes is None else frozenset(mailboxes)
        for mailbox in (EVERYTHING,) if mailboxes is None else mailboxes:
            self.schedule.change(mailbox, now, urgent=True)
        return []

    def _request_dropped(self, request: int) -> list[Effect]:
        self._requests.pop(request, None)
        for answered in self._awaited.values():
            if request in answered:
                answered.remove(request)
        return []

    def _policy_changed(self, policy: Policy, restart: tuple[str, ...], now: float) -> list[Effect]:
        period = self.policy.poll_period
        self.policy = self.schedule.policy = policy
        self.schedule.barred_until = 0.0
        if not policy.hook:
            self.hooks.forget()
        if self.ending:
            return []
        if policy.poll_period != period and self.schedule.run is None:
            self._draw_poll(now)
        effects: list[Effect] = []
        for store in dict.fromkeys([*policy.stores, *self.watchers]):
            watcher = self.watchers.setdefault(store, Watcher(store))
            if store not in policy.stores:
                effects += watcher.handle(Input.UNWANTED, now, policy)
            elif store in restart or watcher.state is State.DOWN:
                effects += watcher.handle(Input.RESTART, now, policy)
        self._forget_unwanted()
        return effects

    def _forget_unwanted(self) -> None:
        for store, watcher in list(self.watchers.items()):
            if watcher.state is State.DOWN and store not in self.policy.stores:
                del self.watchers[store]

    def _stop(self, now: float) -> list[Effect]:
        if self.ending:
            return []
        self.ending = True
        run = self.schedule.run
        answers: list[Effect] = [AnswerRequest(request, False, _ENDING) for request in self._requests]
        self._requests.clear()
        stops: list[Effect] = [StopRun(run.number)] if run is not None else []
        if self.hooks.is_running:
            stops.append(StopHook())
        return answers + stops + self._each_watcher(Input.UNWANTED, now)

    # What is due.

    def advance(self, now: float) -> list[Effect]:
        """Do what is due at this time."""
        if self.ending:
            return self._end()
        effects = self._take_hint(now)
        for watcher in self.watchers.values():
            if watcher.deadline is not None and watcher.deadline <= now:
                effects += watcher.handle(Input.TIME_UP, now, self.policy)
        return effects + self._start_hook() + self._start_run(now)

    def _start_hook(self) -> list[Effect]:
        return [StartHook(self.hooks.start())] if self.hooks.is_due else []

    def _start_run(self, now: float) -> list[Effect]:
        self._note_starting()
        if self.schedule.run is not None:
            return []
        if self.poll_at is not None and self.poll_at <= now:
            self.schedule.change(EVERYTHING, self.poll_at)
            self.poll_at = None  # drawn anew when the run for everything has ended
        chosen = list(self.schedule.choose(now))
        if not chosen:
            return []
        run = self.schedule.start(chosen, now)
        self._awaited[run.number] = self._take_up(run)
        return [StartRun(run.number, run.mailboxes, run.written)]

    def _note_starting(self) -> None:
        starting = any(watcher.state is State.STARTING for watcher in self.watchers.values())
        self.schedule.watchers_starting = starting

    def _take_up(self, run: Run) -> list[int]:
        covered = None if run.mailboxes is None else frozenset(run.mailboxes)
        taken = [
            request
            for request, wanted in self._requests.items()
            if covered is None or (wanted is not None and wanted <= covered)
        ]
        for request in taken:
            del self._requests[request]
        return taken

    def _end(self) -> list[Effect]:
        down = all(watcher.state is State.DOWN for watcher in self.watchers.values())
        if self._ended or not down or self.schedule.run is not None or self.hooks.is_running:
            return []
        self._ended = True
        return [EndService()]

    def next_wakeup(self) -> float | None:
        """Return when ``advance`` has something to do next, if no event comes before; None: never."""
        if self.ending:
            return None
        self._note_starting()
        times = [self.hint_at, *(watcher.deadline for watcher in self.watchers.values())]
        if self.schedule.run is None:
            times += [self.poll_at, self.schedule.next_due()]
        return min((time for time in times if time is not None), default=None)
