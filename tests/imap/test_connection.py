"""What may be sent when, what belongs to which command, and that nobody can put words into the stream."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.imap import commands
from mswatch.imap.commands import NewMessage
from mswatch.imap.connection import Connection, Done, Idling, State
from mswatch.imap.errors import EndedError, MisuseError, ProtocolError
from mswatch.imap.framing import BodyChunk
from mswatch.imap.responses import Capabilities, Exists, Fetch, Listed, Status
from mswatch.imap.sasl import Login, OAuthBearer, Plain, XOAuth2
from mswatch.imap.scram import ScramSha1
from mswatch.imap.secret import Secret
from tests.imap.feeding import bytewise, connected, events


def ask(connection: Connection, command: commands.Command) -> bytes:
    """Send a command at once; return what went out."""
    connection.send(command)
    return connection.take_outgoing()


def state_of(connection: Connection) -> State:
    """Return the state now (mypy believes that it is still the one that was asserted before)."""
    return connection.state


def with_capabilities(*names: str) -> Connection:
    """Return a greeted connection to a server that can these things."""
    connection = connected()
    connection.capabilities = frozenset(names)
    return connection


def logged_in(*names: str) -> Connection:
    """Return a connection after login."""
    connection = with_capabilities(*names)
    connection.send(commands.login("a", Secret("b")))
    connection.take_outgoing()
    (done,) = events(connection, b"A1 OK [CAPABILITY %b] hi\r\n" % " ".join(names).encode())
    assert isinstance(done, Done)
    return connection


@pytest.mark.parametrize(
    ("greeting", "state"),
    [
        (b"* OK hi\r\n", State.NOT_AUTHENTICATED),
        (b"* PREAUTH hi\r\n", State.AUTHENTICATED),
        (b"* BYE full\r\n", State.CLOSED),
    ],
)
def test_greeting(greeting: bytes, state: State) -> None:
    """The three greetings lead into the three states."""
    connection = Connection()
    (event,) = events(connection, greeting)
    assert isinstance(event, Status)
    assert connection.greeting == event
    assert connection.state is state


@pytest.mark.parametrize(
    "greeting", [b"A1 OK\r\n", b"* NO\r\n", b"* 1 EXISTS\r\n", b"+ go on\r\n", b"SSH-2.0-x\r\n"]
)
def test_no_greeting(greeting: bytes) -> None:
    """Anything else is no IMAP server."""
    with pytest.raises(ProtocolError):
        events(Connection(), greeting)


def test_pipelined_commands_end_in_any_order() -> None:
    """Several commands go out at once, and each end is given to its own."""
    connection = logged_in()
    first, second = connection.send(commands.noop()), connection.send(commands.select("INBOX"))
    assert connection.take_outgoing() == b"A2 NOOP\r\nA3 SELECT INBOX\r\n"
    assert connection.take_outgoing() == b""
    assert connection.in_flight == 2
    ends = events(connection, b"* 3 EXISTS\r\nA3 OK [READ-WRITE] yes\r\nA2 NO not now\r\n")
    assert isinstance(ends[1], Done)
    assert isinstance(ends[2], Done)
    assert ends[0] == Exists(3)
    assert (ends[1].tag, ends[1].command.name, ends[1].kind) == (second, "SELECT", "OK")
    assert (ends[2].tag, ends[2].kind, ends[2].text) == (first, "NO", "not now")
    assert connection.state is State.SELECTED
    assert connection.in_flight == 0


def test_selected_and_back() -> None:
    """A SELECT that fails leaves no mailbox selected; so do UNSELECT and CLOSE."""
    for command, kind in (
        (commands.select("x"), b"NO"),
        (commands.unselect(), b"OK"),
        (commands.close(), b"OK"),
    ):
        connection = logged_in()
        ask(connection, commands.select("INBOX"))
        events(connection, b"A2 OK\r\n")
        assert connection.state is State.SELECTED
        connection.send(command)
        connection.take_outgoing()
        events(connection, b"A3 " + kind + b"\r\n")
        assert state_of(connection) is State.AUTHENTICATED


@pytest.mark.parametrize("line", [b"A9 OK\r\n", b"A1 OK\r\n", b"+ what?\r\n", b")\r\n", b"garbage\r\n"])
def test_answers_to_nothing(line: bytes) -> None:
    """The end of a command that was not sent, or a question about nothing, breaks the protocol."""
    with pytest.raises(ProtocolError):
        events(logged_in(), line)


# Literals


def append_two() -> commands.Command:
    """Return an APPEND of an upload and of a message at hand."""
    return commands.append("a b", [NewMessage(5), NewMessage(3, data=b"xyz")])


def test_literal_waits_for_the_server() -> None:
    """Without LITERAL+ each literal goes out when the server asks for it; what was sent later waits."""
    connection = logged_in()
    connection.send(append_two())
    connection.send(commands.noop())
    assert connection.take_outgoing() == b'A2 APPEND "a b" {5}\r\n'
    assert connection.upload_wanted == 0
    assert events(connection, b"+ go\r\n") == []
    assert connection.take_outgoing() == b""
    assert connection.upload_wanted == 5
    assert connection.send_data(b"he") + connection.send_data(memoryview(b"llo")) == b"hello"
    assert connection.upload_wanted == 0
    assert connection.take_outgoing() == b" {3}\r\n"
    assert events(connection, b"+\r\n") == []
    assert connection.take_outgoing() == b"xyz\r\nA3 NOOP\r\n"


def test_literal_plus() -> None:
    """With LITERAL+ nothing is waited for but the caller's own bytes."""
    connection = logged_in("LITERAL+")
    connection.send(append_two())
    assert connection.take_outgoing() == b'A2 APPEND "a b" {5+}\r\n'
    assert connection.upload_wanted == 5
    connection.send_data(b"hello")
    assert connection.take_outgoing() == b" {3+}\r\nxyz\r\n"


