"""The random edits of ``test_random`` with an IMAP account as one side, with many capabilities and with none.

Runs are killed between any two bytes; the property is the same.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from mswatch.mailsync.decide import Side
from mswatch.mailsync.options import Options
from tests.mailsync.test_random import Edits
from tests.mailsync.test_worlds import in_child
from tests.mailsync_imap.test_worlds import ImapWorld, run_until, world_class
from tests.servers.dovecot import Dovecot

pytestmark = [pytest.mark.server, pytest.mark.slow]

EXAMPLES = 100 if os.environ.get("MSWATCH_LONG") else 6


@pytest.mark.parametrize("capabilities", ["all", "IMAP4rev1", "IMAP4rev1 UIDPLUS CONDSTORE ENABLE"])
@pytest.mark.parametrize("side", ["near", "far"])
def test_random_edits(dovecot: Dovecot, side: Side, capabilities: str) -> None:
    """However mail is delivered, read, moved, deleted, and runs are killed, nothing is lost or doubled."""
    hidden = () if capabilities == "all" else (f"imap_capability = {capabilities}",)
    kind = world_class(dovecot, side, settings=hidden)

    class ImapEdits(Edits):
        """Edits of two stores of which one is an account."""

        def __init__(self) -> None:
            super().__init__()
            self.world = kind(self.directory)

        def rest(self) -> object:
            """Return what is remembered: a server touches directories as it likes."""
            return self.world.remembered()

        @rule(step=st.integers(0, 60))
        def run_killed(self, step: int) -> None:
            """A run is killed between two bytes; its server ends by itself."""
            assert isinstance(self.world, ImapWorld)
            in_child(lambda: run_until(self.world, Options(), step))
            self.world.wait_for_servers()

    run_state_machine_as_test(
        ImapEdits,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=15, deadline=None, database=None),
    )
