"""The world of a service's test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.harness import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An account of two stores, whose watchers the test speaks for."""
    world = World(tmp_path)
    yield world
    world.near.close()
    world.far.close()
