"""The engine's events and effects as lines of text: for bug reports, and for tests that read like a protocol.

    mswatch-transcript 1
    seed 7
    policy {"stores": ["near", "far"], "base_delay": 0.3, ...}
    0.0 ServiceStarted
    0.0 > StartWatcher {"store": "near"}
    0.3 advance
    0.3 > StartRun {"run": 1, "mailboxes": ["INBOX"]}

A line is a time in seconds, an event and those of its fields as JSON that are not as usual; ``>`` marks an
effect of the line above.  Names are escaped by JSON, so that a transcript is ASCII whatever a mailbox is
called.  ``replay`` runs the events through a new engine and compares the effects: a record made by
``mswatch run --record`` is a test as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from enum import Enum
from typing import Any, get_args

from mswatch.core import effects, events
from mswatch.core.engine import Engine
from mswatch.core.policy import Policy, WatcherLimits
from mswatch.names import Pattern

HEADER = "mswatch-transcript 1"
_EVENTS = {kind.__name__: kind for kind in get_args(events.Event)}


class TranscriptError(ValueError):
    """A line that is no line of a transcript."""


def head(policy: Policy, seed: int) -> list[str]:
    """Return the lines that a transcript begins with."""
    return [HEADER, f"seed {seed}", f"policy {json.dumps(_shallow(policy), default=_plain)}"]


def event_line(now: float, event: events.Event) -> str:
    """Return the line of an event."""
    return f"{now!r} {_words(event)}"


def advance_line(now: float) -> str:
    """Return the line of an advance."""
    return f"{now!r} advance"


def effect_line(now: float, effect: effects.Effect) -> str:
    """Return the line of an effect."""
    return f"{now!r} > {_words(effect)}"


def _words(thing: events.Event | effects.Effect) -> str:
    name = type(thing).__name__
    said = {
        field.name: value for field in fields(thing) if (value := getattr(thing, field.name)) != field.default
    }
    return f"{name} {json.dumps(said, default=_plain)}" if said else name


def _shallow(thing: Policy | WatcherLimits) -> dict[str, object]:
    return {field.name: getattr(thing, field.name) for field in fields(thing)}


def _plain(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case Pattern():
            return {"text": value.text, "literal": value.literal}
        case Policy() | WatcherLimits():
            return _shallow(value)
    raise TypeError(value)


def replay(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Run a transcript's events through a new engine.

    Returns:
        The lines of the transcript, and the lines that this engine makes of the same events: equal if all is
        well. Blank lines and comments (``#``) are left out of both.
    """
    expected = [line.rstrip("\n") for line in lines if line.strip() and not line.startswith("#")]
    return expected, list(_run(expected))


def _run(lines: list[str]) -> Iterator[str]:
    if not lines or lines[0] != HEADER:
        raise TranscriptError(f"no transcript: it does not begin with {HEADER!r}")
    seed = int(_after("seed", lines[1]))
    policy = _policy(json.loads(_after("policy", lines[2])))
    yield from lines[:3]
    engine = Engine(policy, seed)
    for line in lines[3:]:
        now_text, _, rest = line.partition(" ")
        if rest.startswith("> "):
            continue
        now = float(now_text)
        yield line
        done = engine.advance(now) if rest == "advance" else engine.receive(_event(rest), now)
        for effect in done:
            yield effect_line(now, effect)


def _after(word: str, line: str) -> str:
    found, _, rest = line.partition(" ")
    if found != word:
        raise TranscriptError(f"expected a line that begins with {word!r}, found {line!r}")
    return rest


def _event(text: str) -> events.Event:
    name, _, arguments = text.partition(" ")
    if name not in _EVENTS:
        raise TranscriptError(f"unknown event {name!r}")
    values: dict[str, Any] = json.loads(arguments) if arguments else {}
    for key, value in values.items():
        if isinstance(value, list):
            values[key] = tuple(value)
    if "result" in values:
        values["result"] = events.Result(values["result"])
    if "policy" in values:
        values["policy"] = _policy(values["policy"])
    event: events.Event = _EVENTS[name](**values)
    return event


def _policy(values: dict[str, Any]) -> Policy:
    patterns = {key: tuple(_pattern(p) for p in values.get(key, ())) for key in ("ignore", "only")}
    delays = tuple((_pattern(pattern), delay) for pattern, delay in values.get("inter_delays", ()))
    watchers = tuple(WatcherLimits(**limits) for limits in values.get("watchers", ()))
    own = {"inter_delays": delays, "stores": tuple(values["stores"]), "watchers": watchers}
    return Policy(**{**values, **patterns, **own})


def _pattern(values: dict[str, Any]) -> Pattern:
    return Pattern(values["text"], values["literal"])
