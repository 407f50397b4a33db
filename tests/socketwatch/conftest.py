"""Compiled programs, and sockets that are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.socketwatch.harness import EchoSocket, compile_program

Compile = Callable[..., Path]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile a C program of this directory, once."""
    directory = tmp_path_factory.mktemp("programs")
    return lambda source, *options, **named: compile_program(source, directory, *options, **named)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[EchoSocket]:
    """A socket for the names of messages."""
    listener = EchoSocket(tmp_path / "echo")
    yield listener
    listener.close()
