"""The package runs on Python 3.6, alone.  How small it is when it is sent: tests/watchers/test_ssh.py."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import watch_maildirs

FILES = sorted(Path(watch_maildirs.__file__).parent.glob("*.py"))
# Methods of built-in types that came after 3.6.  Whose method it is only the running program knows, so that
# vermin does not find them.
NEWER_METHODS = {"isascii", "removeprefix", "removesuffix", "bit_count", "is_integer", "total", "toreadonly"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_syntax(file: Path) -> None:
    """The grammar of 3.6 is enough."""
    ast.parse(file.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_methods(file: Path) -> None:
    """The built-in types of 3.6 are enough."""
    named = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    assert not named & NEWER_METHODS


@pytest.mark.slow
def test_library() -> None:
    """The standard library of 3.6 is enough."""
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "from vermin import main; main()",
            "-t=3.6-",
            "--no-tips",
            "--violations",
            *map(str, FILES),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout


def test_alone() -> None:
    """A bare interpreter that has neither this project nor inotify_simple runs the sources, by polling."""
    sources = {"watch_maildirs." + file.stem: file.read_text() for file in FILES}
    sources["watch_maildirs"] = sources.pop("watch_maildirs.__init__")
    program = f"""
import importlib.abc, importlib.util, sys
sources = {sources!r}
class Sent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name in sources:
            return importlib.util.spec_from_loader(name, self, is_package=name == "watch_maildirs")
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(sources[module.__name__], module.__dict__)
sys.meta_path.insert(0, Sent())
from watch_maildirs.cli import run
sys.exit(run(["--maildir", "/nonexistent/Maildir", "--long", "--stdin-eof"]))
"""
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-"], input=program.encode(), stdout=subprocess.PIPE, cwd="/"
    )
    assert ended.stdout.startswith(b"\n\tnote\t")
    assert b"inotify_simple is not installed" in ended.stdout
    assert ended.returncode == 0
