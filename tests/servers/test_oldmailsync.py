"""The old mailsync works here, as far as tests rely on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import oldmailsync

pytestmark = pytest.mark.server


def test_syncs_two_mboxes(tmp_path: Path) -> None:
    """It copies a message, and remembers it."""
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
    message = (
        "From me@example.org Mon Nov  2 10:00:00 2026\nSubject: one\nMessage-ID: <1@example.org>\n\nBody.\n\n"
    )
    (tmp_path / "a/box").write_text(message)
    (tmp_path / ".mailsync").write_text(
        "store a { pat a/% prefix a/ }\nstore b { pat b/% prefix b/ }\nchannel ab a b { msinfo msinfo }\n"
    )
    out, err = oldmailsync.run(tmp_path, "ab")
    assert out == 'Synchronizing stores "a" <-> "b"...\nbox: \n1 copied a->b.\n1 remains.\n'
    assert err == ""
    assert "Message-ID: <1@example.org>" in (tmp_path / "b/box").read_text()
    assert "<1@example.org>" in (tmp_path / "msinfo").read_text()
