"""Random edits on both sides by random means, and runs, also killed ones, in between.

The property, in one sentence: when both sides rest and a run has succeeded, both hold the same messages
with the same flags, none of them twice, and every message that nobody deleted is among them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mswatch.mailsync.decide import SIDES, Side
from mswatch.mailsync.options import Options
from tests.mailsync.test_worlds import in_child, run_until
from tests.mailsync.worlds import World, acts, name_of

MAILBOXES = ("INBOX", "one", "one/two")
sides = st.sampled_from(SIDES)
picks = st.integers(0, 999)
flag_sets = st.sampled_from(["", "S", "F", "FS", "R", "T", "w"])


class Edits(RuleBasedStateMachine):
    """Two stores that people work on."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="mailsync-random."))
        self.world = World(self.directory)
        self.count = 0
        self.delivered: set[str] = set()
        self.deleted: set[str] = set()
        self.backup: dict[str, bytes] = {}

    @initialize()
    def begin(self) -> None:
        """Both stores have an INBOX."""
        for side in SIDES:
            self.world.make(side, "INBOX")

    def messages(self, side: Side) -> list[Path]:
        """Return the files of a side."""
        found = [path for part in ("cur", "new") for path in self.world.path(side).rglob(f"{part}/*")]
        return sorted(path for path in found if path.is_file())

    @rule(side=sides, mailbox=st.sampled_from(MAILBOXES), flags=flag_sets, alike=st.integers(0, 9))
    def deliver(self, side: Side, mailbox: str, flags: str, alike: int) -> None:
        """A new message arrives; a tenth of them have the header of another one."""
        self.count += 1
        name = f"m{self.count}"
        if not alike and self.delivered:
            name += "~" + min(self.delivered).rpartition("~")[2]
        self.delivered.add(name)
        self.world.put(side, mailbox, name, flags)

    @precondition(lambda self: self.messages("near") or self.messages("far"))
    @rule(side=sides, pick=picks, flags=flag_sets)
    def set_flags(self, side: Side, pick: int, flags: str) -> None:
        """Somebody reads, flags or answers a message."""
        if files := self.messages(side):
            path = files[pick % len(files)]
            letters = flags.replace("w", "a")
            path.rename(path.parent.parent / "cur" / f"{path.name.partition(':')[0]}:2,{letters}")

    @rule(side=sides, pick=picks)
    def delete(self, side: Side, pick: int) -> None:
        """Somebody deletes a message."""
        if files := self.messages(side):
            path = files[pick % len(files)]
            self.deleted.add(name_of(path.read_bytes()))
            path.unlink()

    @rule(side=sides, pick=picks, mailbox=st.sampled_from(MAILBOXES))
    def move(self, side: Side, pick: int, mailbox: str) -> None:
        """Somebody moves a message to another mailbox."""
        if files := self.messages(side):
            path = files[pick % len(files)]
            target = self.world.make(side, mailbox) / "cur"
            self.count += 1
            flags = path.name.partition(":2,")[2]
            path.rename(target / f"moved{self.count}.{side}:2,{flags}")

    @rule(step=st.integers(0, 150))
    def run_killed(self, step: int) -> None:
        """A run is killed somewhere."""
        in_child(lambda: run_until(self.world, Options(), step))

    @rule()
    def run(self) -> None:
        """A run comes to its end, and does what a dry run said of it."""
        foretold = self.world.dry_run()
        outcome, listening = self.world.sync()
        assert not outcome.failed, outcome
        assert acts(foretold) == acts(listening.told)

    @rule()
    def lose_the_state(self) -> None:
        """The state is lost, when both sides are in step."""
        self.run()
        for path in self.directory.glob("state.sqlite*"):
            path.unlink()
        self.run()

    @rule()
    def back_up_the_state(self) -> None:
        """The state is copied, while nobody works on it."""
        self.backup = {path.name: path.read_bytes() for path in self.directory.glob("state.sqlite*")}

    @rule()
    def restore_the_state(self) -> None:
        """The state is an older one than the stores; before the first copy: none."""
        for path in self.directory.glob("state.sqlite*"):
            path.unlink()
        for name, data in self.backup.items():
            (self.directory / name).write_bytes(data)

    @invariant()
    def nothing_is_lost(self) -> None:
        """A message that nobody deleted is somewhere."""
        there = {name_of(path.read_bytes()) for side in SIDES for path in self.messages(side)}
        assert self.delivered - self.deleted <= there

    def rest(self) -> object:
        """Return what a run that has nothing to do leaves as it is."""
        return self.world.snapshot()

    def teardown(self) -> None:
        """At the end both sides are equal, and another run touches nothing."""
        try:
            for _ in range(2):  # what was moved on both sides differently needs a second look
                self.run()
            near, far = self.world.contents("near"), self.world.contents("far")
            assert near == far
            before = self.rest()
            self.run()
            assert self.rest() == before
        finally:
            shutil.rmtree(self.directory)


TestEdits = Edits.TestCase
TestEdits.settings = settings(
    max_examples=500 if os.environ.get("MSWATCH_LONG") else 20, stateful_step_count=25, deadline=None
)
