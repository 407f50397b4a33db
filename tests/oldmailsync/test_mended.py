"""The known dangers of the old program, each of which ours does not have."""

from __future__ import annotations

import itertools
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from mswatch.errors import (
    EXIT_CONFIG,
    EXIT_PARTIAL,
    EXIT_REFUSED,
    EXIT_TEMPORARY,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
)
from mswatch.oldmailsync_command import run
from tests.mailsync.test_worlds import in_child
from tests.mailsync.worlds import each_call
from tests.oldmailsync.homes import CONFIGURATION, Home, Mail

STRIDE = 1 if os.environ.get("MSWATCH_LONG") else 25


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose stores are in step: three messages in "box", one in "lists"."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one", "two", "three")
    home.write("B/lists", "four")
    home.new("ab")
    return home


def test_simulating_changes_nothing_at_all(home: Home) -> None:
    """With -s nothing is written anywhere, whatever else is asked for, and before the first run too."""
    home.remove("B/box", "two")
    home.write("A/new", "five")
    (home.directory / "B/lists").unlink()
    for words in (("-s", "ab"), ("-s", "-M", "ab"), ("-s", "-D", "ab"), ("-s", "-cd", "ab")):
        before = home.files()
        out, _ = home.new(*words)
        assert out.startswith("Only simulating\n")
        assert home.files() == before, words
    fresh = Home(home.directory.with_name("fresh"))
    fresh.write("A/box", "one")
    before = fresh.files()
    fresh.new("-s", "-m", "ab")
    fresh.new("ab", "b")
    fresh.new("-M", "a")
    assert fresh.files() == before


def test_no_deletion_is_not_undone_later(home: Home) -> None:
    """With -n nothing is deleted; the next run without it deletes, and does not bring anything back."""
    home.remove("B/box", "two")
    out, _ = home.new("-n", "-m", "ab")
    assert "deleted" not in out
    assert home.contents("A")["box"] == ["one", "three", "two"]
    assert home.contents("B")["box"] == ["one", "three"]
    home.new("-n", "ab")
    home.new("ab")
    assert home.contents("A") == home.contents("B") == {"box": ["one", "three"], "lists": ["four"]}


def test_no_mailbox_with_messages_is_removed(home: Home) -> None:
    """-n -D removes no mailbox; -D none that holds anything."""
    home.remove("B/box", "one", "two", "three")
    home.new("-n", "-D", "ab")
    assert home.contents("A") == {"box": ["one", "three", "two"], "lists": ["four"]}
    home.write("A/full", Mail("marked", "D"))
    home.write("B/full")
    home.new("-D", "ab")
    assert home.contents("A") == {"full": ["marked"], "lists": ["four"]}


def test_marked_messages_are_not_expunged(home: Home) -> None:
    """What somebody only marked as deleted stays, on both sides, by every option."""
    home.mark("A/box", "one", "D")
    home.write("A/later", Mail("five", "D"))
    for words in (("ab",), ("-cd", "ab"), ("ab",)):
        home.new(*words)
    assert home.contents("A") == home.contents("B")
    assert home.contents("A")["box"] == ["one", "three", "two"]
    assert home.contents("A")["later"] == ["five"]


@pytest.mark.parametrize("how", ["gone", "not mounted", "wrong prefix"])
def test_vanished_store_deletes_nothing(home: Home, how: str) -> None:
    """A store that is not there, or empty, is refused with a command for each of both intentions."""
    (home.directory / "A").rename(home.directory / "aside")
    if how == "not mounted":
        (home.directory / "A").mkdir()
    elif how == "wrong prefix":
        (home.directory / "aside").rename(home.directory / "A")
        home.configure(CONFIGURATION.replace("A/", "A/sub/"))
        (home.directory / "A/sub").mkdir()
    before = home.contents("B")
    if how == "wrong prefix":  # other stores than before: they meet as for the first time
        home.new("ab")
        assert home.contents("B") == before
        return
    _, err = home.new("ab", status=EXIT_REFUSED)
    assert "mailsync --accept-deletions ab" in err
    assert "mailsync --undo-deletions ab" in err
    assert home.contents("B") == before
    home.new("--undo-deletions", "ab")
    assert home.contents("A") == home.contents("B") == before


