"""The Maildir helpers do what delivery agents and mail readers do."""

from __future__ import annotations

from pathlib import Path

import pytest

from mswatch.account import Layout
from tests.servers.maildir import MaildirStore, deliver, digest, make_message, messages, remove, set_flags
from tests.servers.waiting import TooLateError, arrivals


@pytest.mark.parametrize("layout", ["nested", "maildir++"])
def test_names_come_back(tmp_path: Path, layout: Layout) -> None:
    """Mailboxes that were made are listed by the names they were made with."""
    store = MaildirStore(tmp_path, layout)
    for mailbox in ("INBOX", "lists", "lists/python"):
        store.make(mailbox)
    assert store.mailboxes() == ["INBOX", "lists", "lists/python"]


def test_contents_show_flags_and_doubles(tmp_path: Path) -> None:
    """A message that is there twice is listed twice, with the flags of each."""
    store = MaildirStore(tmp_path)
    message = make_message()
    deliver(store.make(), message)
    set_flags(deliver(store.path(), message), "SF")
    assert store.contents() == {"INBOX": [(digest(message), ""), (digest(message), "FS")]}


def test_a_renamed_message_is_found_again(tmp_path: Path) -> None:
    """A message that somebody else renamed is still the one that is meant; one that is gone is told."""
    store = MaildirStore(tmp_path)
    store.make()
    delivered = deliver(store.path())
    delivered.rename(store.path() / "cur" / f"{delivered.name},U=3:2,R")

    assert set_flags(delivered, "S").name == f"{delivered.name},U=3:2,S"
    remove(delivered)
    assert messages(store.path()) == []
    with pytest.raises(FileNotFoundError):
        remove(delivered)


def test_digest_is_of_the_body() -> None:
    """Headers that a synchroniser adds and IMAP's line ends do not change a digest; another body does."""
    message = make_message()
    carried = b"X-TUID: abc\r\n" + message.replace(b"\n", b"\r\n")
    assert digest(carried) == digest(message) != digest(make_message())


def test_arrivals_are_told_in_order(tmp_path: Path) -> None:
    """Arrivals names what was delivered since it was entered, and gives up at its deadline."""
    maildir = MaildirStore(tmp_path).make()
    deliver(maildir)
    with arrivals(maildir / "new") as arrived:
        expected = [deliver(maildir), deliver(maildir)]
        assert [arrived.next(), arrived.next()] == expected
        with pytest.raises(TooLateError, match="no file within"):
            arrived.next(deadline_s=0.01)
