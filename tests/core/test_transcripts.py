"""Every file in transcripts/ is a test: the engine makes of its events the effects that it records.

They are written like a protocol, one rule each, with the reason in comments; a record made by ``mswatch run
--record`` can be put beside them as it is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.core.transcript import TranscriptError, replay

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path: Path) -> None:
    """The recorded events have the recorded effects."""
    expected, actual = replay(path.read_text().splitlines())

    assert actual == expected


def test_there_are_transcripts() -> None:
    """The directory was found, so that the test above is no empty one."""
    assert len(TRANSCRIPTS) >= 10


def test_a_wrong_effect_is_seen() -> None:
    """A transcript whose effects are not the engine's does not pass."""
    lines = TRANSCRIPTS[0].read_text().splitlines()

    expected, actual = replay([line.replace("> StartRun", "> StopRun") for line in lines])

    assert actual != expected


@pytest.mark.parametrize(
    "lines",
    [
        ["hello"],
        ["mswatch-transcript 1", "policy {}", "seed 0"],
        [
            "mswatch-transcript 1",
            "seed 0",
            'policy {"stores": [], "base_delay": 0, "inter_delay": 0, "max_delay": 0, "poll_period": 0}',
            "0.0 Nonsense {}",
        ],
    ],
    ids=["no header", "wrong order", "unknown event"],
)
def test_what_is_no_transcript_is_refused(lines: list[str]) -> None:
    """A file of another kind gives an error that says so, not a passed test."""
    with pytest.raises(TranscriptError):
        replay(lines)
