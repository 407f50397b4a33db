"""The same account as in ``tests/over_ssh``."""

from __future__ import annotations

from tests.over_ssh.conftest import account, one_sshd, sshd, world

__all__ = ["account", "one_sshd", "sshd", "world"]
