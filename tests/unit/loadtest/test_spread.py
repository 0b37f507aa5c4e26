"""Contractors are where the load says, and figures of several initiators become one."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtest.rounds import Played
from loadtest.spread import Load, figures_of_all, places_of

FOUR = ["a:1", "b:1", "c:1", "d:1"]


def test_local_contractors_are_all_at_their_initiators_gateway() -> None:
    assert places_of(Load.LOCAL, FOUR, 2, 10) == ["c:1"] * 10


def test_of_ten_contractors_two_are_elsewhere_when_the_load_is_mixed() -> None:
    assert places_of(Load.MIXED, FOUR, 1, 10) == ["b:1"] * 8 + ["c:1", "d:1"]


def test_remote_contractors_are_spread_over_all_other_gateways() -> None:
    counts = Counter(places_of(Load.REMOTE, FOUR, 3, 10))
    assert counts == {"a:1": 4, "b:1": 3, "c:1": 3}


def test_every_gateway_has_the_same_to_do() -> None:
    for load in Load:
        counts = Counter(place for own in range(4) for place in places_of(load, FOUR, own, 12))
        assert max(counts.values()) - min(counts.values()) <= 1


def test_the_cpu_of_all_gateways_is_counted_once_though_every_play_has_read_it() -> None:
    played = [
        Played(
            rounds=50,
            seconds=2.0,
            server_cpu_seconds=cpu,
            messages=1_000,
            to_last_outcome=[0.01, latency],
        )
        for cpu, latency in ((0.9, 0.03), (1.0, 0.05), (1.1, 0.02))
    ]
    figures = figures_of_all(played)
    assert figures["rounds_per_second"] == 75
    assert figures["messages_per_cpu_second"] == pytest.approx(3_000)
    assert figures["cpu_us_per_round"] == pytest.approx(1e6 / 150)
    assert figures["p50_ms"] == pytest.approx(10)
    assert figures["p99_ms"] == pytest.approx(50)
