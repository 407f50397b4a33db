r"""Mailbox names as the old mailsync's library (c-client) has them.  Pure.

``{host:port/flag/flag=value}box`` is one on a server, anything else one here:

    INBOX              the inbox, wherever it is
    #mh/x, #mhinbox    MH folders, below the directory that ~/.mh_profile names
    ~/x, ~user/x, /x   files and directories at these places
    x                  below the home directory

Flags and what becomes of them:

    /ssl                      TLS from the beginning
    /tls, /tls-sslv23, none   STARTTLS; the old library went on in the clear if the server had none
    /notls                    in the clear
    /novalidate-cert          the certificate is not checked; told each time
    /user=, /secure           who we are; no mechanism that shows the password
    /readonly                 nothing is changed on this side
    /authuser=, /anonymous, /pop3, /nntp, other services   refused, with what to do instead
    /imap.., /service=imap, /validate-cert, /norsh, /debug, /loser   what is done anyway, or means nothing now
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mswatch.imap_session.settings import Security
from mswatch.showing import show

INBOX = "INBOX"


class BadNameError(ValueError):
    """A name that cannot be used; its text says why, and what to do."""


@dataclass(frozen=True)
class Spec:
    """What stands in the braces; ``port`` 0 is the usual one."""

    host: str
    port: int = 0
    security: Security = "starttls"
    user: str = ""
    is_checked: bool = True  # the certificate
    is_secure: bool = False
    is_read_only: bool = False


def split(name: str) -> tuple[str, str]:
    """Return what stands in braces at the start of a name, with them, and the rest; both may be empty."""
    match = re.match(r'\{(?:"(?:\\.|[^"\\])*"|[^"}])*\}', name)
    return (match[0], name[match.end() :]) if match else ("", name)


_HOST = re.compile(r"(\[[0-9A-Za-z.:%]+\]|[^\s/:\[\]{}\"\\@]+)(?::([0-9]{1,5}))?")
_FLAG = re.compile(r'/([A-Za-z0-9-]+)(?:=("(?:\\.|[^"\\])*"|[^/"]*))?')


def parse_spec(text: str) -> Spec:
    """Read ``{host:port/flags}``.

    Raises:
        BadNameError: It cannot be used.
    """
    inner = text[1:-1]
    host = _HOST.match(inner)
    if not text.startswith("{") or not text.endswith("}") or host is None:
        raise BadNameError(f"{show(text)} names no server; write {{host/flags}}")
    port = int(host[2] or 0)
    if port > 65535:
        raise BadNameError(f"{show(text)}: there is no port {port}")
    values: dict[str, object] = {}
    position = host.end()
    while position < len(inner):
        flag = _FLAG.match(inner, position)
        if flag is None:
            raise BadNameError(
                f'{show(text)}: "{show(inner[position:])}" is no flag; write /flag or /flag=value'
            )
        values.update(_flag(text, flag[1].lower(), _unquoted(flag[2])))
        position = flag.end()
    return Spec(host[1].strip("[]"), port, **values)  # type: ignore[arg-type]


def _unquoted(value: str | None) -> str | None:
    if value is None or not value.startswith('"'):
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])


_MEANINGS: dict[str, dict[str, object]] = {
    "ssl": {"security": "tls"},
    "tls": {"security": "starttls"},
    "tls-sslv23": {"security": "starttls"},
    "notls": {"security": "plain"},
    "novalidate-cert": {"is_checked": False},
    "secure": {"is_secure": True},
    "readonly": {"is_read_only": True},
    **{name: {} for name in ("validate-cert", "norsh", "debug", "loser")},
    **{name: {} for name in ("imap", "imap2", "imap2bis", "imap4", "imap4rev1")},
}
_REFUSED = {
    "anonymous": "nobody is let in without a name any more; write /user=",
    "authuser": "log in as the user whose mail it is, by /user=",
    "pop3": "POP3 cannot keep two stores in step; use the server's IMAP",
    "nntp": "news cannot be kept in step; take this store out",
}


def _flag(text: str, name: str, value: str | None) -> dict[str, object]:
    if name == "service" and value:
        name, value = value.lower(), None
    if name == "user" and value:
        return {"user": value}
    if name in _REFUSED:
        raise BadNameError(f"{show(text)}: /{name}: {_REFUSED[name]}")
    if name in _MEANINGS and value is None:
        return _MEANINGS[name]
    raise BadNameError(
        f"{show(text)}: /{show(name)} is no flag for an IMAP server, or its value is missing; take it out"
    )


Kind = Literal["inbox", "mh", "path"]


@dataclass(frozen=True)
class Local:
    """A mailbox here: the inbox, an MH folder below the MH directory, or what is at an absolute path."""

    kind: Kind
    place: str = ""


def local(name: str, home: str, home_of: Callable[[str], str]) -> Local:
    """Read a name of a mailbox here; ``home_of`` tells another user's home directory.

    Raises:
        BadNameError: There can be no such mailbox.
    """
    if name.upper() == INBOX:
        return Local("inbox")
    if name.lower() == "#mhinbox":
        return Local("mh", "inbox")
    if name.lower().startswith("#mh/"):
        return Local("mh", _safe(name[4:], name))
    if name.startswith("#"):
        raise BadNameError(
            f"{show(name)}: of the names with # only #mh/ and #mhinbox are known; news is not synced"
        )
    if name.startswith("~"):
        user, _, rest = name[1:].partition("/")
        return Local("path", f"{home_of(user) if user else home}/{_safe(rest, name)}")
    if name.startswith("/"):
        return Local("path", "/" + _safe(name[1:], name))
    return Local("path", f"{home}/{_safe(name, name)}")


def _safe(path: str, name: str) -> str:
    """Return a path that leads nowhere but down; names come from servers, too."""
    if "\0" in path or any(level in (".", "..") for level in path.split("/")) or "//" in path:
        raise BadNameError(f"{show(name)}: a name without empty levels, . and .. is needed")
    return path.rstrip("/")
