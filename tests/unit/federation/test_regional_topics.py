"""Which topics stay in their region."""

from __future__ import annotations

import pytest

from federation import regional_topics
from federation.regional_topics import RegionalTopics


@pytest.mark.parametrize(
    ("topic", "is_regional"),
    [
        ("taxis", True),
        ("taxis/night", False),
        ("local/food", True),
        ("local/food/late", True),
        ("local", False),
        ("locals/food", False),
        ("world", False),
    ],
)
def test_a_topic_is_regional_by_its_name_or_by_what_it_is_below(
    topic: str, is_regional: bool
) -> None:
    assert RegionalTopics(["taxis", "local/*"]).is_regional(topic) is is_regional


def test_other_regions_hear_of_the_rest() -> None:
    regional = RegionalTopics(["local/*"])
    topics = frozenset({"local/food", "world"})
    assert regional.without_regional(topics) == {"world"}
    assert regional.without_regional(topics) is regional.without_regional(frozenset(topics))
    everywhere = frozenset({"world"})
    assert regional.without_regional(everywhere) is everywhere


def test_without_patterns_nothing_is_regional() -> None:
    assert not RegionalTopics()
    assert not RegionalTopics().is_regional("taxis")
    assert repr(RegionalTopics()) == "<RegionalTopics: none>"
    assert repr(RegionalTopics(["taxis", "local/*"])) == "<RegionalTopics: taxis, local/*>"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regional_topics, "REMAINDERS_MAX", 3)
    regional = RegionalTopics(["local/*"])
    for number in range(10):
        topics = frozenset({f"world/{number}", f"local/{number}"})
        assert regional.without_regional(topics) == {f"world/{number}"}
        assert len(regional._remainders) <= 3
