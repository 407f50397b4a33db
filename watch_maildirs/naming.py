"""What below the base may be a mailbox, and what it is called, in each layout of a store.

A mailbox is given by its *entries*: the names that lead to it from the base, () for the base itself.  The
names that come out are the store's own, byte for byte: Maildir++ ``.a.b`` is ``a.b`` and modified UTF-7
stays what it is, as the old watch_maildirs had it.  Two mailboxes share a name only where one of them is
the base and the other is called INBOX.

=========  ==========================================================================================
layout     a mailbox is
=========  ==========================================================================================
maildir++  the base, or a directory ``.a.b`` in it, with cur and new
nested     a directory with cur and new, at any depth (Dovecot's ``LAYOUT=fs``, mbsync's ``Verbatim``)
mbox       a file that is empty or begins with ``From``, at any depth; or the base, if it is such a file
mh         a directory at any depth, but not the base; its messages are the files named by numbers
=========  ==========================================================================================
"""

from typing import Tuple

MAILDIR_PLUS_PLUS = "maildir++"
NESTED = "nested"
MBOX = "mbox"
MH = "mh"
LAYOUTS = (MAILDIR_PLUS_PLUS, NESTED, MBOX, MH)
MAILDIRS = (MAILDIR_PLUS_PLUS, NESTED)

INBOX = "INBOX"
PARTS = ("cur", "new")  # what makes a directory a mailbox; tmp holds nothing that was delivered
SEQUENCES = ".mh_sequences"  # which messages of an MH folder are unseen, flagged and so on; mh-sequence(5)
MBOX_BEGINS = b"From "  # mbox(5)
NO_FLAGS = ":2,"  # what a name has in cur, before its flags; maildir(5)
_RESERVED = frozenset(["cur", "new", "tmp"])


def may_be_folder(layout: str, entries: Tuple[str, ...]) -> bool:
    """Tell whether what these entries lead to may be, or hold, a mailbox.

    Maildir++ has its folders side by side in the base, each name with a leading dot; among nested ones only
    cur, new and tmp are none.  Beside mboxes and MH folders lie locks, indexes and settings of programs.
    """
    if layout == NESTED:
        return not entries or entries[-1] not in _RESERVED
    if layout == MBOX:
        return not entries or not (entries[-1].startswith(".") or entries[-1].endswith(".lock"))
    if layout == MH:
        return not entries or not (entries[-1].startswith((".", ",", "#")) or is_message(entries[-1]))
    return not entries or (len(entries) == 1 and len(entries[0]) > 1 and entries[0].startswith("."))


def holds_folders(layout: str, entries: Tuple[str, ...]) -> bool:
    """Tell whether folders are looked for inside this directory."""
    return layout != MAILDIR_PLUS_PLUS or not entries


def is_message(name: str) -> bool:
    """Tell whether an entry of an MH folder is a message, or what is noted of messages."""
    return name == SEQUENCES or (name.isdecimal() and max(name) <= "9")  # str.isascii came with 3.7


def mailbox_name(layout: str, entries: Tuple[str, ...]) -> str:
    """Return the mailbox's name: INBOX for the base, else as the layout has it."""
    if not entries:
        return INBOX
    return entries[0][1:] if layout == MAILDIR_PLUS_PLUS else "/".join(entries)


def folders_called(layout: str, name: str) -> Tuple[Tuple[str, ...], ...]:
    """Return the entries of all directories that ``mailbox_name`` gives this name: one, or for INBOX two."""
    folder = ("." + name,) if layout == MAILDIR_PLUS_PLUS else tuple(name.split("/"))
    return ((), folder) if name == INBOX else (folder,)
