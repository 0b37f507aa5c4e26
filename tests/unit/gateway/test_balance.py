"""Processes behind one port have about as many agents each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.balance import AGAIN_SECONDS, MOVES_MAX, Balance, surplus
from tests.support.cluster_parts import ClusterParts

COUNTS = st.integers(0, 500)


def test_one_that_comes_back_gets_its_part_from_each_other_one() -> None:
    assert surplus(100, {"b": 0, "c": 100, "d": 100}) == {"b": 25}


def test_what_chance_makes_is_left_as_it_is() -> None:
    assert surplus(109, {"b": 91}) == {}
    assert surplus(62, {"b": 38, "c": 50, "d": 50}) == {}


def test_a_few_agents_are_not_worth_a_move() -> None:
    assert surplus(3, {"b": 0}) == {}
    assert surplus(8, {"b": 0}) == {"b": 4}


def test_who_has_less_than_its_part_keeps_all() -> None:
    assert surplus(10, {"b": 400}) == {}


@given(counts=st.lists(COUNTS, min_size=2, max_size=6))
def test_when_all_move_at_once_nobody_gets_more_than_its_part(counts: list[int]) -> None:
    """Each decides for itself, and none knows what the others do."""
    names = [str(number) for number in range(len(counts))]
    after = dict(zip(names, counts, strict=True))
    for name, own in zip(names, counts, strict=True):
        others = {one: count for one, count in zip(names, counts, strict=True) if one != name}
        for other, moves in surplus(own, others).items():
            after[name] -= moves
            after[other] += moves
    part = sum(counts) / len(counts)
    for name, before in zip(names, counts, strict=True):
        assert min(before, part) - 1 <= after[name] <= max(before, part)


class Agent:
    """An agent's stream here."""

    def __init__(self, number: int) -> None:
        self.member = SimpleNamespace(key=f"acme|agent://a{number}|")
        self.asked: list[tuple[str, ...]] = []

    def close(self, reason: str, detail: str, move_to: tuple[str, ...]) -> None:
        assert reason == "stopping"
        self.asked.append(move_to)


class Process:
    """A process with so many agents, and siblings without any."""

    def __init__(self, agents: int, siblings: dict[str, str]) -> None:
        self.now = 1_000.0
        self.agents = [Agent(number) for number in range(agents)]
        sessions: Any = self.agents
        self.balance = Balance(sessions, {}, lambda: siblings, lambda: self.now)

    @property
    def asked(self) -> list[tuple[str, ...]]:
        return [to for agent in self.agents for to in agent.asked]


def test_agents_are_asked_to_go_where_the_sibling_listens_for_itself() -> None:
    process = Process(20, {"b": "127.0.0.1:7002"})
    assert process.balance.look() == 10
    assert process.asked == [("127.0.0.1:7002",)] * 10


def test_who_was_asked_and_came_back_is_left_alone_for_a_while() -> None:
    """It cannot get there, and to ask it again each time would only disturb it."""
    process = Process(20, {"b": "127.0.0.1:7002"})
    assert [process.balance.look() for _ in range(3)] == [10, 10, 0]
    process.now += AGAIN_SECONDS + 1
    assert process.balance.look() == 10


def test_not_all_are_asked_at_one_moment() -> None:
    process = Process(3 * MOVES_MAX, {"b": "b:1", "c": "c:1"})
    assert process.balance.look() == MOVES_MAX


def test_alone_it_has_nobody_to_send_agents_to() -> None:
    process = Process(100, {})
    assert process.balance.look() == 0


def test_agents_of_a_sibling_count_while_they_are_there() -> None:
    cluster = ClusterParts("a", "b")
    for number in range(10):
        cluster["b"].arrive(f"b{number}")
    cluster.run()
    sessions: Any = [Agent(number) for number in range(14)]
    tenants = cluster["a"].members.tenants
    balance = Balance(sessions, tenants, lambda: {"b": "b:1"}, lambda: 0.0)
    assert balance.look() == 0  # 14 and 10 are near enough
    cluster.kill("b")
    assert balance.look() == 7
