"""What all tests share: the servers that are started once, and how Hypothesis behaves on a shared machine.

The tests run as an ordinary user on loopback; ``sh tests/run`` sees to that.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.servers.dovecot import Dovecot, running_dovecot

# No database: a failure is reported with the example to paste into a test, and the checkout stays clean.  No
# deadline: how long an example takes on a busy machine says nothing about the code.
settings.register_profile("mswatch", database=None, deadline=None)
settings.register_profile("packager", parent=settings.get_profile("mswatch"), derandomize=True)
# The long form, for before a release: MSWATCH_LONG=1 sh tests/run
settings.register_profile("long", parent=settings.get_profile("mswatch"), max_examples=5000)
settings.load_profile("long" if os.environ.get("MSWATCH_LONG") else "mswatch")

# Under nohup the programs of the tests would inherit that SIGHUP is ignored; in the background of a shell
# without job control, SIGINT and SIGQUIT.  A handler they do not inherit.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)

_user_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A Dovecot for the whole session; each test takes a user name of its own."""
    with running_dovecot() as server:
        yield server


@pytest.fixture
def user() -> str:
    """A user name that no other test has."""
    return f"user{next(_user_numbers)}"
