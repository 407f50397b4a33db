"""The world of a service, one of whose stores is on another host."""

from __future__ import annotations

from tests.service.conftest import world

__all__ = ["world"]
