"""Mechanisms give the responses of their RFCs, and SCRAM refuses a server that does not prove itself."""

from __future__ import annotations

import base64

import pytest

from mswatch.imap.errors import ProtocolError
from mswatch.imap.sasl import External, Login, OAuthBearer, Plain, XOAuth2
from mswatch.imap.scram import Scram, ScramSha1, ScramSha256
from mswatch.imap.secret import Secret

# RFC 5802, 5 and RFC 7677, 3.
EXAMPLES: list[tuple[type[Scram], str, bytes, bytes, bytes, bytes]] = [
    (
        ScramSha1,
        "fyko+d2lbbFgONRv9qkxdawL",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    (
        ScramSha256,
        "rOprNGfwEbeRWgbNEkqO",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
]


@pytest.mark.parametrize(("kind", "nonce", "first", "challenge", "proof", "signature"), EXAMPLES)
def test_scram(
    kind: type[Scram], nonce: str, first: bytes, challenge: bytes, proof: bytes, signature: bytes
) -> None:
    """The example of the RFC, to the end; and a wrong or missing signature is no success."""
    mechanism = kind("user", Secret("pencil"), nonce)
    assert mechanism.first() == first
    assert mechanism.respond(challenge) == proof
    with pytest.raises(ProtocolError, match="did not prove"):
        mechanism.finish()
    assert mechanism.respond(signature) == b""
    mechanism.finish()
    liar = kind("user", Secret("pencil"), nonce)
    liar.respond(challenge)
    with pytest.raises(ProtocolError, match="does not know"):
        liar.respond(b"v=" + base64.b64encode(b"x" * 20))


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=other,s=QSXCR+Q6sek8bf92,i=4096",
        b"r=mine,s=QSXCR+Q6sek8bf92,i=4096",
        b"r=mine1,s=QSXCR+Q6sek8bf92,i=1",
        b"r=mine1,s=QSXCR+Q6sek8bf92,i=999999999",
        b"r=mine1,s=QSXCR+Q6sek8bf92,i=-5",
        b"r=mine1,s=***,i=4096",
        b"r=mine1,s=,i=4096",
        b"m=x,r=mine1,s=QSXCR+Q6sek8bf92,i=4096",
        b"e=unknown-user",
        b"\xff",
    ],
)
def test_scram_with_a_broken_server(challenge: bytes) -> None:
    """No answer of a server makes us send a proof for it, compute for hours, or fail otherwise."""
    mechanism = ScramSha1("user", Secret("pencil"), "mine")
    with pytest.raises(ProtocolError) as caught:
        mechanism.respond(challenge)
    assert "pencil" not in str(caught.value)


def test_scram_names() -> None:
    """A comma or an equals sign in a user name is written so that it separates nothing."""
    assert ScramSha1("a=b,c", Secret("x"), "n").first() == b"n,,n=a=3Db=2Cc,r=n"


def test_one_step_mechanisms() -> None:
    """PLAIN, EXTERNAL and the two for tokens, as their RFCs write them."""
    assert Plain("tim", Secret("tanstaaftanstaaf")).first() == b"\0tim\0tanstaaftanstaaf"
    assert External().first() == b""
    assert External("alice").first() == b"alice"
    assert XOAuth2("a@b.c", Secret("t")).first() == b"user=a@b.c\x01auth=Bearer t\x01\x01"
    assert OAuthBearer("a,b", Secret("t")).first() == b"n,a=a=2Cb,\x01auth=Bearer t\x01\x01"
    with pytest.raises(ProtocolError):
        Plain("a", Secret("b")).respond(b"more?")
    with pytest.raises(ValueError, match="NUL") as caught:
        Plain("a", Secret("b\0hunter2")).first()
    assert "hunter2" not in str(caught.value)


def test_login() -> None:
    """LOGIN answers two questions, however they are worded, and no third one."""
    mechanism = Login("alice", Secret("pencil"))
    assert mechanism.first() is None
    assert [mechanism.respond(b"User Name\0"), mechanism.respond(b"?")] == [b"alice", b"pencil"]
    with pytest.raises(ProtocolError):
        mechanism.respond(b"and?")


@pytest.mark.parametrize(
    ("challenge", "status"),
    [
        (b'{"status":"invalid_token","scope":"x"}', "invalid_token"),
        (b'{"status":"400","schemes":"Bearer"}', "400"),
        (b"[]", "refused"),
        (b"[" * 100_000, "refused"),
        (b"\xff", "refused"),
    ],
)
def test_refused_token(challenge: bytes, status: str) -> None:
    """What is wrong with a token is kept, and the server gets the answer that lets it end the command."""
    for mechanism, dummy in ((XOAuth2("a", Secret("t")), b""), (OAuthBearer("a", Secret("t")), b"\x01")):
        assert mechanism.respond(challenge) == dummy
        assert mechanism.explanation() == status
        with pytest.raises(ProtocolError):
            mechanism.respond(challenge)
