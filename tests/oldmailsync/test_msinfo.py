"""What the old program remembered, and its ids, compared with those that it prints itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.oldmailsync.msinfo import digest, ids, memory, message_id, of_channel
from tests.servers import oldmailsync


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", {}),
        (b"\n", {}),
        (b"box\n<a@x>\n<b@x>\nother\n", {"box": {"<a@x>", "<b@x>"}, "other": set()}),
        (b"box\r\n<a@x>\r\n\r\n", {"box": {"<a@x>"}}),
        (b"\n<a@x>\n", {"": {"<a@x>"}}),
        (b"box\n<a@x> what follows does not count\n", {"box": {"<a@x>"}}),
        (b"box\n<>\n", {"box": set()}),
        (
            b"box\n<>, md5: <0123456789abcdef0123456789abcdef>\n",
            {"box": {"md5:0123456789abcdef0123456789abcdef"}},
        ),
        (
            b"box\n<a@x>, md5: <0123456789abcdef0123456789abcdef>\n",
            {"box": {"md5:0123456789abcdef0123456789abcdef"}},
        ),
        (b"<a@x>\nbox\n", {"box": set()}),
        (b"b\xfc\n<\xfc@x>\n", {"b\udcfc": {"<\udcfc@x>"}}),
    ],
)
def test_memory(body: bytes, found: dict[str, set[str]]) -> None:
    """Boxnames and ids of both methods; ids that are worth nothing are left out."""
    assert memory(body) == found


@given(st.binary(max_size=200))
def test_any_memory(body: bytes) -> None:
    """Any bytes can be read."""
    assert all(not name.startswith("<") for name in memory(body))


def test_of_channel() -> None:
    """The channel's message is found among others, also such that the old program crashed at."""
    messages = [
        (b"From: me@example.org\n\n", b"no subject"),
        (b"From: me@example.org\nSubject: ab\n\n", b"not from mailsync"),
        (b"From: mailsync\nSubject: abc\n\n", b"another channel"),
        (b"Status: RO\nFrom: mailsync\nSubject: ab\n\n", b"it"),
        (b"From: mailsync\nSubject: ab\n\n", b"too late"),
    ]
    assert of_channel(messages, "ab") == b"it"
    assert of_channel(messages, "x") is None


IDS = [
    "Message-ID: <a@x>",
    "Message-ID:  <lead@x>",
    "Message-ID:\n <fold@x>",
    "Message-ID: no brackets@x",
    "Message-ID: <a@x1> <b@x>",
    "Message-ID: <open@x",
    "Message-ID: close@x>",
    "Message-ID: <in  two@x>",
    "Message-ID: <tab\tin@x>",
    "Message-ID: <trail@x > (c)",
    "Message-ID: bare@x trailing  ",
    "Message-ID: <fo\n ld@x>",
    "Message-ID: (comment) <c@x>",
    "MESSAGE-id: <case@x>\nMessage-ID: <second@x>",
    "Message-ID : <blank@x>",
    "Message-ID: <uüml@x>",
]
SENDERS = [
    "alice@example.org",
    "Alice B <alice@example.org>",
    '"Quoted, Name" <q@example.org>',
    "=?utf-8?q?Enc=C3=BC?= <e@x.org>, two@x.org",
    "group: a@x.org, b@x.org;",
    "(comment) c@x.org",
]
SUBJECTS = ["plain", "=?utf-8?q?Enc=C3=BC?= x", "folded\n subject here", "tab\tin", ""]


def _headers() -> list[str]:
    return [
        f"From: {SENDERS[number % len(SENDERS)]}\nTo: bob@example.org,\n Carol <c@x.org>\nCc: d@x\n"
        f"Date: Mon, {number + 1} Nov 2026 10:00:00 +0000\nSubject: {SUBJECTS[number % len(SUBJECTS)]}\n"
        f"{line}\n\n"
        for number, line in enumerate(IDS)
    ]


@pytest.mark.server
@pytest.mark.parametrize("method", ["msgid", "md5"])
def test_ids_are_those_of_the_old_program(tmp_path: Path, method: str) -> None:
    """Each repair of an id, and each part of the digest, is what the old program makes of the same header."""
    (tmp_path / "box").write_text(
        "".join(f"From x@y Mon Nov  2 10:00:00 2026\n{header}Body.\n\n" for header in _headers())
    )
    (tmp_path / ".mailsync").write_text("store s { pat box }\n")
    out, _ = oldmailsync.run(tmp_path, "-M", "-t", method, "s")
    printed = [line.split()[0] for line in out.splitlines() if "Nov" in line]
    which = 0 if method == "msgid" else 1
    assert [ids(header.encode())[which].removeprefix("md5:") for header in _headers()] == printed


def test_worthless_ids() -> None:
    """A missing, empty or bare id is none; so is a digest of nothing."""
    for header in (b"Subject: x\n\n", b"Message-ID:\n\n", b"Message-ID: <>\n\n", b"Message-ID: \n <>\n\n"):
        assert message_id(header) == "<>"
        assert ids(header)[0] == ""
    assert digest(b"X-Other: y\n\n") == ""