@pytest.mark.parametrize("capability", ["LITERAL-", "IMAP4REV2"])
def test_literal_minus(capability: str) -> None:
    """LITERAL-, and IMAP4rev2 by itself, spare the wait for short literals only."""
    connection = logged_in(capability)
    connection.send(commands.append("a", [NewMessage(4096), NewMessage(4097)]))
    assert connection.take_outgoing() == b"A2 APPEND a {4096+}\r\n"
    connection.send_data(b"x" * 4096)
    assert connection.take_outgoing() == b" {4097}\r\n"
    assert connection.upload_wanted == 0


def test_refused_literal() -> None:
    """When the server refuses a literal its command is over, unsent, and the next one goes out."""
    connection = logged_in()
    connection.send(append_two())
    connection.send(append_two())
    connection.take_outgoing()
    (done,) = events(connection, b"A2 NO [TOOBIG] no\r\n")
    assert isinstance(done, Done)
    assert connection.take_outgoing() == b'A3 APPEND "a b" {5}\r\n'
    events(connection, b"+\r\n")
    connection.take_outgoing()
    assert connection.upload_wanted == 5


def test_refused_on_the_way() -> None:
    """A message that is refused while it is sent is sent to its end, as it was announced."""
    connection = logged_in("LITERAL+")
    connection.send(commands.append("a", [NewMessage(5)]))
    connection.send(commands.noop())
    connection.take_outgoing()
    connection.send_data(b"he")
    (done,) = events(connection, b"A2 NO [OVERQUOTA] full\r\n")
    assert isinstance(done, Done)
    assert connection.upload_wanted == 3
    connection.send_data(b"llo")
    assert connection.take_outgoing() == b"\r\nA3 NOOP\r\n"


def test_ended_before_it_was_sent() -> None:
    """A server that says OK to half a command is not to be believed."""
    connection = logged_in()
    connection.send(append_two())
    connection.take_outgoing()
    with pytest.raises(ProtocolError):
        events(connection, b"A2 OK [APPENDUID 1 1] done\r\n")


def test_too_much_data() -> None:
    """A message that grew since it was announced is a mistake that is found before it is sent."""
    connection = logged_in("LITERAL+")
    connection.send(commands.append("a", [NewMessage(5)]))
    connection.take_outgoing()
    with pytest.raises(MisuseError):
        connection.send_data(b"hello!")


