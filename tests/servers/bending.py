"""A real IMAP server whose answers are bent on their way: dropped, replaced, said twice, or cut off.

``bent`` makes a tunnel command of another one.  A rule is a pattern for lines of the server, what becomes of
each line that matches, and how many of them are meant.  What is in a literal passes as it is, unless the line
that begins it is dropped: then all of that response is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ALWAYS = 1 << 30
_ROOT = Path(__file__).parents[2]
_OK = re.compile(rb"^(A[0-9]+) OK .*", re.DOTALL)
_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")


@dataclass(frozen=True)
class Bend:
    """What becomes of lines that match: ``by`` is for re.sub, or one of CUT and REFUSED.

    With ``is_client`` it is what the client sends that is looked at, and cut off there.
    """

    pattern: str
    by: str
    count: int = ALWAYS
    skip: int = 0  # so many of them pass first
    is_client: bool = False


CUT = "(cut)"  # the connection ends there
REFUSED = "(refused)"  # the response is dropped, and the command that it belongs to ends with NO


def bent(argv: Sequence[str], bends: Sequence[Bend]) -> tuple[str, ...]:
    """Return the command of a server that bends what another one says."""
    rules = json.dumps([list(vars(each).values()) for each in bends])
    path = (
        f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from tests.servers import bending; bending.main()"
    )
    return (sys.executable, "-c", path, rules, *argv)


class _Bender:
    def __init__(self, bends: list[Bend]) -> None:
        self._bends = bends
        self._passed = dict.fromkeys(range(len(bends)), 0)
        self._refuses = False

    def line(self, line: bytes) -> bytes | None:
        """Return what becomes of a line; None for the end."""
        if self._refuses and _OK.match(line):
            self._refuses = False
            return _OK.sub(rb"\1 NO [SERVERBUG] broken\r\n", line)
        for number, bend in enumerate(self._bends):
            if bend.is_client:
                continue
            pattern = re.compile(bend.pattern.encode(), re.IGNORECASE | re.DOTALL)
            if pattern.search(line):
                self._passed[number] += 1
                if bend.skip < self._passed[number] <= bend.skip + bend.count:
                    self._refuses = self._refuses or bend.by == REFUSED
                    return None if bend.by == CUT else pattern.sub(_becomes(bend.by), line)
        return line


def _becomes(by: str) -> bytes:
    return b"" if by == REFUSED else by.encode()


def main() -> None:
    """Be the tunnel."""
    bends, argv = [Bend(*words) for words in json.loads(sys.argv[1])], sys.argv[2:]
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None
    cut = [re.compile(bend.pattern.encode(), re.DOTALL) for bend in bends if bend.is_client]
    threading.Thread(target=_pump, args=(server, cut), daemon=True).start()
    with contextlib.suppress(OSError):
        _bend(server.stdout, _Bender(bends))
    _hang_up()
    while server.stdout.read(65536):  # it ends by itself: one that is killed may leave locks behind
        pass
    server.wait()
    os._exit(0)


def _hang_up() -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(1)) as client:
        client.shutdown(socket.SHUT_RDWR)


def _pump(server: subprocess.Popen[bytes], cut: list[re.Pattern[bytes]]) -> None:
    assert server.stdin is not None
    with contextlib.suppress(OSError):
        while data := os.read(0, 65536):
            if any(pattern.search(data) for pattern in cut):
                _hang_up()
                break
            server.stdin.write(data)
            server.stdin.flush()
    with contextlib.suppress(OSError):
        server.stdin.close()


def _bend(source: IO[bytes], bender: _Bender) -> None:
    out = sys.stdout.buffer
    is_dropped = goes_on = False
    while line := source.readline():
        become = line if goes_on else bender.line(line)
        if become is None:
            return
        is_dropped = is_dropped if goes_on else not become
        literal = _LITERAL.search(line)
        goes_on = literal is not None
        body = source.read(int(literal[1])) if literal is not None else b""
        has_literal = _LITERAL.search(become) is not None
        out.write(b"" if is_dropped else become + (body if has_literal else b""))
        out.flush()
