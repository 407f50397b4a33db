"""When a run starts, and for which mailboxes.

A *target* is a mailbox, or all of them together (EVERYTHING).  It is pending from its first change on, until
a run that covers it starts.  The rules, which docs/internals.md explains with their reasons:

    R1  A mailbox is due base_delay after its first change, and its own inter_delay after the end of its
        last run.  Later changes do not put it off.
    R2  A failed target is tried again ``backoff`` after the end of its last try, and its own inter_delay.
    R3  A run takes every mailbox whose inter_delay has passed, as soon as one is due; but failed ones and
        others never share a run, so that a bad mailbox takes no good one down.
    R4  Mailboxes that failed more than once are tried in halves, so that a bad one is found in a
        few tries, and while runs fail such tries are at least a ``backoff`` apart.
    R5  A success that ends an outage (two or more failed runs of mailboxes in a row) forgives its failures;
        a watcher that has become ready forgives those of EVERYTHING.
    R6  Asked-for targets go first and wait for no delay.  EVERYTHING goes before other mailboxes, as it
        covers them; after a failure it takes turns with them.
    R7  While a watcher is starting, EVERYTHING waits for it, but not longer than PATIENCE_S: what changes
        before the watcher is ready is told by nobody, so an earlier run would have to be repeated.
    R8  What a run did not finish is pending again as it was; what changed during the run stays pending.
    R9  A mailbox of which nothing but its removal was told is tried once: that a syncer does not want to
        hear of it is no error (mbsync without Remove refuses for ever), and nothing is left to sync.
    R10 A mailbox that failed LOOK_AGAIN times in a row, the last time alone, makes EVERYTHING pending: not
        every watcher tells that a mailbox is gone, and only a run for everything can do without it.
    R11 A run that took too long with progress, or that sleep interrupted, is no failure: what it covered is
        pending as before, because the next run goes on where this one was cut off.
    R12 A hint that the network is another one, or that the machine was asleep, forgives all failures.
    R13 After a run that cannot succeed until somebody mends something (a password that the server refuses),
        nothing is started for max_delay but what is asked for; a new configuration ends this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mswatch.core.backoff import SHORTEST_S, backoff
from mswatch.core.policy import Policy

PENDING_LIMIT = 10_000
KNOWN_LIMIT = 50_000
PATIENCE_S = 10.0
OUTAGE = 2
LOOK_AGAIN = 3
WRITTEN_LIMIT = 100  # files of a mailbox; of more it is only known that there are some


@dataclass
class Target:
    """What is known of one mailbox, or of all together.  Times are those of the engine's events."""

    changed_at: float | None = None  # the first change that no started run covers
    urgent: bool = False
    stores: frozenset[str] = frozenset()  # whose watchers told the pending change
    gone_in: frozenset[str] = frozenset()  # those of them that told last that the mailbox was removed
    written: frozenset[tuple[str, str]] = frozenset()  # store and file that was written into; no name: any
    ended_at: float | None = None  # the end of the last run started for it by name
    failures: int = 0
    error: str = ""
    is_failing: bool = False  # its last try failed, forgiven or not
    in_step_at: float | None = None  # the start of the last run that covered it and succeeded

    def tell(self, store: str, *, gone: bool) -> None:
        """Note which store told the change, and whether the mailbox was removed there."""
        if store not in self.stores:
            self.stores |= {store}
        if gone:
            self.gone_in |= {store}
        elif store in self.gone_in:
            self.gone_in -= {store}

    def note_written(self, files: Iterable[tuple[str, str]]) -> None:
        """Note which files were written into; of too many, only in which stores they are."""
        self.written |= frozenset(files)
        if len(self.written) > WRITTEN_LIMIT:
            self.written = frozenset((store, "") for store, _ in self.written)

    @property
    def is_only_gone(self) -> bool:
        """Whether nothing but a removal was told of this mailbox."""
        return bool(self.stores) and self.stores == self.gone_in


@dataclass
class Run:
    """A run under way, with what was pending when it started."""

    number: int
    mailboxes: tuple[str, ...] | None
    started_at: float
    is_retry: bool = False  # of what failed the last time
    covers: dict[str | None, Target] = field(default_factory=dict)

    @property
    def written(self) -> tuple[tuple[str, str, str], ...]:
        """Store, mailbox and file of all that was written into."""
        return tuple(
            (store, mailbox, file)
            for mailbox, target in self.covers.items()
            if mailbox is not EVERYTHING
            for store, file in sorted(target.written)
        )


