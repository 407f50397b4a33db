"""Which part may import which, held to by reading the import statements of every file.

The rules are those of docs/internals.md: a pure core, packages beside each other that do not know each other,
one place for each third-party package, and a watch_maildirs that runs alone on an old mail server.  A new
package falls under them by being there.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

# Modules that compute and do nothing else.
PURE_STANDARD = {
    *("__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "copy", "dataclasses"),
    *(
        "datetime",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "itertools",
        "json",
        "math",
        "operator",
        "random",
        "re",
    ),
    *("string", "struct", "types", "typing", "unicodedata", "zlib"),
}

# What the pure parts may import beside these.
PURE_PARTS = {
    "mswatch/core": {"mswatch.core", "mswatch.names", "mswatch.account"},
    "mswatch/names.py": {"mswatch.showing"},
    "mswatch/showing.py": set(),
    # pathlib and settings: types only.
    "mswatch/account.py": {"mswatch.core", "mswatch.names", "mswatch.imap_session.settings", "pathlib"},
    "mswatch/imap_session/settings.py": {"mswatch.imap.secret", "os"},
    "mswatch/imap": {"mswatch.imap", "mswatch.names", "mswatch.showing", "mswatch.errors"},
    "mswatch/oldmailsync/options.py": {"mswatch.names", "mswatch.showing", "mswatch.errors"},
    "mswatch/oldmailsync/rc.py": {
        "mswatch.config.problems",
        "mswatch.imap.secret",
        "mswatch.names",
        "mswatch.showing",
        "pathlib",
    },
    "mswatch/oldmailsync/names.py": {"mswatch.imap_session.settings", "mswatch.names", "mswatch.showing"},
    "mswatch/oldmailsync/selection.py": {"mswatch.oldmailsync", "mswatch.names", "mswatch.showing"},
    "mswatch/oldmailsync/msinfo.py": {"email"},
}

# Packages inside mswatch do not import each other, except these.
MAY_IMPORT = {
    "config": {"mswatch.core.policy", "mswatch.imap_session.settings"},
    "imap_session": {"mswatch.imap"},
    "watchers": {"mswatch.imap", "mswatch.imap_session"},
    "mailsync": {"mswatch.imap", "mswatch.imap_session"},
    "oldmailsync": {"mswatch.config", "mswatch.imap", "mswatch.imap_session", "mswatch.mailsync"},
}

# The orchestrator (a file or a package) and the command line know everything; nothing beside them knows them.
TOP = {"mswatch.service", "mswatch.cli"}

# Third-party packages (tomllib with them, being tomli's successor): the one place that imports each.
IMPORT_SITES = {
    "inotify_simple": "watch_maildirs/watch.py",
    "sdnotify": "mswatch/notify.py",
    "systemd": "mswatch/logs.py",
    "tomli": "mswatch/config",
    "tomllib": "mswatch/config",
}


@dataclass(frozen=True)
class Import:
    """One imported module, by its full name, and the file that imports it."""

    file: str
    module: str

    @property
    def top(self) -> str:
        """The name of the whole package."""
        return self.module.partition(".")[0]

    @property
    def package(self) -> str:
        """The package directly inside mswatch that the file is in; empty for the files beside them."""
        parts = self.file.split("/")
        return parts[1] if parts[0] == "mswatch" and len(parts) > 2 else ""


def all_imports(root: Path) -> list[Import]:
    """Return every import of the two packages below root, wherever in a file it stands."""
    files = [
        path for package in ("mswatch", "watch_maildirs") for path in sorted((root / package).rglob("*.py"))
    ]
    return [
        Import(path.relative_to(root).as_posix(), module)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        for module in imported_modules(root, path, node)
    ]


def imported_modules(root: Path, path: Path, node: ast.AST) -> Iterator[str]:
    """Yield what an import statement imports; ``from package import module`` counts as the module."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        here = path.relative_to(root).parts[: -node.level] if node.level else ()
        base = ".".join([*here, *filter(None, [node.module])])
        for alias in node.names:
            name = f"{base}.{alias.name}"
            yield name if is_module(root, name) else base


def is_module(root: Path, name: str) -> bool:
    """Tell whether a dotted name is a module or a package of ours."""
    path = root.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def within(module: str, allowed: set[str]) -> bool:
    """Tell whether a module is one of these or inside one of them."""
    return any(f"{module}.".startswith(f"{name}.") for name in allowed)


def is_in(file: str, place: str) -> bool:
    """Tell whether a file is a place or inside it."""
    return f"{file}/".startswith(f"{place}/")


