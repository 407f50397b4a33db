"""The servers that several tests of mailsync share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.imap_session.conftest import SETTINGS
from tests.servers.dovecot import Dovecot, running_dovecot


@pytest.fixture(scope="package")
def tls_dovecot() -> Iterator[Dovecot]:
    """A Dovecot with TLS."""
    with running_dovecot(with_tls=True, more=SETTINGS) as server:
        yield server
