"""From an old mswatchrc to an account: the old meaning, the old defaults, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.account import Account
from mswatch.config.rc_account import read_rc, store_names
from mswatch.errors import ConfigError
from mswatch.names import NameForm, Pattern
from mswatch.syncers import plan

STORES = "store a { watch x }\nstore b { watch y }\n"
SYNC = "sync prog\n"


def read(text: str) -> Account:
    """Read a text as the file rc."""
    return read_rc(text, "old", Path("rc"))


def problems(text: str) -> list[str]:
    """Return what is wrong with a text."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value.problems


def test_the_old_defaults() -> None:
    """What an old file does not say means what it meant."""
    account = read(SYNC + STORES)
    policy = account.policy
    assert (policy.base_delay, policy.inter_delay, policy.max_delay) == (10, 60, 600)
    assert policy.poll_period == 86400
    assert policy.stores == ("a", "b")
    assert account.sync.kind == "command"
    assert account.sync.mailbox_prefix is None
    assert all(store.names == NameForm("/", "utf-8") for store in account.stores)


def test_a_whole_file() -> None:
    """Every statement of the old program arrives where it belongs."""
    account = read(
        """
        # as on the web site, with everything used
        base_delay 5
        inter_delay 9
        inter_delay 20 lists.python "sp ace"
        inter_delay 30 x
        max_delay 7
        poll_period 0
        ignore spam *
        ignore INBOX
        mailbox_prefix my :
        sync socketwatch mbsync -V
        store local { watch watch_maildirs }
        store remote
        {
            watch ssh -o BatchMode=yes host inputkill watch_maildirs
        }
        """
    )
    policy = account.policy
    assert (policy.base_delay, policy.inter_delay, policy.max_delay, policy.poll_period) == (5, 9, 7, 0)
    assert policy.inter_delays == (
        (Pattern("lists.python", literal=True), 20),
        (Pattern("sp ace", literal=True), 20),
        (Pattern("x", literal=True), 30),
    )
    assert policy.ignore == tuple(Pattern(name, literal=True) for name in ("spam", "*", "INBOX"))
    assert account.sync.mailbox_prefix == ("my", ":")
    assert account.sync.command == ("socketwatch", "mbsync", "-V")
    assert account.stores[1].command == ("ssh", "-o", "BatchMode=yes", "host", "inputkill", "watch_maildirs")


def test_a_wildcard_is_a_letter() -> None:
    """A name of an old file stands for itself only."""
    policy = read(f"ignore l*\n{SYNC}{STORES}").policy
    assert not policy.wants("l*")
    assert policy.wants("list")


def test_no_mailbox_prefix_works() -> None:
    """The old program crashed there; ours passes names as they are and one empty argument for all."""
    sync = read(SYNC + STORES).sync
    assert plan(sync, ("a",)).calls == ((b"prog", b"a"),)
    assert plan(sync, None).calls == ((b"prog", b""),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STORES, "rc: sync: missing"),
        (SYNC, "rc: store: no stores; allowed: two"),
        (f"{SYNC}store a {{ watch x }}", 'rc: store: only one store ("a"); allowed: two'),
        (f"{SYNC}{STORES}store c {{ watch z }}", 'rc:4: store "c": the third; allowed: two'),
        (
            f"{SYNC}store a {{ watch x }}\nstore a {{ watch y }}",
            'rc:3: store "a": the name is taken in line 2',
        ),
        ("sync\n", "rc:1: sync: the program is missing"),
        ('sync ""\n', "rc:1: sync: the program is missing"),
        ("store a { watch }", 'rc:1: watch of store "a": the program is missing'),
        ("sync a\nsync b", "rc:2: sync: given again; first in line 1"),
        ("inter_delay 60\ninter_delay 70", "rc:2: inter_delay: given again; first in line 1"),
        ("base_delay", 'rc:1: base_delay: ""; allowed: whole seconds'),
        ("base_delay 1.5", 'rc:1: base_delay: "1.5"; allowed: whole seconds'),
        ("base_delay -1", 'rc:1: base_delay: "-1"; allowed: whole seconds'),
        ("base_delay ١", "rc:1: base_delay: "),
        ("base_delay 1 2", 'rc:1: base_delay: "1 2"; allowed: whole seconds'),
        (
            "poll_period 99999999999",
            'rc:1: poll_period: "99999999999"; allowed: whole seconds, up to ten years',
        ),
        ("inter_delay soon a", 'rc:1: inter_delay: "soon a"; allowed: whole seconds'),
        ("base_delay 61", "rc:1: base_delay 61 is more than inter_delay, which is 60 (the default)"),
        ("base_delay 9\ninter_delay 8", "rc:1: base_delay 9 is more than inter_delay, which is 8"),
        ("inter_delay 9", "rc:1: base_delay 10 is more than inter_delay, which is 9"),
        ("inter_delay 9 a b", "rc:1: inter_delay: 9 for a, b is less than base_delay, which is 10"),
        ("inter_delay 11 a\ninter_delay 12 a", 'rc:2: inter_delay: 12 for "a", which has 11 already'),
        ("mailbox_prefix a", "rc:1: mailbox_prefix: 1 words; allowed: a prefix and a separator"),
    ],
)
def test_errors(text: str, message: str) -> None:
    """What the old program refused is refused, with the line and both values named."""
    assert any(problem.startswith(message) for problem in problems(text)), problems(text)


def test_all_errors_at_once() -> None:
    """Errors of the grammar and of the meaning are told together."""
    lines = [problem.split(": ")[0] for problem in problems("base_delay x\nbogus\nmailbox_prefix a\n")]
    assert lines == ["rc", "rc", "rc:1", "rc:2", "rc:3"]


def test_equal_delays_are_allowed() -> None:
    """base_delay is a lower bound, not a strict one; and a repeated delay does no harm."""
    account = read(f"base_delay 60\ninter_delay 60 a\ninter_delay 60 a\n{SYNC}{STORES}")
    assert account.policy.inter_delay_of("a") == 60


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["local", "remote"], ["local", "remote"]),
        (["my store", "a:b"], ["my_store", "a_b"]),
        (["a b", "a:b"], ["a_b", "a_b_2"]),
        (["-x", ""], ["_-x", "_"]),
        (["..", "ü" * 100], ["_.", "_" * 60]),
    ],
)
def test_names_of_stores_become_usable(old: list[str], new: list[str]) -> None:
    """Any word was a name; now it is a part of unit names."""
    assert store_names(old) == new
