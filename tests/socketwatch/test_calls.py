"""Which calls of libc are progress: each of them made for real, and none forgotten."""

from __future__ import annotations

import ctypes
import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.servers.waiting import DEADLINE_S
from tests.socketwatch.conftest import Compile
from tests.socketwatch.harness import CHECKOUT, Observed, finish, observe, take_reports, the_shim

TABLE = CHECKOUT / "mswatch" / "socketwatch" / "calls.txt"
AT_ONCE = 26  # programs that run beside each other, each of which waits for a second

# Syllables of what moves bytes or makes, moves and removes files.
IO = re.compile(
    r"read|write|recv|send|splice|tee$|rename|link|sync|open|creat|mkdir|mk.?stemp|mkfifo|mknod|rmdir|remove$"
    r"|truncate|fallocate|copy_file|gets|getc|getline|getdelim|puts|putc|printf|scanf|flush|syscall"
    r"|uflow|underflow|overflow"
)


def exported(library: str | Path) -> set[str]:
    """Return the functions of a library that programs may call."""
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    fields = (line.split() for line in listing.splitlines())
    return {
        name.partition("@")[0]
        for _, kind, name in fields
        if kind in "TWi" and "GLIBC_PRIVATE" not in name and not re.match("_*p?thread_", name)
    }


def libc() -> str:
    """Return the path of the libc that this Python runs with."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if re.search(r"/libc[.-]\S*so", line):
            return line.split()[-1]
    raise AssertionError("there is no libc here")


def reasons() -> dict[str, str]:
    """Return the table: pattern and reason."""
    found: dict[str, str] = {}
    for line in TABLE.read_text().splitlines():
        if " : " in line:
            names, _, reason = line.partition(" : ")
            found |= dict.fromkeys(names.split(), reason)
    return found


def drivers(program: Path) -> set[str]:
    """Return the names of all calls that calls.c can make."""
    listing = subprocess.run([program, "--list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return set(listing.splitlines())


def reports_of(names: list[str], program: Path, directory: Path) -> dict[str, int]:
    """Make each of these calls in a process of its own, and return how often it reported."""
    observed: list[Observed] = []
    for number, name in enumerate(names):
        observed.append(observe(name, [str(program), name], directory / str(number)))
    take_reports(observed)
    finish(observed)
    return {each.name: len(each.report_times) for each in observed}


@pytest.mark.slow
def test_each_call(compiled: Compile, tmp_path: Path) -> None:
    """Everything that the shim stands before reports when it is called, and nothing else does."""
    program = compiled("calls.c", "-Wno-unused-result")
    names = sorted(drivers(program))
    assert {name for name in names if ": " not in name} == exported(the_shim())

    reports: dict[str, int] = {}
    for first in range(0, len(names), AT_ONCE):
        directory = tmp_path / str(first)
        directory.mkdir()
        reports |= reports_of(names[first : first + AT_ONCE], program, directory)
    expected = {name: 1 if name.startswith("nothing: ") else 2 for name in names}
    for name in [name for name in names if reports[name] != expected[name]]:
        # Once more, alone: on a busy machine a report may be due before the call is made.
        directory = tmp_path / f"again {names.index(name)}"
        directory.mkdir()
        reports |= reports_of([name], program, directory)

    assert reports == expected


def test_every_call_is_in_the_table() -> None:
    """What libc can do with bytes and files, the shim sees, or the table says why not."""
    table, shim = reasons(), exported(the_shim())
    candidates = {name for name in exported(libc()) if IO.search(name)}
    unexplained = {
        name for name in candidates - shim if not any(fnmatchcase(name, pattern) for pattern in table)
    }
    assert unexplained == set()


def test_table_is_not_stale() -> None:
    """No pattern of the table names a call that the shim stands before, and none has no reason."""
    table, shim = reasons(), exported(the_shim())
    assert all(table.values())
    assert {name for name in shim for pattern in table if fnmatchcase(name, pattern)} == set()


def test_only_libc() -> None:
    """The shim needs no library but libc."""
    listing = subprocess.run(
        ["readelf", "--dynamic", "--wide", str(the_shim())], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", listing)
    assert needed == ["libc.so.6"]
    assert ctypes.CDLL(str(the_shim()), use_errno=True)


@pytest.mark.slow
@pytest.mark.parametrize("hardening", ["-O0", "-O2", "-D_FORTIFY_SOURCE=2", "-D_FILE_OFFSET_BITS=64"])
def test_compiler_has_nothing_to_say(tmp_path: Path, hardening: str) -> None:
    """The C sources are free of warnings, those of gcc's static analysis too, however they are built."""
    sources = sorted((CHECKOUT / "mswatch" / "socketwatch").glob("*.c"))
    assert len(sources) == 6
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fanalyzer"]
    level = [] if hardening.startswith("-O") else ["-O2"]
    argv = ["gcc", *warnings, *level, hardening, "-fPIC", "-c", *map(str, sources)]
    ended = subprocess.run(
        argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S
    )
    assert ended.returncode == 0, ended.stdout