# What is alone


@pytest.mark.parametrize(
    "command", [commands.starttls(), commands.compress(), commands.idle(), commands.logout()]
)
def test_alone(command: commands.Command) -> None:
    """Nothing is sent behind a command that changes what the bytes mean."""
    connection = connected()
    connection.send(command)
    with pytest.raises(MisuseError, match=command.name):
        connection.send(commands.noop())


@pytest.mark.parametrize("command", [commands.starttls(), commands.compress()])
def test_cuts_of_the_stream_follow_nothing(command: commands.Command) -> None:
    """STARTTLS and COMPRESS wait until all else is over."""
    connection = connected()
    connection.send(commands.noop())
    with pytest.raises(MisuseError):
        connection.send(command)


def test_before_the_greeting() -> None:
    """Nothing is sent before the greeting has come."""
    for command in (commands.noop(), commands.starttls(), commands.login("a", Secret("b"))):
        with pytest.raises(MisuseError):
            Connection().send(command)


def test_idle() -> None:
    """IDLE begins when the server says so, tells what happens, and ends by DONE."""
    connection = logged_in()
    connection.send(commands.idle())
    assert connection.take_outgoing() == b"A2 IDLE\r\n"
    with pytest.raises(MisuseError):
        connection.done()
    assert events(connection, b"+ idling\r\n* 4 EXISTS\r\n* OK Still here\r\n") == [
        Idling(),
        Exists(4),
        Status("OK", None, "Still here"),
    ]
    connection.done()
    assert connection.take_outgoing() == b"DONE\r\n"
    (done,) = events(connection, b"A2 OK\r\n")
    assert isinstance(done, Done)
    connection.send(commands.noop())


# Logins


def test_capabilities_are_forgotten_at_login() -> None:
    """What was told before a login does not hold after it, unless the login told anew."""
    connection = connected()
    connection.capabilities = frozenset({"X"})
    ask(connection, commands.login("a", Secret("b")))
    events(connection, b"A1 OK\r\n")
    assert connection.capabilities is None
    assert logged_in("IDLE").can("IDLE")


def test_capabilities_told_during_login() -> None:
    """An untagged CAPABILITY between command and answer holds (Gmail tells it so)."""
    connection = connected()
    ask(connection, commands.login("a", Secret("b")))
    events(connection, b"* CAPABILITY IDLE\r\nA1 OK in\r\n")
    assert connection.capabilities == frozenset({"IDLE"})
    ask(connection, commands.capability())
    assert isinstance(events(connection, b"* CAPABILITY MOVE\r\nA2 OK\r\n")[0], Capabilities)
    assert connection.capabilities == frozenset({"MOVE"})


def test_authenticate_at_once() -> None:
    """With SASL-IR a mechanism of one step is one line, and other commands may follow at once."""
    connection = with_capabilities("SASL-IR")
    connection.send(commands.authenticate(Plain("a", Secret("b"))))
    connection.send(commands.noop())
    assert connection.take_outgoing() == b"A1 AUTHENTICATE PLAIN AGEAYg==\r\nA2 NOOP\r\n"
    events(connection, b"A1 OK\r\nA2 OK\r\n")
    assert connection.state is State.AUTHENTICATED


def test_authenticate_in_steps() -> None:
    """Without SASL-IR the server asks first, and nothing may follow before it is over."""
    connection = connected()
    connection.send(commands.authenticate(Login("alice", Secret("pencil"))))
    with pytest.raises(MisuseError):
        connection.send(commands.noop())
    assert connection.take_outgoing() == b"A1 AUTHENTICATE LOGIN\r\n"
    events(connection, b"+ VXNlcm5hbWU6\r\n")
    assert connection.take_outgoing() == b"YWxpY2U=\r\n"
    events(connection, b"+ UGFzc3dvcmQ6\r\n")
    assert connection.take_outgoing() == b"cGVuY2ls\r\n"
    events(connection, b"A1 OK\r\n")
    assert connection.state is State.AUTHENTICATED
    connection.send(commands.noop())


