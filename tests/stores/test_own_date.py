"""Dates as they stand in headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.stores.own_date import own_date


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"Subject: x\nDate: Wed, 17 Jul 1996 02:44:25 -0700 (PDT)\n", 837596665),
        (b"DATE:\r\n 17 Jul 96 02:44:25 -0700\r\nDate: 1 Jan 2000 00:00:00 +0000", 837596665),
        (b"Date: 17 Jul 1996 09:44:25\n", 837596665),
        (b"Date: 17 Jul 1996 09:44:60 GMT\n", 837596699),
        (b"Resent-Date: 17 Jul 1996 09:44:25 GMT\n", None),
        (b"Date: 30 Feb 1996 09:44:25 GMT\n", None),
        (b"Date: 17 Jul 1996 09:44:25 +99999999999999999999\n", None),
        (b"Date: yesterday\n", None),
        (b"Date:\n\n", None),
        (b"", None),
    ],
)
def test_dates_of_messages(header: bytes, seconds: float | None) -> None:
    """The first Date of a header is read as RFC 5322 has it and as old programs wrote it."""
    assert own_date(header) == seconds


@given(st.binary() | st.text().map(lambda text: b"Date: " + text.encode("utf-8", "surrogatepass")))
def test_any_header(header: bytes) -> None:
    """Nothing in a header is an error."""
    assert own_date(header) is None or abs(own_date(header) or 0) < 1e12
