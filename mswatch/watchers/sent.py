"""Our programs for another host as what ``python3`` there reads on its standard input.

Nothing but python3 is needed there, and nothing is written there.  The sources go without comments and
docstrings, and compressed: they fit into the packets that TCP sends before it waits for the first answer.
The only I/O here is reading our own files, once.
"""

from __future__ import annotations

import ast
import io
import tokenize
import zlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# What python3 is told on its command line: run the first line of standard input.  Read byte by byte, because
# what comes after that line is not to be swallowed.  No character in it means anything in single quotes to
# any shell.
FIRST_STEP = 'import os;exec(b"".join(iter(lambda:os.read(0,1)or os._exit(1),bytes([10]))))'
PYTHON = ("python3", "-IS", "-c", FIRST_STEP)
TOO_OLD = "is too old: 3.6 or later is needed"

_SECOND_STEP = f"""\
import os, sys, zlib
if sys.version_info < (3, 6):
    sys.stderr.write("python3 %d.%d {TOO_OLD}\\n" % sys.version_info[:2])
    sys.exit(69)
size, data = SIZE, b""
while len(data) < size:
    piece = os.read(0, size - len(data))
    if not piece:
        os._exit(1)
    data += piece
exec(zlib.decompress(data))
"""


def sent(entry: str, arguments: Sequence[str]) -> bytes:
    """Return what PYTHON is to read to be ``entry``, a module of watch_maildirs that has a ``main``.

    Standard input of that program begins behind it.
    """
    call = f"\nstart({_sources()!a}, {entry!r}, {list(arguments)!a})\n"
    program = zlib.compress((_source("watch_maildirs.sent") + call).encode("ascii"), 9)
    second_step = _SECOND_STEP.replace("SIZE", str(len(program)))
    return f"exec({second_step!r})\n".encode("ascii") + program


@cache
def _sources() -> dict[str, str]:
    """Return the source of each module that goes along: the package, and what it reads inotify with."""
    package = find_spec("watch_maildirs")
    if package is None or package.origin is None:
        raise AssertionError("watch_maildirs is a part of this program")
    names = [path.stem for path in sorted(Path(package.origin).parent.glob("*.py"))]
    modules = [f"watch_maildirs.{name}" for name in names if name not in ("__init__", "__main__", "sent")]
    return {name: _source(name) for name in ("watch_maildirs", *modules, "inotify_simple") if find_spec(name)}


@cache
def _source(name: str) -> str:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise AssertionError(f"{name} has no source")
    return bare(Path(spec.origin).read_text("utf-8"))


def bare(source: str) -> str:
    """Return a program without its comments and docstrings; its lines keep their numbers."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            text = node.body[0]
            assert text.end_lineno is not None
            lines[text.lineno - 1 : text.end_lineno] = [""] * (text.end_lineno - text.lineno + 1)
            lines[text.lineno - 1] = " " * text.col_offset + '""'
    rest = "\n".join(lines) + "\n"
    for token in tokenize.generate_tokens(io.StringIO(rest).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines) + "\n"
