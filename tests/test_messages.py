"""The table of records, and the places that have it."""

from __future__ import annotations

import re
from pathlib import Path

from mswatch import messages

ROOT = Path(__file__).parent.parent


def test_ids_are_unique_and_well_formed() -> None:
    """Every kind of record has an id of its own, of 128 bits in lower-case hexadecimal."""
    ids = [message.id for message in messages.ALL]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", found) for found in ids)


def test_every_kind_is_told_somewhere() -> None:
    """No kind of record is only there in name."""
    code = "".join(path.read_text() for path in (ROOT / "mswatch").rglob("*.py"))

    for message in messages.ALL:
        assert f"messages.{message.name}" in code or f'_tell("{message.name}"' in code


def test_the_catalogue_is_the_table() -> None:
    """units/mswatch.catalog is what the table makes (renew it by running mswatch/messages.py)."""
    assert (ROOT / "units/mswatch.catalog").read_text() == messages.catalogue()
