"""Which message ids are remembered, for how long, and how many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.duplicates import Duplicates

WINDOW = 10.0
IDS_MAX = 5


def fresh() -> Duplicates:
    return Duplicates(WINDOW, IDS_MAX, now=0.0)


def test_a_new_id_is_not_known() -> None:
    assert fresh().find("a") is None


def test_an_id_is_found_with_the_negotiation_that_it_opened() -> None:
    duplicates = fresh()
    duplicates.remember("call", "gw.0.1", now=1.0)
    duplicates.remember("message", "", now=1.0)
    assert duplicates.find("call") == "gw.0.1"
    assert duplicates.find("message") == "", "known, though it opened nothing"


def test_an_id_survives_the_turn_of_a_generation() -> None:
    duplicates = fresh()
    duplicates.remember("old", "gw.0.1", now=9.9)
    duplicates.remember("young", "", now=10.1)
    assert duplicates.find("old") == "gw.0.1"
    assert len(duplicates) == 2


def test_an_id_that_is_remembered_again_has_its_latest_meaning() -> None:
    duplicates = fresh()
    duplicates.remember("a", "gw.0.1", now=0.0)
    duplicates.remember("b", "", now=10.5)  # the generation turns
    duplicates.remember("a", "gw.0.2", now=10.6)
    assert duplicates.find("a") == "gw.0.2"


def test_an_id_is_forgotten_by_the_second_turn_after_it() -> None:
    duplicates = fresh()
    duplicates.remember("a", "", now=0.0)
    duplicates.remember("b", "", now=10.5)
    duplicates.remember("c", "", now=21.0)
    assert duplicates.find("a") is None
    assert duplicates.find("b") == ""


def test_the_ids_of_two_agents_do_not_meet() -> None:
    """Admission puts tenant and address before the id; neither can contain the bar."""
    duplicates = fresh()
    duplicates.remember("acme|agent://a|1", "", now=0.0)
    assert duplicates.find("acme|agent://b|1") is None
    assert duplicates.find("other|agent://a|1") is None


PAUSES = st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0, 10.5, 25.0]), max_size=60)


@given(PAUSES)
def test_an_id_is_remembered_for_the_window_or_until_enough_newer_ids_came(
    pauses: list[float],
) -> None:
    duplicates, now, seen = fresh(), 0.0, list[tuple[float, str]]()
    for number, pause in enumerate(pauses):
        now += pause
        duplicates.remember(str(number), f"n{number}", now)
        seen.append((now, str(number)))
        for newer, (at, key) in enumerate(reversed(seen)):
            if now - at <= WINDOW and newer < IDS_MAX:
                assert duplicates.find(key) == f"n{key}"


@given(PAUSES)
def test_never_more_than_two_generations_are_remembered(pauses: list[float]) -> None:
    duplicates, now = fresh(), 0.0
    for number, pause in enumerate(pauses):
        now += pause
        duplicates.remember(str(number), "", now)
        assert len(duplicates) <= 2 * IDS_MAX


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=80))
def test_while_ids_keep_coming_none_outlives_two_windows(pauses: list[float]) -> None:
    """A turn comes with the first id after a window, so each may be late by one pause."""
    duplicates, now, seen = fresh(), 0.0, list[tuple[float, str]]()
    for number, pause in enumerate(pauses):
        now += pause
        duplicates.remember(str(number), "", now)
        seen.append((now, str(number)))
    for at, key in seen:
        if now - at > 2 * (WINDOW + max(pauses)):
            assert duplicates.find(key) is None
