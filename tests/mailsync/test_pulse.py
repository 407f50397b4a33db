"""A run that reads for long shows that it goes on, also where it does nothing but read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mswatch.mailsync import pulse
from tests.mailsync.kinds import KindWorld


@pytest.mark.parametrize("kind", ["mbox", "mh"])
def test_a_scan_beats_at_each_message(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many messages, or one large file, are not taken for a hang."""
    world = KindWorld(tmp_path, kind, "maildir")
    for number in range(5):
        world.put("near", "INBOX", f"m{number}")
    store = world.store("near")
    assert store.open()
    mailbox = store.open_mailbox(next(iter(store.mailboxes())))
    real_write, written = os.write, []

    def write(fd: int, data: bytes) -> int:
        written.append(data)
        return real_write(fd, data)

    monkeypatch.setattr(pulse, "EVERY_S", 0.0)
    monkeypatch.setattr(os, "write", write)
    assert len(mailbox.scan(None).present) == 5
    assert written.count(b"x") >= 5


def test_nothing_is_shown_where_little_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pipe is made within the first second."""
    monkeypatch.setattr(os, "pipe", lambda: pytest.fail("it was not needed"))
    pulse.Pulse().beat()