def impure(found: Import) -> bool:
    """Tell whether a pure part imports what can do more than compute."""
    allowed = [modules for place, modules in PURE_PARTS.items() if is_in(found.file, place)]
    return bool(allowed) and found.top not in PURE_STANDARD and not within(found.module, allowed[0])


def sideways(root: Path, found: Import) -> bool:
    """Tell whether a package inside mswatch imports another one, or one of the two files that know all."""
    if not found.package or found.top != "mswatch" or within(f"mswatch.{found.package}", TOP):
        return False
    other = found.module.split(".")[1:2]
    if within(found.module, MAY_IMPORT.get(found.package, set()) | {f"mswatch.{found.package}"}):
        return False
    return within(found.module, TOP) or (bool(other) and root.joinpath("mswatch", other[0]).is_dir())


def misplaced(found: Import) -> bool:
    """Tell whether a third-party package is imported outside its one place."""
    return found.top in IMPORT_SITES and not is_in(found.file, IMPORT_SITES[found.top])


def not_alone(found: Import) -> bool:
    """Tell whether watch_maildirs imports what a mail server does not have."""
    if not is_in(found.file, "watch_maildirs"):
        return False
    return found.top not in {*sys.stdlib_module_names, "watch_maildirs", "inotify_simple"}


def several_sites(imports: list[Import]) -> list[str]:
    """Name the third-party packages that more than one file imports."""
    sites = {(found.top, found.file) for found in imports if found.top in IMPORT_SITES}
    tops = sorted(top for top, _ in sites)
    return [f"{top} is imported in several files" for top in sorted(set(tops)) if tops.count(top) > 1]


def violations(root: Path) -> list[str]:
    """Return a line for every import below root that breaks a rule."""
    imports = all_imports(root)
    broken = [
        f"{found.file} imports {found.module}"
        for found in imports
        if impure(found) or sideways(root, found) or misplaced(found) or not_alone(found)
    ]
    return broken + several_sites(imports)


def test_layers_hold() -> None:
    """No file of the project imports what its place forbids."""
    assert violations(CHECKOUT) == []


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("mswatch/core/engine.py", "import os"),
        ("mswatch/core/engine.py", "import asyncio.subprocess"),
        ("mswatch/core/engine.py", "from mswatch import imap"),
        ("mswatch/core/engine.py", "from mswatch.errors import ConfigError"),
        ("mswatch/imap/parser.py", "import socket"),
        ("mswatch/names.py", "def f():\n    import subprocess"),
        ("mswatch/launch/child.py", "from mswatch.config import load"),
        ("mswatch/launch/child.py", "from ..core import engine"),
        ("mswatch/launch/child.py", "import mswatch.service"),
        ("mswatch/config/table.py", "from mswatch.core.engine import Engine"),
        ("mswatch/launch/child.py", "from systemd import journal"),
        ("watch_maildirs/tree.py", "from inotify_simple import INotify"),
        ("watch_maildirs/watch.py", "from mswatch.names import Pattern"),
        ("watch_maildirs/watch.py", "import sdnotify"),
        ("mswatch/cli.py", "import tomllib"),
    ],
)
def test_violation_is_found(tmp_path: Path, file: str, statement: str) -> None:
    """Each kind of forbidden import is reported with the file it is in."""
    for name in (
        "core/engine.py",
        "config/__init__.py",
        "imap/__init__.py",
        "service.py",
        file.removeprefix("mswatch/"),
    ):
        path = tmp_path / ("" if name.startswith("watch_maildirs") else "mswatch") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / file).write_text(f"{statement}\n")
    (violation,) = violations(tmp_path)
    assert violation.startswith(f"{file} imports ")


def test_second_import_site_is_found(tmp_path: Path) -> None:
    """A third-party package that two files of its place import is reported."""
    for name in ("old.py", "table.py"):
        path = tmp_path / "mswatch/config" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import tomllib\n")
    assert violations(tmp_path) == ["tomllib is imported in several files"]


def test_watch_maildirs_is_old_python() -> None:
    """watch_maildirs is written in the Python 3.6 of old mail servers."""
    oldest = (3, 6) if sys.version_info < (3, 13) else (3, 7)  # what the parser still knows
    for path in sorted((CHECKOUT / "watch_maildirs").rglob("*.py")):
        tree = ast.parse(path.read_text(), str(path), feature_version=oldest)
        modules = {module for node in ast.walk(tree) for module in imported_modules(CHECKOUT, path, node)}
        assert not modules & {"__future__", "dataclasses", "contextvars", "importlib.resources"}, path
