"""A command line of names alone is read without the parser that knows all options: as that one reads it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mswatch import mailsync_parser
from mswatch.errors import UsageError
from mswatch.mailsync_asked import Asked, simply_asked

NAMES = ["work", "INBOX", "", "a b", "f.toml"]
OPTIONS = [
    "-q",
    "--quiet",
    "--config",
    "-c",
    "-cx",
    "--config=x",
    "--dry-run",
    "--list",
    "--dedupe",
    "-v",
    "--json",
]
WORDS = st.sampled_from([*NAMES, *OPTIONS, "-", "--"])


@given(st.lists(WORDS, max_size=5))
def test_both_read_the_same(words: list[str]) -> None:
    """What is simply read is what the parser reads; and it is never simple where that one refuses."""
    simply = simply_asked(words)
    if simply is not None:
        found = mailsync_parser.asked(words)
        assert (list(found.names), found.config, found.quiet) == (
            list(simply.names),
            simply.config,
            simply.quiet,
        )
        assert found == Asked(found.names, found.config, quiet=found.quiet)


def test_what_is_simple() -> None:
    """An account, mailboxes, a file and silence; all else is the parser's."""
    assert simply_asked(["work", "INBOX", "lists/a b"]) == Asked(["work", "INBOX", "lists/a b"])
    assert simply_asked(["--quiet", "--config", "f", "x"]) == Asked(["x"], "f", quiet=True)
    assert simply_asked(["--config", "f", "--", "x"]) == Asked(["x"], "f")
    assert simply_asked(["--", "-x"]) is None
    assert simply_asked(["work", "-n"]) is None
    assert simply_asked(["--config"]) is None
    assert simply_asked(["--config", "-n"]) is None
    assert simply_asked(["-q", "work"]) is None
    try:
        mailsync_parser.asked(["--no-such-thing"])
    except UsageError as error:
        assert "no-such-thing" in str(error)
    else:
        raise AssertionError("an option that is none was taken")
