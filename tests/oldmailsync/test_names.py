"""c-client's names of mailboxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.oldmailsync.names import BadNameError, Local, Spec, local, parse_spec, split

HOME = "/home/me"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("{host}box", ("{host}", "box")),
        ("{host/user=me}", ("{host/user=me}", "")),
        ('{host/user="a}b"}x', ('{host/user="a}b"}', "x")),
        ("box", ("", "box")),
        ("{host", ("", "{host")),
        ("", ("", "")),
    ],
)
def test_split(name: str, parts: tuple[str, str]) -> None:
    """What is in braces, and the mailbox."""
    assert split(name) == parts


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("{host}", Spec("host")),
        ("{host:1143}", Spec("host", 1143)),
        ("{[192.0.2.1]:993/ssl}", Spec("192.0.2.1", 993, "tls")),
        ("{[2001:db8::1]}", Spec("2001:db8::1")),
        ("{host/ssl}", Spec("host", security="tls")),
        ("{host/SSL/User=Me}", Spec("host", security="tls", user="Me")),
        ("{host/tls}", Spec("host", security="starttls")),
        ("{host/tls-sslv23}", Spec("host", security="starttls")),
        ("{host/notls}", Spec("host", security="plain")),
        ("{host/imap/norsh/debug/loser/validate-cert}", Spec("host")),
        ("{host/service=imap/user=me@example.org}", Spec("host", user="me@example.org")),
        (r'{host/user="a b/\"c\""}', Spec("host", user='a b/"c"')),
        ("{host/novalidate-cert}", Spec("host", is_checked=False)),
        ("{host/secure}", Spec("host", is_secure=True)),
        ("{host/readonly}", Spec("host", is_read_only=True)),
    ],
)
def test_spec(text: str, spec: Spec) -> None:
    """Each flag, and its meaning."""
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{host/pop3}", "IMAP"),
        ("{host/service=pop3}", "IMAP"),
        ("{host/nntp}", "take this store out"),
        ("{host/anonymous}", "/user="),
        ("{host/authuser=root}", "/user="),
        ("{host/user}", "its value is missing"),
        ("{host/nonsense}", "/nonsense is no flag"),
        ("{host/ssl=1}", "/ssl is no flag"),
        ("{host:99999}", "no port"),
        ("{host name}", "is no flag"),
        ("{}", "names no server"),
        ("{/ssl}", "names no server"),
        ("{host/user=\x1b[31m/x}", r"\u001b[31m"),
    ],
)
def test_spec_that_cannot_be(text: str, told: str) -> None:
    """What is refused is told, with what to do instead; nothing of it obeys a terminal."""
    with pytest.raises(BadNameError) as caught:
        parse_spec(text)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("INBOX", Local("inbox")),
        ("inbox", Local("inbox")),
        ("#mhinbox", Local("mh", "inbox")),
        ("#mh/a/b", Local("mh", "a/b")),
        ("Mail/x", Local("path", "/home/me/Mail/x")),
        ("~/x", Local("path", "/home/me/x")),
        ("~you/x", Local("path", "/home/you/x")),
        ("/tmp/x", Local("path", "/tmp/x")),
        ("Mail/", Local("path", "/home/me/Mail")),
    ],
)
def test_local(name: str, found: Local) -> None:
    """Where mailboxes here are."""
    assert local(name, HOME, lambda user: f"/home/{user}") == found


@pytest.mark.parametrize(
    "name", ["#news.comp.mail", "#driver.mbx/x", "a/../b", "../x", "a//b", "x\0", "/../x"]
)
def test_local_that_cannot_be(name: str) -> None:
    """News is refused, and so is what leads elsewhere."""
    with pytest.raises(BadNameError):
        local(name, HOME, lambda user: f"/home/{user}")


@given(st.text(max_size=40), st.booleans())
def test_any_name(name: str, braces: bool) -> None:
    """Any name means something or is refused; nothing relative leaves the home directory."""
    if braces:
        name = f"{{{name}}}"
    try:
        spec, _ = split(name)
        found = parse_spec(spec) if spec else local(name, HOME, lambda user: f"/home/{user}")
    except BadNameError:
        return
    if isinstance(found, Local) and found.kind == "path" and name[0:1] not in ("/", "~"):
        assert f"{found.place}/".startswith(f"{HOME}/")
        assert ".." not in found.place.split("/")
