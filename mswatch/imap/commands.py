"""What a client asks, as values; the connection gives them tags and puts them on the wire.

A command is a sequence of parts: bytes that are sent as they are, and literals, before which the server
may have to be waited for.  Mailbox names are the server's own (``mswatch.names.own``).  Everything that
comes from outside passes ``string``, ``flag`` or ``numbers`` here, so that no mailbox name, keyword or
search text can end a line and begin a command of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal as OneOf

from mswatch.imap.dates import format_date
from mswatch.imap.numbers import NumberSet
from mswatch.imap.sasl import Mechanism
from mswatch.imap.secret import Secret

# RFC 7162, 4: no line longer than 8192; room is left for the rest of a command beside its set of UIDs.
SET_LENGTH = 7000
QUOTED_LENGTH = 1000

# All of printable ASCII but ( ) { space % * " \ ]; said so, because a class that excludes compiles slowly.
_OF_ATOM = r"[!#$&'+-\[^-z|-~]"
_ATOM = re.compile(rf"{_OF_ATOM}+")
_QUOTABLE = re.compile(r"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_FLAG = re.compile(rf"\\?{_OF_ATOM}+")
_SET = re.compile(r"[0-9:,*]+")


@dataclass(frozen=True)
class Literal:
    """Bytes that are sent with their length before them."""

    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Upload:
    """A literal whose bytes are given to the connection when they may be sent (``Connection.send_data``)."""

    size: int
    is_eight_bit: bool = False  # a literal8 (RFC 3516, 4.2)


Part = bytes | Literal | Upload


@dataclass(frozen=True)
class Command:
    """A command without its tag.  Its parts may hold a password and are never shown."""

    name: str  # as errors show it: UID FETCH
    parts: tuple[Part, ...] = field(default=(), repr=False)  # what follows the name, with its blank
    # Nothing may be sent before it is over: that would be read in another state, or by somebody else.
    is_alone: bool = False
    mechanism: Mechanism | None = field(default=None, repr=False)


def _command(name: str, *parts: Part, is_alone: bool = False) -> Command:
    return Command(name, tuple(part for part in parts if part), is_alone)


# Values


def string(text: str) -> Part:
    """Return an astring: an atom, a quoted string, or a literal where the text needs one."""
    if _ATOM.fullmatch(text) and text.upper() != "NIL":
        return text.encode()
    if len(text) <= QUOTED_LENGTH and _QUOTABLE.fullmatch(text):
        return b'"' + re.sub(r'(["\\])', r"\\\1", text).encode() + b'"'
    if "\0" in text:
        raise ValueError("no IMAP string holds a NUL")
    return Literal(text.encode("utf-8", "surrogateescape"))


def flag(text: str) -> bytes:
    """Return a flag or keyword, which must be one by the grammar."""
    if not is_flag(text):
        raise ValueError(f"not a flag: {text!r}")
    return text.encode()


def is_flag(text: str) -> bool:
    """Tell whether a text is a flag or keyword by the grammar."""
    return _FLAG.fullmatch(text) is not None


def flag_list(flags: Iterable[str]) -> bytes:
    """Return flags in parentheses, in a fixed order."""
    return b"(" + b" ".join(map(flag, sorted(flags))) + b")"


def numbers(uids: NumberSet | str) -> bytes:
    """Return a set of messages; a text may have ``*`` in it."""
    text = str(uids)
    if not _SET.fullmatch(text):
        raise ValueError(f"not a set of messages: {text!r}")
    return text.encode()


def _words(words: Iterable[str]) -> bytes:
    joined = " ".join(words)
    if re.search(r"[\x00-\x1f\x7f-\U0010ffff{]", joined):
        raise ValueError(f"not a list of words: {joined!r}")
    return joined.encode()


# Any state


def capability() -> Command:
    """Ask what the server can."""
    return _command("CAPABILITY")


def noop() -> Command:
    """Ask whether something happened."""
    return _command("NOOP")


def logout() -> Command:
    """Say good-bye."""
    return _command("LOGOUT", is_alone=True)


def identify(fields: Mapping[str, str] | None = None) -> Command:
    """Say who we are and ask the same (RFC 2971)."""
    if not fields:
        return _command("ID", b" NIL")
    parts: list[Part] = [b" ("]
    for key, value in fields.items():
        parts += [b" " if len(parts) > 1 else b"", _quoted(key), b" ", _quoted(value)]
    return _command("ID", *parts, b")")


def _quoted(text: str) -> bytes:
    if not _QUOTABLE.fullmatch(text):
        raise ValueError(f"cannot be quoted: {text!r}")
    return b'"' + re.sub(r'(["\\])', r"\\\1", text).encode() + b'"'


# Not authenticated


def starttls() -> Command:
    """Begin TLS; the bytes after the answer are TLS's."""
    return _command("STARTTLS", is_alone=True)


