"""From TOML texts to accounts: meaning, defaults, and all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.account import Account
from mswatch.config.toml_account import read_toml
from mswatch.errors import ConfigError
from mswatch.names import NameForm, Pattern

HOME = Path("/home/user")
SOURCE = Path("work.toml")
STORES = '[store.local]\nmaildir = "~/Mail"\n[store.server]\ncommand = ["ssh", "host"]\n'
SYNC = '[sync]\nwith = "mbsync"\n'


def read(text: str, name: str = "work", home: Path | None = HOME) -> Account:
    """Read a text as the file work.toml."""
    return read_toml(text, name, SOURCE, home)


def problems(text: str, home: Path | None = HOME) -> list[str]:
    """Return what is wrong with a text."""
    with pytest.raises(ConfigError) as caught:
        read(text, home=home)
    return caught.value.problems


def test_everything_has_a_default_but_the_stores_and_the_syncer() -> None:
    """The shortest account has the documented delays and is called like its mbsync channel."""
    account = read(SYNC + STORES)
    policy = account.policy
    assert (policy.base_delay, policy.inter_delay, policy.max_delay) == (0.3, 1, 300)
    assert policy.poll_period == 3600
    assert (policy.ignore, policy.only, policy.inter_delays) == ((), (), ())
    assert policy.stores == ("local", "server")
    assert account.sync.command == ("mbsync",)
    assert account.sync.target == "work"
    assert account.sync.by_mailbox
    local, server = account.stores
    assert local.maildir == HOME / "Mail"
    assert (local.layout, local.command) == ("maildir++", ())
    assert (server.maildir, server.command) == (None, ("ssh", "host"))


def test_everything_that_is_said_counts() -> None:
    """Each setting arrives where it belongs."""
    account = read(
        """
        base_delay = 2
        inter_delay = "5s"
        max_delay = "1m"
        poll_period = 0
        ignore = ["Junk"]
        only = ["INBOX", "lists/*"]
        inter_delays = { "lists/*" = "5m", "INBOX" = 2.5 }
        [sync]
        command = ["~/bin/sync", "-x"]
        mailbox_prefix = ["p", ":"]
        by_mailbox = false
        separator = "."
        encoding = "utf-7"
        names = { Gesendet = "Sent" }
        [store.a]
        maildir = "/srv/mail"
        layout = "nested"
        separator = "|"
        encoding = "utf-8"
        names = { X = "Y" }
        [store.b]
        command = ["watch"]
        inputkill = true
        """
    )
    policy, sync = account.policy, account.sync
    assert (policy.base_delay, policy.inter_delay, policy.max_delay, policy.poll_period) == (2, 5, 60, 0)
    assert policy.ignore == (Pattern("Junk"),)
    assert policy.only == (Pattern("INBOX"), Pattern("lists/*"))
    assert policy.inter_delays == ((Pattern("lists/*"), 300), (Pattern("INBOX"), 2.5))
    assert (sync.kind, sync.command, sync.target) == ("command", ("/home/user/bin/sync", "-x"), "")
    assert (sync.mailbox_prefix, sync.by_mailbox) == (("p", ":"), False)
    assert sync.names == NameForm(".", "utf-7", (("Gesendet", "Sent"),))
    assert account.stores[0].names == NameForm("|", "utf-8", (("X", "Y"),))
    assert account.stores[0].layout == "nested"
    assert account.stores[1].inputkill


@pytest.mark.parametrize(
    ("sync", "form"),
    [
        ('with = "mbsync"', NameForm("/", "utf-7")),
        ('with = "offlineimap"', NameForm("/", "utf-7")),
        ('command = ["x"]', NameForm("/", "utf-8")),
    ],
)
def test_each_syncer_has_its_form_of_names(sync: str, form: NameForm) -> None:
    """Both mbsync 1.4 and OfflineIMAP write modified UTF-7; other commands get canonical names."""
    assert read(f"[sync]\n{sync}\n{STORES}").sync.names == form


@pytest.mark.parametrize(
    ("store", "form"),
    [
        ('maildir = "x"', NameForm(".", "utf-7")),
        ('maildir = "x"\nlayout = "nested"', NameForm("/", "utf-7")),
        ('command = ["x"]', NameForm("/", "utf-8")),
    ],
)
def test_each_store_has_its_form_of_names(store: str, form: NameForm) -> None:
    """Maildir++ is read with dots and modified UTF-7; a command prints canonical names."""
    account = read(f'{SYNC}[store.a]\n{store}\n[store.b]\ncommand = ["y"]\n')
    assert account.stores[0].names == form


def test_the_program_and_options_of_a_named_syncer() -> None:
    """A command replaces the program, arguments follow it, account says which of theirs is meant."""
    sync = read(
        '[sync]\nwith = "offlineimap"\naccount = "a,b"\ncommand = ["nice", "offlineimap"]\n'
        f'arguments = ["-c", "~/rc"]\n{STORES}'
    ).sync
    assert sync.command == ("nice", "offlineimap", "-c", "/home/user/rc")
    assert sync.target == "a,b"


def test_all_problems_are_told_at_once_with_their_lines() -> None:
    """One reading of a bad file tells everything in it, in order, each line complete."""
    text = """\
