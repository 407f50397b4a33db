"""Mailbox names: known answers from RFC 3501, round trips, and names that nobody should have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.names import NameForm, Pattern, canonical, decode_utf7, encode_utf7, own
from mswatch.showing import SHOWN_CHARACTERS, show

MAILDIRPP = NameForm(".", "utf-7")
PLAIN = NameForm("/", "utf-8")
NESTED = NameForm("/", "utf-7")
GERMAN = NameForm(".", "utf-7", (("Gesendet", "Sent"), ("Entw&APw-rfe", "Drafts")))
FORMS = (MAILDIRPP, PLAIN, NESTED, GERMAN, NameForm("\\", "utf-8"))

# Any name that can come out of a pipe: text, raw bytes, and what looks like modified UTF-7 but may not be.
raw_names = st.binary(max_size=40).map(lambda data: data.decode("utf-8", "surrogateescape"))
shifty_names = st.text(alphabet="&-+,./ABCDPwAzü\n~\udcff", max_size=30)
any_names = raw_names | shifty_names | st.text(max_size=30)
forms = st.sampled_from(FORMS)

KNOWN = [
    ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501, 5.1.3
    ("Entw&APw-rfe", "Entwürfe"),
    ("R&-D", "R&D"),
    ("&-&-", "&&"),
    ("&Jjo-!", "☺!"),
    ("&2D3eAA-", "😀"),
    ("&AAo-", "\n"),
    ("INBOX", "INBOX"),
    ("", ""),
]


@pytest.mark.parametrize(("encoded", "text"), KNOWN)
def test_known_answers_both_ways(encoded: str, text: str) -> None:
    """The examples of the RFC and of daily life decode and encode to each other."""
    assert decode_utf7(encoded) == text
    assert encode_utf7(text) == encoded


@pytest.mark.parametrize(
    "text",
    [
        "&Jjo!",  # RFC 3501: no shift back before the "!"
        "&U,BTFw-&ZeVnLIqe-",  # RFC 3501: a superfluous shift
        "R&D-team",
        "&",
        "a&",
        "&APw",
        "&AGE-",  # an encoded "a"
        "&APx-",  # a padding bit is set
        "&APwA-",  # an odd number of octets
        "&A-",
        "&2D0-",  # half a surrogate pair
        "&AP/-",  # "/" where "," belongs
        "Entwürfe",
        "\udcff",
        "tab\there",
    ],
)
def test_what_is_no_modified_utf7_is_left_alone(text: str) -> None:
    """An invalid or second spelling is refused by the decoder and kept as it is in the canonical name."""
    assert decode_utf7(text) is None
    assert canonical(text, NESTED) == text


@given(st.text())
def test_every_text_survives_modified_utf7(text: str) -> None:
    """Any Unicode text comes back from its encoding, which is printable ASCII."""
    encoded = encode_utf7(text)
    assert encoded is not None
    assert all(" " <= character <= "~" for character in encoded)
    assert decode_utf7(encoded) == text


@given(shifty_names)
def test_each_text_has_one_encoding(text: str) -> None:
    """Whatever decodes is the only spelling of its text."""
    decoded = decode_utf7(text)
    assert decoded is None or encode_utf7(decoded) == text


@given(any_names, forms)
def test_an_own_name_means_the_mailbox_it_was_made_for(name: str, form: NameForm) -> None:
    """own() gives None or a name that translates back, whatever the name and the form."""
    own_name = own(name, form)
    assert own_name is None or canonical(own_name, form) == name


@given(any_names, forms)
def test_a_reported_mailbox_can_be_named_again_or_is_known_not_to_be(own_name: str, form: NameForm) -> None:
    """Translating a store's name there, back and there again is stable."""
    name = canonical(own_name, form)
    again = own(name, form)
    assert again is None or canonical(again, form) == name


@given(any_names)
def test_the_plain_form_changes_nothing(name: str) -> None:
    """Names in UTF-8 with "/" are canonical already, byte for byte."""
    assert canonical(name, PLAIN) == name
    assert own(name, PLAIN) == name


@pytest.mark.parametrize(
    ("own_name", "name"),
    [
        ("INBOX", "INBOX"),
        ("lists.python", "lists/python"),
        ("Entw&APw-rfe.2024", "Entwürfe/2024"),
        ("..sub", "//sub"),
        ("\udcff.\udcfe", "\udcff/\udcfe"),
    ],
)
def test_maildirpp_names(own_name: str, name: str) -> None:
    """Dots become levels, modified UTF-7 becomes text, raw bytes stay, and all of it comes back."""
    assert canonical(own_name, MAILDIRPP) == name
    assert own(name, MAILDIRPP) == own_name


@pytest.mark.parametrize("name", ["a.b", "lists/python.org"])
def test_a_separator_inside_a_level_cannot_be_expressed(name: str) -> None:
    """A name with the store's separator in a level is refused: it would name another mailbox."""
    assert own(name, MAILDIRPP) is None


def test_names_given_by_hand_go_first_both_ways() -> None:
    """A pair of the configuration overrides the rules, and the mailbox it hides has no name left."""
    assert canonical("Gesendet", GERMAN) == "Sent"
    assert own("Sent", GERMAN) == "Gesendet"
    assert canonical("Entw&APw-rfe", GERMAN) == "Drafts"
    assert own("Drafts", GERMAN) == "Entw&APw-rfe"
    assert own("Gesendet", GERMAN) is None
    assert own("Entwürfe", GERMAN) is None


def test_the_documented_twins_meet() -> None:
    """The collisions that the docstring lists are those that exist, and the conforming spelling is chosen."""
    assert canonical("R&D", NESTED) == canonical("R&-D", NESTED)
    assert own("R&D", NESTED) == "R&-D"
    assert canonical("Entwürfe", NESTED) == canonical("Entw&APw-rfe", NESTED)
    assert canonical("a/b", MAILDIRPP) == canonical("a.b", MAILDIRPP)
    assert own("a/b", MAILDIRPP) == "a.b"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sp ace/Entwürfe", "sp ace/Entwürfe"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[2J", r"\u001b[2J"),
        ("\udcff", r"\xff"),
        ("\u202etxt", r"\u202etxt"),
        ("\U000e0001", r"\U000e0001"),
        ("a\\nb", r"a\nb"),
    ],
)
def test_shown_names(name: str, shown: str) -> None:
    """Each kind of character that a terminal would obey is told in letters."""
    assert show(name) == shown


@given(any_names)
def test_a_shown_name_is_printable_and_bounded(name: str) -> None:
    """Whatever the name, what is printed is one printable line that UTF-8 can hold."""
    shown = show(name * 100)
    assert shown.isprintable()
    assert len(shown.encode()) <= 10 * SHOWN_CHARACTERS + 40


@given(any_names)
def test_showing_twice_is_showing_once(name: str) -> None:
    """A message that holds shown names can be shown as a whole."""
    assert show(show(name)) == show(name)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("lists/*", "lists/a/b", True),
        ("lists/%", "lists/a/b", False),
        ("lists/%", "lists/a", True),
        ("*", "a\nb", True),
        ("INBOX", "inbox", False),
        ("a.b", "axb", False),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    """IMAP's wildcards and nothing else are special, and the whole name has to match."""
    assert Pattern(pattern).matches(name) is matches


def test_a_literal_pattern_knows_no_wildcards() -> None:
    """The names of an old rc file stand for themselves."""
    assert Pattern("a*", literal=True).matches("a*")
    assert not Pattern("a*", literal=True).matches("ab")
