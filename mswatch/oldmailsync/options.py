"""The old command line: words in, what is asked for out.  Pure.

Options stand before names, one in a word.  Only the letters named below count; what follows them in a word
means nothing (``-nD`` is ``-n``), as it always was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mswatch.errors import UsageError
from mswatch.showing import show

USAGE = """\
usage: mailsync [OPTION]... CHANNEL          synchronize the two stores of a channel
       mailsync [OPTION]... STORE            list the mailboxes of a store
       mailsync [OPTION]... CHANNEL STORE    say how a store differs from what the channel had last

  -f FILE       the configuration (default: ~/.mailsync)
  -n            delete no messages
  -D            remove mailboxes that hold no message afterwards, on both sides
  -m            a line for each message that is copied or deleted
  -M            the same, with its Message-ID
  -s            simulate: change nothing
  -cd           copy messages that are marked as deleted, too
  -t msgid|md5  what -M shows, and by what doubles are counted
  -v -vb -vw -vp -d -di -dc   accepted; what is worth a warning is always told
  --dedupe                    of messages in a mailbox that are equal byte for byte, leave one
  --accept-deletions          what is missing was deleted, however much it is
  --undo-deletions            what is missing was lost: bring it back from the other side
"""

Method = Literal["msgid", "md5"]


@dataclass(frozen=True)
class OldOptions:
    """What an old command line asks for.

    Attributes:
        file: None: ``~/.mailsync``.
        messages: A line for each message.
        ids: The id on that line.
    """

    names: tuple[str, ...] = ()
    file: str | None = None
    delete: bool = True
    remove_empty: bool = False
    messages: bool = False
    ids: bool = False
    simulate: bool = False
    copy_deleted: bool = False
    method: Method = "msgid"
    accept_deletions: bool = False
    undo_deletions: bool = False
    dedupe: bool = False
    help: bool = False


_FLAGS: Mapping[str, Mapping[str, Any]] = {
    "n": {"delete": False},
    "D": {"remove_empty": True},
    "m": {"messages": True},
    "M": {"messages": True, "ids": True},
    "s": {"simulate": True, "delete": False},
    "v": {},
    "d": {},
    "h": {"help": True},
}
_LONG: Mapping[str, Mapping[str, Any]] = {
    "--accept-deletions": {"accept_deletions": True},
    "--undo-deletions": {"undo_deletions": True},
    "--dedupe": {"dedupe": True},
    "--help": {"help": True},
}


def parse(words: Sequence[str]) -> OldOptions:
    """Read an old command line.

    Raises:
        UsageError: It is none.
    """
    options = OldOptions()
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word in _LONG:
            options = replace(options, **_LONG[word])
        elif word.startswith("-f"):
            options = replace(options, file=_value(word, rest, "the name of a file"))
        elif word.startswith("-t"):
            options = _with_method(options, _value(word, rest, "msgid or md5"))
        elif word.startswith("-cd"):
            options = replace(options, copy_deleted=True)
        elif word[1:2] in _FLAGS:
            options = replace(options, **_FLAGS[word[1]])
        else:
            raise UsageError(f"no such option: {show(word)}", "see: mailsync --help")
    if options.undo_deletions and (options.accept_deletions or options.dedupe):
        raise UsageError("--undo-deletions excludes --accept-deletions and --dedupe", "choose one")
    return replace(options, names=tuple(rest))


def _value(word: str, rest: list[str], what: str) -> str:
    if not rest:
        raise UsageError(f"{word[:2]} needs {what} behind it", "see: mailsync --help")
    return rest.pop(0)


def _with_method(options: OldOptions, method: str) -> OldOptions:
    if method == "msgid":
        return replace(options, method="msgid")
    if method == "md5":
        return replace(options, method="md5")
    raise UsageError(f'-t: unknown method "{show(method)}"', "write msgid or md5")


ONLY_OLD = ("-f", "-t", "-D", "-m", "-M", "-s", "-d")  # what today's command line does not have


def is_meant(words: Sequence[str], names: Collection[str], accounts: Collection[str]) -> bool:
    """Tell whether a command line is of the old form.

    It is if it has an option that only the old form has, or if what it names first is a store or channel of
    the old file (``names``) and no account.

    Raises:
        UsageError: It names both.
    """
    name = first_name(words)
    if begins_old(words) or name is None:
        return begins_old(words)
    if name in names and name in accounts:
        raise UsageError(
            f'"{show(name)}" is an account, and in ~/.mailsync as well',
            f"say which: mailsync --config ~/.config/mswatch/{name}.toml, or mailsync -f ~/.mailsync {name}",
        )
    return name in names


def first_name(words: Sequence[str]) -> str | None:
    """Return what a command line names first; None if it is not of the old form, or names nothing."""
    try:
        return next(iter(parse(words).names), None)
    except UsageError:
        return None


def begins_old(words: Sequence[str]) -> bool:
    """Tell whether one of the options is one that only the old form has."""
    for word in words:
        if word == "-cd" or word.startswith(ONLY_OLD):
            return True
        if not word.startswith("-") or word.startswith(("--config", "-c")):
            return False
    return False
