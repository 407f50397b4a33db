"""What each kind of setting takes and refuses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.config import values
from mswatch.config.settings import SETTINGS, Setting
from mswatch.config.values import DELAY, LONGEST_DELAY_S, UnfitError, delay_text, found

HOME = Path("/home/user")

toml_values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("300ms", 0.3),
        ("1.5s", 1.5),
        ("10s", 10),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86400),
        ("2 h", 7200),
        (0, 0),
        (0.25, 0.25),
        (7, 7),
        (LONGEST_DELAY_S, LONGEST_DELAY_S),
    ],
)
def test_delays(written: object, seconds: float) -> None:
    """A delay is a number with a unit, or a bare number of seconds."""
    assert DELAY.check(written, HOME) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "10", "s", "-1s", "1 week", "1h30m", "9999d", -1, -0.1, math.nan, math.inf, 10**400, True, [], {}],
)
def test_what_is_no_delay(written: object) -> None:
    """No unit, no number, a negative one, more than ten years: all refused."""
    with pytest.raises(UnfitError):
        DELAY.check(written, HOME)


@given(st.integers(0, LONGEST_DELAY_S) | st.integers(0, 10**6).map(lambda milliseconds: milliseconds / 1000))
def test_a_delay_is_written_so_that_it_is_read_back(seconds: float) -> None:
    """delay_text() loses nothing of whole seconds and milliseconds."""
    assert DELAY.check(delay_text(seconds), HOME) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.3, "300ms"), (1, "1s"), (300, "5m"), (86400, "1d"), (90, "90s"), (0, "0s"), (1.5, "1.5s")],
)
def test_delays_as_text(seconds: float, text: str) -> None:
    """The largest unit that keeps the number whole is taken."""
    assert delay_text(seconds) == text


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("~/Mail", "/home/user/Mail"),
        ("~", "/home/user"),
        ("Mail/work", "/home/user/Mail/work"),
        ("/srv/mail", "/srv/mail"),
    ],
)
def test_directories(written: str, path: str) -> None:
    """~ and relative paths start at the home directory, wherever the service was started."""
    assert values.MAILDIR.check(written, HOME) == Path(path)


@pytest.mark.parametrize("written", ["~root/Mail", "", "a\0b", 3])
def test_what_is_no_directory(written: object) -> None:
    """Another user's home, nothing, and what no path can hold are refused."""
    with pytest.raises(UnfitError):
        values.MAILDIR.check(written, HOME)


def test_only_a_tilde_at_the_start_of_a_word_is_expanded() -> None:
    """Words reach the program as they are written; no shell has a part in it."""
    words = ["~/bin/sync", "~", "a~/b", "$HOME", "*", "--config=~/x", "~/.rc"]
    expanded = ("/home/user/bin/sync", "~", "a~/b", "$HOME", "*", "--config=~/x", "/home/user/.rc")
    assert values.COMMAND.check(words, HOME) == expanded


@pytest.mark.parametrize("kind", [values.COMMAND, values.ARGUMENTS])
def test_a_home_that_is_not_set_is_told(kind: values.Kind) -> None:
    """Without HOME a word with ~/ cannot be used, and one without it can."""
    assert kind.check(["a", "b"], None) == ("a", "b")
    with pytest.raises(UnfitError) as caught:
        kind.check(["~/a"], None)
    assert caught.value.faults == [((), '"~/a" needs HOME, which is not set')]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (values.COMMAND, []),
        (values.COMMAND, [""]),
        (values.COMMAND, ["a", 1]),
        (values.COMMAND, "mbsync"),
        (values.ARGUMENTS, ["a\0"]),
        (values.FLAG, 1),
        (values.FLAG, "true"),
        (values.SEPARATOR, ""),
        (values.SEPARATOR, "//"),
        (values.SEPARATOR, "a"),
        (values.SEPARATOR, "&"),
        (values.SEPARATOR, " "),
        (values.SEPARATOR, "é"),
        (values.PREFIX, ["work"]),
        (values.PREFIX, "work:"),
        (values.CHANNEL, "a:b"),
        (values.CHANNEL, "-a"),
        (values.TARGET, ""),
        (values.TARGET, "a\nb"),
        (values.PATTERNS, "INBOX"),
        (values.OWN_NAMES, {"": "a"}),
        (values.OWN_NAMES, {"a": ""}),
        (values.OWN_NAMES, []),
    ],
)
def test_refused_values(kind: values.Kind, value: object) -> None:
    """Each kind refuses values of another type and those that could not be used."""
    with pytest.raises(UnfitError):
        kind.check(value, HOME)


def test_two_own_names_cannot_mean_one_mailbox() -> None:
    """The second of them is blamed."""
    with pytest.raises(UnfitError) as caught:
        values.OWN_NAMES.check({"Gesendet": "Sent", "Envoyés": "Sent"}, HOME)
    assert caught.value.faults == [(("Envoyés",), '"Sent" is the name of "Gesendet" already')]


def test_every_fault_of_a_table_is_told() -> None:
    """A table of delays reports all of its unusable entries."""
    with pytest.raises(UnfitError) as caught:
        values.DELAYS.check({"a": "1s", "b": "soon", "c": -1}, HOME)
    assert [keys for keys, _ in caught.value.faults] == [("b",), ("c",)]


@given(st.sampled_from(SETTINGS), toml_values, st.none() | st.just(HOME))
def test_no_value_ends_in_a_traceback(setting: Setting, value: object, home: Path | None) -> None:
    """Whatever TOML can hold is taken or refused with a printable, bounded reason."""
    try:
        setting.kind.check(value, home)
    except UnfitError as error:
        assert error.faults
        for _, reason in error.faults:
            assert reason.isprintable()
            assert len(reason) < 3000


@given(toml_values)
def test_found_values_are_printable(value: object) -> None:
    """A value in a message is one printable line."""
    assert found(value).isprintable()
