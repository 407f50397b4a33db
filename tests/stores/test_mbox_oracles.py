"""Other programs' judgement of mbox files: Dovecot, the standard library, and the old mailsync.

Dovecot reads through IMAP what our store wrote, and ours reads what Dovecot wrote into the same file.
"""

from __future__ import annotations

import mailbox as mailbox_module
import re
from pathlib import Path

import pytest

from mswatch.imap_session.login import log_in
from mswatch.imap_session.settings import Login, Server
from mswatch.mailsync.decide import SIDES
from mswatch.mailsync.flags import ANSWERED, DRAFT, FLAGGED, NONE, SEEN, Flags
from mswatch.mailsync.stores.contract import Added, Mailbox, Store
from mswatch.mailsync.stores.imap import ImapStore
from mswatch.mailsync.stores.mbox import MboxStore
from tests.mailsync.kinds import KindWorld
from tests.mailsync.worlds import FORM
from tests.servers import oldmailsync
from tests.servers.dovecot import Dovecot
from tests.stores.contract import add, bodies, body, change_flags, message, whole

pytestmark = [pytest.mark.server, pytest.mark.slow]

HEAD = b"From: a@example.org\nSubject: %d\nMessage-ID: <%d@example.org>\n"
TEXTS = [
    b"\nplain\n",
    b"\nFrom here on\n>From there\n>>From elsewhere\nFrom a@b Mon Nov  2 10:00:00 2026\n",
    b"\n\n\nends with empty lines\n\n\n",
    b"X-Folded: a\n\tb\n\n8 bit: \xc3\xa4\xff\n",
    b"\n",
    b"\n" + b"long line " * 5000 + b"\n",
]
MESSAGES = [HEAD % (number, number) + text for number, text in enumerate(TEXTS)]
FLAGS: list[Flags] = [
    *(NONE, frozenset({SEEN}), frozenset({SEEN, FLAGGED, "work"})),
    *(frozenset({ANSWERED, "later"}), frozenset({DRAFT}), NONE),
]


def through_dovecot(dovecot: Dovecot, root: Path) -> Store:
    """Return a store that has Dovecot between us and the files."""
    tunnel = dovecot.tunnel("mbox", f"mail_location = mbox:{root}:INBOX={root}/INBOX")
    store = ImapStore("far", lambda: log_in(Server(tunnel=tunnel), Login()))
    assert store.open()
    return store


def direct(root: Path) -> Store:
    """Return our own store on the files."""
    store = MboxStore("near", root, FORM, root.parent / "journals")
    assert store.open()
    return store


def held(mailbox: Mailbox) -> dict[bytes, frozenset[str] | None]:
    """Return what a mailbox holds: flags by the bytes of messages."""
    present = whole(mailbox).present
    return {data: present[key] for key, data in bodies(mailbox, list(present)).items()}


def fill(mailbox: Mailbox) -> None:
    """Add all messages."""
    sources = [
        message(data, flags, source=b"%d" % number)
        for number, (data, flags) in enumerate(zip(MESSAGES, FLAGS, strict=True))
    ]
    answers = list(mailbox.add(sources))
    assert all(isinstance(each, Added) for each in answers)


WANTED = dict(zip(MESSAGES, FLAGS, strict=True))


def test_dovecot_reads_what_we_write(tmp_path: Path, dovecot: Dovecot) -> None:
    """Each message is one for Dovecot too, with its flags, its keywords and its bytes."""
    root = tmp_path / "mail"
    root.mkdir()
    ours = direct(root)
    ours.make_mailbox("INBOX")
    fill(ours.open_mailbox("INBOX"))
    theirs = through_dovecot(dovecot, root)
    # Dovecot does not take away what protects a line with From.
    shown = {re.sub(rb"(?m)^(?=>*From )", b">", data): flags for data, flags in WANTED.items()}
    assert held(theirs.open_mailbox("INBOX")) == shown
    theirs.close()
    assert held(ours.open_mailbox("INBOX")) == WANTED  # Dovecot wrote its UIDs into it
    library = mailbox_module.mbox(root / "INBOX")
    assert [each["Subject"] for each in library] == [str(number) for number in range(len(MESSAGES))]


def test_we_read_what_dovecot_writes(tmp_path: Path, dovecot: Dovecot) -> None:
    """What Dovecot adds and flags is read as it is; what we then change Dovecot reads."""
    root = tmp_path / "mail"
    root.mkdir()
    (root / "INBOX").touch()
    theirs = through_dovecot(dovecot, root)
    box = theirs.open_mailbox("INBOX")
    fill(box)
    # Dovecot gives a message without a body an empty line as one.
    shown = {data + b"\n" if data.endswith(b">\n\n") else data: flags for data, flags in WANTED.items()}
    assert held(box) == shown
    theirs.close()
    ours = direct(root).open_mailbox("INBOX")
    assert held(ours) == shown


def test_both_work_on_one_file(tmp_path: Path, dovecot: Dovecot) -> None:
    """Flags, removals and additions of the one are seen by the other, and UIDs stay what they were."""
    root = tmp_path / "mail"
    root.mkdir()
    ours = direct(root)
    ours.make_mailbox("INBOX")
    mine = ours.open_mailbox("INBOX")
    keys = [add(mine, body(str(number))) for number in range(4)]
    theirs = through_dovecot(dovecot, root)
    box = theirs.open_mailbox("INBOX")
    uids = list(whole(box).present)
    change_flags(box, {uids[1]: frozenset({FLAGGED, "work"})})
    list(box.remove([uids[3]]))
    theirs.close()
    assert whole(mine).present == {keys[0]: NONE, keys[1]: frozenset({FLAGGED, "work"}), keys[2]: NONE}
    list(mine.remove([keys[0]]))
    change_flags(mine, {keys[2]: frozenset({SEEN})})
    add(mine, body("new"))
    theirs = through_dovecot(dovecot, root)
    found = dict(whole(theirs.open_mailbox("INBOX")).present)
    theirs.close()
    assert [found.pop(uid) for uid in uids[1:3]] == [frozenset({FLAGGED, "work"}), frozenset({SEEN})]
    assert list(found.values()) == [NONE]


OLD = """
store near {{ pat near/% prefix near/ }}
store far {{ pat far/% prefix far/ }}
channel both near far {{ msinfo .msinfo }}
"""


def test_the_old_mailsync_agrees(tmp_path: Path) -> None:
    """From the same files and edits both programs make the same mailboxes.

    Not compared: flags that change later, which the old one does not carry; copies, which it deletes.
    """
    ours = KindWorld(tmp_path / "ours", "mbox", "mbox")
    theirs = KindWorld(tmp_path / "theirs", "mbox", "mbox")
    for world in (ours, theirs):
        for side in SIDES:
            for name in ("box", "other"):
                world.make(side, name)
            for number in range(5):
                world.put(side, "box", f"{side}{number}", "S" if number % 2 else "")
    (tmp_path / "theirs/.mailsync").write_text(OLD.format())
    for edit in (lambda world: None, edited):
        for world in (ours, theirs):
            edit(world)
        assert not ours.sync()[0].failed
        oldmailsync.run(tmp_path / "theirs", "both")
        for side in SIDES:
            assert ours.contents(side) == theirs.contents(side)
    assert sum(ours.contents("near")["box"].values()) == 9


def edited(world: KindWorld) -> None:
    """Delete a message on each side, and add one."""
    world.delete("near", "box", "far1")
    world.delete("far", "box", "near2")
    world.put("near", "box", "late", "R")
