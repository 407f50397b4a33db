"""The old configuration file: what it means, and what is told of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.errors import ConfigError
from mswatch.imap.secret import Secret
from mswatch.oldmailsync.rc import OldConfiguration, read

SOURCE = Path("rc")
TWO = "store a { pat a/% prefix a/ }\nstore b { pat b/% prefix b/ }\n"


def _read(text: str) -> OldConfiguration:
    return read(text, SOURCE)


def _problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _read(text)
    return caught.value.problems


def test_everything() -> None:
    """All fields, comments, white space, CR LF, the backslash, a field that is given twice."""
    found = _read(
        "# a comment\r\nstore remote {\r\n server {imap.example.org/user=me}\n ref {imap.example.org}\n"
        "  pat INBOX.%   # comment\n prefix INBOX.\n passwd first passwd se#cret\\ word }\n"
        "store local{x { pat \\#mh/my\\ mail }\n"
        "channel both remote local{x { msinfo .ms passwd pw sizelimit 1000 }"
    )
    remote = found.stores["remote"]
    assert (remote.server, remote.ref) == ("{imap.example.org/user=me}", "{imap.example.org}")
    assert (remote.pat, remote.prefix) == ("INBOX.%", "INBOX.")
    assert remote.password == Secret("se#cret word")
    assert found.stores["local{x"].pat == "#mh/my mail"
    both = found.channels["both"]
    assert both.stores == (remote, found.stores["local{x"])
    assert (both.msinfo, both.password, both.size_limit) == (".ms", Secret("pw"), 1000)
    assert "se#cret" not in repr(found)


def test_long_words_and_no_limit() -> None:
    """A word may be as long as the file; sizelimit 0 is none; msinfo is not needed any more."""
    name = "x" * 5000
    found = _read(f"{TWO}store {name} {{ }} channel c a {name} {{ sizelimit 0 }}")
    assert found.channels["c"].stores[1].name == name
    assert found.channels["c"].size_limit is None
    assert found.channels["c"].msinfo == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "store",
            "rc:1: store: found the end of the file; write store NAME { ... }, with blanks around braces",
        ),
        ("\n\nstore a", 'rc:3: store "a": found the end of the file; write store NAME'),
        ("store { pat x }", 'rc:1: store: found "{" in line 1; write store NAME'),
        ("store a{ pat x }", 'rc:1: store "a{": found "pat" in line 1'),
        ("store a { pat x", 'rc:1: store "a": its "}" is missing'),
        ("store a {\n pat }", 'rc:2: store "a": pat has no value'),
        ("store a {\n path x }", 'rc:2: store "a": no such field: "path"; did you mean "pat"?'),
        ("store a { pat x }store b { }", 'rc:1: store "a": no such field: "}store"; write blanks around'),
        ("\nstroe a { }", 'rc:2: "stroe": not expected here; did you mean "store"?'),
        ("store a { }\nstore a { }", 'rc:2: "a" is the name of something in line 1'),
        (TWO + "channel a a b { }", 'rc:3: "a" is the name of something in line 1'),
        (TWO + "channel c a bb { }", 'rc:3: channel "c": "bb" is no store; did you mean "b"?'),
        (TWO + "channel c x a { }", 'rc:3: channel "c": "x" is no store; there is no such store'),
        (TWO + "channel c a a { }", 'rc:3: channel "c": both its stores are "a"'),
        (TWO + "channel c a { }", 'rc:3: channel "c": found "{" in line 3; write channel NAME STORE STORE'),
        (TWO + "channel c a b {\nsizelimit 1k }", 'rc:4: channel "c": sizelimit "1k" is no number of bytes'),
        ("store a { ref {host} pat x }", 'rc:1: store "a": ref names a server; say server'),
        ("store a { pat x } \\", "rc:1: a backslash at the end of the file"),
        ("store a { pat x\0 }", r'rc:1: "x\u0000" holds a NUL'),
    ],
)
def test_errors_name_line_and_store(text: str, problem: str) -> None:
    """Each error is told with its own line and name, and what to do."""
    (found,) = _problems(text)
    assert found.startswith(problem)


def test_all_errors_at_once() -> None:
    """A wrong block does not hide those behind it."""
    problems = _problems("store a { nat x }\nstore { }\nchannel c a d { }\nstore b { pat x }")
    assert [problem.partition(": ")[0] for problem in problems] == ["rc:1", "rc:2", "rc:3"]


@given(st.text(alphabet=st.sampled_from("storechanl{} \n#\\ab\0é"), max_size=60) | st.text(max_size=60))
def test_any_text_is_read_or_told(text: str) -> None:
    """No text ends in anything but a configuration or its problems."""
    try:
        found = _read(text)
    except ConfigError as error:
        assert error.problems
    else:
        assert all(name == store.name for name, store in found.stores.items())
