"""The promises of the engine under any order of events: nothing lost, one run at a time, no loop.

A small world stands around the engine: it starts and ends what the engine wants, as slowly and as badly as
hypothesis likes, and keeps account of every change.  In the end the world becomes healthy, and everything
must come into step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from mswatch.core import effects as ef
from mswatch.core import events as ev
from mswatch.core import transcript
from mswatch.core.engine import Engine
from mswatch.core.policy import Policy, WatcherLimits
from mswatch.core.schedule import Schedule
from mswatch.core.supervision import State
from mswatch.names import Pattern

MAILBOXES = ("INBOX", "a", "b", "slow")
STORES = ("near", "far")


@dataclass
class World:
    """What the engine's effects act upon."""

    engine: Engine
    policy: Policy
    now: float = 0.0
    run: ef.StartRun | None = None
    run_started: float = 0.0
    watchers: dict[str, str] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    in_step: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    requests: dict[int, tuple[float, tuple[str, ...] | None]] = field(default_factory=dict)
    urgent: set[str] = field(default_factory=set)
    record: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    hook: bool = False  # one runs
    owed: set[str] = field(default_factory=set)  # what the hook is still to be told
    over: int = 0

    def tell(self, event: ev.Event) -> None:
        """Let something happen."""
        done = self.engine.receive(event, self.now)
        self.record.append(transcript.event_line(self.now, event))
        self.carry_out(done)
        self.advance()

    def advance(self) -> None:
        """Let the engine do what is due, all at once."""
        done = self.engine.advance(self.now)
        if done:
            self.record.append(transcript.advance_line(self.now))
        self.carry_out(done)
        assert self.engine.advance(self.now) == []

    def carry_out(self, done: list[ef.Effect]) -> None:
        """Do as the engine wants, and hold it to its word."""
        self.record += [transcript.effect_line(self.now, effect) for effect in done]
        for effect in done:
            match effect:
                case ef.StartRun():
                    self.start_run(effect)
                case ef.StopRun(run):
                    assert self.run is not None
                    assert self.run.run == run
                case ef.StartWatcher(store):
                    assert store not in self.watchers
                    assert not self.engine.ending
                    self.watchers[store] = "starting"
                case ef.StopWatcher(store):
                    assert store in self.watchers
                case ef.AskWatcher(store, question):
                    assert self.watchers[store] == "watching"
                    assert self.policy.limits_of(store).ask_every
                    self.asked[store] = question
                case ef.AnswerRequest(request, success, _):
                    self.answer(request, success=success)
                case ef.StartHook(mailboxes):
                    assert self.policy.hook
                    assert not self.hook
                    assert not self.engine.ending
                    assert self.owed.issuperset(mailboxes or ())
                    self.hook = True
                    self.owed -= set(MAILBOXES if mailboxes is None else mailboxes)
                case ef.StopHook():
                    assert self.hook
                case ef.EndService():
                    assert not self.hook
                    assert self.run is None
                    assert not self.watchers
                    self.over += 1

    def start_run(self, run: ef.StartRun) -> None:
        """Hold a run's start against the rules."""
        assert self.run is None
        assert not self.engine.ending
        self.run, self.run_started = run, self.now
        if run.mailboxes is not None and not self.urgent.intersection(run.mailboxes):
            for mailbox in run.mailboxes:
                assert self.now >= self.ended.get(mailbox, -1e9) + self.policy.inter_delay_of(mailbox) - 1e-6
        self.urgent -= self.urgent if run.mailboxes is None else set(run.mailboxes)

    def answer(self, request: int, *, success: bool) -> None:
        """An answer comes once, and "done" only of a run that began after the question."""
        asked, mailboxes = self.requests.pop(request)
        if success:
            assert self.run_started >= asked
            for mailbox in MAILBOXES if mailboxes is None else mailboxes:
                assert self.in_step[mailbox] >= asked

    def end_run(self, result: ev.Result) -> None:
        """Let the run under way end."""
        if self.run is None:
            return
        run, self.run = self.run, None
        covered = MAILBOXES if run.mailboxes is None else run.mailboxes
        if result is ev.Result.SUCCESS:
            for mailbox in covered:
                self.in_step[mailbox] = self.run_started
            self.owed.update(covered if self.policy.hook and not self.engine.ending else ())
        if run.mailboxes is not None:
            self.ended.update(dict.fromkeys(run.mailboxes, self.now))
        self.tell(ev.RunFinished(run.run, result, "" if result is ev.Result.SUCCESS else "it failed"))

    def end_hook(self) -> None:
        """Let the hook end."""
        if self.hook:
            self.hook = False
            self.tell(ev.HookFinished())

    def pass_time(self, seconds: float) -> None:
        """Let time pass, waking the engine when it wants to be."""
        end = self.now + seconds
        for _ in range(1000):
            wakeup = self.engine.next_wakeup()
            if wakeup is None or wakeup > end:
                self.now = end
                return
            self.now = max(wakeup, self.now)
            self.advance()
            again = self.engine.next_wakeup()
            assert again is None or again > self.now, "what was due was not done"
        raise AssertionError("the engine does not come to rest")


