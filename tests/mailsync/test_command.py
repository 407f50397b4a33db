"""The command: an account's stores in step, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mswatch.errors import EXIT_CONFIG, EXIT_PARTIAL, EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE
from mswatch.locks import Lock
from mswatch.mailsync import settled
from mswatch.mailsync.decide import SIDES, Side
from tests.mailsync.worlds import World
from tests.mailsync.worlds import body as mail
from tests.servers.waiting import DEADLINE_S, read_line
from tests.stores.test_maildir import LONG_AGO_NS, make_old

ACCOUNT = """
[store.near]
maildir = "near"
layout = "nested"
{near}

[store.far]
maildir = "far"
layout = "nested"
{far}

[sync]
{sync}
"""


class Home:
    """A home directory with the account "work"."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.world = World(directory)
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("XDG_")},
            "HOME": str(directory),
        }
        self.configure()

    def configure(self, near: str = "", far: str = "", sync: str = "") -> None:
        """Write the account."""
        file = self.directory / ".config/mswatch/work.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ACCOUNT.format(near=near, far=far, sync=sync))

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the command."""
        argv = (sys.executable, "-m", "mswatch.mailsync_entry", *words)
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=self.environment, stdout=pipe, stderr=pipe, bufsize=0)

    def mailsync(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run the command, which must end with this status; return what it said."""
        process = self.start(*words)
        out, err = (text.decode() for text in process.communicate(timeout=DEADLINE_S))
        assert process.returncode == status, (out, err)
        return out, err

    def fill(self, count: int = 3) -> None:
        """Put messages into near's INBOX."""
        for number in range(count):
            self.world.put("near", "INBOX", f"m{number}")

    def files(self) -> list[tuple[str, int]]:
        """Return everything that is there, with its times."""
        return sorted((str(path), path.lstat().st_ctime_ns) for path in self.directory.rglob("*"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose far store is not made yet."""
    home = Home(tmp_path)
    home.fill()
    return home


def test_syncs_an_account_without_a_sync_table(home: Home) -> None:
    """Two Maildirs are all that an account needs; what was done is said, and only that."""
    assert home.mailsync("work") == ("INBOX: mailbox made in far, 3 copied in far\n", "")
    assert home.world.contents("near") == home.world.contents("far")
    assert home.mailsync("work") == ("", "")
    assert home.mailsync("--config", str(home.directory / ".config/mswatch/work.toml"), "INBOX") == ("", "")


def test_dry_run_changes_nothing_at_all(home: Home) -> None:
    """A dry run says what would be done and leaves no trace, before the first run and after it."""
    before = home.files()
    out, _ = home.mailsync("--dry-run", "work")
    assert out == "would be: INBOX: mailbox made in far, 3 copied in far\n"
    assert home.files() == before
    home.mailsync("work")
    home.world.set("far", "INBOX", "m1", "S")
    home.world.find("near", "INBOX", "m2").unlink()
    home.world.put("far", "later", "m4")
    before = home.files()
    out, _ = home.mailsync("--dry-run", "work")
    assert sorted(out.splitlines()) == [
        "would be: INBOX: 1 flags changed in near, 1 removed in far",
        "would be: later: mailbox made in near, 1 copied in near",
    ]
    assert home.files() == before


def test_quiet_verbose_and_json(home: Home) -> None:
    """Quiet says nothing, verbose a line for each message, JSON all of it for programs."""
    assert home.mailsync("--quiet", "work") == ("", "")
    home.world.put("near", "INBOX", "m7")
    lines = home.mailsync("--verbose", "work")[0].splitlines()
    assert [line.split("\t")[:3] for line in lines[:-1]] == [["INBOX", "copied", "far"]]
    home.world.put("near", "INBOX", "m8")
    report = json.loads(home.mailsync("--json", "work")[0])
    (done,) = report["done"]
    assert (done["mailbox"], done["what"], done["store"], done["messages"]) == ("INBOX", "copied", "far", 1)
    assert (report["failed"], report["refused"], report["dry_run"]) == ({}, [], False)


def test_store_that_vanished_is_no_deletion(home: Home) -> None:
    """A missing store is refused, with a command for both intentions; each of them works as it is printed."""
    home.mailsync("work")
    (home.directory / "near").rename(home.directory / "aside")
    _, err = home.mailsync("work", status=EXIT_REFUSED)
    assert "mailsync work --accept-deletions" in err
    assert "mailsync work --undo-deletions" in err
    assert sum(home.world.contents("far")["INBOX"].values()) == 3
    home.mailsync("work", "--undo-deletions")
    assert home.world.contents("near") == home.world.contents("far")
    assert sum(home.world.contents("near")["INBOX"].values()) == 3


def test_failures_are_told_apart(home: Home) -> None:
    """No such account, a bad file, no store at all, and a single mailbox that fails end differently."""
    home.mailsync(status=EXIT_USAGE)
    home.mailsync("--no-such-option", status=EXIT_USAGE)
    home.mailsync("other", status=EXIT_CONFIG)
    home.configure(near="expunge = 1")
    home.mailsync("work", status=EXIT_CONFIG)
    home.configure(sync='with = "mailsync"')
    home.world.put("near", "closed", "m9")
    (home.directory / "near" / "closed" / "cur").chmod(0)
    out, err = home.mailsync("work", status=EXIT_PARTIAL)
    (home.directory / "near" / "closed" / "cur").chmod(0o700)
    assert "3 copied" in out
    assert err.startswith("mailsync: closed: ")
    home.mailsync("work")
    (home.directory / "near").rename(home.directory / "aside")
    (home.directory / "far").rename(home.directory / "aside2")
    (home.directory / ".local/state/mswatch/work.mailsync.sqlite").unlink()
    home.mailsync("work", status=EXIT_UNAVAILABLE)


def test_settings_are_heeded(home: Home) -> None:
    """Size limit, skipped mailboxes, trash and a side that is only read come from the account."""
    home.world.put("near", "Junk", "j")
    home.world.put("near", "INBOX", "large", data=b"Subject: large\n\n" + b"x" * 5000)
    home.configure(sync='skip = ["Junk"]\nsize_limit = "4k"', far='trash = "Trash"')
    home.mailsync("work")
    far = home.world.contents("far")
    assert "Junk" not in far
    assert sum(far["INBOX"].values()) == 3
    home.world.find("near", "INBOX", "m0").unlink()
    home.mailsync("work")
    assert home.world.contents("far")["Trash"] == home.world.contents("near")["Trash"] != {}
    home.configure(far="read_only = true")
    home.mailsync("work")
    assert "Junk" not in home.world.contents("far")
    home.configure()
    home.mailsync("work")
    assert home.world.contents("far") == home.world.contents("near")


def test_damaged_state_is_begun_anew(home: Home) -> None:
    """A state that is no database is moved aside, and messages are paired, not doubled."""
    home.mailsync("work")
    state = home.directory / ".local/state/mswatch/work.mailsync.sqlite"
    state.write_bytes(b"rubbish" * 1000)
    _, err = home.mailsync("work")
    assert "damaged" in err
    assert sum(home.world.contents("near")["INBOX"].values()) == 3
    assert home.world.contents("near") == home.world.contents("far")


def test_other_stores_are_not_taken_for_emptied_ones(home: Home) -> None:
    """An account that points elsewhere now begins anew; nothing is deleted."""
    home.mailsync("work")
    file = home.directory / ".config/mswatch/work.toml"
    file.write_text(file.read_text().replace('"far"', '"further"'))
    home.mailsync("work")
    assert sum(home.world.contents("near")["INBOX"].values()) == 3
    assert (home.directory / "further/INBOX").is_dir()


def test_second_run_waits_for_the_first(home: Home) -> None:
    """A run that finds another one at work says so, waits, and then does its own."""
    (home.directory / ".local/state/mswatch").mkdir(parents=True)
    lock = Lock(home.directory / ".local/state/mswatch/work.mailsync")
    assert lock.take("a test")
    waiting = home.start("work")
    assert waiting.stderr is not None
    assert b"a test" in read_line(waiting.stderr)
    assert not home.world.contents("far")
    lock.close()
    assert waiting.communicate(timeout=DEADLINE_S)[0].startswith(b"INBOX: ")
    assert waiting.returncode == 0


def test_many_at_once(home: Home) -> None:
    """Runs started together come one after the other, and none doubles anything."""
    home.fill(50)
    runs = [home.start("work") for _ in range(6)]
    for run in runs:
        run.communicate(timeout=DEADLINE_S)
        assert run.returncode == 0
    assert sum(home.world.contents("far")["INBOX"].values()) == 50
    assert home.world.contents("near") == home.world.contents("far")


SHOW_AT_ONCE = (
    "from mswatch.mailsync import telling; telling.BAR_AFTER_S = telling.BAR_EVERY_S = 0.0;"
    " from mswatch import mailsync_command; raise SystemExit(mailsync_command.main())"
)


@pytest.mark.parametrize("words", [(), ("--quiet",), ("--json",)])
def test_bar_on_a_terminal(words: tuple[str, ...], home: Home) -> None:
    """A terminal sees how far a run is, message by message, and in the end nothing of that."""
    ours, its = pty.openpty()
    argv = [sys.executable, "-c", SHOW_AT_ONCE, *words, "work"]
    with os.fdopen(its, "wb", buffering=0) as terminal:
        ended = subprocess.run(argv, env=home.environment, stdout=subprocess.PIPE, stderr=terminal)
        terminal.write(b"end")
    shown = b""
    while not shown.endswith(b"end"):
        shown += os.read(ours, 4096)
    os.close(ours)
    assert ended.returncode == 0
    if words:
        assert shown == b"end"
        return
    steps = [step for step in shown.split(b"\r") if step]
    assert [b"%d of 3 messages" % number in steps[number - 1] for number in (1, 2, 3)] == [True] * 3
    assert steps[-1] == b"\x1b[Kend"
    assert ended.stdout == b"INBOX: mailbox made in far, 3 copied in far\n"


def settle(home: Home) -> None:
    """Have a run leave word that nothing is to be done."""
    settle_sides(home, *SIDES)


def settle_sides(home: Home, *sides: Side) -> None:
    """Do so where these sides are on disk, and of the test's world."""
    home.mailsync("work")
    for side in sides:
        make_old(home.world.path(side))
    home.mailsync("work")
    for place in (".config", ".local"):
        for path in (home.directory / place).rglob("*.*"):
            os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    home.mailsync("work")
    assert (home.directory / ".local/state/mswatch/work.mailsync.settled").exists()


def test_nothing_changed_costs_next_to_nothing(home: Home) -> None:
    """A settled account is looked at without reading its configuration, until anything is different."""
    settle(home)
    probe = (sys.executable, "-X", "importtime", "-m", "mswatch.mailsync_entry", "work")
    quick = subprocess.run(probe, env=home.environment, capture_output=True, text=True)
    assert quick.returncode == 0
    assert "sqlite3" not in quick.stderr
    home.world.put("near", "INBOX", "later")
    assert home.mailsync("work")[0] == "INBOX: 1 copied in far\n"


def test_names_alone_need_no_parser(home: Home) -> None:
    """What the service starts for each change imports nothing that explains options."""
    home.fill()
    code = (
        "import sys; from mswatch.mailsync_entry import main; status = main();"
        " print('argparse' in sys.modules); sys.exit(status)"
    )
    file = home.directory / ".config/mswatch/work.toml"
    for words, parses in ((("--config", file, "--", "INBOX"), False), (("work", "--json"), True)):
        argv = (sys.executable, "-c", code, *words)
        told = subprocess.run(argv, env=home.environment, capture_output=True, text=True, check=True).stdout
        assert told.endswith(f"{parses}\n")
    assert home.world.contents("near") == home.world.contents("far")


def test_an_old_name_is_noticed(home: Home) -> None:
    """When ~/.mailsync comes to name what the account is called, that is told, although nothing changed."""
    settle(home)
    old = "store a { pat a/% } store work { pat b/% }"
    (home.directory / ".mailsync").write_text(old)
    _, err = home.mailsync("work", status=EXIT_USAGE)
    assert "mailsync -f ~/.mailsync work" in err


@pytest.mark.parametrize("what", ["flag", "mailbox", "configuration", "state", "unmounted", "keyword"])
def test_any_change_is_noticed(home: Home, what: str) -> None:
    """Whatever a run depends on, changing it makes the next one look."""
    settle(home)
    if what == "flag":
        home.world.set("far", "INBOX", "m1", "S")
    elif what == "mailbox":
        home.world.make("near", "deep/er")
    elif what == "configuration":
        home.configure(near="read_only = true")
    elif what == "state":
        (home.directory / ".local/state/mswatch/work.mailsync.sqlite").unlink()
    elif what == "keyword":
        (home.directory / "near/INBOX/dovecot-keywords").write_text("0 other\n")
    else:
        (home.directory / "near").rename(home.directory / "aside")
        (home.directory / "near").mkdir()
    place = home.directory / ".local/state/mswatch/work.mailsync.settled"
    source = home.directory / ".config/mswatch/work.toml"
    assert settled.looks(os.fsencode(place), os.fsencode(source)) is None


def test_mh_folders_as_a_store(home: Home) -> None:
    """An account may have MH folders on one side; the folder inbox is INBOX."""
    file = home.directory / ".config/mswatch/work.toml"
    file.write_text('[store.near]\nmaildir = "near"\nlayout = "nested"\n\n[store.far]\nmh = "Mail"\n')
    home.world.put("near", "lists/python", "m7")
    assert "3 copied in far" in home.mailsync("work")[0]
    assert (home.directory / "Mail/inbox/.mh_sequences").read_text() == "unseen: 1-3\n"
    (home.directory / "Mail/lists/python/1").unlink()
    assert home.mailsync("work")[0] == "lists/python: 1 removed in near\n"
    assert home.mailsync("work") == ("", "")


def test_mbox_files_as_a_store(home: Home) -> None:
    """An account may have mbox files on one side, with INBOX elsewhere; a dry run leaves them alone too."""
    file = home.directory / ".config/mswatch/work.toml"
    far = '[store.far]\nmbox = "boxes"\ninbox = "spool"\n'
    file.write_text(f'[store.near]\nmaildir = "near"\nlayout = "nested"\n\n{far}')
    home.world.put("near", "lists/python", "m7")
    (home.directory / "boxes").mkdir()
    (home.directory / "spool").write_text("From a Mon Nov  2 10:00:00 2026\nSubject: there\n\nx\n\n")
    before = home.files()
    assert "INBOX: 1 copied in near, 3 copied in far" in home.mailsync("--dry-run", "work")[0]
    assert home.files() == before
    home.mailsync("work")
    assert (home.directory / "spool").read_text().count("\nFrom ") == 3
    assert "Subject: m7" in (home.directory / "boxes/lists/python").read_text()
    assert sum(home.world.contents("near")["INBOX"].values()) == 4
    assert home.mailsync("work") == ("", "")


def test_list_and_diff(home: Home) -> None:
    """Which mailboxes a store has, and how it differs from what both sides last had."""
    home.world.put("near", "lists/python", "m3")
    assert home.mailsync("--list", "near", "work") == ("INBOX\nlists/python\n", "")
    assert (
        home.mailsync("--diff", "near", "work")[0] == "INBOX: 3 new, 3 there\nlists/python: 1 new, 1 there\n"
    )
    home.mailsync("--list", "far", "work", status=EXIT_UNAVAILABLE)
    assert not (home.directory / ".local").exists()
    home.mailsync("work")
    home.world.put("far", "INBOX", "m4")
    home.world.set("far", "INBOX", "m1", "S")
    home.world.find("far", "INBOX", "m2").unlink()
    home.world.put("far", "later", "m5")
    before = home.files()
    for _ in range(2):
        told = home.mailsync("--diff", "far", "work")[0]
        assert told == (
            "INBOX: 1 new, 1 deleted, 1 with other flags, 3 there\n"
            "later: 1 new, 1 there\nlists/python: 1 there\n"
        )
    assert home.mailsync("--diff", "near", "work", "INBOX")[0] == "INBOX: 3 there\n"
    report = json.loads(home.mailsync("--diff", "far", "--json", "work", "INBOX")[0])
    assert report["mailboxes"] == {"INBOX": {"count": 3, "new": 1, "deleted": 1, "flags": 1}}
    assert home.files() == before
    (home.directory / "far" / "later" / "cur").chmod(0)
    _, err = home.mailsync("--diff", "far", "work", status=EXIT_PARTIAL)
    (home.directory / "far" / "later" / "cur").chmod(0o700)
    assert "later: " in err
    home.configure(sync='skip = ["l*"]')
    assert home.mailsync("--list", "far", "work")[0] == "INBOX\n"
    _, err = home.mailsync("--list", "middle", "work", status=EXIT_USAGE)
    assert "it has near and far" in err


def test_copies_are_taken_away_when_asked(home: Home) -> None:
    """A dry run names the copies and leaves them; a refusal says how to go on."""
    home.mailsync("work")
    home.world.put("near", "INBOX", "again", data=mail("m1"))
    home.mailsync("work")
    before = home.files()
    foretold = "would be: INBOX: 1 removed in near, 1 removed in far\n"
    assert home.mailsync("--dedupe", "--dry-run", "work")[0] == foretold
    assert home.files() == before
    assert home.mailsync("--dedupe", "work")[0] == "INBOX: 1 removed in near, 1 removed in far\n"
    for number in range(30):
        home.world.put("near", "INBOX", f"again{number}", data=mail("m1"))
    _, err = home.mailsync("--dedupe", "work", status=EXIT_REFUSED)
    assert "mailsync work INBOX --dedupe --accept-deletions" in err
    home.mailsync("work", "INBOX", "--dedupe", "--accept-deletions")
    assert home.world.contents("near") == home.world.contents("far")
    assert sum(home.world.contents("near")["INBOX"].values()) == 3
    home.mailsync("--dedupe", "--undo-deletions", "work", status=EXIT_USAGE)
