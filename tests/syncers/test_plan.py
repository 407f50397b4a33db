"""How syncers are called: exactly for the mailboxes meant, or for all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.account import Sync
from mswatch.names import NameForm, own
from mswatch.syncers import Plan, plan, probe
from mswatch.syncers.plan import CALLS_LIMIT, WORD_LIMIT_BYTES

UTF7 = NameForm("/", "utf-7")
MBSYNC = Sync("mbsync", ("mbsync", "-c", "rc"), "work", names=UTF7)
OFFLINEIMAP = Sync("offlineimap", ("offlineimap", "-c", "rc"), "work,home", names=UTF7)
COMMAND = Sync("command", ("prog", "arg"))
PREFIXED = replace(COMMAND, mailbox_prefix=("work", ":"))
MAILSYNC = Sync("mailsync", ("python3", "-m", "mailsync"), "/home/user/work.toml")
ALL = (MBSYNC, OFFLINEIMAP, COMMAND, PREFIXED, MAILSYNC)

EVERYTHING = {
    MBSYNC: (b"mbsync", b"-c", b"rc", b"work"),
    OFFLINEIMAP: (b"offlineimap", b"-o", b"-u", b"quiet", b"-c", b"rc", b"-a", b"work,home"),
    COMMAND: (b"prog", b"arg", b""),
    PREFIXED: (b"prog", b"arg", b"work"),
    MAILSYNC: (b"python3", b"-m", b"mailsync", b"--config", b"/home/user/work.toml"),
}

KINDS = ["mbsync", "offlineimap", "command", "prefixed", "mailsync"]
each_kind = pytest.mark.parametrize("sync", ALL, ids=KINDS)
names = (
    st.text(max_size=12)
    | st.text(alphabet='-,/.%"\\\n\0 aI&\udcff', max_size=8)
    | st.binary(max_size=8).map(lambda data: data.decode("utf-8", "surrogateescape"))
)


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (MBSYNC, (b"mbsync", b"-c", b"rc", b"work:Entw&APw-rfe,INBOX,lists/python")),
        (
            OFFLINEIMAP,
            (*EVERYTHING[OFFLINEIMAP], b"-f", b"Entw&APw-rfe,INBOX,lists/python"),
        ),
        (COMMAND, (b"prog", b"arg", "Entwürfe".encode(), b"INBOX", b"lists/python")),
        (PREFIXED, (b"prog", b"arg", "work:Entwürfe".encode(), b"work:INBOX", b"work:lists/python")),
        (
            MAILSYNC,
            (*EVERYTHING[MAILSYNC], b"--", "Entwürfe".encode(), b"INBOX", b"lists/python"),
        ),
    ],
)
def test_a_call_for_some_mailboxes(sync: Sync, words: tuple[bytes, ...]) -> None:
    """Each kind names its mailboxes in its own way, once and in the order of their bytes."""
    mailboxes = ("lists/python", "INBOX", "Entwürfe", "INBOX")
    assert plan(sync, mailboxes) == Plan((words,), everything=False)


@each_kind
def test_files_that_were_written_into(sync: Sync) -> None:
    """One syncer is told of them, whatever they are called; for others it is a change like any."""
    written = (("near", "-x/y", "cur/1.h:2,D"), ("near", "-x/y", "a\tb"))
    for mailboxes in (None, ("-x/y",)):
        calls = plan(sync, mailboxes, written=written).calls
        told = [word for word in calls[0] if word.startswith(b"--written=")]
        names = [b"near\t-x/y\tcur/1.h:2,D", b"near\t-x/y\t"]  # no field holds a tab: any file
        assert told == ([b"--written=" + name for name in names] if sync is MAILSYNC else [])
        rest = tuple(word for word in calls[0] if word not in told)
        assert (rest,) == plan(sync, mailboxes).calls
        if told:
            assert b"--" not in calls[0][: calls[0].index(told[0])]


def test_too_many_files_that_were_written_into() -> None:
    """Of more than fits into a call only the mailboxes are named; of too many of these, none."""
    files = [("near", "box", f"cur/{number:050}") for number in range(2000)]
    (call,) = plan(MAILSYNC, ("box",), written=files).calls
    assert call == (*EVERYTHING[MAILSYNC], b"--written=near\tbox\t", b"--", b"box")
    boxes = [("near", f"{number:0100}", "") for number in range(2000)]
    assert plan(MAILSYNC, None, written=boxes).calls == plan(MAILSYNC, None).calls


@each_kind
def test_a_call_for_all_mailboxes(sync: Sync) -> None:
    """None means all mailboxes, and so does everything when the syncer cannot be told which."""
    expected = Plan((EVERYTHING[sync],), everything=True)
    assert plan(sync, None) == expected
    assert plan(replace(sync, by_mailbox=False), ("INBOX",)) == expected


@each_kind
def test_no_mailbox_needs_no_call(sync: Sync) -> None:
    """An empty set is not all mailboxes."""
    assert plan(sync, ()) == Plan((), everything=False)


@pytest.mark.parametrize(
    ("sync", "mailbox", "why"),
    [
        *((sync, "", "the empty name") for sync in ALL),
        *((sync, "a\x7fb", "holds a control character") for sync in (COMMAND, PREFIXED)),
        *((sync, "a\nb", "holds a control character") for sync in (COMMAND, PREFIXED)),
        *((sync, "a\0b", "holds a control character") for sync in (COMMAND, PREFIXED)),
        (COMMAND, "-x", 'starts with "-"'),
        (MBSYNC, "a,b", "holds a comma"),
        (MBSYNC, "台北", "holds a comma"),  # &U,BTFw-
        (MBSYNC, "../x", "is a path"),
        (MBSYNC, "a//b", "is a path"),
        (MBSYNC, "a/", "is a path"),
        (MBSYNC, "/etc", "is a path"),
        (MBSYNC, "a/./b", "is a path"),
        (MBSYNC, "inbox", "is INBOX in other letters"),
        (MBSYNC, "Inbox/a", "is INBOX in other letters"),
        (OFFLINEIMAP, "a,b", "holds a comma"),
        (OFFLINEIMAP, "a%(b)s", "holds %"),
        (OFFLINEIMAP, '"q"', 'holds a "'),
        (OFFLINEIMAP, "a\\b", "holds a backslash"),
        (OFFLINEIMAP, "\udcff", "no UTF-8"),
        (replace(MBSYNC, names=NameForm("/", "utf-8")), "a\nb", "holds a control character"),
        (replace(MBSYNC, names=NameForm(".", "utf-7")), "a.b", 'no name where "." separates levels'),
        (replace(COMMAND, names=NameForm("/", "utf-8", (("-o", "Out"),))), "Out", 'starts with "-"'),
    ],
)
def test_a_name_that_cannot_be_said_makes_a_run_for_all(sync: Sync, mailbox: str, why: str) -> None:
    """Such a mailbox is covered by a call for all, together with the others, and the note says why."""
    planned = plan(sync, ("INBOX", mailbox))
    assert planned.everything
    assert planned.calls == plan(sync, None).calls
    (note,) = planned.notes
    assert note.isprintable()
    assert why in note


@pytest.mark.parametrize(
    ("sync", "mailbox", "word"),
    [
        (MBSYNC, "-a", b"work:-a"),
        (MBSYNC, "a\nb", b"work:a&AAo-b"),
        (MBSYNC, "x:y", b"work:x:y"),
        (MBSYNC, " sp ace ", b"work: sp ace "),
        (MBSYNC, "{*%}", b"work:{*%}"),
        (MBSYNC, "\udcff", b"work:\xff"),
        (MBSYNC, "INBOX/sub", b"work:INBOX/sub"),
        (OFFLINEIMAP, "-a", b"-a"),
        (OFFLINEIMAP, "it's", b"it's"),
        (COMMAND, "a,b", b"a,b"),
        (COMMAND, "\udcff", b"\xff"),
        (PREFIXED, "-x", b"work:-x"),
    ],
)
def test_strange_names_that_can_be_said(sync: Sync, mailbox: str, word: bytes) -> None:
    """What a syncer takes literally is passed on as it is."""
    planned = plan(sync, (mailbox,))
    assert not planned.everything
    assert planned.calls[0][-1] == word


def named(sync: Sync, call: tuple[bytes, ...]) -> set[bytes]:
    """Read a call as its syncer does and return the mailboxes it names."""
    everything = EVERYTHING[sync]
    if sync.kind == "mbsync":
        assert call[:-1] == everything[:-1]
        channel, _, boxes = call[-1].partition(b":")
        assert channel == b"work"
        return set(boxes.replace(b"\n", b",").split(b","))
    if sync.kind == "offlineimap":
        assert call[:-2] == everything
        assert call[-2] == b"-f"
        return set(call[-1].split(b","))
    if sync.kind == "mailsync":
        assert call[: len(everything) + 1] == (*everything, b"--")
        return set(call[len(everything) + 1 :])
    words = call[2:]
    assert call[:2] == everything[:2]
    prefix = b"".join(part.encode() for part in sync.mailbox_prefix or ())
    assert all(word.startswith(prefix) and not word.startswith(b"-") for word in words)
    return {word[len(prefix) :] for word in words}


@each_kind
@given(st.lists(names, max_size=6))
def test_a_call_names_exactly_the_mailboxes_meant(sync: Sync, mailboxes: list[str]) -> None:
    """Whatever the names, reading the calls gives the same mailboxes, or they are for all."""
    planned = plan(sync, mailboxes)
    for call in planned.calls:
        assert all(b"\0" not in word for word in call)
    if planned.everything:
        assert planned.calls == (EVERYTHING[sync],)
        assert planned.notes
        assert all(note.isprintable() for note in planned.notes)
        return
    expected = {own_name.encode("utf-8", "surrogateescape") for own_name in own_names(sync, mailboxes)}
    found = [named(sync, call) for call in planned.calls]
    assert set().union(*found) == expected
    assert sum(map(len, found)) == len(expected)


def own_names(sync: Sync, mailboxes: list[str]) -> list[str]:
    """Return the own names of mailboxes that all have one."""
    found = [own(mailbox, sync.names) for mailbox in mailboxes]
    assert None not in found
    return [name for name in found if name is not None]


@pytest.mark.parametrize("sync", [MBSYNC, OFFLINEIMAP])
def test_a_list_too_long_for_one_word_is_split(sync: Sync) -> None:
    """No word is longer than the kernel takes, and no mailbox is lost or doubled."""
    mailboxes = [f"{'x' * 200}{number:05}" for number in range(2000)]
    planned = plan(sync, mailboxes)
    assert not planned.everything
    assert 1 < len(planned.calls) <= CALLS_LIMIT
    assert all(len(word) < WORD_LIMIT_BYTES for call in planned.calls for word in call)
    found = [box for call in planned.calls for box in call[-1].rpartition(b":")[2].split(b",")]
    assert found == [mailbox.encode() for mailbox in mailboxes]


@each_kind
def test_a_call_keeps_to_the_given_limit(sync: Sync) -> None:
    """All words of a call and their pointers are no longer than the caller says."""
    planned = plan(sync, [f"box{number:03}" for number in range(100)], limit_bytes=400)
    sizes = [sum(len(word) + 1 + 8 for word in call) for call in planned.calls]
    assert planned.everything or max(sizes) <= 400


@each_kind
def test_more_calls_than_worth_while_become_one_for_all(sync: Sync) -> None:
    """Thirty thousand changed mailboxes are synced by one call for all, and the note says so."""
    planned = plan(sync, [f"{'x' * 200}{number:05}" for number in range(30_000)])
    assert planned.everything
    assert planned.calls == (EVERYTHING[sync],)
    assert planned.notes[0].startswith("30000 mailboxes would take")


@each_kind
def test_one_name_that_is_too_long_makes_a_run_for_all(sync: Sync) -> None:
    """A name that the kernel would refuse is not tried."""
    planned = plan(sync, ["x" * WORD_LIMIT_BYTES])
    assert planned.everything
    assert "too long" in planned.notes[0]


def test_the_kernel_takes_what_fits() -> None:
    """The longest word that is planned can be passed to a program, and one byte more cannot."""
    program = (sys.executable, "-I", "-S", "-c", "pass")
    longest = b"x" * (WORD_LIMIT_BYTES - 1)
    assert subprocess.run((*map(os.fsencode, program), longest), check=False).returncode == 0
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run((*map(os.fsencode, program), longest + b"x"), check=False)


def test_a_trial_changes_nothing() -> None:
    """With mbsync it lists, with OfflineIMAP too, and an unknown command is not tried."""
    assert probe(MBSYNC) == ("mbsync", "-c", "rc", "--list", "work")
    trial = probe(OFFLINEIMAP)
    assert trial is not None
    assert "--info" in trial
    assert probe(COMMAND) is None