POLICIES = st.builds(
    lambda base, extra, slow, longest, poll, ignored, watchers, hook: Policy(
        stores=STORES,
        base_delay=base,
        inter_delay=base + extra,
        max_delay=longest,
        poll_period=poll,
        inter_delays=((Pattern("slow"), base + slow),),
        ignore=(Pattern("INBOX"),) if ignored else (),
        watchers=watchers,
        hook=hook,
    ),
    st.sampled_from([0.0, 0.3, 10.0]),
    st.sampled_from([0.0, 0.7, 50.0]),
    st.sampled_from([0.0, 5.0, 300.0]),
    st.sampled_from([0.0, 10.0, 600.0]),
    st.sampled_from([0.0, 40.0, 3600.0]),
    st.booleans(),
    st.sampled_from(
        [(), (WatcherLimits("far", 20.0, True, 60.0, 10.0),), (WatcherLimits("far", 90.0, True),)]
    ),
    st.booleans(),
)
STEPS = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(MAILBOXES), st.sampled_from(STORES), st.booleans()),
    st.tuples(st.just("store changed"), st.sampled_from(STORES)),
    st.tuples(st.just("run ends"), st.sampled_from(list(ev.Result))),
    st.tuples(st.just("hook ends")),
    st.tuples(st.just("ready"), st.sampled_from(STORES)),
    st.tuples(st.just("watcher ends"), st.sampled_from(STORES)),
    st.tuples(st.just("request"), st.one_of(st.none(), st.lists(st.sampled_from(MAILBOXES), min_size=1))),
    st.tuples(st.just("drop"), st.integers(1, 5)),
    st.tuples(st.just("answer"), st.sampled_from(STORES)),
    st.tuples(st.just("hint"), st.sampled_from([ev.NetworkChanged(), ev.Resumed()])),
    st.tuples(st.just("reload"), POLICIES, st.lists(st.sampled_from(STORES), unique=True)),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 7.0, 31.0, 100.0])),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 7.0, 31.0, 100.0])),
)


def play(world: World, step: tuple[object, ...], numbers: itertools.count[int]) -> None:
    """Let one step happen, if it can."""
    match step:
        case ("change", str(mailbox), str(store), bool(gone)):
            if world.watchers.get(store) == "watching":
                if world.policy.wants(mailbox) and not gone:
                    world.changed[mailbox] = world.now
                world.tell(ev.MailboxChanged(store, mailbox, gone))
        case ("store changed", str(store)):
            if world.watchers.get(store) == "watching":
                world.changed.update(dict.fromkeys(MAILBOXES, world.now))
                world.tell(ev.StoreChanged(store))
        case ("run ends", ev.Result() as result):
            world.end_run(result)
        case ("hook ends",):
            world.end_hook()
        case ("ready", str(store)):
            if world.watchers.get(store) == "starting":
                world.watchers[store] = "watching"
                if world.engine.watchers[store].state is State.STARTING:
                    world.changed.update(dict.fromkeys(MAILBOXES, world.now))
                world.tell(ev.WatcherReady(store))
        case ("watcher ends", str(store)):
            if world.watchers.pop(store, None):
                world.tell(ev.WatcherEnded(store, "exited with status 1"))
        case ("answer", str(store)):
            if store in world.asked and world.watchers.get(store) == "watching":
                world.tell(ev.WatcherAnswered(store, world.asked.pop(store)))
        case ("hint", ev.NetworkChanged() | ev.Resumed() as hint):
            world.tell(hint)
        case ("request", mailboxes):
            wanted = tuple(mailboxes) if isinstance(mailboxes, list) else None
            number = next(numbers)
            world.requests[number] = (world.now, wanted)
            world.urgent.update(wanted or ())
            world.changed.update(dict.fromkeys(wanted or MAILBOXES, world.now))
            world.tell(ev.SyncRequested(number, wanted))
        case ("drop", int(number)):
            if world.requests.pop(number, None):
                world.tell(ev.RequestDropped(number))
        case ("reload", Policy() as policy, list(stores)):
            world.policy = policy
            if not policy.hook:
                world.owed.clear()
            world.tell(ev.PolicyChanged(policy, tuple(stores)))
        case ("time", float(seconds)):
            world.pass_time(seconds)


def begin(policy: Policy) -> World:
    """Return a world at its start."""
    world = World(Engine(policy, 1), policy)
    world.urgent.add("INBOX")
    world.record = transcript.head(policy, 1)
    world.tell(ev.ServiceStarted())
    return world


