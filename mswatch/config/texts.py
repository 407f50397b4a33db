"""What is written from the table of settings: the sample file, the manual's section, the short help."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from mswatch.config.settings import HOOK, SETTINGS, STORE, SYNC, TOP, Setting, default_text, settings_of

WIDTH = 78
_TABLES = (TOP, "sync", "store.local", "store.server", "hook")
_HEADINGS = {
    TOP: "At the top of the file",
    SYNC: "In [sync]",
    STORE: "In each [store.NAME]",
    HOOK: "In [hook]",
}
_INTRODUCTION = "An account of mswatch. A setting that is commented out shows an example, not its default."


def sample() -> str:
    """Return a commented file with every setting, which is a usable account as it stands."""
    lines = [*_wrapped(_INTRODUCTION, "# ")]
    for table in _TABLES:
        lines += ["", f"[{table}]"] if table else []
        for setting in SETTINGS:
            if table in setting.sample:
                lines += ["", *_sample_lines(setting, setting.sample[table])]
    return "\n".join(lines) + "\n"


def _sample_lines(setting: Setting, value: str) -> Iterator[str]:
    yield from _wrapped(f"{setting.help} Default: {default_text(setting)}.", "# ")
    bare = value.removeprefix("# ")
    yield f"{'# ' if value != bare else ''}{setting.key} = {bare}"


def manual() -> str:
    """Return the settings as a section of the manual, in Markdown."""
    lines = ["## SETTINGS"]
    for place, heading in _HEADINGS.items():
        lines += ["", f"### {heading}"]
        for setting in settings_of(place).values():
            lines += ["", f"**{setting.key}** = *{setting.kind.name}*", ""]
            lines += _wrapped(f"{_plain(setting.help)} Default: {_plain(default_text(setting))}.", "")
            lines += ["", *_wrapped(f"Allowed: {_plain(setting.kind.allowed)}.", "")]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return a text of which Markdown makes the same text."""
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>#|~" else character for character in text)


def short_help() -> str:
    """Return one line for each setting and its default, for ``mswatch help settings``."""
    lines = []
    for place, heading in _HEADINGS.items():
        lines += [f"{heading}:"]
        for setting in settings_of(place).values():
            lines.append(f"  {setting.key:<15} {setting.kind.name:<16} default: {default_text(setting)}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
