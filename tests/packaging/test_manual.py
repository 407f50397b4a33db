"""The man pages are made without complaint, and say what the program's own tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted((CHECKOUT / "docs").glob("*.[1-9].md"))


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, made as the packages make them."""
    directory = tmp_path_factory.mktemp("man")
    subprocess.run(("sh", "packaging/man-pages", directory), cwd=CHECKOUT, check=True)
    return directory


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_page_is_flawless(manual: Path, source: Path) -> None:
    """There is no fault in a page, and its first line is what apropos(1) looks through."""
    page = manual / f"man{source.stem[-1]}" / source.stem
    linted = subprocess.run(("mandoc", "-T", "lint", "-W", "warning", page), capture_output=True, text=True)
    assert (linted.stdout, linted.returncode) == ("", 0)
    lines = page.read_text().splitlines()
    assert lines[lines.index(".SH NAME") + 1].startswith(f"{source.stem[:-2]} - ")


def test_generated_sections_are_up_to_date() -> None:
    """The settings and the records of the log are described as their tables describe them."""
    renew = (sys.executable, "packaging/renew_manual.py", "--check")
    checked = subprocess.run(renew, cwd=CHECKOUT, capture_output=True, text=True)
    assert (checked.stdout, checked.returncode) == ("", 0)
