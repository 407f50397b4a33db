"""The table of settings is the single source: what is in it is parsed, sampled and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mswatch.config.settings import HOOK, SETTINGS, STORE, SYNC, TOP, Setting, default_text
from mswatch.config.texts import manual, sample, short_help
from mswatch.config.toml_account import read_toml
from mswatch.config.toml_text import parse

HOME = Path("/home/user")
CHECKOUT = Path(__file__).resolve().parent.parent.parent
each_setting = pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda setting: f"{setting.place}.{setting.key}"
)


def manual_section(place: str) -> str:
    """Return the part of the manual about one place."""
    heading = {TOP: "At the top", SYNC: "In [sync]", STORE: "In each", HOOK: "In [hook]"}[place]
    return manual().partition(f"### {heading}")[2].partition("###")[0]


def test_the_sample_is_a_usable_account() -> None:
    """A user who only fills in the host has an account that loads."""
    account = read_toml(sample(), "work", Path("work.toml"), HOME)
    assert [store.name for store in account.stores] == ["local", "server"]
    assert account.sync.kind == "mbsync"
    assert account.sync.target == "work"


@each_setting
def test_every_setting_is_in_the_sample(setting: Setting) -> None:
    """Each key stands in the sample at its place, and its example, also a commented one, is valid."""
    tables = {
        TOP: (TOP,),
        SYNC: ("sync",),
        STORE: ("store.local", "store.server"),
        HOOK: ("hook",),
    }[setting.place]
    assert setting.sample
    assert set(setting.sample) <= set(tables)
    for table, value in setting.sample.items():
        text = sample().partition(f"\n[{table}]\n")[2] if table else sample()
        text = re.split(r"^\[", text, flags=re.MULTILINE)[0]
        assert re.search(rf"^(# )?{setting.key} = ", text, re.MULTILINE)
        example = parse(f"{setting.key} = {value.removeprefix('# ')}").data[setting.key]
        setting.kind.check(example, HOME)


@each_setting
def test_every_setting_is_in_the_manual_and_the_help(setting: Setting) -> None:
    """Each key stands in the manual's part about its place and in the short help, with its default."""
    assert f"**{setting.key}** = " in manual_section(setting.place)
    assert re.search(rf"^  {setting.key} .*{re.escape(default_text(setting))}$", short_help(), re.MULTILINE)


def test_the_bounds_in_the_manual_are_the_defaults() -> None:
    """mswatch(1) says of every wait how long it is, and the numbers that it names are the table's."""
    page = (CHECKOUT / "docs/mswatch.1.md").read_text()
    section = page.partition("\n## BOUNDS\n")[2].partition("\n## ")[0]
    named = r"\*\*(\w+(?:\\_\w+)*)\*\*[^*()]*?(?:\*\*\[\w+\]\*\*)? \(\*(\w+)\*\)"
    told = {key.replace("\\", ""): f'"{default}"' for key, default in re.findall(named, section)}
    bound = re.compile(r"(?!size).*(limit|cap)|max_delay|ask_every|poll_period")
    assert told == {each.key: default_text(each) for each in SETTINGS if bound.fullmatch(each.key)}


@each_setting
def test_every_setting_is_parsed(setting: Setting) -> None:
    """A value of the wrong type is found at each key's place: nothing in the table is ignored."""
    rubbish = "1979-05-27"  # a date, which no setting takes
    place = {TOP: "", SYNC: "[sync]\n", STORE: "[store.a]\n", HOOK: "[hook]\n"}[setting.place]
    with pytest.raises(Exception, match=rf"{setting.key}: .*a date") as caught:
        read_toml(f"{place}{setting.key} = {rubbish}\n", "work", Path("work.toml"), HOME)
    assert setting.kind.allowed in str(caught.value)


@each_setting
def test_every_help_is_a_sentence(setting: Setting) -> None:
    """Help texts end in a full stop and do not repeat a word."""
    assert setting.help.endswith(".")
    assert not re.search(r"\b(\w+) \1\b", setting.help)


def test_no_key_stands_twice_at_a_place() -> None:
    """The table has each key once for each place."""
    places = [(setting.place, setting.key) for setting in SETTINGS]
    assert len(places) == len(set(places))


def test_lines_of_the_sample_fit_a_terminal() -> None:
    """Comments are wrapped; only a value may be longer."""
    comments = [line for line in sample().splitlines() if line.startswith("# ") and " = " not in line]
    assert comments
    assert all(len(line) <= 78 for line in comments)
