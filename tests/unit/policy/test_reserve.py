"""The reserve of the system class: negotiation.md N-8.3, feature 156."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from policy.reserve import Reserve


def test_a_normal_agent_leaves_the_reserve() -> None:
    """N-8.3: admitted if at least ρB is left after it; the system class down to nothing."""
    slots = Reserve(40, 0.2)
    assert slots.kept == 8
    assert slots.admits(31, 1, system=False)
    assert not slots.admits(32, 1, system=False)
    assert slots.admits(32, 8, system=True)
    assert not slots.admits(32, 9, system=True)
    assert slots.free_for(40, system=True) == slots.free_for(40, system=False) == 0


def test_a_part_of_a_unit_is_reserved_as_a_whole_one() -> None:
    assert Reserve(3, 0.1).kept == 1
    assert Reserve(3, 0).kept == 0


@settings(max_examples=50)
@given(
    st.integers(1, 100),
    st.floats(0, 1),
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=60),
)
def test_a_system_request_within_the_reserve_is_admitted_whatever_normal_agents_did(
    capacity: int, part: float, asked: list[tuple[int, bool]]
) -> None:
    """N-8.3: whatever normal agents took and gave back, in whatever order."""
    slots, used = Reserve(capacity, part), 0
    for units, gives_back in asked:
        if gives_back:
            used = max(0, used - units)
        elif slots.admits(used, units, system=False):
            used += units
        assert used <= capacity
        assert slots.admits(used, slots.kept, system=True)