def login(user: str, password: Secret) -> Command:
    """Log in without SASL."""
    return _command("LOGIN", b" ", string(user), b" ", string(password.reveal()))


def authenticate(mechanism: Mechanism) -> Command:
    """Log in by a SASL mechanism."""
    is_alone = not mechanism.is_one_step
    return Command("AUTHENTICATE", (b" " + mechanism.name.encode(),), is_alone, mechanism)


# Authenticated


def enable(*capabilities: str) -> Command:
    """Switch extensions on (RFC 5161)."""
    return _command("ENABLE", b" ", _words(capabilities))


def compress() -> Command:
    """Compress everything from here on (RFC 4978)."""
    return _command("COMPRESS", b" DEFLATE", is_alone=True)


def namespace() -> Command:
    """Ask where mailboxes are (RFC 2342)."""
    return _command("NAMESPACE")


@dataclass(frozen=True)
class Known:
    """What we know of a mailbox from before: the server then tells only what changed (RFC 7162, 3.2.5)."""

    uid_validity: int
    modseq: int
    uids: str = ""  # bounds the UIDs that the server may report as gone


def select(
    mailbox: str, *, read_only: bool = False, condstore: bool = False, known: Known | None = None
) -> Command:
    """Open a mailbox."""
    name = "EXAMINE" if read_only else "SELECT"
    if known is not None:
        uids = b" " + numbers(known.uids) if known.uids else b""
        parameters = b" (QRESYNC (%d %d%b))" % (known.uid_validity, known.modseq, uids)
    else:
        parameters = b" (CONDSTORE)" if condstore else b""
    return _command(name, b" ", string(mailbox), parameters)


def list_mailboxes(
    patterns: Sequence[str] = ("*",),
    *,
    reference: str = "",
    selection: Sequence[str] = (),
    returning: Sequence[str] = (),
    status_items: Sequence[str] = (),
) -> Command:
    """List mailboxes; more than one pattern and options need LIST-EXTENDED, ``status_items`` LIST-STATUS."""
    parts: list[Part] = [b" "]
    if selection:
        parts.append(b"(" + _words(selection) + b") ")
    parts += [_list_name(reference), b" "]
    if len(patterns) == 1:
        parts.append(_list_name(patterns[0]))
    else:
        for index, pattern in enumerate(patterns):
            parts += [b" " if index else b"(", _list_name(pattern)]
        parts.append(b")")
    options = list(returning)
    if status_items:
        options.append(f"STATUS ({' '.join(status_items)})")
    if options:
        parts.append(b" RETURN (" + _words(options) + b")")
    return _command("LIST", *parts)


def list_subscribed(pattern: str) -> Command:
    """List what is subscribed, where the server has no LIST-EXTENDED to say it."""
    return _command("LSUB", b' "" ', _list_name(pattern))


def _list_name(text: str) -> Part:
    if len(text) <= QUOTED_LENGTH and _QUOTABLE.fullmatch(text):
        return _quoted(text)  # wildcards are no atom's characters everywhere
    return string(text)


def status(mailbox: str, items: Sequence[str]) -> Command:
    """Ask for counters of a mailbox that is not selected."""
    return _command("STATUS", b" ", string(mailbox), b" (", _words(items), b")")


def create(mailbox: str) -> Command:
    """Make a mailbox."""
    return _command("CREATE", b" ", string(mailbox))


def delete(mailbox: str) -> Command:
    """Remove a mailbox with all its messages."""
    return _command("DELETE", b" ", string(mailbox))


def rename(mailbox: str, to: str) -> Command:
    """Give a mailbox another name."""
    return _command("RENAME", b" ", string(mailbox), b" ", string(to))


def subscribe(mailbox: str) -> Command:
    """Have a mailbox shown by mail readers."""
    return _command("SUBSCRIBE", b" ", string(mailbox))


def unsubscribe(mailbox: str) -> Command:
    """Undo SUBSCRIBE."""
    return _command("UNSUBSCRIBE", b" ", string(mailbox))


