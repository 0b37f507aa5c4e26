"""What is drawn from a seed for the frames of a connection."""

from __future__ import annotations

from tests.support.weather import CALM, Cut, Fate, Forecast, Weather

FOUL = Weather(
    delay=0.1, jitter=0.2, cut_share=0.3, stall_share=0.2, stall_seconds=2.0, duplicate_share=0.5
)


def drawn(seed: str, weather: Weather, count: int = 1000) -> list[Fate]:
    forecast = Forecast(seed)
    return [forecast.fate(weather) for _ in range(count)]


def test_the_same_seed_gives_the_same_weather() -> None:
    assert drawn("7", FOUL) == drawn("7", FOUL)
    assert drawn("7", FOUL) != drawn("8", FOUL)


def test_in_calm_weather_nothing_happens() -> None:
    assert all(
        not fate.delay and not fate.stall and fate.cut is None and not fate.is_doubled
        for fate in drawn("7", CALM)
    )


def test_everything_happens_about_as_often_as_the_weather_says() -> None:
    fates = drawn("7", FOUL)
    assert 240 < sum(fate.cut is not None for fate in fates) < 360
    assert {fate.cut for fate in fates} == {None, Cut.RESET, Cut.FINISH}
    assert 140 < sum(fate.stall == 2.0 for fate in fates) < 260
    assert 440 < sum(fate.is_doubled for fate in fates) < 560
    assert all(0.1 <= fate.delay <= 0.3 for fate in fates)


def test_one_kind_of_weather_does_not_shift_another() -> None:
    calmer = Weather(duplicate_share=0.5)
    doubled = [fate.is_doubled for fate in drawn("7", FOUL)]
    assert doubled == [fate.is_doubled for fate in drawn("7", calmer)]
