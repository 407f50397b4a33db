"""The decision about one message, for every combination of flags, presence and permission."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mswatch.mailsync.decide import (
    READ_ONLY,
    Agree,
    Base,
    Bury,
    Copy,
    Forget,
    Permissions,
    Remove,
    Rules,
    decide,
)
from mswatch.mailsync.flags import DELETED, FLAGGED, SEEN, Flags, from_text, merged, to_text, united

FLAGS: list[Flags] = [
    frozenset(each) for count in range(3) for each in itertools.combinations((SEEN, FLAGGED, DELETED), count)
]
PRESENCE: list[Flags | None] = [None, *FLAGS]
BASES = [
    None,
    *(Base(near, far) for near in PRESENCE for far in PRESENCE if near is not None or far is not None),
]
PERMISSIONS = [
    Permissions(create, delete, expunge, flags)
    for create, delete, expunge, flags in itertools.product((True, False), repeat=4)
]
presence = st.sampled_from(PRESENCE)
bases = st.sampled_from(BASES)
rules = st.builds(Rules, st.sampled_from(PERMISSIONS), st.sampled_from(PERMISSIONS), st.booleans())

Sight = tuple[Flags | None, Flags | None, Base | None]


def carried_out(near: Flags | None, far: Flags | None, base: Base | None, action: object) -> Sight:
    """Return what is there, and what is remembered, after an action."""
    if isinstance(action, Copy):
        flags = near if action.to == "far" else far
        return flags, flags, Base(flags, flags)
    if isinstance(action, Agree):
        return action.near, action.far, Base(action.near, action.far)
    if isinstance(action, Bury):
        if action.side == "near":
            return action.flags, None, Base(action.flags, None)
        return None, action.flags, Base(None, action.flags)
    if isinstance(action, Remove | Forget):
        return None, None, None
    return near, far, base


@given(presence, presence, bases, rules)
def test_second_decision_is_to_do_nothing(
    near: Flags | None, far: Flags | None, base: Base | None, rules: Rules
) -> None:
    """What was carried out leaves nothing to do."""
    after = carried_out(near, far, base, decide(near, far, base, rules))
    assert decide(*after, rules) in (None, Agree(after[0] or frozenset(), after[1] or frozenset()))


@given(presence, presence, bases, rules)
def test_nothing_is_lost(near: Flags | None, far: Flags | None, base: Base | None, rules: Rules) -> None:
    """A message is removed only where both had it, the other side has it no more, and it is permitted."""
    action = decide(near, far, base, rules)
    if isinstance(action, Remove):
        here, there = (near, far) if action.side == "near" else (far, near)
        assert here is not None
        assert there is None
        assert base is not None
        assert rules.of(action.side).delete
        assert rules.of(action.side).expunge
        assert not rules.restore
    if isinstance(action, Forget):
        assert near is None
        assert far is None


@given(presence, presence, bases, rules)
def test_permissions_are_kept(near: Flags | None, far: Flags | None, base: Base | None, rules: Rules) -> None:
    """Nothing is done to a side that it does not permit."""
    action = decide(near, far, base, rules)
    if isinstance(action, Copy):
        assert rules.of(action.to).create
    if isinstance(action, Agree):
        assert rules.near.flags or action.near == near
        assert rules.far.flags or action.far == far
    if isinstance(action, Bury) and not rules.of(action.side).delete:
        assert action.flags == (near if action.side == "near" else far)


@given(presence, presence, bases)
def test_sides_are_alike(near: Flags | None, far: Flags | None, base: Base | None) -> None:
    """With the sides exchanged the decision is the same, exchanged."""
    exchanged = base and Base(base.far, base.near)
    there = carried_out(near, far, base, decide(near, far, base, Rules()))
    back = carried_out(far, near, exchanged, decide(far, near, exchanged, Rules()))
    assert (there[0], there[1]) == (back[1], back[0])


@pytest.mark.parametrize("was", FLAGS)
@pytest.mark.parametrize("near", FLAGS)
def test_one_sided_change_of_flags_is_taken_over(near: Flags, was: Flags) -> None:
    """When one side alone changed flags, both have its flags then."""
    assert merged(near, was, was, was) == near
    assert merged(was, was, near, was) == near


def test_flag_that_a_side_cannot_keep_is_not_taken_for_removed() -> None:
    """What far never got is left alone on near, while other flags go both ways."""
    near, far = frozenset({"work", SEEN}), frozenset({FLAGGED})
    assert merged(near, frozenset({"work"}), far, frozenset()) == {"work", SEEN, FLAGGED}
    assert merged(far, frozenset(), near, frozenset({"work"})) == {SEEN, FLAGGED}


def test_first_meeting_spreads_no_deletion() -> None:
    r"""Two copies that meet get the flags of both, ``\Deleted`` only if both had it."""
    assert united(frozenset({SEEN, DELETED}), frozenset({FLAGGED})) == {SEEN, FLAGGED}
    assert united(frozenset({DELETED}), frozenset({DELETED})) == {DELETED}


def test_read_only_side_is_left_alone() -> None:
    """A side that is only read decides, and nothing is done to it."""
    rules = Rules(far=READ_ONLY)
    assert decide(FLAGS[0], None, None, rules) is None
    assert decide(None, FLAGS[0], None, rules) == Copy("near")
    assert decide(None, FLAGS[0], Base(FLAGS[0], FLAGS[0]), rules) == Bury("far", FLAGS[0])


@pytest.mark.parametrize("flags", FLAGS)
def test_flags_as_text(flags: Flags) -> None:
    """Flags come back from their text."""
    assert from_text(to_text(flags)) == flags
