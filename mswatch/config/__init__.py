"""The configuration of an account: TOML and the old rc format in, a checked ``Account`` out.

``settings`` is the table that everything else is made from.  Whatever is wrong with a file is told at
once, as lines ``FILE:LINE: key: what was found; what is allowed`` in a ConfigError; no contents of a file
end in a traceback.

What only ``mswatch import`` and the manual need is imported from its own module (``rc_import``, ``texts``):
each start of mailsync reads an account.
"""

from mswatch.config.files import (
    account_file,
    file_account_name,
    known_accounts,
    load_account,
    load_file,
)
from mswatch.config.naming import account_name

__all__ = [
    "account_file",
    "account_name",
    "file_account_name",
    "known_accounts",
    "load_account",
    "load_file",
]
