"""What is kept of a difference: of messages that both sides still have, no more than a number."""

from __future__ import annotations

from mswatch.mailsync.compare import compare, seen_again
from mswatch.mailsync.decide import Side
from mswatch.mailsync.flags import FLAGGED, NONE, SEEN, to_text
from mswatch.mailsync.state import Row
from mswatch.mailsync.stores.contract import Scan

COUNT = 1000


def test_only_numbers_of_flagged_messages_are_kept() -> None:
    """However many flags changed; and each is seen again as it was seen."""
    rows = [(n, b"n%d" % n, b"f%d" % n, "", to_text(frozenset({SEEN}))) for n in range(COUNT)]
    scans: dict[Side, Scan] = {
        "near": Scan(b"", None, True, {b"n%d" % n: frozenset({FLAGGED}) for n in range(COUNT)}),
        "far": Scan(b"", None, True, {b"f%d" % n: None for n in range(COUNT)}),
    }
    difference = compare(rows, scans)
    assert difference.rows == {}
    assert not difference.new["near"]
    assert not difference.new["far"]
    assert list(difference.flagged) == list(range(COUNT))
    seen = seen_again(Row(7, b"n7", b"f7", NONE, frozenset({SEEN})), scans)
    assert (seen.near, seen.far) == (frozenset({FLAGGED}), frozenset({SEEN}))
