"""Names of accounts and stores in the names of units."""

from __future__ import annotations

import re

import pytest

from mswatch.instances import escape, unescape


@pytest.mark.parametrize(
    ("name", "instance"),
    [("work", "work"), ("a.b-c", "a.b-c"), ("me@example.org", "me@example.org"), ("x+y", r"x\x2by")],
)
def test_known(name: str, instance: str) -> None:
    """What systemd does not allow is written as it wants it, all else as it is."""
    assert escape(name) == instance
    assert unescape(instance) == name


def test_every_character_of_a_name() -> None:
    """Whatever a name can hold comes back, and the instance is one that systemd takes."""
    name = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\\/")

    assert re.fullmatch(r"[A-Za-z0-9:_.@\\-]+", escape(name))
    assert unescape(escape(name)) == name