base_delai = 3
inter_delay = "x"
ignore = "a"
poll_period = -1
[inter_delays]
"a*" = "soon"
[sync]
with = "mbsink"
chanel = "x"
[store.a]
maildir = "~root/x"
command = []
[store."b/c"]
layout = "nested"
[store.d]
command = ["x"]
[colour]
"""
    lines = problems(text)
    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines] == [
        "work.toml:1: base_delai",
        "work.toml:2: inter_delay",
        "work.toml:3: ignore",
        "work.toml:4: poll_period",
        'work.toml:6: inter_delays."a*"',
        "work.toml:8: sync.with",
        "work.toml:9: sync.chanel",
        "work.toml:10: store",
        "work.toml:10: store.a",
        "work.toml:11: store.a.maildir",
        "work.toml:12: store.a.command",
        'work.toml:13: store."b/c"',
        'work.toml:13: store."b/c"',
        'work.toml:14: store."b/c".layout',
        "work.toml:17: colour",
    ]
    assert 'did you mean "base_delay"?' in lines[0]
    assert 'did you mean "channel"?' in lines[6]
    assert all("allowed" in line or "no such setting" in line or "take it out" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "work.toml: store: missing; write two tables"),
        ("", "work.toml: sync: missing; write a table [sync]"),
        (
            STORES + "[store.c]\n",
            'work.toml:1: store: 3 stores ("local", "server", "c"); allowed: exactly two',
        ),
        ("store = 1", "work.toml:1: store: no table of tables"),
        ("sync = 1", "work.toml:1: sync: 1; allowed: a table"),
        ("[sync]", 'work.toml:1: sync.with: missing; allowed: one of "mailsync", "mbsync"'),
        ('[sync]\nwith = "command"', "work.toml:1: sync.command: missing"),
        ('[sync]\nwith = "mbsync"\naccount = "a"', 'work.toml:3: sync.account: means nothing with "mbsync"'),
        ('[sync]\ncommand = ["a"]\narguments = []', "sync.arguments: means nothing with"),
        ('[sync]\nwith = "mbsync"\nmailbox_prefix = ["a", "b"]', "sync.mailbox_prefix: means nothing with"),
        ('[store.a]\nmaildir = "x"\ninputkill = true', "store.a.inputkill: means nothing without command"),
        ("[store.a]\n", "work.toml:1: store.a: none of maildir, mbox, mh, command, imap, tunnel; allowed"),
        ('[store."a:b"]\n', 'store."a:b": "a:b" is no name for a store'),
        ("a = 1\na = 2", "work.toml:2: this is no TOML: "),
        ("base_delay = 5", "work.toml:1: base_delay: 5s is more than inter_delay, which is 1s (the default)"),
        ("base_delay = 5\ninter_delay = 4", "5s is more than inter_delay, which is 4s; lower"),
        (
            'base_delay = 1\n[inter_delays]\nb = "500ms"',
            'work.toml:3: inter_delays.b: inter_delay 500ms of "b" is less than base_delay, which is 1s',
        ),
    ],
)
def test_each_problem_is_told(text: str, message: str) -> None:
    """What is missing, superfluous or contradictory is named with what is allowed."""
    assert any(message in line for line in problems(text)), problems(text)


def test_nothing_follows_from_an_unusable_value() -> None:
    """A delay that cannot be read is not compared with another one."""
    assert problems(f'base_delay = 50\ninter_delay = "x"\n{SYNC}{STORES}') == [
        'work.toml:2: inter_delay: "x" is no delay; allowed: "300ms", "1.5s", "5m", "1h", "1d" or a number '
        "of seconds, from 0 to ten years"
    ]


def test_a_delay_may_equal_the_base_delay() -> None:
    """base_delay is a lower bound, not a strict one."""
    account = read(f"base_delay = 5\ninter_delay = 5\ninter_delays = {{ a = 5 }}\n{SYNC}{STORES}")
    assert account.policy.inter_delay_of("a") == 5


def test_a_missing_home_is_told_where_it_is_needed() -> None:
    """Without HOME only the words that need it are blamed."""
    assert problems(SYNC + STORES, home=None) == [
        'work.toml:4: store.local.maildir: "~/Mail" needs HOME, which is not set; allowed: a path, '
        'as "~/Mail" or "/srv/mail"'
    ]


keys = st.sampled_from(
    ["base_delay", "inter_delays", "sync", "store", "store.a", "sync.with", "store.a.maildir", "x", '"a\\nb"']
)
right_sides = st.sampled_from(
    ["1", '"mbsync"', "[]", '["a"]', "{}", '{ a = "b" }', "nan", "1979-05-27", '"\\u001b"', "[[1]]", "true"]
)


@given(st.lists(st.tuples(keys, right_sides), max_size=6))
def test_no_text_ends_in_a_traceback(pairs: list[tuple[str, str]]) -> None:
    """Whatever the values, the outcome is an account or printable problems that name the file."""
    try:
        read("\n".join(f"{key} = {value}" for key, value in pairs))
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.startswith("work.toml")
            assert problem.isprintable()
