"""A glance: it sees every difference, remembers no secret, and who goes on after it notices nothing of it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.errors import MswatchError, TemporaryError
from mswatch.imap import commands
from mswatch.imap.sasl import OAuthBearer, Plain, XOAuth2
from mswatch.imap.secret import Secret
from mswatch.imap_session.glance import LOGINS, Look, Said, glance, in_short, remembered
from mswatch.imap_session.link import Turn
from mswatch.imap_session.login import log_in
from mswatch.imap_session.session import Session
from mswatch.imap_session.settings import Login, Server
from tests.imap_session.scripted import GREETING, SILENT, Heard, Step, scripted
from tests.imap_session.test_login import by_starttls, by_tls
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import Dovecot
from tests.servers.waiting import DEADLINE_S

SHORT_S = 0.5
LOGIN = Login("a", command=("echo", "secret"))
IN = b"A1 OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n"
LIST = b'A2 LIST "" "*"\r\n'
LISTED = b'* LIST () "/" INBOX\r\n'
HEARD_LOGIN = Heard(b"A1 AUTHENTICATE PLAIN AGEAc2VjcmV0\r\n")
USUAL: list[Step] = [GREETING, HEARD_LOGIN, IN, Heard(LIST), LISTED, b"A2 OK listed\r\n"]


def turn(sent: bytes, received: bytes) -> Turn:
    """Return a turn of a conversation."""
    found = Turn()
    found.sent += sent
    found.received += received
    return found


def usual() -> list[Said]:
    """Return what a client remembers of a usual conversation."""
    said = remembered(
        [
            turn(b"", GREETING),
            turn(HEARD_LOGIN.text, IN),
            turn(LIST, LISTED + b"A2 OK listed\r\n"),
        ]
    )
    assert said is not None
    return said


def talk(session: Session) -> list[str]:
    """Say what a client says, and return what it understood."""
    answer = session.request(commands.list_mailboxes(["*"]))
    return [repr(each) for each in answer.responses]


def by_itself(server: Server) -> list[str]:
    """Return what a client hears, or the error that it ends with."""
    try:
        with log_in(server, LOGIN) as session:
            return talk(session)
    except MswatchError as error:
        return [type(error).__name__, str(error)]


def after_a_glance(server: Server) -> list[str]:
    """Return the same of a client that comes after a glance."""
    try:
        glimpse = glance(Look("far", server, LOGIN, usual()))
        with log_in(server, LOGIN, glimpse=glimpse) as session:
            return talk(session)
    except MswatchError as error:
        return [type(error).__name__, str(error)]


def heard_from(steps: list[Step], client: Callable[[Server], list[str]]) -> tuple[list[str], bytes]:
    """Return what a client heard from a server, and the server from it."""
    limit_s = SHORT_S if SILENT in steps else DEADLINE_S
    with scripted(*steps) as server:
        heard = client(server.server(limit_s))
    return [text.replace(str(server.port), "PORT") for text in heard], bytes(server.heard)


@pytest.mark.parametrize(
    "steps",
    [
        USUAL,
        [*USUAL[:4], b'* LIST () "/" {5}\r\nINBOX\r\nA2 OK listed\r\n'],
        [*USUAL[:4], LISTED, b"* 3 EXISTS\r\nA2 OK listed\r\n"],
        [*USUAL[:4], LISTED, b"A2 NO [SERVERBUG] oh\r\n"],
        [*USUAL[:4], b"* BYE [UNAVAILABLE] enough\r\n"],
        [*USUAL[:4], b"* LIST () "],
        [*USUAL[:4], b"nonsense\r\n", SILENT],
        [*USUAL[:4]],
        [GREETING, HEARD_LOGIN, b"A1 NO [AUTHENTICATIONFAILED] who?\r\n"],
        [GREETING, HEARD_LOGIN, b"A1 BAD what?\r\n"],
        [GREETING, HEARD_LOGIN, b"+ \r\n", SILENT],
        [GREETING, HEARD_LOGIN, b"* BYE [LIMIT] enough\r\n"],
        [GREETING, HEARD_LOGIN, b"A9 OK in\r\n", SILENT],
        [GREETING, HEARD_LOGIN],
        [b"* OK hi\r\n", Heard(b"A1 CAPABILITY\r\n"), b"* CAPABILITY IMAP4rev1\r\nA1 OK\r\n", SILENT],
        [b"* PREAUTH welcome\r\n", SILENT],
        [b"* BYE no\r\n"],
        [b"SSH-2.0-OpenSSH\r\n"],
        [b"* OK rea"],
        [],
    ],
)
def test_nobody_notices(steps: list[Step]) -> None:
    """Whatever a server says, the client hears the same as without a glance, and so does the server."""
    assert heard_from(steps, after_a_glance) == heard_from(steps, by_itself)


@pytest.mark.parametrize(
    ("steps", "is_same"),
    [
        (USUAL, True),
        ([*USUAL[:5], b"A2 OK listed (0.001 + 0.000 secs)\r\n"], True),
        ([*USUAL[:4], LISTED, LISTED, b"A2 OK listed\r\n"], False),
        ([*USUAL[:4], b"* STATUS INBOX (MESSAGES 1)\r\n", LISTED, b"A2 OK listed\r\n"], False),
        ([*USUAL[:4], LISTED, b"A2 NO listed\r\n"], False),
        ([*USUAL[:4], LISTED, b"A2 OK [X] listed\r\n"], False),
        ([*USUAL[:4], LISTED, b"* BYE\r\nA2 OK listed\r\n"], False),
        ([*USUAL[:4], LISTED], False),
        ([*USUAL[:2], IN.replace(b"LITERAL+", b"LITERAL-"), SILENT], False),
        ([GREETING.replace(b"ready", b"at your service"), *USUAL[1:]], True),
        ([GREETING.replace(b"STARTTLS", b"ID"), SILENT], False),
    ],
)
def test_every_difference_is_seen(steps: list[Step], is_same: bool) -> None:
    """What is for people may be another text; everything else counts."""
    with scripted(*steps) as server:
        glimpse = glance(Look("far", server.server(), LOGIN, usual()))
        glimpse.link.close()
    assert glimpse.is_same is is_same


@pytest.mark.parametrize(
    "steps",
    [[SILENT], [GREETING, HEARD_LOGIN, SILENT], [*USUAL[:4], SILENT], [*USUAL[:4], LISTED * 300_000, SILENT]],
)
def test_no_end(steps: list[Step]) -> None:
    """Silence, and an answer without end, are over in time and within memory."""
    with scripted(*steps) as server, pytest.raises(TemporaryError, match=r"silent for|much more"):
        glance(Look("far", server.server(SHORT_S if len(steps) < 6 else DEADLINE_S), LOGIN, usual()))


@pytest.mark.parametrize(
    "other", [lambda session: session.request(commands.noop()), Session.next_event], ids=["says", "waits"]
)
def test_something_else(other: Callable[[Session], object]) -> None:
    """Who says something else than the glance did, or waits where it went on, learns it and sends nothing."""
    with scripted(*USUAL) as server:
        glimpse = glance(Look("far", server.server(), LOGIN, usual()))
        with (
            log_in(server.server(), LOGIN, glimpse=glimpse) as session,
            pytest.raises(TemporaryError, match="something else"),
        ):
            other(session)
    assert b"NOOP" not in server.heard


def test_the_password_is_asked_for_once(tmp_path: Path) -> None:
    """The client that goes on has the secret from the glance."""
    asked = tmp_path / "asked"
    login = LOGIN._replace(command=("sh", "-c", f"echo >> '{asked}'; echo secret"))
    with scripted(*USUAL) as server:
        glimpse = glance(Look("far", server.server(), login, usual()))
        with log_in(server.server(), login, glimpse=glimpse) as session:
            talk(session)
    assert asked.read_text() == "\n"


def test_words_before_tls(tmp_path: Path) -> None:
    """What is put behind the answer to STARTTLS in clear is a difference, and ends the connection."""
    certificates = make_certificates(tmp_path, 0)
    said = remembered([turn(b"", b"* OK hi\r\n"), turn(b"A1 STARTTLS\r\n", b"A1 OK go\r\n")])
    assert said is not None
    injected = b"A1 OK go\r\n* CAPABILITY AUTH=PLAIN\r\n"
    with scripted(b"* OK hi\r\n", Heard(b"STARTTLS\r\n"), injected, certificates) as server:
        there = Server("127.0.0.1", server.port, "starttls", authorities=certificates.authority)
        glimpse = glance(Look("far", there, LOGIN, said))
        assert not glimpse.is_same
        with pytest.raises(MswatchError, match="STARTTLS"):
            log_in(there, LOGIN, glimpse=glimpse)
    assert b"AUTH" not in server.heard


@pytest.mark.parametrize("way", ["tls", "starttls", "plain", "tunnel"])
def test_a_real_server(tls_dovecot: Dovecot, login: Login, way: str) -> None:
    """By every way in, a glance sees that nothing changed, and then what did; and can be gone on with."""
    login = login._replace(mechanisms=("PLAIN",))
    server = {
        "tls": by_tls(tls_dovecot),
        "starttls": by_starttls(tls_dovecot),
        "plain": Server("127.0.0.1", tls_dovecot.port, "plain"),
        "tunnel": Server(tunnel=tls_dovecot.tunnel(login.user)),
    }[way]
    with log_in(server, login) as session:
        talk(session)
        said = remembered(session.link.record)
    assert said is not None
    look = Look("far", server, login, said)
    same = glance(look)
    assert same.is_same
    with log_in(server, login, glimpse=same) as session:
        before = talk(session)
        session.request(commands.create("more"))
    other = glance(look)
    assert not other.is_same
    with log_in(server, login, glimpse=other) as session:
        assert len(talk(session)) == len(before) + 1
        session.request(commands.noop())


@pytest.mark.parametrize(
    "sent",
    [
        b"A1 LOGIN me secret\r\n",
        b"A1 LOGIN me {6}\r\n",
        b"A1 AUTHENTICATE SCRAM-SHA-256 c2VjcmV0\r\n",
        b"A1 AUTHENTICATE PLAIN\r\n",
        b"AG1lAHNlY3JldA==\r\n",
        b"A1 AUTHENTICATE PLAIN AG1lAHNlY3JldA==\r\nA2 NAMESPACE\r\n",
        b"A1 CAPABILITY\r\nA2 AUTHENTICATE PLAIN AG1lAHNlY3JldA==\r\n",
        b"A1 SELECT INBOX\r\n",
        b'A1 LIST "" {6}\r\n',
        b"A1 LIS",
        b"\r\n",
    ],
)
def test_what_is_not_remembered(sent: bytes) -> None:
    """Whatever might hold a secret, or is not known to be harmless, is not remembered."""
    assert remembered([turn(b"", b"* OK hi\r\n"), turn(sent, b"A1 OK\r\n")]) is None


def test_the_server_begins() -> None:
    """A conversation begins with a greeting, and with one alone."""
    assert remembered([]) is None
    assert remembered(None) is None
    assert remembered([turn(b"A1 NAMESPACE\r\n", b"A1 OK\r\n")]) is None
    assert remembered([turn(b"", b"* OK\r\n"), turn(b"", b"* OK\r\n")]) is None


@given(
    st.sampled_from([Plain, XOAuth2, OAuthBearer]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=8, max_size=40),
)
def test_no_secret_is_remembered(mechanism: type[Plain | XOAuth2 | OAuthBearer], secret: str) -> None:
    """Nothing of a secret is in what is written down, in clear nor in base64."""
    first = base64.b64encode(mechanism("me", Secret(secret)).first())
    line = b"A1 AUTHENTICATE %b %b\r\n" % (mechanism.name.encode(), first)
    said = remembered([turn(b"", b"* OK hi\r\n"), turn(line, b"A1 OK\r\n")])
    assert said is not None
    assert said[1].words == b"A1 AUTHENTICATE %b " % mechanism.name.encode()
    assert LOGINS[mechanism.name] is mechanism


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=4),
    st.text(max_size=10),
)
def test_a_look_is_written_and_read(texts: list[tuple[bytes, bytes]], name: str) -> None:
    """What is written is one line, and is read as it was."""
    server = Server("h", 1, pins=("00",), tunnel=("a", "b\n"), authorities="/c")
    look = Look(name, server, Login("me", command=("x", "y")), [Said(*pair) for pair in texts])
    written = look.written()
    assert b"\n" not in written
    assert Look.read(written) == look


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part, max_size=4),
)


@given(st.binary(max_size=60) | st.lists(JSON, max_size=5).map(lambda value: json.dumps(value).encode()))
def test_what_is_no_look(line: bytes) -> None:
    """A line that was damaged is an error that is expected."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        Look.read(line)


@given(
    st.lists(st.sampled_from([b"* OK", b" ", b"\r\n", b"[A]", b"A1", b"{3}", b"* LIST", b"x"]), max_size=8)
)
def test_answers_of_any_kind(parts: list[bytes]) -> None:
    """An answer is either taken apart by lines or not at all; another line is another answer."""
    answer = b"".join(parts)
    short = in_short(answer)
    assert (short is None) == (not answer.endswith(b"\r\n") or b"}\r\n" in answer)
    if short is not None:
        assert in_short(answer + b"* LIST\r\n") != short


def test_a_hint_is_no_change() -> None:
    """A mailbox that is unmarked by now is as it was before; its name and what else it is count."""
    said = b'* LIST (\\HasNoChildren) "/" old\r\nA1 OK\r\n'
    for hint in (b"\\UnMarked \\HasNoChildren", b"\\HasNoChildren \\Marked"):
        assert in_short(said.replace(b"\\HasNoChildren", hint)) == in_short(said)
    assert in_short(said.replace(b"old", b"new")) != in_short(said)
    assert in_short(said.replace(b"\\HasNoChildren", b"\\Noselect")) != in_short(said)
