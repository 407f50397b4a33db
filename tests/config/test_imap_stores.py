"""Stores on an IMAP server: what is said of the server, who logs in, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.account import Account
from mswatch.config.toml_account import read_toml
from mswatch.errors import ConfigError
from mswatch.imap_session.settings import Login, Server

HOME = Path("/home/user")
LOCAL = '[store.local]\nmaildir = "~/Mail"\n'
PIN = "ab" * 32


def read(server: str, top: str = "", sync: str = "") -> Account:
    """Read an account whose second store is said like this."""
    return read_toml(f"{top}\n{sync}\n{LOCAL}[store.server]\n{server}\n", "work", Path("work.toml"), HOME)


def problems(server: str, top: str = "", sync: str = "") -> list[str]:
    """Return what is wrong with it, without the place."""
    with pytest.raises(ConfigError) as caught:
        read(server, top, sync)
    return [problem.partition(": ")[2] for problem in caught.value.problems]


def test_the_shortest_account() -> None:
    """A server, a user and a password command: TLS, the usual port, mailsync, and nobody watches it."""
    account = read('imap = "imap.example.org"\nuser = "me"\npassword_command = ["~/bin/pw", "work"]')
    assert account.sync.kind == "mailsync"
    server = account.stores[1]
    assert server.imap == Server("imap.example.org", connections=3)
    assert server.login == Login("me", command=("/home/user/bin/pw", "work"))
    assert (server.is_watched, server.is_readable) == (False, True)
    assert account.policy.stores == ("local",)


IMAP = 'imap = "imap.example.org"\nuser = "me"'


def test_uses() -> None:
    """What a mailbox is for stands beside names; a name that begins with a backslash has two."""
    account = read(
        f"{IMAP}\ntrash = '\\trash'",
        sync=r"""[sync]
        skip = ['\All', "\\flagged", "lists/*", '\\All', "\\\\*"]""",
    )
    assert account.sync.skip_uses == {"\\All", "\\Flagged"}
    assert [pattern.text for pattern in account.sync.skip] == ["lists/*", "\\All", "\\*"]
    assert (account.stores[1].trash, account.stores[1].trash_use) == ("", "\\Trash")
    store = read(f"{IMAP}\ntrash = '\\\\Trash'").stores[1]
    assert (store.trash, store.trash_use) == ("\\Trash", "")


def test_uses_that_mean_nothing() -> None:
    """A use that there is none of is told with those that there are, and so is one that no server says."""
    (problem,) = problems(
        IMAP,
        sync=r"""[sync]
        skip = ['\Al']""",
    )
    assert r"""sync.skip: "\Al" is nothing that a mailbox is for; allowed: """ in problem
    assert r"a use is one of \All, \Archive" in problem
    assert r'"\Bin" is nothing that a mailbox is for' in problems(f"{IMAP}\ntrash = '\\Bin'")[0]
    local = 'maildir = "~/There"'
    found = problems(
        f"{local}\ntrash = '\\Trash'",
        sync=r"""[sync]
        skip = ['\Junk', '\All']""",
    )
    assert sorted(found) == [
        r"""store.server.trash: "\Trash": only a server says what a mailbox is for, and there is no imap;"""
        " write the mailbox's name",
        r"""sync.skip: "\All", "\Junk": only a server says what a mailbox is for, and there is no imap;"""
        " write the mailbox's name",
    ]


def test_everything_that_is_said_counts() -> None:
    """Each setting arrives where it belongs."""
    account = read(
        f"""
        imap = "[::1]:1993"
        user = "me@example.org"
        token_command = ["oama"]
        password_limit = "20s"
        mechanisms = ["XOAUTH2"]
        security = "starttls"
        fingerprints = ["{PIN}"]
        authorities = "~/ca.pem"
        client_certificate = "~/me.pem"
        silence_limit = 7
        connections = 2
        subscribed = true
        names = {{ "[Gmail]/Sent Mail" = "Sent" }}
        """
    )
    store = account.stores[1]
    assert store.imap == Server(
        "::1",
        1993,
        "starttls",
        authorities=HOME / "ca.pem",
        pins=(PIN,),
        client_certificate=HOME / "me.pem",
        timeout_s=7,
        connections=2,
    )
    assert store.login == Login(
        "me@example.org", command=("oama",), limit_s=20, is_token=True, mechanisms=("XOAUTH2",)
    )
    assert store.names.own_names == (("[Gmail]/Sent Mail", "Sent"),)
    assert store.subscribed


@pytest.mark.parametrize(
    ("server", "login"),
    [
        ('user = "me"', Login("me", asks=True)),
        ('user = "me"\npassword_file = "~/pw"', Login("me", file=HOME / "pw")),
        ('client_certificate = "/c"', Login()),
        ('user = "me"\nclient_certificate = "/c"', Login("me")),
    ],
)
def test_where_the_password_comes_from(server: str, login: Login) -> None:
    """Who gives no source is asked; a client certificate is a login by itself."""
    assert read(f'imap = "h"\n{server}').stores[1].login == login


def test_a_tunnel() -> None:
    """A command in place of a server; it has logged in already unless somebody is named."""
    store = read('tunnel = ["ssh", "h", "imap"]').stores[1]
    assert store.imap is not None
    assert store.imap.tunnel == ("ssh", "h", "imap")
    assert store.login == Login()


@pytest.mark.parametrize(
    "watched",
    [
        'ssh = "mail"\nmaildir = "~/Maildir"',
        'maildir = "~/Maildir"',
        'command = ["goimapnotify-like"]\nseparator = "."',
        'ssh = "mail"\nmbox = "~/mail"',
    ],
)
def test_watched_by_something_else(watched: str) -> None:
    """What mailsync reads by IMAP may be watched in any way that there is."""
    account = read(f'imap = "h"\nuser = "me"\n{watched}', top="poll_period = 0")
    assert account.stores[1].is_watched
    assert account.policy.stores == ("local", "server")
    assert account.sync.kind == "mailsync"


def test_both_stores_on_servers() -> None:
    """Two servers are an account, and nobody watches either."""
    text = '[store.a]\nimap = "a"\nuser = "me"\n[store.b]\nimap = "b"\nuser = "me"\n'
    account = read_toml(text, "work", Path("work.toml"), HOME)
    assert account.policy.stores == ()
    assert account.sync.kind == "mailsync"


ME = 'imap = "h"\nuser = "me"\n'


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ('imap = "h"', "user: missing; who logs in to the server?"),
        (f'{ME}tunnel = ["x"]', "server: imap and tunnel; allowed: one of them"),
        (
            f'{ME}password = "hunter2"',
            "password: a password has no place in this file",
        ),
        ('imap = "imaps://h"\nuser = "me"', 'imap: "imaps://h" is no server; allowed: a host'),
        ('imap = "h:x"\nuser = "me"', 'imap: "h:x" is no server'),
        ('imap = "h:0"\nuser = "me"', "imap: 0 is no port"),
        ('imap = "-h"\nuser = "me"', 'imap: "-h" is no server'),
        ('imap = "a b"\nuser = "me"', 'imap: "a b" is no server'),
        (
            'imap = "me:hunter2@h"\nuser = "me"',
            "imap: there is a user in it, who belongs into user",
        ),
        ('imap = "h"\nuser = "a\\nb"', 'user: "a\\nb" cannot be logged in as'),
        (
            f'{ME}password_file = "x"\ntoken_command = ["y"]',
            "server: password_file and token_command;",
        ),
        (
            f'{ME}mechanisms = ["XOAUTH2"]',
            'mechanisms: "XOAUTH2" takes a token; write',
        ),
        (
            f'{ME}token_command = ["y"]\nmechanisms = ["PLAIN"]',
            'mechanisms: "PLAIN" takes a password',
        ),
        (
            f'{ME}mechanisms = ["CRAM-MD5"]',
            'mechanisms: "CRAM-MD5" is not known; allowed',
        ),
        (f"{ME}mechanisms = []", "mechanisms: an empty list"),
        (
            f'{ME}fingerprints = ["{PIN[:40]}"]',
            "is no SHA-256 fingerprint; allowed",
        ),
        (
            f'{ME}security = "plain"\nauthorities = "x"',
            'authorities: means nothing with security = "p',
        ),
        (
            'tunnel = ["x"]\nsecurity = "tls"',
            "security: means nothing without imap; take it out",
        ),
        (
            'maildir = "x"\nuser = "me"',
            "user: means nothing without imap or tunnel; take it out",
        ),
        (
            f'{ME}ssh = "mail"',
            "ssh: means nothing without maildir or mbox or mh or command; take",
        ),
        (
            f'{ME}separator = "."',
            "separator: means nothing without maildir or mbox or",
        ),
        (f'{ME}start_limit = "1m"', "start_limit: means nothing without maildir"),
        (f'{ME}poll = "1m"', "poll: means nothing without maildir"),
        (f'{ME}maildir = "x"\nmh = "y"', "server: maildir and mh; allowed: one of them"),
        ("", "server: none of maildir, mbox, mh, command, imap, tunnel; allowed: one of them"),
    ],
)
def test_each_problem_is_told(server: str, message: str) -> None:
    """What is missing, superfluous or contradictory is named with what to do; and a password never is."""
    found = problems(server)
    assert any(message in problem for problem in found), found
    assert not any("hunter2" in problem for problem in found)


def test_an_unwatched_store_needs_a_poll() -> None:
    """What nobody watches and nobody polls would never be seen."""
    assert problems(ME, top="poll_period = 0") == [
        "poll_period: 0 means never, and store server is not watched, so nobody would see its changes; "
        "give it a poll_period, or say how the store is watched"
    ]


@pytest.mark.parametrize(
    ("server", "idle", "message"),
    [
        (
            f'{ME}silence_limit = "2m"',
            "",
            "silence_limit: 2m is not less than idle_limit of [sync]",
        ),
        (f'{ME}password_limit = "3m"', "", "password_limit: 3m is not less than idle_limit of"),
        (
            f'{ME}password_command = ["x"]',
            'idle_limit = "50s"',
            "password_limit: 1m is not less than idle_limit of [sync], which is 50s; lower",
        ),
    ],
)
def test_limits_within_limits(server: str, idle: str, message: str) -> None:
    """A wait that the idle limit would cut off could never be told for what it is."""
    (problem,) = problems(server, sync=f"[sync]\n{idle}")
    assert message in problem
    assert read(server, sync='[sync]\nidle_limit = "1h"').sync.idle_limit_s == 3600
    assert read(server, sync="[sync]\nidle_limit = 0").sync.idle_limit_s == 0
