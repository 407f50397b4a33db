"""The grammar of the old mswatchrc."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.config import rcfile
from mswatch.config.problems import Problems
from mswatch.config.rcfile import RcText
from mswatch.errors import ConfigError

any_text = st.text(alphabet='ab "\\#{}\n\r\t', max_size=40).map(
    lambda text: text.replace("a", " store ").replace("b", " watch ")
) | st.text(max_size=60)


def parse(text: str) -> RcText:
    """Parse a text without problems."""
    problems = Problems(Path("rc"))
    parsed = rcfile.parse(text, problems)
    problems.raise_if_any()
    return parsed


def problems_of(text: str) -> list[str]:
    """Return what is wrong with a text."""
    problems = Problems(Path("rc"))
    rcfile.parse(text, problems)
    with pytest.raises(ConfigError) as caught:
        problems.raise_if_any()
    return caught.value.problems


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("a b\tc", ("a", "b", "c")),
        ('"a b" c', ("a b", "c")),
        (r"a\ b \"c\"", ("a b", '"c"')),
        (r'"a\"b\\c"', ('a"b\\c',)),
        ('a"b c"d', ("ab cd",)),
        ('"" x', ("", "x")),
        ("'a b'", ("'a", "b'")),
        ("$HOME ~/x *", ("$HOME", "~/x", "*")),
        ("a#b c", ("a",)),
        (r"a\#b '#'", ("a#b", "'")),
        ('"#" x', ("#", "x")),
        ("x{y} a}", ("x{y}", "a}")),
        ('"{" "store"', ("{", "store")),
        ("storeroom", ("storeroom",)),
        ("ä \udcff", ("ä", "\udcff")),
        ("", ()),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", " # comment", "# comment\n"])
def test_words(written: str, words: tuple[str, ...], end: str) -> None:
    """Quotes, backslashes and comments work as they did; nothing else is special, at any end of line."""
    (statement,) = parse(f"ignore {written}{end}").statements
    assert statement.words == words


@pytest.mark.parametrize(
    "text",
    [
        "store a { watch b c }",
        "store a {\nwatch b c\n}\n",
        "store a\n\n{ watch b c\n}",
        "store a # x\n# y\n{ # z\n watch b c # w\n # v\n}",
        "store a {\r\n\twatch b c\r\n}\r\n",
    ],
)
def test_stores(text: str) -> None:
    """The braces of a store may stand on any line."""
    (statement,) = parse(text).statements
    assert (statement.keyword, statement.store, statement.words) == ("store", "a", ("b", "c"))


def test_lines_and_comments() -> None:
    """Each statement has its line and the comments above and beside it; the file's own stay apart."""
    parsed = parse("# file\n\n# one\nignore a # two\n\n# three\nstore s {\n # four\n watch w }\n# end")
    assert parsed.header == ("file",)
    assert [(each.line, each.comments) for each in parsed.statements] == [
        (4, ("one", "two")),
        (7, ("three", "four")),
    ]
    assert parsed.footer == ("end",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nbogus 1", "rc:2: bogus: no such statement; known are base_delay"),
        ("inter_dlay 1", 'rc:1: inter_dlay: no such statement; did you mean "inter_delay"?'),
        ("sync store", "rc:1: store: not allowed among arguments; write it in double quotes"),
        ("sync { x", "rc:1: {: not allowed among arguments"),
        ('sync "a', "rc:1: a quote that does not end on its line"),
        ("sync a \\\nb", "rc:1: a backslash before the line's end"),
        ("sync a\0b", 'rc:1: "a\\u0000b" holds a NUL'),
        ("watch a", "rc:1: watch: only within store"),
        ("\n}", 'rc:2: "}" belongs to no store'),
        ("store", "rc:1: store: the name is missing"),
        ("store a\nsync x", 'rc:1: store: "{" is missing'),
        ("store a {", 'rc:1: store "a": "}" is missing'),
        ("store a {", 'rc:1: store "a": 0 watch statements; allowed: one'),
        ("store a {\nwatch b\nwatch c\n}", 'rc:1: store "a": 2 watch statements; allowed: one'),
        ("store a {\nwach b\n}", "rc:2: wach: only watch is allowed within a store"),
    ],
)
def test_errors(text: str, message: str) -> None:
    """Each error names its line, what was found and what is allowed."""
    assert any(problem.startswith(message) for problem in problems_of(text)), problems_of(text)


def test_errors_after_an_error_are_told_too() -> None:
    """One bad line does not hide the next."""
    assert [problem.split(": ")[0] for problem in problems_of('a\nb\nsync "\n}\nc')] == [
        "rc:1",
        "rc:2",
        "rc:3",
        "rc:4",
        "rc:5",
    ]


@given(any_text)
def test_no_text_ends_in_a_traceback(text: str) -> None:
    """Any text gives statements or printable problems, and every statement is on a line that exists."""
    problems = Problems(Path("rc"))
    parsed = rcfile.parse(text, problems)
    for statement in parsed.statements:
        assert 1 <= statement.line <= text.count("\n") + 1
    try:
        problems.raise_if_any()
    except ConfigError as error:
        assert all(problem.isprintable() for problem in error.problems)
