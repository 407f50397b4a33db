"""The names that accounts and stores may have.

They become parts of unit names, file names and arguments, so they hold nothing that systemd would escape,
a path would follow or a program would take for an option.
"""

from __future__ import annotations

import re

from mswatch.errors import UsageError
from mswatch.showing import show

NAME_ALLOWED = 'up to 64 letters, digits and _.@+- that start with a letter, a digit or _, without ".."'
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")


def is_name(text: str) -> bool:
    """Tell whether an account or a store may be called so."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def account_name(text: str) -> str:
    """Return the text if it can be the name of an account.

    Raises:
        UsageError: It cannot; the error says what is allowed.
    """
    if not is_name(text):
        raise UsageError(f'"{show(text)}" cannot be the name of an account', f"allowed: {NAME_ALLOWED}")
    return text


def clean_name(text: str) -> str:
    """Return a usable name that looks like the text: what cannot stay becomes ``_``."""
    clean = re.sub(r"[^A-Za-z0-9_.@+-]|\.(?=\.)", "_", text)[:60]
    return clean if is_name(clean) else f"_{clean}"
