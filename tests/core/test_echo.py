"""What a run explains, and what it does not."""

from __future__ import annotations

from mswatch.core.echo import MOST_KNOWN, Echoes, Place

MADE = Place(1, 2, "1700.M1.host")
OTHER = Place(1, 3, "1700.M1.host")


def after_run(*notes: tuple[Place, bool], succeeded: bool = True) -> Echoes:
    """Return what is known after one run."""
    echoes = Echoes()
    for place, is_there in notes:
        echoes.note(place, is_there=is_there)
    echoes.end_run(succeeded=succeeded)
    return echoes


def test_as_the_run_left_it() -> None:
    """What stands as a run left it is explained, as often as it is asked for; what changed since is not."""
    echoes = after_run((MADE, True))
    assert echoes.is_known(MADE)
    for _ in range(2):
        assert echoes.explain(MADE, is_there=True)
        assert not echoes.explain(MADE, is_there=False)


def test_the_last_word_counts() -> None:
    """A name that was made and removed is explained when it is not there."""
    echoes = after_run((MADE, True), (MADE, False))
    assert echoes.explain(MADE, is_there=False)
    assert not echoes.explain(MADE, is_there=True)


def test_a_name_is_in_its_directory() -> None:
    """The same name elsewhere is another one."""
    echoes = after_run((MADE, True))
    assert not echoes.is_known(OTHER)
    assert not echoes.explain(OTHER, is_there=True)
    assert not echoes.explain(OTHER, is_there=False)


def test_during_the_run_nothing_is_explained() -> None:
    """What a run does counts when it has succeeded."""
    echoes = Echoes()
    echoes.note(MADE, is_there=True)
    assert not echoes.explain(MADE, is_there=True)


def test_a_failed_run_explains_nothing() -> None:
    """And what it touched is not explained by an earlier one any more."""
    assert not after_run((MADE, True), succeeded=False).explain(MADE, is_there=True)

    echoes = after_run((MADE, True))
    echoes.note(MADE, is_there=True)
    echoes.end_run(succeeded=False)
    assert not echoes.explain(MADE, is_there=True)


def test_memory_is_bounded() -> None:
    """Of too many names the oldest are forgotten, within a run and over many."""
    echoes = after_run(*((Place(1, 1, str(number)), True) for number in range(MOST_KNOWN + 10)))
    echoes.note(MADE, is_there=True)
    echoes.end_run(succeeded=True)

    known = [number for number in range(MOST_KNOWN + 10) if echoes.is_known(Place(1, 1, str(number)))]
    assert known == list(range(11, MOST_KNOWN + 10))
    assert echoes.is_known(MADE)
