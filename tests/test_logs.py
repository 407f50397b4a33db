"""Records for people: visible, bounded, and in the right place."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mswatch import messages
from mswatch.logs import BURST, Log, open_log
from mswatch.messages import Message


class Records:
    """A log whose records are kept."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.all: list[tuple[Message, str, Mapping[str, str]]] = []
        self.log = Log(lambda message, text, fields: self.all.append((message, text, fields)), quiet=quiet)


def test_fields() -> None:
    """A record has the account's field and its own."""
    records = Records()
    records.log.fields["MSWATCH_ACCOUNT"] = "work"
    records.log.tell(messages.RUN_STARTED, "Sync started", run="3")

    assert records.all == [
        (messages.RUN_STARTED, "Sync started", {"MSWATCH_ACCOUNT": "work", "MSWATCH_RUN": "3"})
    ]


def test_text_from_outside_is_made_visible() -> None:
    """Neither text nor field can hold a line of its own, or drive a terminal."""
    records = Records()
    records.log.tell(messages.RUN_STARTED, "a\nFAKE=1\x1b[2J", mailbox="b\nFAKE=2")
    _, text, fields = records.all[0]

    assert "\n" not in text + fields["MSWATCH_MAILBOX"]
    assert "\x1b" not in text


def test_quiet_tells_what_goes_wrong() -> None:
    """Quiet leaves out success, and nothing else."""
    records = Records(quiet=True)
    records.log.tell(messages.RUN_SUCCEEDED, "well")
    records.log.tell(messages.RUN_FAILED, "badly")
    records.log.output(messages.RUN_OUTPUT, "mbsync", b"why")

    assert [text for _, text, _ in records.all] == ["badly", "mbsync: why"]


def test_a_burst_of_output_is_limited_and_counted() -> None:
    """Of a child that floods, a bounded number of lines is told, and how many were not."""
    records = Records()
    for _ in range(BURST * 3):
        records.log.output(messages.RUN_OUTPUT, "mbsync", b"x")

    assert BURST <= len(records.all) < BURST * 2
    records.log._budget._at -= 1.0
    records.log.output(messages.RUN_OUTPUT, "mbsync", b"x")
    assert "were not shown" in records.all[-2][1]


def test_a_log_that_cannot_be_written() -> None:
    """A full disk or a closed pipe under the log ends nothing."""

    def fail(message: Message, text: str, fields: Mapping[str, str]) -> None:
        raise OSError(28, "No space left on device")

    Log(fail).tell(messages.RUN_FAILED, "x")


def test_lines_go_to_the_right_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside systemd success is on standard output, all else on standard error."""
    log = open_log({}, timestamps=False)
    log.tell(messages.RUN_SUCCEEDED, "well")
    log.tell(messages.RUN_FAILED, "badly")
    log.output(messages.RUN_OUTPUT, "mbsync", None)
    found = capsys.readouterr()

    assert found.out == "well\n"
    assert found.err == "badly\nmbsync: (a line that was too long)\n"
