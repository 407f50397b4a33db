"""How ssh is called, and what its failures mean; tests/over_ssh has the same with a real sshd."""

from __future__ import annotations

import ast
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.account import Ssh, Store
from mswatch.watchers.commands import watch_command
from mswatch.watchers.reader import NOISE_LIMIT, Answered, Changed, Ready, Unreadable, WatcherReader
from mswatch.watchers.sent import FIRST_STEP, bare, sent
from mswatch.watchers.ssh import MARKER, explain, over_ssh, quote, remote_line
from tests.watchers.test_reader import PLAIN

HOST = Ssh("me@mail.example.org")


def test_the_call() -> None:
    """Ssh never asks, never makes a master, never forwards; the host is no option, whatever it is."""
    ssh = Ssh("mail", 2222, Path("/key"), Path("/config"), ("torsocks", "ssh"), ("sudo", "-n"))
    argv = over_ssh(ssh, ("prog", "a b"))

    assert argv[:2] == ("torsocks", "ssh")
    for option in ("BatchMode=yes", "RequestTTY=no", "ControlMaster=no", "ClearAllForwardings=yes"):
        assert argv[argv.index(option) - 1] == "-o"
    assert argv[-9:-3] == ("-p", "2222", "-i", "/key", "-o", "IdentitiesOnly=yes")
    assert argv[argv.index("-F") + 1] == "/config"
    assert argv[-3:] == ("--", "mail", "echo mswatch-watcher-begins; exec sudo -n prog 'a b'")


@given(st.text(st.characters(blacklist_characters="\0", codec="utf-8")))
def test_a_word_stays_a_word(word: str) -> None:
    """Of any text, a POSIX shell makes the word again."""
    if not word.startswith("~/"):
        assert shlex.split(quote(word)) == [word]


def test_the_home_there() -> None:
    """A path below the home directory is left to the shell there."""
    assert quote("~/a b") == "~/'a b'"
    assert quote("~/") == "~/"
    assert quote("~") == "'~'"


def test_the_first_step_is_harmless_in_quotes() -> None:
    """What every shell has to read alike holds no character that any of them treats apart."""
    assert not set(FIRST_STEP) & set("'\\!\n`$")
    assert len(remote_line(["python3", "-c", FIRST_STEP])) < 200


def test_what_is_sent_is_small() -> None:
    """It fits into a fresh pipe, and nearly into the packets that TCP sends before the first answer."""
    store = Store("far", maildir=Path("~/Maildir"), ssh=HOST, answer_s=180.0)
    assert len(watch_command(store).stdin) < 18_500


def test_strange_arguments_arrive() -> None:
    """Names of any bytes are in what is sent, though it is ASCII all through."""
    names = ("caf\udce9", "ü", "a\nb", "'\"\\")
    program = sent("watch_maildirs.cli", names)
    command = ("python3", "-c", FIRST_STEP.replace("exec(", "print(", 1))
    line = subprocess.run(command, input=program, capture_output=True, check=True).stdout
    assert ast.literal_eval(line.decode())[:5] == b"exec("


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Doc."""\nx = 1  # why\n', '""\nx = 1\n'),
        ('def f():\n    """Doc.\n\n    More.\n    """\n', 'def f():\n    ""\n\n\n\n'),
        ('x = """\n# no comment\n"""\n', 'x = """\n# no comment\n"""\n'),
    ],
)
def test_bare(source: str, expected: str) -> None:
    """Comments and docstrings go, and nothing else does; line numbers stay."""
    assert bare(source) == expected


@pytest.mark.parametrize(
    ("status", "line", "told"),
    [
        (
            255,
            "ssh: connect to host x port 22: Network is unreachable",
            "cannot be reached from this network",
        ),
        (255, "Timeout, server x not responding.", "the connection to me@mail.example.org is dead"),
        (255, "client_loop: send disconnect: Broken pipe", "was lost"),
        (255, "Connection to x closed by remote host.", "was lost"),
        (255, "kex_exchange_identification: Connection closed by remote host", "before the login"),
        (255, "Permissions 0644 for 'k' are too open: UNPROTECTED PRIVATE KEY FILE!", "chmod 600"),
        (255, "Received disconnect from x: 2: Too many authentication failures", "identity"),
        (255, "Bad owner or permissions on /etc/ssh/ssh_config.d/x.conf", "/etc/ssh/ssh_config.d/x.conf"),
        (127, "", "a command is not there"),
        (1, "python3: Command not found.", "there is no python3"),
        (1, "Connection refused", ""),
        (255, "something else", ""),
    ],
)
def test_what_a_failure_means(status: int, line: str, told: str) -> None:
    """Only what ssh itself says of its end counts as ssh's; what is not known is not explained."""
    explained = explain(HOST, status, [line])
    assert told in explained if told else explained == ""
    assert "\n" not in explained


def test_noise_before_the_marker() -> None:
    """Nothing counts before the marker, however it is cut into pieces."""
    data = b"Welcome\n\n\nINBOX\nno newline" + MARKER + b"\nSent\n"
    for size in (1, 2, 7, len(data)):
        reader = WatcherReader(PLAIN, long_lines=False, marker=MARKER)
        words = [
            word for start in range(0, len(data), size) for word in reader.feed(data[start : start + size])
        ]
        assert words == [Ready(), Changed("Sent")]


def test_noise_without_end() -> None:
    """A shell that prints for ever is given up, and little of it is kept."""
    reader = WatcherReader(PLAIN, long_lines=False, marker=MARKER)
    words = [word for _ in range(NOISE_LIMIT // 1000 + 1) for word in reader.feed(b"x" * 1000)]
    assert [type(word) for word in words] == [Unreadable]
    assert len(reader.noise) < 1000


def test_answers() -> None:
    """An answer is its number, and no number is no answer."""
    reader = WatcherReader(PLAIN, long_lines=True)
    assert reader.feed(b"\n\there\t17\n\there\tx\n") == [Ready(), Answered(17)]
