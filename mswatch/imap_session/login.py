"""From nothing to a session that is logged in.

The steps: the way to the server, its greeting, STARTTLS if it is asked for, the login.  What the server can
is asked for only where it did not tell by itself.

Mechanisms are tried by strength, one only: a wrong password that was refused once is not sent in three other
ways.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from mswatch.errors import UnavailableError
from mswatch.imap import commands
from mswatch.imap.commands import Command
from mswatch.imap.connection import Connection, Done, State
from mswatch.imap.quirks import Refusal
from mswatch.imap.responses import Status
from mswatch.imap.sasl import External, Mechanism, OAuthBearer, XOAuth2
from mswatch.imap.sasl import Login as LoginMechanism
from mswatch.imap.secret import Secret
from mswatch.imap_session.credentials import obtain
from mswatch.imap_session.glance import LOGINS, Glimpse
from mswatch.imap_session.link import Link, connect
from mswatch.imap_session.session import RefusedError, Session
from mswatch.imap_session.settings import BY_PASSWORD, BY_TOKEN, LOGIN_COMMAND, Login, Server
from mswatch.showing import show

_NONCE_BYTES = 18
_WITH_SECRET: dict[str, Callable[[str, Secret], Mechanism]] = {**LOGINS, "LOGIN": LoginMechanism}


def log_in(server: Server, login: Login, glimpse: Glimpse | None = None) -> Session:
    """Connect and log in, or go on with a connection that was looked at; what is said is put on record.

    Raises:
        TemporaryError: no connection, or it broke, or the password command failed.
        RefusedError: the server does not want us; ``refusal`` says why.
        ConfigError, UnavailableError: something has to be changed first.
    """
    if glimpse is None:
        link = connect(server)
        link.record = []
    else:
        link = glimpse.link
        link.replay()
        if glimpse.secret is not None:
            login = login._replace(command=(), file=None, asks=False, given=glimpse.secret)
    try:
        return _session(link, login)
    except BaseException as error:
        _explain(error, link)
        link.close()
        raise


def _explain(error: BaseException, link: Link) -> None:
    complaint = link.complaint()
    if complaint and error.args:
        error.args = (f"{error.args[0]}; the tunnel says: {complaint}", *error.args[1:])


def _session(link: Link, login: Login) -> Session:
    server = link.server
    session = Session(link, Connection())
    _greeting(session)
    if server.security == "starttls" and not server.tunnel:
        _start_tls(session)
    if session.connection.state is State.NOT_AUTHENTICATED:
        _learn_capabilities(session)
        command = _login_command(session, login)
        session.send(command)
        _finish_login(session, command)
    _learn_capabilities(session)
    return session


def _greeting(session: Session) -> None:
    greeting = session.next_event()
    assert isinstance(greeting, Status)
    session.note_greeting()


def _start_tls(session: Session) -> None:
    """Protect the connection, or end it: what a plain greeting said about that is nothing to rely on."""
    if session.connection.state is not State.NOT_AUTHENTICATED:
        raise UnavailableError(
            f"{session.place} lets us in before TLS; somebody may be in between", 'use security = "tls"'
        )
    try:
        session.request(commands.starttls())
    except RefusedError as error:
        raise UnavailableError(
            f'{session.place} has no STARTTLS ("{show(error.text)}")',
            'use security = "tls", if the server has it',
        ) from None
    session.link.start_tls()


def _learn_capabilities(session: Session) -> None:
    if session.connection.capabilities is None:
        session.request(commands.capability())
    session.note_greeting()


def _login_command(session: Session, login: Login) -> Command:
    capabilities = session.connection.capabilities or frozenset()
    name = _best(login, capabilities)
    if name is None:
        offered = ", ".join(sorted(word[5:] for word in capabilities if word.startswith("AUTH=")))
        raise UnavailableError(
            f"{session.place} offers no way to log in that is allowed here (only: {show(offered) or 'none'})",
            "the server may want TLS, or a token instead of a password",
        )
    if name == LOGIN_COMMAND:
        return commands.login(login.user, obtain(login))
    return commands.authenticate(_mechanism(name, login))


def _best(login: Login, capabilities: frozenset[str]) -> str | None:
    names: tuple[str, ...]
    names = BY_TOKEN if login.is_token else BY_PASSWORD
    if not (login.command or login.file or login.asks or login.given):
        names = ("EXTERNAL",)
    allowed = login.mechanisms or names
    offered = [name for name in names if name in allowed and f"AUTH={name}" in capabilities]
    if LOGIN_COMMAND in names and LOGIN_COMMAND in allowed and "LOGINDISABLED" not in capabilities:
        offered.append(LOGIN_COMMAND)
    return min(offered, key=names.index, default=None)


def _mechanism(name: str, login: Login) -> Mechanism:
    """Return a fresh mechanism with a fresh secret."""
    if name == "EXTERNAL":
        return External(login.user)
    secret = obtain(login)
    if name in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        from mswatch.imap.scram import ScramSha1, ScramSha256

        nonce = base64.b64encode(os.urandom(_NONCE_BYTES)).decode()
        return (ScramSha1 if name == "SCRAM-SHA-1" else ScramSha256)(login.user, secret, nonce)
    return _WITH_SECRET[name](login.user, secret)


def _finish_login(session: Session, command: Command) -> None:
    for event in session.events():
        if isinstance(event, Done) and event.command is command and event.kind != "OK":
            raise _refused_login(session, event)


def _refused_login(session: Session, done: Done) -> RefusedError:
    """Tell an expired token from a wrong password: where a token is refused it is no good any more."""
    error = session.refused(done.command.name, done.kind, done.code, done.text)
    used = done.command.mechanism
    if isinstance(used, XOAuth2 | OAuthBearer) and error.refusal is Refusal.WRONG_CREDENTIALS:
        return RefusedError(session.place, used.name, Refusal.EXPIRED, done.code, done.text)
    return error
