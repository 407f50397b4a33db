"""The old command line, and how it is told from today's."""

from __future__ import annotations

import pytest

from mswatch.errors import UsageError
from mswatch.oldmailsync.options import OldOptions, is_meant, parse


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("c", OldOptions(("c",))),
        ("c s", OldOptions(("c", "s"))),
        ("-f file c", OldOptions(("c",), file="file")),
        ("-n c", OldOptions(("c",), delete=False)),
        ("-nD c", OldOptions(("c",), delete=False)),
        ("-D c", OldOptions(("c",), remove_empty=True)),
        ("-m c", OldOptions(("c",), messages=True)),
        ("-mM c", OldOptions(("c",), messages=True)),
        ("-M c", OldOptions(("c",), messages=True, ids=True)),
        ("-s c", OldOptions(("c",), simulate=True, delete=False)),
        ("-cd c", OldOptions(("c",), copy_deleted=True)),
        ("-t md5 c", OldOptions(("c",), method="md5")),
        ("-t msgid c", OldOptions(("c",))),
        ("-v -vb -vw -vp -d -di -dc c", OldOptions(("c",))),
        ("c -n", OldOptions(("c", "-n"))),
        ("--accept-deletions c", OldOptions(("c",), accept_deletions=True)),
        ("--undo-deletions c", OldOptions(("c",), undo_deletions=True)),
        ("--dedupe c", OldOptions(("c",), dedupe=True)),
        ("-h", OldOptions(help=True)),
        ("", OldOptions()),
    ],
)
def test_parse(words: str, options: OldOptions) -> None:
    """Each option, as the old program read it."""
    assert parse(words.split()) == options


@pytest.mark.parametrize(
    "words",
    ["-f", "-t", "-t sha1 c", "-c c", "-x c", "-", "--dry-run c", "--undo-deletions --dedupe c"],
)
def test_wrong_words(words: str) -> None:
    """What the old program crashed at, or answered with its whole usage, is told in a line; "-" is a name."""
    if words == "-":
        assert parse([words]).names == ("-",)
        return
    with pytest.raises(UsageError):
        parse(words.split())


@pytest.mark.parametrize(
    ("words", "is_old"),
    [
        ("channel", True),
        ("account", False),
        ("nothing", False),
        ("-n channel", True),
        ("-n account", False),
        ("-v channel", True),
        ("channel store", True),
        ("account INBOX", False),
        ("-f file anything", True),
        ("-f", True),
        ("-D account", True),
        ("-t md5 channel", True),
        ("-cd channel", True),
        ("-c file", False),
        ("-cdemo.toml", False),
        ("--config=file -m", False),
        ("--config file channel", False),
        ("--json channel", False),
        ("--accept-deletions channel", True),
        ("--accept-deletions account", False),
        ("--help", False),
        ("", False),
    ],
)
def test_which_form_is_meant(words: str, is_old: bool) -> None:
    """Old options are old; otherwise the first name decides."""
    assert is_meant(words.split(), {"channel", "store"}, {"account"}) is is_old


def test_ambiguity_is_told() -> None:
    """A name that is both is told with both ways to say it."""
    with pytest.raises(UsageError) as caught:
        is_meant(["work"], {"work"}, {"work"})
    assert "mailsync --config" in caught.value.fix
    assert "mailsync -f ~/.mailsync work" in caught.value.fix
