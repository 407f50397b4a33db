"""An imported account does what the old file did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.account import Account
from mswatch.config.rc_account import read_rc
from mswatch.config.rc_import import import_file, import_rc, toml_string
from mswatch.config.toml_account import read_toml
from mswatch.config.toml_text import parse
from mswatch.errors import ConfigError
from mswatch.names import Pattern

HOME = Path("/home/user")
RC = Path(".mswatchrc")
STORES = "store a { watch x }\nstore b { watch y }\n"

EXAMPLE = """\
# my mail
# since 2007

# quick
base_delay 5 # very
inter_delay 20 lists.python # slow list
ignore spam
mailbox_prefix work :
# the syncer
sync socketwatch mbsync
store local { watch watch_maildirs -m /srv/mail }
store "far away" {
    # by ssh
    watch ssh host inputkill watch_maildirs
}
# the end
"""

EXPECTED = """\
# my mail
# since 2007
# Look at line 10: [sync] has a more direct form: with = "mbsync", channel = "work", options in arguments
# Look at line 11: the store "local" has a more direct form: maildir = "/srv/mail"
# Look at line 12: the store "far away" is called "far_away" now
# The delays are those of the old file and its defaults. Today's defaults:
# base_delay = "300ms", inter_delay = "1s", max_delay = "5m", poll_period = "1h"
# quick
# very
base_delay = "5s"
inter_delay = "1m"
max_delay = "10m"
poll_period = "1d"
ignore = ["spam"]

# slow list
[inter_delays]
"lists.python" = "20s"

[sync]
with = "command"
# the syncer
command = ["socketwatch", "mbsync"]
mailbox_prefix = ["work", ":"]

[store.local]
command = ["watch_maildirs", "-m", "/srv/mail"]

# by ssh
[store.far_away]
command = ["ssh", "host", "inputkill", "watch_maildirs"]
# the end
"""


def without_literals(account: Account) -> Account:
    """Return an account in which patterns that hold no wildcard are all alike."""

    def plain(pattern: Pattern) -> Pattern:
        return Pattern(pattern.text)

    policy = account.policy
    delays = tuple((plain(pattern), delay) for pattern, delay in policy.inter_delays)
    ignore = tuple(plain(pattern) for pattern in policy.ignore)
    return replace(account, policy=replace(policy, inter_delays=delays, ignore=ignore))


def test_an_example() -> None:
    """Comments move with their statements, delays are written out, and doubts are told in both places."""
    text, doubts = import_rc(EXAMPLE, RC)
    assert text == EXPECTED
    assert [doubt.split(": ")[0] for doubt in doubts] == [".mswatchrc:10", ".mswatchrc:11", ".mswatchrc:12"]


@pytest.mark.parametrize(
    ("line", "doubt"),
    [
        ("ignore a*", 'in "a*" * and % were letters; now they are wildcards'),
        ("inter_delay 70 %", 'in "%" * and % were letters'),
        ("sync mailsync_offlineimap\nmailbox_prefix foo :", 'with = "offlineimap", account = "foo"'),
        ("sync mbsync", 'with = "mbsync", channel = "CHANNEL"'),
        ("sync x ~/y", '"~/y" was passed on as it is'),
    ],
)
def test_doubts(line: str, doubt: str) -> None:
    """What means something else now, or could be said better, is told."""
    sync = "" if line.startswith("sync") else "sync x\n"
    _, doubts = import_rc(f"{sync}{STORES}{line}\n", RC)
    (found,) = doubts
    assert doubt in found


def test_a_plain_file_leaves_no_doubt() -> None:
    """Doubts are for what needs a look only."""
    assert import_rc(f"sync my-sync -x\n{STORES}ignore a.b\n", RC)[1] == []


def test_what_toml_cannot_hold_is_refused() -> None:
    """A byte that is no UTF-8 is an error with its line, not another name."""
    with pytest.raises(ConfigError) as caught:
        import_rc(f"{STORES}sync x\nignore a\udcff", RC)
    assert caught.value.problems == ['.mswatchrc:4: "a\\xff" is no UTF-8, and TOML holds nothing else']


def test_a_file_with_errors_is_not_imported(tmp_path: Path) -> None:
    """The errors are those of reading it."""
    path = tmp_path / "rc"
    path.write_text("bogus\n")
    with pytest.raises(ConfigError, match="rc:1: bogus: no such statement"):
        import_file(path)


@given(st.text())
def test_strings_of_toml(text: str) -> None:
    """Any text survives being written as a TOML string."""
    assert parse(f"a = {toml_string(text)}").data == {"a": text}


word = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=8)
mailbox = word.filter(lambda text: "*" not in text and "%" not in text)
command = st.lists(word.filter(lambda text: not text.startswith("~/")), min_size=1, max_size=4)
seconds = st.integers(0, 100_000)


def quoted(text: str) -> str:
    """Write a word of an rc file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def rc_files(draw: st.DrawFn) -> str:
    """Return an rc file without errors, with its statements in any order."""
    base = draw(seconds)
    lines = [f"base_delay {base}", f"inter_delay {base + draw(seconds)}"]
    for key in ("max_delay", "poll_period"):
        if draw(st.booleans()):
            lines.append(f"{key} {draw(seconds)}")
    for name in draw(st.lists(mailbox, unique=True, max_size=3)):
        lines.append(f"inter_delay {base + draw(seconds)} {quoted(name)}")
    for names in draw(st.lists(st.lists(mailbox, min_size=1, max_size=3), max_size=2)):
        lines.append(f"ignore {' '.join(map(quoted, names))}")
    if draw(st.booleans()):
        lines.append(f"mailbox_prefix {quoted(draw(word))} {quoted(draw(word))}")
    lines.append(f"sync {' '.join(map(quoted, draw(command)))}")
    for name in draw(st.lists(word, min_size=2, max_size=2, unique=True)):
        lines.append(f"store {quoted(name)} {{ watch {' '.join(map(quoted, draw(command)))} }}")
    comments = draw(st.lists(st.text(st.characters(exclude_characters="\n"), max_size=8), max_size=3))
    lines += [f"# {comment}" for comment in comments]
    return draw(st.sampled_from(["\n", "\r\n"])).join(draw(st.permutations(lines)))


@given(rc_files())
def test_the_imported_account_is_the_old_one(text: str) -> None:
    """Whatever an old file says, its import loads to an account that differs in nothing but its source."""
    old = read_rc(text, "mswatchrc", RC)
    toml, _ = import_rc(text, RC)
    new = read_toml(toml, "mswatchrc", RC, HOME)
    assert new == without_literals(old)