def test_plain_in_two_steps() -> None:
    """PLAIN to a server without SASL-IR answers the empty challenge."""
    connection = connected()
    connection.send(commands.authenticate(Plain("a", Secret("b"))))
    assert connection.take_outgoing() == b"A1 AUTHENTICATE PLAIN\r\n"
    events(connection, b"+\r\n")
    assert connection.take_outgoing() == b"AGEAYg==\r\n"


@pytest.mark.parametrize(("mechanism", "dummy"), [(XOAuth2, b"\r\n"), (OAuthBearer, b"AQ==\r\n")])
def test_refused_token_is_explained(mechanism: type[XOAuth2 | OAuthBearer], dummy: bytes) -> None:
    """A token is sent at once; its refusal comes with a reason, which is answered and kept."""
    connection = with_capabilities("SASL-IR")
    used = mechanism("a", Secret("t"))
    connection.send(commands.authenticate(used))
    connection.take_outgoing()
    events(connection, b"+ " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")
    assert connection.take_outgoing() == dummy
    (done,) = events(connection, b"A1 NO [AUTHENTICATIONFAILED] no\r\n")
    assert isinstance(done, Done)
    assert done.kind == "NO"
    assert used.explanation() == "invalid_token"


def test_server_that_did_not_prove_itself() -> None:
    """A server that lets us in before SCRAM's end may be anybody."""
    connection = connected()
    connection.send(commands.authenticate(ScramSha1("a", Secret("b"), "nonce")))
    connection.take_outgoing()
    with pytest.raises(ProtocolError, match="did not prove"):
        events(connection, b"A1 OK welcome\r\n")


def test_broken_challenge() -> None:
    """A challenge that is no base64 breaks the protocol."""
    connection = connected()
    connection.send(commands.authenticate(Login("a", Secret("b"))))
    with pytest.raises(ProtocolError, match="base64"):
        events(connection, b"+ !\r\n")


# Cuts of the stream


def test_starttls() -> None:
    """After STARTTLS what the server had said it can is forgotten."""
    connection = with_capabilities("STARTTLS", "AUTH=PLAIN")
    ask(connection, commands.starttls())
    events(connection, b"A1 OK go\r\n")
    assert connection.capabilities is None


@pytest.mark.parametrize(
    "injected", [b"* CAPABILITY AUTH=PLAIN\r\n", b"* PREAUTH hi\r\n", b"* LI", b"\x16\x03\x03", b"\r\n"]
)
def test_words_put_behind_starttls(injected: bytes) -> None:
    """Plain text behind the answer to STARTTLS never counts as said under TLS: it ends the connection."""
    connection = connected()
    ask(connection, commands.starttls())
    with pytest.raises(ProtocolError, match="STARTTLS"):
        events(connection, b"A1 OK go\r\n" + injected)


def deflated(data: bytes) -> bytes:
    """Compress as a server does."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


@given(st.integers(0, 60))
def test_compression(cut: int) -> None:
    """From the answer to COMPRESS on everything is compressed, also what came together with the answer."""
    connection = connected()
    connection.send(commands.compress())
    assert connection.take_outgoing() == b"A1 COMPRESS DEFLATE\r\n"
    body = bytes(range(256)) * 4000
    plain = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n* 7 EXISTS\r\n" % (len(body), body)
    stream = b"A1 OK go\r\n" + deflated(plain)
    happened = events(connection, *filter(None, [stream[: 10 + cut], stream[10 + cut :]]))
    assert connection.is_compressed
    chunks = [event for event in happened if isinstance(event, BodyChunk)]
    assert b"".join(chunk.data for chunk in chunks) == body
    assert happened[-1] == Exists(7)
    connection.send(commands.noop())
    sent = connection.take_outgoing()
    assert zlib.decompressobj(-15).decompress(sent) == b"A2 NOOP\r\n"


def test_compression_bomb() -> None:
    """Data that swell a thousandfold are looked at in pieces, and their endless line is an error."""
    connection = connected()
    ask(connection, commands.compress())
    with pytest.raises(ProtocolError, match="longer than"):
        events(connection, b"A1 OK\r\n" + deflated(b"x" * 50_000_000))


def test_broken_compression() -> None:
    """Data that are not compressed any more break the protocol."""
    connection = connected()
    ask(connection, commands.compress())
    events(connection, b"A1 OK\r\n")
    with pytest.raises(ProtocolError, match="compressed"):
        events(connection, b"\xff" * 100)


# Ends


@pytest.mark.parametrize("before", [b"", b"* LIST () NIL a\r\n", b"* 3 EXISTS\r\n* 1 FETCH (UID 3)\r\n"])
def test_bye_anywhere(before: bytes) -> None:
    """BYE is told wherever it comes; then the end is no surprise and nothing more can be asked."""
    connection = logged_in()
    ask(connection, commands.noop())
    happened = events(connection, before + b"* BYE [UNAVAILABLE] going down\r\n", b"")
    assert isinstance(happened[-1], Status)
    assert happened[-1].kind == "BYE"
    assert connection.state is State.CLOSED
    with pytest.raises(MisuseError):
        connection.send(commands.noop())


@pytest.mark.parametrize(
    ("last", "where"),
    [
        (b"", "connection$"),
        (b"* LIS", "middle"),
        (b"* 1 FETCH (BODY[] {100000}\r\nabc", "middle"),
        (b"* LIST () {9}\r\nabc", "middle"),
    ],
)
def test_end_without_a_word(last: bytes, where: str) -> None:
    """A connection that just ends is an error that tells where it ended."""
    connection = logged_in()
    with pytest.raises(EndedError, match=where):
        events(connection, *filter(None, [last]))
        events(connection, b"")


def test_logout() -> None:
    """LOGOUT ends with BYE and its answer."""
    connection = logged_in()
    ask(connection, commands.logout())
    happened = events(connection, b"* BYE bye\r\nA2 OK\r\n", b"")
    assert [type(event) for event in happened] == [Status, Done]


def test_events_in_order() -> None:
    """What comes between is told as it came."""
    connection = logged_in()
    ask(connection, commands.list_mailboxes())
    happened = events(
        connection, b'* LIST () "/" a\r\n* 1 FETCH (FLAGS ())\r\n* ENABLED UTF8=ACCEPT\r\nA2 OK\r\n'
    )
    assert [type(event) for event in happened[:2]] == [Listed, Fetch]
    assert connection.enabled == frozenset({"UTF8=ACCEPT"})


BODY = b"* 2 FETCH (UID 4 BODY[] {3}\r\none"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\r\n\r\n* 1 EXISTS\r\n\n* 2 EXISTS\r\n", [Exists(1), Exists(2)]),
        (b"* 1 FETCH (UID 3\r\n)\r\n* 2 EXISTS\r\n", [Fetch(1, uid=3), Exists(2)]),
        (BODY + b"\r\n)\r\n* 2 EXISTS\r\n", [Fetch(2, uid=4, others={"BODY[]": b"one"}), Exists(2)]),
        (BODY + b" \r\n\r\n)\r\n", [Fetch(2, uid=4, others={"BODY[]": b"one"})]),
        (b"* 1 FETCH (UID 3 FLAGS (\\Seen)\r\n)\r\n", [Fetch(1, uid=3, flags=frozenset({"\\Seen"}))]),
    ],
)
def test_what_does_no_harm_is_passed_over(data: bytes, expected: list[object]) -> None:
    """Empty lines between responses, and the end of a FETCH in a line of its own, say nothing new."""
    assert events(connected(), data) == expected
    assert events(connected(), *bytewise(data)) == expected


@pytest.mark.parametrize(
    "data",
    [
        BODY + b"\r\nmore of the message\r\n",
        BODY + b"\r\n* 2 EXISTS\r\n)\r\n",
        BODY + b"\r\n" + BODY + b")\r\n",
        BODY + b"\r\n) x\r\n",
        b"* 1 FETCH (UID 3 FLAGS (\\Seen\r\n))\r\n",
        b")\r\n",
    ],
)
def test_fetch_that_ends_elsewhere(data: bytes) -> None:
    """A literal whose length is wrong is never taken for the message, nor its rest for what a server says."""
    with pytest.raises(ProtocolError):
        events(connected(), data)
