"""The habits of known servers, each shown by a transcript; what a refusal means elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.imap.quirks import UNKNOWN, Refusal, recognise
from mswatch.imap.refusals import classify
from mswatch.imap.responses import Code, StatusKind
from tests.imap.transcripts import DIRECTORY, Player

TRANSCRIPTS = sorted(DIRECTORY.glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=[path.stem for path in TRANSCRIPTS])
def test_transcript(path: Path) -> None:
    """The conversation goes as it is written down, and is understood as it says."""
    Player().play(path.read_text())


def test_every_known_server_has_a_transcript() -> None:
    """No habit is there without a conversation that shows it."""
    shown = " ".join(path.read_text() for path in TRANSCRIPTS)
    for name in ("Gmail", "Exchange", "Dovecot", "Cyrus", "Courier", "Proton Mail Bridge"):
        assert f"= server {name}\n" in shown


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "Dovecot"}, "Dovecot"),
        ({"name": "Cyrus IMAPD", "version": "3.6"}, "Cyrus"),
        ({"name": "GImap", "vendor": "Google, Inc."}, "Gmail"),
        ({"name": "Microsoft.Exchange.Imap4.Imap4Server"}, "Exchange"),
        ({"name": "something"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_recognised_by_its_own_name(fields: dict[str, str], name: str) -> None:
    """A server that hides behind an unusual greeting is known by its answer to ID."""
    assert recognise("ready", None, fields).name == name


@pytest.mark.parametrize(
    ("kind", "code", "command", "refusal"),
    [
        ("NO", None, "LOGIN", Refusal.WRONG_CREDENTIALS),
        ("NO", None, "AUTHENTICATE", Refusal.WRONG_CREDENTIALS),
        ("NO", "EXPIRED", "LOGIN", Refusal.EXPIRED),
        ("NO", "UNAVAILABLE", "LOGIN", Refusal.BUSY),
        ("NO", "LIMIT", "LOGIN", Refusal.TOO_MANY_CONNECTIONS),
        ("BYE", "LIMIT", "", Refusal.TOO_MANY_CONNECTIONS),
        ("NO", "LIMIT", "CREATE", Refusal.TOO_MUCH),
        ("NO", "OVERQUOTA", "APPEND", Refusal.OVER_QUOTA),
        ("NO", "TOOBIG", "APPEND", Refusal.TOO_BIG),
        ("NO", "TRYCREATE", "UID COPY", Refusal.NO_MAILBOX),
        ("NO", "INUSE", "SELECT", Refusal.BUSY),
        ("NO", None, "SELECT", Refusal.OTHER),
        ("NO", "X-OWN", "SELECT", Refusal.OTHER),
        ("BAD", None, "SELECT", Refusal.NOT_UNDERSTOOD),
        ("BYE", None, "", Refusal.BUSY),
    ],
)
def test_refusals(kind: StatusKind, code: str | None, command: str, refusal: Refusal) -> None:
    """The code says what is the matter; without one, the command does."""
    assert classify(kind, Code(code) if code else None, "words", command=command) is refusal
    assert UNKNOWN.refusal("words") is None
