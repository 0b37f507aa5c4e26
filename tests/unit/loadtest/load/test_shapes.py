"""A shape is a function of the time: the same for Locust, for every driver and for the report."""

from __future__ import annotations

import pytest

from loadtest.load.shapes import SHAPES, moment


def test_a_ramp_climbs_in_ten_steps_to_all() -> None:
    shares = [moment("ramp", 100.0, at).agents_share for at in range(0, 100, 10)]
    assert shares == [step / 10 for step in range(1, 11)]
    assert moment("ramp", 100.0, 100.0).agents_share == 1.0
    assert moment("ramp", 100.0, 35.0).stretch == "40 % of the agents"


def test_a_spike_is_the_middle_fifth() -> None:
    shares = [moment("spike", 10.0, at).calls_share for at in (0, 3.9, 4.0, 5.9, 6.0, 9)]
    assert shares == [0.2, 0.2, 1.0, 1.0, 0.2, 0.2]
    names = [moment("spike", 10.0, at).stretch for at in (1, 5, 9)]
    assert names == ["before", "the spike", "after"]


def test_a_soak_never_changes() -> None:
    assert {moment("soak", 60.0, at) for at in (0.0, 12.3, 60.0, 90.0)} == {moment("soak", 60.0, 0)}


def test_a_storm_cuts_all_twice() -> None:
    assert [moment("storm", 9.0, at).storms for at in (0, 2.9, 3.0, 5.9, 6.0, 9)] == [
        *(0, 0, 1, 1, 2, 2)
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_before_the_beginning_and_after_the_end_it_is_as_there(shape: str) -> None:
    assert moment(shape, 10.0, -1.0) == moment(shape, 10.0, 0.0)
    assert moment(shape, 10.0, 11.0) == moment(shape, 10.0, 10.0)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="ramp, spike, soak, storm"):
        moment("wave", 10.0, 0.0)
