"""What fairness rules know of the past."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from policy import served
from policy.jain import evenness
from policy.served import NOTHING, Served, ServiceBook, Standing

AGENTS = ("bob", "carol", "dave")


def test_a_standing_tells_what_each_had_in_the_window_and_when_it_won_last() -> None:
    book = ServiceBook(10.0)
    book.note_award("bob", 4.0, 1.0)
    book.note_award("bob", 5.0, 6.0)
    book.note_award("carol", 3.0, 8.0)
    standing = book.standing(["bob", "dave"], 10.5)
    assert standing.of("bob") == Served(2, 9.0, 6.0)
    assert standing.of("dave") == NOTHING
    assert standing.total == 3
    assert book.winners(10.5) == {"bob", "carol"}
    assert book.standing(["bob"], 11.0).of("bob") == Served(1, 5.0, 6.0)
    assert book.standing(["bob"], 99.0).of("bob") == Served(0, 0.0, 6.0), "the last stays known"


def test_evenness_counts_those_that_had_nothing() -> None:
    book = ServiceBook(10.0)
    book.note_award("bob", 4.0, 1.0)
    book.note_award("carol", -4.0, 1.0)
    assert book.awards(["bob", "carol", "dave", "erin"], 2.0).index == 0.5
    assert book.utility(["bob", "dave"], 2.0).index == pytest.approx(1 / 3)
    assert book.awards([], 50.0).nothing


def test_latency_is_shared_by_the_mean_of_each_that_called() -> None:
    book = ServiceBook(10.0)
    for agent, seconds in (("alice", 1.0), ("alice", 3.0), ("zoe", 2.0)):
        book.note_wait(agent, seconds, 1.0)
    assert book.latency(2.0).index == 1.0
    book.note_wait("zoe", 4.0, 3.0)
    assert book.standing([], 3.0).latency.index == pytest.approx(evenness([2.0, 3.0]).index)
    assert book.latency(11.5).parties == 1


def test_a_book_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "AGENTS_MAX", 2)
    monkeypatch.setattr(served, "SERVICES_MAX", 3)
    book = ServiceBook(1e9)
    for agent in ("bob", "carol", "bob", "dave", "erin"):
        book.note_award(agent, 1.0, 1.0)
    standing = book.standing(["bob", "carol", "dave", "erin"], 1.0)
    assert standing.total == 3
    assert set(standing.served) == {"dave", "erin"}, "who won longest ago is forgotten"


def test_a_standing_of_nobody_is_empty() -> None:
    assert Standing().total == 0
    assert Standing().latency.nothing


class BookMachine(RuleBasedStateMachine):
    """The book beside a list that forgets nothing and counts anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self.book = ServiceBook(5.0)
        self.now = 0.0
        self.all: list[tuple[float, str, float]] = []

    @rule(agent=st.sampled_from(AGENTS), worth=st.sampled_from([0.0, 1.0, 2.5]))
    def award(self, agent: str, worth: float) -> None:
        self.book.note_award(agent, worth, self.now)
        self.all.append((self.now, agent, worth))

    @rule(pause=st.sampled_from([0.0, 1.0, 4.0, 5.0, 20.0]))
    def wait(self, pause: float) -> None:
        self.now += pause

    @invariant()
    def tells_what_the_list_tells(self) -> None:
        recent = [entry for entry in self.all if entry[0] > self.now - 5.0]
        counts = Counter(agent for _, agent, _ in recent)
        standing = self.book.standing(AGENTS, self.now)
        assert standing.total == len(recent)
        for agent in AGENTS:
            had = standing.of(agent)
            assert had.awards == counts[agent]
            assert had.utility == sum(worth for _, name, worth in recent if name == agent)
            won = [at for at, name, _ in self.all if name == agent]
            assert had.last_at == (won[-1] if won else None)
        assert self.book.awards(AGENTS, self.now) == evenness(counts[one] for one in AGENTS)


TestBook = pytest.mark.slow(BookMachine.TestCase)


@given(st.floats(0.1, 10))
def test_what_is_as_old_as_the_window_is_forgotten(window: float) -> None:
    book = ServiceBook(window)
    book.note_award("bob", 1.0, 0.0)
    assert book.standing(["bob"], window).total == 0


def test_what_is_heard_late_counts_and_never_makes_an_agent_younger() -> None:
    """Another gateway tells it some seconds later."""
    book = ServiceBook(10.0)
    book.note_award("bob", 1.0, 8.0)
    book.note_award("bob", 1.0, 5.0)
    book.note_award("carol", 1.0, 5.0)
    standing = book.standing(["bob", "carol"], 9.0)
    assert standing.of("bob") == Served(2, 2.0, 8.0)
    assert standing.of("carol") == Served(1, 1.0, 5.0)
    assert book.standing(["bob"], 18.0).total == 0