def quota_root(mailbox: str) -> Command:
    """Ask for the limits that hold for a mailbox (RFC 9208)."""
    return _command("GETQUOTAROOT", b" ", string(mailbox))


@dataclass(frozen=True)
class NewMessage:
    """A message to be appended; without ``data`` its bytes are given when they may be sent."""

    size: int
    flags: frozenset[str] = frozenset()
    received_s: float | None = None  # seconds since 1970, in UTC
    data: bytes | None = field(default=None, repr=False)
    is_utf8: bool = False  # its header is not ASCII, where UTF8=ACCEPT is enabled (RFC 6855, 4)


def append(mailbox: str, messages: Sequence[NewMessage]) -> Command:
    """Append messages; more than one needs MULTIAPPEND (RFC 3502)."""
    parts: list[Part] = [b" ", string(mailbox)]
    for message in messages:
        parts.append(b" " + flag_list(message.flags) if message.flags else b"")
        if message.received_s is not None:
            parts.append(b' "' + format_date(message.received_s) + b'"')
        if message.is_utf8:
            parts += [b" UTF8 (", Upload(message.size, is_eight_bit=True), b")"]
        else:
            parts += [b" ", Upload(message.size) if message.data is None else Literal(message.data)]
    return _command("APPEND", *parts)


def idle() -> Command:
    """Be told what happens until ``Connection.done`` (RFC 2177)."""
    return _command("IDLE", is_alone=True)


def notify(events: Sequence[str], *, status_now: bool = False) -> Command:
    """Ask for events (RFC 5465): ``("selected (MessageNew)", "personal (MailboxName)")``; none ends them."""
    if not events:
        return _command("NOTIFY", b" NONE")
    groups = b" ".join(b"(" + _words((event,)) + b")" for event in events)
    return _command("NOTIFY", b" SET STATUS " if status_now else b" SET ", groups)


# Selected


def unselect() -> Command:
    """Close the mailbox and expunge nothing (RFC 3691)."""
    return _command("UNSELECT")


def close() -> Command:
    r"""Close the mailbox; messages with the flag \\Deleted are expunged."""
    return _command("CLOSE")


def uid_fetch(
    uids: NumberSet | str, items: Sequence[str], *, changed_since: int | None = None, vanished: bool = False
) -> Command:
    """Fetch items of messages; only of those changed since a mod-sequence, if given (RFC 7162)."""
    modifiers = b""
    if changed_since is not None:
        modifiers = b" (CHANGEDSINCE %d%b)" % (changed_since, b" VANISHED" if vanished else b"")
    return _command("UID FETCH", b" ", numbers(uids), b" (", _words(items), b")", modifiers)


def uid_store(
    uids: NumberSet | str,
    how: OneOf["+", "-", ""],
    flags: Iterable[str],
    *,
    unchanged_since: int | None = None,
    silent: bool = True,
) -> Command:
    """Add flags, remove them or set just these."""
    modifiers = b" (UNCHANGEDSINCE %d)" % unchanged_since if unchanged_since is not None else b""
    item = b" " + how.encode() + (b"FLAGS.SILENT " if silent else b"FLAGS ")
    return _command("UID STORE", b" ", numbers(uids), modifiers, item, flag_list(flags))


def uid_search(
    criteria: Sequence[str | Part] = ("ALL",), *, returning: Sequence[str] | None = None
) -> Command:
    """Search; ``returning`` needs ESEARCH.  Criteria of bytes come from ``string``."""
    parts: list[Part] = [] if returning is None else [b" RETURN (" + _words(returning) + b")"]
    for criterion in criteria:
        parts += [b" ", _words((criterion,)) if isinstance(criterion, str) else criterion]
    return _command("UID SEARCH", *parts)


def uid_copy(uids: NumberSet | str, mailbox: str) -> Command:
    """Copy messages to the end of a mailbox."""
    return _command("UID COPY", b" ", numbers(uids), b" ", string(mailbox))


def uid_move(uids: NumberSet | str, mailbox: str) -> Command:
    """Move messages to the end of a mailbox (RFC 6851)."""
    return _command("UID MOVE", b" ", numbers(uids), b" ", string(mailbox))


def uid_expunge(uids: NumberSet | str) -> Command:
    r"""Remove those of the messages that have the flag \\Deleted (RFC 4315)."""
    return _command("UID EXPUNGE", b" ", numbers(uids))


def expunge() -> Command:
    r"""Remove all messages with the flag \\Deleted, whoever set it."""
    return _command("EXPUNGE")
