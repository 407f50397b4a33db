"""A glance at a server: says what was said the last time, and looks whether the answers are the same.

Nothing of them is understood here.  A client that is told the same says the same; so as long as a server
answers as it did, the next thing to say is known, and when all answers were the same, so is what they mean:
nothing has changed.  At the first answer that is another one the glance is over, and the client takes the
connection over and has all of it said again (``Link.replay``).  So a glance is worth its while, because it
needs none of what a client is made of, and costs nothing where it does not help.

What is remembered are the words of the client and the answers in short, never a secret: a login ends before
it (``LOGINS``), and nothing but what is on a list is remembered at all (``_MAY_SAY``).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from mswatch.errors import TemporaryError
from mswatch.imap.sasl import OAuthBearer, Plain, XOAuth2
from mswatch.imap.secret import Secret
from mswatch.imap_session.credentials import obtain
from mswatch.imap_session.link import Link, Turn, connect
from mswatch.imap_session.settings import Login, Server

# Of one message from us, in which nothing is by chance.
LOGINS: dict[str, type[Plain | XOAuth2 | OAuthBearer]] = {
    "PLAIN": Plain,
    "XOAUTH2": XOAuth2,
    "OAUTHBEARER": OAuthBearer,
}
_MAY_SAY = frozenset(
    (b"CAPABILITY", b"STARTTLS", b"ENABLE", b"ID", b"NAMESPACE", b"LIST", b"LSUB", b"STATUS")
)
_HINTS = frozenset((b"\\marked", b"\\unmarked"))
_STATUSES = frozenset((b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"))


class Said(NamedTuple):
    """What is said, in lines, and what the answer was, in short; a login is a line without its end."""

    words: bytes
    answer: bytes


class Look(NamedTuple):
    """All that a glance at a store needs."""

    store: str
    server: Server
    login: Login
    said: Sequence[Said]

    def written(self) -> bytes:
        """Return one line of text."""
        values = (self.store, self.server._asdict(), self.login._asdict(), [*map(_text, self.said)])
        return json.dumps(values, default=os.fspath).encode()

    @classmethod
    def read(cls, line: bytes) -> Look:
        """Read such a line.

        Raises:
            ValueError, TypeError, AttributeError: it is none.
        """
        store, server, login, said = json.loads(line)
        return cls(store, Server(**_tuples(server)), Login(**_tuples(login)), [*map(_said, said)])


def _text(said: Said) -> list[str]:
    return [part.decode("latin-1") for part in said]


def _said(texts: Sequence[str]) -> Said:
    words, answer = (text.encode("latin-1") for text in texts)
    return Said(words, answer)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


class Glimpse(NamedTuple):
    """What became of a glance: the link may be gone on with, and the secret has been asked for already."""

    is_same: bool
    link: Link
    secret: Secret | None


def remembered(record: Sequence[Turn] | None) -> list[Said] | None:
    """Return what to say and to hear the next time; None if that cannot be known."""
    said: list[Said] = []
    for turn in record or ():
        words, answer = _safe(bytes(turn.sent)), in_short(bytes(turn.received))
        if words is None or answer is None or bool(words) != bool(said):
            return None  # the server begins
        said.append(Said(words, answer))
    return said or None


def _safe(sent: bytes) -> bytes | None:
    """Return lines as they may be remembered; None if they may not."""
    lines = sent.split(b"\r\n")
    if lines.pop():
        return None
    for line in lines:
        parts = line.split(b" ")
        if len(parts) < 2 or parts[0][:1] != b"A":
            return None
        if parts[1] == b"AUTHENTICATE" and len(parts) == 4 and len(lines) == 1:
            return b" ".join((*parts[:3], b"")) if parts[2].decode() in LOGINS else None
        if parts[1] not in _MAY_SAY or line.endswith(b"}"):
            return None
    return sent


def in_short(received: bytes) -> bytes | None:
    """Return what matters of an answer; None if it is not whole, or not to be taken apart by lines.

    The text of a status is for people: times and greetings are in it.  ID tells who the server is, and some
    have words there that are never the same.  That a mailbox is marked or not is a hint (RFC 9051, 7.3.1)
    that nobody here takes, and Dovecot gives it some time after the last change.
    """
    if not received.endswith(b"\r\n"):
        return None
    lines = []
    for line in received.split(b"\r\n"):
        if line.endswith(b"}"):  # a literal may follow, with anything in it
            return None
        tag, _, rest = line.partition(b" ")
        kind, _, text = rest.partition(b" ")
        if kind in _STATUSES:
            code = text[: text.find(b"]") + 1] if text.startswith(b"[") else b""
            lines.append(b" ".join((tag, kind, code)))
        elif kind == b"LIST" and text.startswith(b"("):
            attributes, _, name = text[1:].partition(b")")
            kept = [word for word in attributes.split() if word.lower() not in _HINTS]
            lines.append(b"%b LIST (%b)%b" % (tag, b" ".join(kept), name))
        elif kind != b"ID":
            lines.append(line)
    return b"\n".join(lines)


def glance(look: Look) -> Glimpse:
    """Say what was said the last time, as long as the answers are the same.

    Raises:
        TemporaryError, UnavailableError, ConfigError: there is no way to the server, or no password, or the
            server says nothing, or does not come to an end; what it refuses the client is going to hear.
    """
    link = connect(look.server)
    try:
        link.record = []
        secret = None
        for said in look.said:
            words = said.words
            if words and not words.endswith(b"\r\n"):
                secret = obtain(look.login)
                words += _first(words.split(b" ")[2].decode(), look.login.user, secret)
            if in_short(_ask(link, words)) != said.answer:
                return Glimpse(False, link, secret)
            if words.endswith(b" STARTTLS\r\n"):
                link.start_tls()
    except BaseException:
        link.close()
        raise
    return Glimpse(True, link, secret)


def _first(name: str, user: str, secret: Secret) -> bytes:
    """Return the initial response of a mechanism, as the client sends it."""
    return base64.b64encode(LOGINS[name](user, secret).first()) + b"\r\n"


def _ask(link: Link, words: bytes) -> bytes:
    """Say something and return the answer, as far as there is one: up to the end of the last command."""
    tags = [line.partition(b" ")[0] for line in words.splitlines()]
    left = memoryview(words)
    answer = b""
    while left or not _is_over(answer, tags):
        sent, received = link.step(left)
        left = left[sent:]
        answer += received or b""
        if link.record is None:
            raise TemporaryError(f"{link.server.place} says much more than before", "it is tried again")
        if received == b"":
            break
    return answer


def _is_over(answer: bytes, tags: list[bytes]) -> bool:
    """Tell whether all lines are whole, and one of them does not come before the end of the last command.

    Without a command that is any line: a greeting.
    """
    if not answer.endswith(b"\r\n"):
        return False
    before = (b"*", *tags[:-1]) if tags else ()
    return any(line.partition(b" ")[0] not in before for line in answer.split(b"\r\n")[:-1])