EVERYTHING = None


class Schedule:
    """All targets of an account, and the choice of the next run."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.targets: dict[str | None, Target] = {EVERYTHING: Target()}
        self.pending: dict[str | None, Target] = {}
        self.run: Run | None = None
        self.failed_runs = 0  # of mailboxes by name, in a row
        self.failed_at = 0.0
        self.last_was_everything = False
        self.watchers_starting = False  # kept by the engine, for R7
        self.barred_until = 0.0  # R13
        self._runs = 0

    def change(
        self,
        mailbox: str | None,
        now: float,
        *,
        store: str | None = None,
        gone: bool = False,
        urgent: bool = False,
        written: Iterable[str] = (),
    ) -> None:
        """Note that a mailbox, or EVERYTHING, wants a run."""
        if mailbox is not EVERYTHING and mailbox not in self.pending and len(self.pending) > PENDING_LIMIT:
            mailbox = EVERYTHING
        target = self.targets.get(mailbox)
        if target is None:
            target = self.targets[mailbox] = Target()
        if target.changed_at is None:
            target.changed_at = now
        target.urgent |= urgent
        if store is not None:
            target.tell(store, gone=gone)
            target.note_written((store, file) for file in written)
        self.pending[mailbox] = target
        self._forget_old()

    def _forget_old(self) -> None:
        """Keep a watcher that invents names from filling the memory."""
        if len(self.targets) <= KNOWN_LIMIT:
            return
        needed = {EVERYTHING, *self.pending, *(self.run.covers if self.run else ())}
        for mailbox in self.targets.keys() - needed:
            del self.targets[mailbox]

    # When: times of R1, R2, R4 and R7.

    def due_at(self, mailbox: str | None, target: Target) -> float:
        """Return when a pending target may start."""
        if target.changed_at is None or target.urgent:
            return 0.0
        return max(self.barred_until, self._own_due_at(mailbox, target))

    def _own_due_at(self, mailbox: str | None, target: Target) -> float:
        assert target.changed_at is not None
        if target.failures:
            own = self._rested_at(target) + backoff(target.failures, self.policy)
            if mailbox is EVERYTHING:
                return own
            return max(own, self._spaced_at(mailbox, target), self._retry_gate())
        if mailbox is EVERYTHING:
            return target.changed_at + (PATIENCE_S if self.watchers_starting else 0.0)
        return max(target.changed_at + self.policy.base_delay, self._spaced_at(mailbox, target))

    def _rested_at(self, target: Target) -> float:
        return 0.0 if target.ended_at is None else target.ended_at

    def _spaced_at(self, mailbox: str, target: Target) -> float:
        if target.ended_at is None:
            return 0.0
        return target.ended_at + self.policy.inter_delay_of(mailbox)

    def _retry_gate(self) -> float:
        return self.failed_at + backoff(self.failed_runs, self.policy)

    def next_due(self) -> float | None:
        """Return the earliest time at which ``choose`` has an answer, as far as is known now."""
        return min((self.due_at(mailbox, target) for mailbox, target in self.pending.items()), default=None)

    # Which: R3, R4 and R6.

    def choose(self, now: float) -> Iterable[str | None]:
        """Return the targets of the run to start now: mailboxes, or EVERYTHING alone, or none."""
        due = {m: t for m, t in self.pending.items() if self.due_at(m, t) <= now}
        everything = due.pop(EVERYTHING, None)
        if everything is not None and everything.urgent:
            return (EVERYTHING,)
        if urgent := [m for m, t in due.items() if t.urgent]:
            return urgent
        others_turn = bool(due) and self.last_was_everything
        if everything is not None and not (everything.failures and others_turn):
            return (EVERYTHING,)
        if any(t.failures == 0 for t in due.values()):
            return self._all_that_may(now)
        return self._retries(due)

    def _all_that_may(self, now: float) -> list[str | None]:
        return [
            m
            for m, t in self.pending.items()
            if m is not EVERYTHING and not t.failures and self._spaced_at(m, t) <= now
        ]

    def _retries(self, due: dict[str | None, Target]) -> list[str | None]:
        if all(t.failures == 1 for t in due.values()):
            return list(due)
        longest_untried = sorted(due, key=lambda m: self._rested_at(due[m]))
        return longest_untried[: (len(due) + 1) // 2]

    # A run's start and end: R5, R8 and R9.

    def start(self, chosen: Iterable[str | None], now: float) -> Run:
        """Take what the run covers out of the pending targets."""
        self._runs += 1
        chosen = list(chosen)
        names = [m for m in chosen if m is not EVERYTHING]
        is_retry = all(self.targets[m].is_failing for m in chosen)
        run = Run(self._runs, tuple(sorted(names, key=_bytes)) or None, now, is_retry)
        for mailbox in list(self.pending) if run.mailboxes is None else names:
            target = self.pending.pop(mailbox)
            run.covers[mailbox] = replace(target)
            target.changed_at, target.urgent = None, False
            target.stores = target.gone_in = frozenset()
            target.written = frozenset()
        self.run = run
        return run

    @property
    def is_failing(self) -> bool:
        """Whether there is anything of which the last try failed."""
        return any(target.is_failing for target in self.targets.values())

    def finish_success(self, now: float) -> None:
        """Note that the run under way brought its targets into step."""
        run = self._end(now)
        self.barred_until = 0.0
        covered = self.targets if run.mailboxes is None else run.mailboxes
        for mailbox in covered:
            target = self.targets[mailbox]
            target.failures, target.error, target.in_step_at = 0, "", run.started_at
            target.is_failing = False
        if self.failed_runs >= OUTAGE:
            self._forgive()
        self.failed_runs = 0

    def _forgive(self) -> None:
        for target in self.pending.values():
            if target.failures <= self.failed_runs:
                target.failures = 0

    def forgive_all(self) -> None:
        """Let what failed be tried as if it never had: the world is another one (R12)."""
        self.failed_runs = 0
        for target in self.pending.values():
            target.failures = 0

    def finish_unfinished(self, now: float, detail: str) -> None:
        """Note that the run was cut off for no fault of its targets: all of it is pending, and not failed."""
        run = self._end(now)
        for mailbox, before in run.covers.items():
            self._resume(mailbox, before)
        for mailbox in (EVERYTHING,) if run.mailboxes is None else run.mailboxes:
            self.targets[mailbox].error = detail
            self.targets[mailbox].is_failing = False

    def finish_failure(self, now: float, detail: str, *, barred: bool = False) -> None:
        """Note that the run under way failed: what it covered is pending again, as before."""
        run = self._end(now)
        if barred:
            self.barred_until = now + max(self.policy.max_delay, SHORTEST_S)
        tried = (EVERYTHING,) if run.mailboxes is None else run.mailboxes
        over = {m for m in tried if run.covers[m].is_only_gone and self.targets[m].changed_at is None}
        if run.mailboxes is not None and len(over) < len(tried):
            self.failed_runs += 1
            self.failed_at = now
        for mailbox in tried:
            self.targets[mailbox].is_failing = mailbox not in over
            if mailbox not in over:
                self.targets[mailbox].failures += 1
                self.targets[mailbox].error = detail
                if self.targets[mailbox].failures >= LOOK_AGAIN and tried == (mailbox,):
                    self.change(EVERYTHING, now)
        for mailbox, before in run.covers.items():
            if mailbox not in over:
                self._resume(mailbox, before)

    def _resume(self, mailbox: str | None, before: Target) -> None:
        target = self.targets[mailbox]
        target.changed_at = before.changed_at
        target.gone_in |= before.gone_in - target.stores
        target.stores |= before.stores
        target.note_written(before.written)
        self.pending[mailbox] = target

    def _end(self, now: float) -> Run:
        run = self.run
        if run is None:
            raise AssertionError("a run ended that never started")
        self.run = None
        self.last_was_everything = run.mailboxes is None
        for mailbox in (EVERYTHING,) if run.mailboxes is None else run.mailboxes:
            self.targets[mailbox].ended_at = now
        return run


def _bytes(mailbox: str) -> bytes:
    return mailbox.encode("utf-8", "surrogateescape")