def heal(world: World) -> None:
    """Let everything work from now on, until nothing is left to do."""
    numbers = itertools.count(10**6)
    for _ in range(1000):  # R13 waits for max_delay, which is up to 600 s
        for store in STORES:
            play(world, ("ready", store), numbers)
            play(world, ("answer", store), numbers)
        world.end_run(ev.Result.SUCCESS)
        world.end_hook()
        if world.run is None and not world.engine.schedule.pending and len(world.watchers) == len(STORES):
            return
        world.pass_time(1.0 if world.engine.schedule.pending else 30.0)
    raise AssertionError(f"never in step: {world.engine.schedule.pending}")


@given(POLICIES, st.lists(STEPS, max_size=60))
def test_every_change_comes_into_step(policy: Policy, steps: list[tuple[object, ...]]) -> None:
    """Once all is well, each change was followed by the start of a run that succeeded."""
    world = begin(policy)
    numbers = itertools.count(1)

    for step in steps:
        play(world, step, numbers)
    heal(world)

    assert world.owed == set()
    assert not world.engine.schedule.is_failing
    for mailbox, moment in world.changed.items():
        assert world.in_step[mailbox] >= moment
    assert world.requests == {}


@given(POLICIES, st.lists(STEPS, max_size=40), st.lists(STEPS, max_size=10))
def test_it_ends_whatever_is_under_way(
    policy: Policy, before: list[tuple[object, ...]], after: list[tuple[object, ...]]
) -> None:
    """After a stop nothing is started, who waits is answered, and the service ends when all is gone."""
    world = begin(policy)
    numbers = itertools.count(1)

    for step in before:
        play(world, step, numbers)
    world.tell(ev.StopRequested())
    for step in after:
        play(world, step, numbers)
    world.end_run(ev.Result.FAILED)
    world.end_hook()
    for store in STORES:
        play(world, ("watcher ends", store), numbers)
    world.advance()

    assert world.over == 1
    assert world.requests == {}


@given(POLICIES, st.lists(STEPS, max_size=40))
def test_a_record_replays(policy: Policy, steps: list[tuple[object, ...]]) -> None:
    """What ``--record`` writes makes a new engine decide the same."""
    world = begin(policy)
    numbers = itertools.count(1)

    for step in steps:
        play(world, step, numbers)
    expected, actual = transcript.replay(world.record)

    assert actual == expected


def test_an_outage_is_not_hammered() -> None:
    """While every run fails, tries become rare, however many mailboxes are pending."""
    policy = Policy(STORES, base_delay=0.3, inter_delay=1.0, max_delay=300.0, poll_period=3600.0)
    world = begin(policy)
    numbers = itertools.count(1)
    for store in STORES:
        play(world, ("ready", store), numbers)
    for mailbox in MAILBOXES:
        play(world, ("change", mailbox, "near", False), numbers)

    tries = 0
    while world.now < 3600:
        while world.run is not None:
            tries += 1
            world.end_run(ev.Result.FAILED)
        world.pass_time(0.5)

    assert tries < 80  # two sequences of 1 1 2 2 4 4 ... 256 256 300 300 ... seconds: about 25 each


def test_a_retry_is_one_until_it_succeeds() -> None:
    """A run for what failed is a retry, forgiven or not; one for what did not fail is none."""
    schedule = Schedule(Policy(STORES, base_delay=0.0, inter_delay=0.0, max_delay=1.0, poll_period=0.0))
    told: list[tuple[bool, bool]] = []

    def run(end: Callable[[], None], *mailboxes: str) -> None:
        for mailbox in mailboxes:
            schedule.change(mailbox, 0.0)
        started = schedule.start(mailboxes, 0.0)
        end()
        told.append((started.is_retry, schedule.is_failing))

    run(lambda: schedule.finish_failure(0.0, "x"), "INBOX")
    run(lambda: schedule.finish_failure(0.0, "x"), "INBOX")
    run(lambda: schedule.finish_success(0.0), "a")
    schedule.forgive_all()
    run(lambda: schedule.finish_failure(0.0, "x"), "INBOX")
    run(lambda: schedule.finish_unfinished(0.0, "cut off"), "INBOX")
    run(lambda: schedule.finish_success(0.0), "INBOX")

    assert told == [(False, True), (True, True), (False, True), (True, True), (True, False), (False, False)]


def test_a_flood_of_names_is_bounded() -> None:
    """A watcher that invents names without end makes everything pending, and does not fill the memory."""
    policy = Policy(STORES, base_delay=10.0, inter_delay=10.0, max_delay=300.0, poll_period=0.0)
    world = begin(policy)
    world.end_run(ev.Result.SUCCESS)
    world.watchers["near"] = "watching"

    for number in range(30_000):
        world.engine.receive(ev.MailboxChanged("near", f"invented/{number}"), world.now)

    assert len(world.engine.schedule.targets) < 12_000
    assert None in world.engine.schedule.pending