@pytest.mark.server
@pytest.mark.parametrize("there", [False, True])
def test_vanished_store_at_the_first_run(tmp_path: Path, there: bool) -> None:
    """What the old program remembers makes no vanished store believable; once it is back, all is well."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one", "two")
    home.write("B/lists", "three")
    home.old("ab")
    home.remove("B/box", "two")
    (home.directory / "A").rename(home.directory / "aside")
    if there:
        (home.directory / "A").mkdir()
    before = home.contents("B")
    for _ in range(2):
        home.new("ab", status=EXIT_REFUSED)
        assert home.contents("B") == before
    if there:
        (home.directory / "A").rmdir()
    (home.directory / "aside").rename(home.directory / "A")
    out, err = home.new("-m", "ab")
    assert "taken over from msinfo: 3 messages in 2 mailboxes" in err
    assert out.count("deleted") == 1
    assert home.contents("A") == home.contents("B") == {"box": ["one"], "lists": ["three"]}


@pytest.mark.server
def test_large_deletion_at_the_first_run(tmp_path: Path) -> None:
    """More than half of a mailbox, gone since the last run of the old program, is not believed either."""
    home = Home(tmp_path / "home")
    names = [f"m{number}" for number in range(40)]
    home.write("A/box", *names)
    home.old("ab")
    home.remove("B/box", *names[:30])
    home.new("ab", status=EXIT_REFUSED)
    assert len(home.contents("A")["box"]) == 40
    home.new("--accept-deletions", "ab")
    assert len(home.contents("A")["box"]) == len(home.contents("B")["box"]) == 10


@pytest.mark.server
def test_other_stores_are_not_taken_for_empty_ones(tmp_path: Path) -> None:
    """When the configuration names other mailboxes, what is remembered of the former ones deletes nothing."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one")
    home.old("ab")
    home.new("ab")
    (home.directory / "A/sub").mkdir()
    home.configure(CONFIGURATION.replace("A/", "A/sub/"))
    _, err = home.new("ab")
    assert "the stores are others than before" in err
    assert home.contents("B") == {"box": ["one"]}
    assert (home.directory / "A/sub/box").exists()


@pytest.mark.server
@pytest.mark.slow
def test_killed_at_every_step_of_the_first_run(tmp_path: Path) -> None:
    """Wherever the run is killed that takes over, the next one comes to the same end."""
    start = Home(tmp_path / "start")
    start.write("A/box", "one", "two", "three")
    start.write("B/lists", "four")
    start.old("ab")
    start.remove("B/box", "two")
    start.remove("A/lists", "four")
    start.write("A/new", "five")
    for step in itertools.count(0, STRIDE):
        home = start.copy(tmp_path / f"home{step}")
        killed = in_child(partial(_run_until, home, step))
        left = {"box": ["one", "three"], "lists": [], "new": ["five"]}
        for _ in range(2):
            assert in_child(partial(_run_until, home, -1)) == 0, step
            assert home.contents("A") == home.contents("B") == left, step
        if not killed:
            break
    assert step > 3 * STRIDE


def _run_until(home: Home, step: int) -> None:
    """Run, and be killed before the call with this number."""
    calls = itertools.count()

    def die(call: str) -> None:
        if next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    with each_call(die):
        run(["ab"], {"HOME": str(home.directory)})


