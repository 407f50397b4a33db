"""Line numbers of TOML keys, and errors of TOML texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.config.toml_text import NoTomlError, parse

TEXT = '''\
# comment with = and [brackets]
plain = 1
"quoted # = key" = "value # = ["  # comment
dotted . 'key' = """
not = a key
[neither]
"""

list = [
  1, # x = 2
  "]",
]
inline = { a = 1, b = [2] }
literal = \'\'\'
x = 1\'\'\'
after = 3
[sync] # comment
with = "x"
[store."a.b"]
 maildir = 'c:\\'
[[many]]
one = 1
[[many]]
two = 2
[last]'''

LINES = {
    ("plain",): 2,
    ("quoted # = key",): 3,
    ("dotted",): 4,
    ("dotted", "key"): 4,
    ("list",): 9,
    ("inline",): 13,
    ("literal",): 14,
    ("after",): 16,
    ("sync",): 17,
    ("sync", "with"): 18,
    ("store",): 19,
    ("store", "a.b"): 19,
    ("store", "a.b", "maildir"): 20,
    ("many",): 21,
    ("many", "one"): 22,
    ("many", "two"): 24,
    ("last",): 25,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_each_key_has_its_line(newline: str) -> None:
    """Keys and headers are found, and nothing within strings, lists and comments is taken for one."""
    assert parse(TEXT.replace("\n", newline)).lines == LINES


@pytest.mark.parametrize(
    ("keys", "line"),
    [(("inline", "a"), 13), (("sync", "missing"), 17), (("missing",), 0), ((), 0), (("store", "x"), 19)],
)
def test_what_has_no_line_has_that_of_what_is_around_it(keys: tuple[str, ...], line: int) -> None:
    """A key within an inline table has the table's line; for what is nowhere there is none."""
    assert parse(TEXT).line(keys) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\na = 2", 2),
        ("\n\nx", 3),
        ('a = 1\nb = """\n\n', 2),
        ("a = [", 1),
        ("a = " + "[" * 5000, 0),
        ("a = " + "9" * 5000, 0),
        ("a = 2024-13-45", 1),
        ('a = "\\ud800"', 1),
    ],
)
def test_errors_have_a_line_where_the_parser_knows_one(text: str, line: int) -> None:
    """What is no TOML is told with the line; nesting and huge numbers end in no traceback."""
    with pytest.raises(NoTomlError) as caught:
        parse(text)
    assert caught.value.line == line
    assert "(at " not in str(caught.value)


@given(st.text(alphabet="ab=.[]{}\"'#\\\n\r \t,1", max_size=60))
def test_the_scanner_finds_every_key_of_every_text_that_parses(text: str) -> None:
    """Each key at the top of an accepted text has a line on which it can be seen."""
    try:
        document = parse(text)
    except NoTomlError:
        return
    for key in document.data:
        line = document.line((key,))
        assert 1 <= line <= text.count("\n") + 1
        if key.isalnum():
            assert key in text.split("\n")[line - 1]
