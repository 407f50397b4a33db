"""The command line of socketwatch."""

from __future__ import annotations

import pytest

from mswatch.errors import UsageError
from mswatch.socketwatch.options import GRACE_S, TIMEOUT_S, Options, parse


def test_defaults() -> None:
    """Without options there is a timeout and no hard cap."""
    assert parse(["mbsync", "-a"], "1") == Options(("mbsync", "-a"), TIMEOUT_S, None, GRACE_S)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("5 m", 300), ("1h", 3600), ("300ms", 0.3)]
)
def test_times(text: str, seconds: float) -> None:
    """A time is a number of seconds or has a unit, in each option and each of its forms."""
    for arguments in (["-t", text], [f"-t{text}"], ["--timeout", text], [f"--timeout={text}"]):
        assert parse([*arguments, "x"], "1").timeout_s == pytest.approx(seconds)
    options = parse([f"--hard-cap={text}", "--grace", text, "x"], "1")
    assert options.hard_cap_s == pytest.approx(seconds)
    assert options.grace_s == pytest.approx(seconds)


def test_last_timeout_counts() -> None:
    """Of two timeouts the last one holds, whichever form it has."""
    assert parse(["-t1", "--timeout=2", "x"], "1").timeout_s == 2
    assert parse(["--timeout=2", "-t1", "x"], "1").timeout_s == 1


def test_options_end_with_the_command() -> None:
    """What follows the command's name, or a double dash, belongs to the command."""
    assert parse(["mbsync", "-t", "5", "-V"], "1").command == ("mbsync", "-t", "5", "-V")
    assert parse(["-t5", "--", "-V", "--", "x"], "1").command == ("-V", "--", "x")


def test_version_and_help() -> None:
    """Both the old and the common spellings print a text and run nothing."""
    for option in ("-V", "--version"):
        assert parse([option, "x"], "1.2") == Options(text="socketwatch 1.2\n")
    for option in ("-?", "-h", "--help"):
        assert parse([option], "1.2").text.startswith("Usage: socketwatch")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--"],
        ["-x"],
        ["--nonsense", "x"],
        ["-t"],
        ["-t", "soon", "x"],
        ["-t", "0", "x"],
        ["-t", "-1", "x"],
        ["-t", "nan", "x"],
        ["-t", "1e3", "x"],
        ["--hard-cap=400d", "x"],
        ["--grace=", "x"],
        ["-t", "١", "x"],
        ["-t", "1\x1b[2J", "x"],
    ],
)
def test_refused(arguments: list[str]) -> None:
    """What cannot be is refused, in printable words."""
    with pytest.raises(UsageError) as caught:
        parse(arguments, "1")
    assert str(caught.value).isprintable()