@pytest.mark.server
@pytest.mark.parametrize("methods", [("msgid", "md5"), ("md5", "msgid")])
def test_another_method_brings_nothing_back(tmp_path: Path, methods: tuple[str, str]) -> None:
    """What was remembered by one method is understood by the other one: deletions stay deletions."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one", "two")
    home.old("-t", methods[0], "ab")
    home.remove("B/box", "one")
    home.new("-t", methods[1], "ab")
    assert home.contents("A") == home.contents("B") == {"box": ["two"]}


def test_different_messages_with_one_id_are_two(home: Home) -> None:
    """An id that is there twice, or missing, deletes nothing and is carried."""
    home.write(
        "A/ids", Mail("same", id="s@x"), Mail("other", id="s@x"), Mail("none", id=""), Mail("nor", id="")
    )
    home.new("ab")
    home.new("ab")
    assert home.contents("A")["ids"] == home.contents("B")["ids"] == ["none", "nor", "other", "same"]


def test_copies_are_removed_if_asked_for(home: Home) -> None:
    """With --dedupe one of those stays that are equal byte for byte, also if there are many."""
    home.write("A/same", *(["copy"] * 30), Mail("other", id="copy@example.org"))
    home.new("ab")
    home.new("ab")
    assert len(home.contents("A")["same"]) == len(home.contents("B")["same"]) == 31
    assert "29 duplicates" not in home.new("ab")[0]
    assert "same: 30 duplicates, 1 currently at store a." in home.new("ab", "a")[0]
    _, err = home.new("--dedupe", "ab", status=EXIT_REFUSED)
    assert "mailsync --dedupe --accept-deletions ab" in err
    home.new("--dedupe", "--accept-deletions", "ab")
    assert home.contents("A")["same"] == home.contents("B")["same"] == ["copy", "other"]


def test_what_is_no_mail_is_left_alone(home: Home) -> None:
    """Text files, directories, FIFOs and msinfo are no mailboxes, and nothing is made of them elsewhere."""
    (home.directory / "A/notes").write_text("To do:\nnothing\n")
    (home.directory / "A/directory").mkdir()
    os.mkfifo(home.directory / "A/fifo")
    home.configure(CONFIGURATION.replace("msinfo msinfo", "msinfo A/ms"))
    home.write("A/ms", Mail("ab"))
    assert home.new("a")[0] == 'Listing store "a"\nbox\nlists\nms\n'
    home.new("ab")
    assert sorted(path.name for path in (home.directory / "B").iterdir()) == ["box", "lists"]
    home.write("B/directory", "in the way")
    _, err = home.new("ab", status=EXIT_PARTIAL)
    assert "directory" in err
    assert (home.directory / "A/directory").is_dir()


def test_msinfo_without_a_subject(home: Home) -> None:
    """A foreign message in msinfo does no harm; msinfo is never written."""
    fresh = Home(home.directory.with_name("fresh"))
    fresh.write("A/box", "one")
    path = fresh.directory / "msinfo"
    path.write_text("From x@example.org Mon Nov  2 10:00:00 2026\nFrom: x@example.org\n\nBody.\n\n")
    before = path.read_bytes()
    fresh.new("ab")
    assert path.read_bytes() == before
    assert fresh.contents("B") == {"box": ["one"]}


@pytest.mark.parametrize(
    "body",
    ["../../evil\n<x@x>\n/etc/passwd\n<y@x>\n#mh/x\n<z@x>\n~root\n<w@x>\n", "\x01\x02<<>>\n<\n", "<" * 5000],
)
def test_msinfo_that_cannot_be(tmp_path: Path, body: str) -> None:
    """Whatever msinfo says of mailboxes that cannot be, it leads nowhere and deletes nothing."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one")
    home.write("B/box", "two")
    (home.directory / "msinfo").write_text(
        f"From x@example.org Mon Nov  2 10:00:00 2026\nFrom: mailsync\nSubject: ab\n\n{body}\n"
    )
    before = sorted(path.name for path in tmp_path.iterdir())
    for _ in range(2):
        home.new("ab")
        assert home.contents("A") == home.contents("B") == {"box": ["one", "two"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_absolute_paths(tmp_path: Path) -> None:
    """They work, also for msinfo."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one")
    at = home.directory
    home.configure(
        f"store a {{ pat {at}/A/% prefix {at}/A/ }} store b {{ ref ~/B/ pat % prefix ~/B/ }}\n"
        f"channel ab a b {{ msinfo {at}/ms }}"
    )
    home.new("ab")
    assert home.contents("B") == {"box": ["one"]}


def test_failures_are_in_the_exit_status(home: Home) -> None:
    """A mailbox that cannot be read ends in 1, and others go on; wrong words and files end in others."""
    (home.directory / "A/box").chmod(0)
    home.write("A/later", "five")
    _, err = home.new("ab", status=EXIT_PARTIAL)
    assert "box" in err
    assert home.contents("B")["later"] == ["five"]
    (home.directory / "A/box").chmod(0o600)
    for words in (
        ("-f",),
        ("-t",),
        ("-t", "x", "ab"),
        ("-x", "ab"),
        ("a", "b"),
        ("ab", "ab"),
        ("-m", "nothing"),
    ):
        home.new(*words, status=EXIT_USAGE)
    home.new("-f", "nowhere", "ab", status=EXIT_CONFIG)
    home.configure("store a {")
    _, err = home.new("-m", "ab", status=EXIT_CONFIG)
    assert '.mailsync:1: store "a": its "}" is missing' in err


def test_unreadable_msinfo_stops(tmp_path: Path) -> None:
    """What was remembered is not guessed: if it cannot be read, nothing is done."""
    home = Home(tmp_path / "home")
    home.write("A/box", "one")
    home.write("msinfo", "x").chmod(0)
    _, err = home.new("ab", status=EXIT_UNAVAILABLE)
    assert "take msinfo out of the channel" in err
    assert home.contents("B") == {}


def test_passwords_are_private(home: Home) -> None:
    """A file with passwords that others may read is refused; the password is shown nowhere."""
    file = home.directory / ".mailsync"
    home.configure("store r { server {127.0.0.1:1/notls/user=me} pat INBOX passwd s3cret }")
    file.chmod(0o644)
    _, err = home.new("r", status=EXIT_CONFIG)
    assert f"chmod 600 {file}" in err
    file.chmod(0o600)
    _, err = home.new("r", status=EXIT_TEMPORARY)
    assert "s3cret" not in err


def test_names_from_outside_obey_nobody(home: Home) -> None:
    """A mailbox whose name would move a terminal's cursor is printed so that it does not."""
    home.write("A/b\x1b[31mad", "one")
    out, err = home.new("-m", "ab")
    assert "\x1b" not in out + err
    assert r"b\u001b[31mad" in out


def test_both_forms(home: Home) -> None:
    """An account is an account, a channel a channel; what is both is told with both ways to say it."""
    accounts = home.directory / ".config/mswatch"
    accounts.mkdir(parents=True)
    toml = '[store.x]\nmaildir = "x"\n[store.y]\nmaildir = "y"\n'
    (accounts / "work.toml").write_text(toml)
    for store in "xy":
        (home.directory / store / "cur").mkdir(parents=True)
    assert home.new("work") == ("", "")
    assert home.new("ab")[0].startswith("Synchronizing stores")
    (accounts / "ab.toml").write_text(toml)
    _, err = home.new("ab", status=EXIT_USAGE)
    assert "mailsync -f ~/.mailsync ab" in err
    assert home.new("-f", str(home.directory / ".mailsync"), "ab")[0].startswith("Synchronizing stores")
    status, out, _ = home.start("-f", str(home.directory / ".mailsync"), "ab")
    assert (status, out.partition(" ")[0]) == (0, "Synchronizing")
    assert home.start("ab")[0] == EXIT_USAGE
    home.configure("store {")
    assert home.new("work") == ("", "")


def test_maildirs(tmp_path: Path) -> None:
    """Maildirs are found as well, and what is made among them is one."""
    home = Home(tmp_path / "home")
    for name in ("A/one", "A/two"):
        for part in ("cur", "new", "tmp"):
            (home.directory / name / part).mkdir(parents=True)
    (home.directory / "A/one/cur/1.x:2,S").write_text("Subject: first\nMessage-ID: <1@x>\n\nBody.\n")
    home.write("B/three", "third")
    assert home.new("ab")[0].startswith('Synchronizing stores "a" <-> "b"...\n')
    assert sorted(path.name for path in (home.directory / "A/three").iterdir()) == ["cur", "new", "tmp"]
    assert "Subject: first" in (home.directory / "B/one").read_text()
    assert home.new("a")[0] == 'Listing store "a"\none\nthree\ntwo\n'
