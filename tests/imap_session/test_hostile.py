"""Broken, hostile and dying servers: each ends in a typed error, in time, and the password stays here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mswatch.errors import MswatchError, TemporaryError, UnavailableError
from mswatch.imap import commands
from mswatch.imap.commands import NewMessage
from mswatch.imap.errors import EndedError, ProtocolError
from mswatch.imap.quirks import Refusal
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import RefusedError, Session
from mswatch.imap_session.settings import Login, Server
from tests.imap_session.scripted import DEAF, GREETING, SILENT, Heard, Step, scripted
from tests.servers.certificates import make_certificates
from tests.servers.waiting import DEADLINE_S

IN = b"A1 OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n"
LOGIN_LINE = Heard(b"A1 AUTHENTICATE PLAIN AGEAc2VjcmV0\r\n")
SHORT_S = 0.5  # where nothing but silence is waited for
LOGGED_IN_S = 3.0  # where it comes after a login


@pytest.fixture
def login() -> Login:
    """A login that a scripted server would take."""
    return Login("a", command=("echo", "secret"))


@pytest.mark.parametrize(
    ("steps", "error", "says"),
    [
        ([], EndedError, "ended"),
        ([b"* OK rea"], EndedError, "middle"),
        ([SILENT], TemporaryError, "silent for"),
        ([b"* OK rea", SILENT], TemporaryError, "silent for"),
        ([b"SSH-2.0-OpenSSH\r\n"], ProtocolError, "protocol"),
        ([b"x" * 5_000_000, SILENT], ProtocolError, "longer than"),
        ([b"* BYE [UNAVAILABLE] too busy\r\n"], RefusedError, "too busy"),
        ([GREETING, LOGIN_LINE], EndedError, "ended"),
        ([GREETING, LOGIN_LINE, SILENT], TemporaryError, "silent for"),
        ([GREETING, LOGIN_LINE, b"+ \r\n", SILENT], ProtocolError, "challenge"),
        ([GREETING, LOGIN_LINE, b"* BYE [LIMIT] enough\r\n"], RefusedError, "too many connections"),
        ([GREETING, LOGIN_LINE, b"A9 OK in\r\n", SILENT], ProtocolError, "not sent"),
        ([GREETING, LOGIN_LINE, b"* LIST (", SILENT], TemporaryError, "silent for"),
        ([GREETING, LOGIN_LINE, b"A1 NO [EXPIRED] too old\r\n"], RefusedError, "expired"),
    ],
)
def test_login_with_a_broken_server(
    login: Login, steps: list[Step], error: type[MswatchError], says: str
) -> None:
    """Whatever a server does instead of letting us in, we learn of it in time."""
    timeout_s = SHORT_S if error is TemporaryError else DEADLINE_S
    with scripted(*steps) as server, pytest.raises(error, match=says) as caught:
        log_in(server.server(timeout_s), login)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "steps",
    [
        [b"* PREAUTH welcome\r\n", SILENT],
        [b"* OK hi\r\n", Heard(b"A1 STARTTLS\r\n"), b"A1 NO not here\r\n"],
        [b"* OK hi\r\n", Heard(b"A1 STARTTLS\r\n"), b"A1 BAD what?\r\n"],
    ],
)
def test_no_starttls(login: Login, steps: list[Step]) -> None:
    """A server, or somebody in between, that has us go on in clear is left, and learns nothing."""
    with scripted(*steps) as server, pytest.raises(UnavailableError):
        log_in(Server("127.0.0.1", server.port, "starttls"), login)
    assert b"AUTH" not in server.heard
    assert b"LOGIN" not in server.heard


def test_words_before_tls(login: Login, tmp_path: Path) -> None:
    """What is put behind the answer to STARTTLS in clear ends the connection, whatever it says."""
    injected = b"A1 OK go\r\n* CAPABILITY AUTH=PLAIN\r\n"
    certificates = make_certificates(tmp_path, 0)
    with scripted(b"* OK hi\r\n", Heard(b"STARTTLS\r\n"), injected, certificates) as server:
        there = Server("127.0.0.1", server.port, "starttls", authorities=certificates.authority)
        with pytest.raises(ProtocolError, match="STARTTLS"):
            log_in(there, login)
    assert b"AUTH" not in server.heard


@pytest.mark.parametrize("garbage", [SILENT, b"* OK this is no TLS\r\n"])
def test_no_tls(login: Login, garbage: Step) -> None:
    """A handshake that does not come, or is none, ends in time."""
    with scripted(garbage) as server, pytest.raises(TemporaryError):
        log_in(Server("127.0.0.1", server.port, "tls", timeout_s=SHORT_S), login)


def test_bye_in_the_middle(login: Login) -> None:
    """A BYE is told with its reason wherever it comes, and what came before it was told."""
    with (
        scripted(
            GREETING, LOGIN_LINE, IN, Heard(b"NOOP"), b"* 3 EXISTS\r\n* BYE Session expired\r\n"
        ) as server,
        log_in(server.server(), login) as session,
    ):
        session.send(commands.noop())
        events = session.events()
        next(events)
        with pytest.raises(RefusedError, match="Session expired") as caught:
            next(events)
    assert caught.value.refusal is Refusal.BUSY


def upload(session: Session, size: int) -> Iterator[object]:
    """Append one long message and wait for the end."""
    chunk = bytes(1 << 16)
    session.send(
        commands.append("a", [NewMessage(size)]), (chunk[: size - at] for at in range(0, size, len(chunk)))
    )
    return session.events()


def test_answer_before_the_end(login: Login) -> None:
    """A refusal that comes while we send is heard; the message is sent to its end, as it was announced."""
    size = 10_000_000
    refusal = b"A2 NO [OVERQUOTA] full\r\n"
    with (
        scripted(GREETING, LOGIN_LINE, IN, Heard(b"APPEND"), refusal, Heard(b"NOOP"), b"A3 OK\r\n") as server,
        log_in(server.server(), login) as session,
    ):
        ends = list(upload(session, size))
        session.request(commands.noop())
    assert "OVERQUOTA" in str(ends)
    assert len(server.heard) > size


def test_server_that_stops_reading(login: Login) -> None:
    """A server that takes no more of a message is silent; one that meanwhile talks is heard."""
    talk = b"* 1 EXISTS\r\n" * 100_000
    with (
        scripted(GREETING, LOGIN_LINE, IN, Heard(b"APPEND"), talk, DEAF) as server,
        log_in(server.server(LOGGED_IN_S), login) as session,
        pytest.raises(TemporaryError, match="silent for"),
    ):
        list(upload(session, 50_000_000))


def test_message_that_changes(login: Login) -> None:
    """A message that became shorter or longer since it was announced ends the connection before its end."""
    for body in ([b"abc"], [b"abcdef"]):
        with scripted(GREETING, LOGIN_LINE, IN, SILENT) as server, log_in(server.server(), login) as session:
            session.send(commands.append("a", [NewMessage(5)]), body)
            with pytest.raises(TemporaryError, match="changed while"):
                list(session.events())


def test_tunnel_that_fails(login: Login) -> None:
    """What a tunnel's command complains about is told, one that is not there too."""
    with pytest.raises(EndedError, match="Host key verification failed"):
        log_in(Server(tunnel=("sh", "-c", "echo Host key verification failed. >&2")), login)
    with pytest.raises(MswatchError, match="cannot be started"):
        log_in(Server(tunnel=("/nonexistent/ssh",)), login)


def test_tunnel_that_does_not_end(login: Login, tmp_path: Path) -> None:
    """A command that does not care for the end of its input is ended with what it started."""
    script = f"trap '' TERM HUP; echo $$ > {tmp_path}/pid; echo '* PREAUTH hi [x]'; sleep 1000; sleep 1000"
    server = Server(tunnel=("sh", "-c", script), timeout_s=LOGGED_IN_S)
    with pytest.raises(TemporaryError, match="silent for"):  # it does not answer CAPABILITY
        log_in(server, login)
    pid = int((tmp_path / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
