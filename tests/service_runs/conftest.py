"""The world of a service, for the runs of its syncer."""

from __future__ import annotations

from tests.service.conftest import world

__all__ = ["world"]
