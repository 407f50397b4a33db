"""Which directories below the base may be mailboxes, and what they are called.

A directory is given by its *entries*: the names that lead to it from the base, () for the base itself.  The
names that come out are the store's own, byte for byte: Maildir++ ``.a.b`` is ``a.b`` and modified UTF-7
stays what it is, as the old watch_maildirs had it.  Two directories share a name only where one of them is
the base and the other is called INBOX.
"""

from typing import Tuple

MAILDIR_PLUS_PLUS = "maildir++"
NESTED = "nested"
LAYOUTS = (MAILDIR_PLUS_PLUS, NESTED)

INBOX = "INBOX"
PARTS = ("cur", "new")  # what makes a directory a mailbox; tmp holds nothing that was delivered
_RESERVED = frozenset(["cur", "new", "tmp"])


def may_be_folder(layout: str, entries: Tuple[str, ...]) -> bool:
    """Tell whether the directory that these entries lead to may be, or hold, a mailbox.

    Maildir++ has its folders side by side in the base, each name with a leading dot.  The nested layout has
    them at any depth (Dovecot's ``LAYOUT=fs``, mbsync's ``SubFolders Verbatim``); only cur, new and tmp are
    never folders there.
    """
    if layout == NESTED:
        return not entries or entries[-1] not in _RESERVED
    return not entries or (len(entries) == 1 and len(entries[0]) > 1 and entries[0].startswith("."))


def holds_folders(layout: str, entries: Tuple[str, ...]) -> bool:
    """Tell whether folders are looked for inside this directory."""
    return layout == NESTED or not entries


def mailbox_name(layout: str, entries: Tuple[str, ...]) -> str:
    """Return the mailbox's name: INBOX for the base, else as the layout has it."""
    if not entries:
        return INBOX
    return "/".join(entries) if layout == NESTED else entries[0][1:]


def folders_called(layout: str, name: str) -> Tuple[Tuple[str, ...], ...]:
    """Return the entries of all directories that ``mailbox_name`` gives this name: one, or for INBOX two."""
    folder = tuple(name.split("/")) if layout == NESTED else ("." + name,)
    return ((), folder) if name == INBOX else (folder,)
