"""Text from outside, as it may be shown to a person: in a message, a record, on a terminal.

Whatever came from a server, a file or a client goes through here before it is printed.  Nothing is imported,
because programs that are started all the time need it too.
"""

from __future__ import annotations

SHOWN_CHARACTERS = 1000  # more is cut in messages, never in use


def show(text: str) -> str:
    r"""Return a text from outside as it may be printed: one line, nothing that a terminal would obey.

    A byte that is no UTF-8 becomes ``\xff``, any other unprintable character ``\u202e``.  What was shown
    before stays as it is, so a message may be made of shown names and be shown again where it is printed.
    """
    shown = "".join(_show_character(character) for character in text[:SHOWN_CHARACTERS])
    return shown if len(text) <= SHOWN_CHARACTERS else f"{shown}... ({len(text)} characters)"


def _show_character(character: str) -> str:
    if character.isprintable():
        return character
    if character in "\n\r\t":
        return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
