"""When memory counts as flat."""

from __future__ import annotations

from loadtest.chaos.memory import MIB, Sample, trend


def grown(per_second: float, seconds: int = 600, life: int = 0) -> list[Sample]:
    return [
        Sample(float(at), life, int((100 + per_second * at) * MIB)) for at in range(0, seconds, 2)
    ]


def test_memory_that_does_not_grow_is_flat() -> None:
    found = trend(grown(0.0))
    assert found.is_flat
    assert found.growth == 0.0
    assert 290 < found.seconds < 300
    assert "100.0 to 100.0 MiB" in str(found)


def test_memory_that_grows_without_end_is_not_flat() -> None:
    found = trend(grown(0.1))
    assert not found.is_flat
    assert 0.15 < found.growth < 0.25


def test_what_grew_while_it_warmed_up_does_not_count() -> None:
    warming = [Sample(float(at), 0, int(min(100 + at, 300) * MIB)) for at in range(0, 600, 2)]
    assert trend(warming).is_flat


def test_only_the_last_life_counts() -> None:
    before = grown(1.0)
    after = [Sample(600 + one.at, 1, one.resident) for one in grown(0.0)]
    assert trend([*before, *after]).is_flat


def test_a_run_that_is_too_short_says_so() -> None:
    found = trend(grown(10.0, seconds=60))
    assert found.is_flat
    assert str(found) == "too short to tell"
    assert trend([]).seconds == 0
