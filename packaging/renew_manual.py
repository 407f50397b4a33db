"""Write into the man pages in docs/ the sections that are made from tables of the program.

``renew_manual.py`` rewrites them where they are out of date; with ``--check`` it changes nothing and only
tells by its exit status whether there is anything to do.  A test calls it so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from mswatch import messages  # noqa: E402
from mswatch.config.texts import manual  # noqa: E402


def log_messages() -> str:
    """Return the section of mswatch(1) on the records of the log, in Markdown."""
    introduction = (
        "Each record in the journal has the field **MESSAGE\\_ID**, by which it can be filtered "
        "(**journalctl --user MESSAGE\\_ID=**...), and **journalctl -x** shows these explanations.\n"
    )
    return "\n".join(["## LOG MESSAGES\n", introduction, *map("\n".join, map(_log_message, messages.ALL))])


def _log_message(message: messages.Message) -> Iterator[str]:
    yield f"**{_markdown(message.name)}** ({message.priority.name.lower()}, {message.id})"
    yield f": {_markdown(message.cause)}" + (f" {_markdown(message.remedy)}" if message.remedy else "")
    yield ""


def _markdown(text: str) -> str:
    """Return a plain text in Markdown; what is in backticks becomes bold, as is the custom in man pages."""
    return re.sub(r"`([^`]*)`", r"**\1**", text.replace("_", r"\_"))


def replace_section(page: str, section: str) -> str:
    """Return a page in which a section, heading included, takes the place of the one with the same heading.

    Raises:
        ValueError: There is none.
    """
    heading = section.partition("\n")[0]
    before, found, rest = f"\n{page}".partition(f"\n{heading}\n")
    if not found:
        raise ValueError(f"no section {heading!r}")
    _, _, after = rest.partition("\n## ")
    return f"{before}\n{section.rstrip()}\n\n## {after}".removeprefix("\n")


def renewed_pages() -> dict[Path, str]:
    """Return the pages with sections of ours as they should be."""
    sections = {"mswatch.1.md": log_messages(), "mswatch.toml.5.md": manual()}
    pages = {CHECKOUT / "docs" / name: section for name, section in sections.items()}
    return {path: replace_section(path.read_text(), section) for path, section in pages.items()}


def main() -> int:
    """Renew the pages, or with --check tell whether that is needed."""
    stale = {path: text for path, text in renewed_pages().items() if path.read_text() != text}
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(CHECKOUT)} is out of date; renew it: python3 packaging/renew_manual.py")
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
