"""outbox: merging, holding, and the bound."""

from hypothesis import given
from hypothesis import strategies as st

from watch_maildirs.outbox import Form, Outbox
from watch_maildirs.protocol import CONTENT, Change, Long, Plain, encode


def write(outbox: Outbox, now: float) -> list[bytes]:
    """Take all that the outbox has to write at a time, as lines."""
    taken = b""
    while chunk := outbox.next_bytes(7, now):
        outbox.drop(len(chunk))
        taken += chunk
    return taken.splitlines(keepends=True)


def ready_outbox(form: Form | None = None, most_lines: int = 1000) -> Outbox:
    """Return an outbox whose empty first line was taken."""
    outbox = Outbox(form or Plain(), window_s=1.0, most_lines=most_lines)
    assert write(outbox, 0.0) == [b"\n"]
    return outbox


def test_first_at_once() -> None:
    """The first line of a kind goes out at once, and nothing has to be waited for."""
    outbox = ready_outbox()
    outbox.put([b"a\n"], 10.0)
    assert write(outbox, 10.0) == [b"a\n"]
    assert outbox.next_wakeup() is None


def test_repeats_are_held() -> None:
    """Repeats within a window go out once, at its end; other lines are not held up by them."""
    outbox = ready_outbox()
    outbox.put([b"a\n"], 10.0)
    assert write(outbox, 10.0) == [b"a\n"]
    outbox.put([b"a\n", b"b\n", b"a\n"], 10.5)
    assert write(outbox, 10.6) == [b"b\n"]
    assert outbox.next_wakeup() == 11.0
    assert write(outbox, 11.0) == [b"a\n"]


def test_repeats_of_one_batch() -> None:
    """Repeats of a line that was not written yet are told by that line."""
    outbox = ready_outbox()
    outbox.put([b"a\n", b"a\n"], 10.0)
    assert write(outbox, 10.0) == [b"a\n"]
    assert outbox.next_wakeup() is None


def test_last_word() -> None:
    """Of lines that contradict each other, the last one told is the last one put."""
    outbox = ready_outbox()
    outbox.put([b"made\n", b"gone\n"], 10.0)
    assert write(outbox, 10.0) == [b"made\n", b"gone\n"]
    outbox.put([b"made\n", b"gone\n", b"made\n"], 10.1)
    assert write(outbox, 11.0) == [b"gone\n", b"made\n"]


def test_ready_comes_first() -> None:
    """The empty line is before all others."""
    outbox = Outbox(Plain())
    outbox.put([b"a\n"], 0.0)
    assert write(outbox, 0.0) == [b"\n", b"a\n"]


def test_wider_when_not_taken() -> None:
    """When too many lines wait, files become mailboxes, and too many mailboxes become "all"."""
    outbox = ready_outbox(Long(), most_lines=100)
    outbox.put([encode(Change(CONTENT, "a", f"new/{n}")) for n in range(101)], 10.0)
    assert write(outbox, 10.0) == [encode(Change(CONTENT, "a"))]
    outbox.put([encode(Change(CONTENT, f"m{n}", "new/x")) for n in range(101)], 20.0)
    assert write(outbox, 20.0) == [Long.all_line]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 0.7), st.booleans()), max_size=60))
def test_nothing_lost_nothing_doubled(steps: list[tuple[str, float, bool]]) -> None:
    """Each put is followed by its line, and a line comes at most once in a window, whenever it is written."""
    outbox, now = ready_outbox(), 10.0
    owed: set[bytes] = set()
    written: list[bytes] = []
    for letter, pause, is_written in steps:
        now += pause
        outbox.put([letter.encode() + b"\n"], now)
        owed.add(letter.encode() + b"\n")
        if is_written:
            taken = write(outbox, now)
            written += taken
            owed -= set(taken)
    assert owed <= set(write(outbox, max(now, outbox.next_wakeup() or now)))
    assert all(written.count(line) <= now - 10.0 + 2 for line in written)
