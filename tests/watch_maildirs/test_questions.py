"""Questions on standard input: each is answered, in its turn, and their absence is an end."""

import os

from hypothesis import given
from hypothesis import strategies as st

from tests.servers.waiting import DEADLINE_S
from tests.watch_maildirs.conftest import Start
from tests.watch_maildirs.harness import make_maildir
from watch_maildirs.protocol import CONTENT, HERE, Change, parse
from watch_maildirs.questions import LONGEST_QUESTION, Questions


def test_an_answer_comes_behind_all_changes(start: Start) -> None:
    """What happened before the question was asked is told before the answer."""
    watcher = start("--long", "--answer", "60")
    for number in range(50):
        (watcher.base / "new" / str(number)).touch()
    assert watcher.process.stdin is not None
    watcher.process.stdin.write(b"17\n")
    watcher.process.stdin.flush()

    changes: list[Change] = []
    while not changes or changes[-1].kind != HERE:
        line = watcher.out.next()
        assert line is not None
        changes.append(parse(line))
    assert changes[-1] == Change(HERE, "", "17")
    told = {change.file for change in changes if change.kind == CONTENT}
    assert told == {f"new/{number}" for number in range(50)}


def test_nobody_asks(start: Start) -> None:
    """Without a question for so long it ends, and with the end of its input at once."""
    for options in (["--answer", "0.2"], ["--answer", "60"]):
        watcher = start("--long", *options)
        if options[1] == "60":
            assert watcher.process.stdin is not None
            watcher.process.stdin.close()
            watcher.process.stdin = None
        assert watcher.process.wait(DEADLINE_S) == 0


def test_a_question_puts_the_end_off() -> None:
    """The limit counts from the last whole line."""
    out, into = os.pipe()
    questions = Questions(0.0, 10.0)
    assert questions.next_wakeup() == 10.0
    os.write(into, b"1")
    assert questions.read(out, 4.0)
    assert questions.next_wakeup() == 10.0
    os.write(into, b"\n")
    assert questions.read(out, 5.0)
    assert questions.next_wakeup() == 15.0
    assert questions.answers() == [Change(HERE, "", "1")]
    assert questions.answers() == []
    os.close(into)
    assert not questions.read(out, 6.0)
    os.close(out)


@given(st.lists(st.binary(max_size=100), max_size=8))
def test_any_bytes(pieces: list[bytes]) -> None:
    """Whatever comes, an answer is one bounded line, and what waits for its newline is bounded too."""
    out, into = os.pipe()
    questions = Questions(0.0, 10.0)
    for piece in filter(None, pieces):
        os.write(into, piece)
        assert questions.read(out, 1.0)
        for answer in questions.answers():
            assert len(os.fsencode(answer.file)) <= LONGEST_QUESTION
    os.close(into)
    os.close(out)


def test_without_a_limit_nothing_is_answered(start: Start) -> None:
    """With --stdin-eof only the end of the input counts."""
    watcher = start("--long", "--stdin-eof")
    assert watcher.process.stdin is not None
    watcher.process.stdin.write(b"1\n")
    watcher.process.stdin.flush()
    make_maildir(watcher.base / ".more")
    line = watcher.out.next()
    assert line is not None
    assert parse(line).mailbox == "more"
