"""The soak: a short run of it, and the mistakes in protocols that it has to catch."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace as changed
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from loadtest.soak import __main__ as command
from loadtest.soak.chance import DRAWS
from loadtest.soak.crew import Tally, seed_of, soak, soak_on_all, words
from loadtest.soak.drawers import DRAWERS, drawer_of, plain
from loadtest.soak.play import Found, Played, play
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.events import CancelReceived, DeadlinePassed, Event, OfferReceived
from policy.protocols import PROTOCOLS, Protocol
from policy.states import Phase
from policy.table import Record, replay

STEPS = 6_000
"""For each protocol in `make test`; `make soak-engine` takes three hundred times as many."""

Answer = tuple[Any, list[Effect]]
Step = Callable[[Any, Event, float], Answer]
Mistake = Callable[[Step], Step]


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_no_act_in_any_order_breaks_a_protocol(name: str) -> None:
    """N-1.12: random acts, in and out of place, twice and too late, never corrupt a state."""
    tally = soak(2026, STEPS, {name: PROTOCOLS[name]})
    assert tally.steps[name] >= STEPS and not tally.failures
    assert len(tally.phases[name]) >= 3, "chance leads to more than one kind of end"


def test_every_protocol_has_chance_of_its_own() -> None:
    assert DRAWERS.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_protocol_can_be_driven_by_any_events(name: str) -> None:
    """So a new one is soaked before it brings anything."""
    for number in range(20):
        assert play(PROTOCOLS[name], plain(name), f"any/{number}", number).steps


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_the_typical_negotiation_of_each_protocol_ends_with_an_award(name: str) -> None:
    """What `make bench` times is no row of refusals."""
    typical = DRAWERS[name].typical
    assert typical is not None
    call, events = typical()
    assert PROTOCOLS[name].objection(call) is None
    effects = [effect for step in replay(Record(call, 0.0, events)) for effect in step]
    assert not [effect for effect in effects if isinstance(effect, Refuse)]
    (finish,) = [effect for effect in effects if isinstance(effect, Finish)]
    assert finish.outcome["state"] == "committed"


def test_a_seed_plays_the_same_again() -> None:
    def played() -> Played:
        name = "contract-net"
        return play(PROTOCOLS[name], drawer_of(name), seed_of(7, name, 3), 3)

    assert played() == played()


def test_events_of_every_kind_are_drawn() -> None:
    state, _ = PROTOCOLS["contract-net"].open_call(
        DRAWERS["contract-net"].call(Random("1"), 1), 0.0
    )
    for kind, draw in DRAWS.items():
        assert type(draw(Random("2"), state, 1.0)) is kind


# ------------------------------------------------------------------ mistakes


def mistaken(mistake: Callable[[Any, Event, float, Any, list[Effect]], Answer | None]) -> Mistake:
    """Return a mistake that changes what a step answers."""

    def around(step: Step) -> Step:
        def wrong(state: Any, event: Event, now: float) -> Answer:
            after, effects = step(state, event, now)
            return mistake(state, event, now, after, effects) or (after, effects)

        return wrong

    return around


def copied(state: Any) -> Any:
    return replace(state)


@mistaken
def an_act_that_is_refused_makes_another_state(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    return (copied(after), effects) if after is state and effects else None


@mistaken
def an_act_that_is_refused_is_noted_for_ever(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    if after is not state or not effects:
        return None
    if hasattr(after, "net"):
        return replace(after, net=replace(after.net, told=after.net.told + 1)), effects
    return replace(after, told=after.told + 1), effects


@mistaken
def what_is_repeated_is_relayed_again(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    relays: list[Effect] = [Relay(state.terms.initiator)]
    return (after, relays) if after is state and event.sender and not effects else None


@mistaken
def the_outcome_is_told_twice(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    finishes = [effect for effect in effects if isinstance(effect, Finish)]
    return (after, effects + finishes) if finishes else None


@mistaken
def the_outcome_is_never_told(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    return after, [effect for effect in effects if not isinstance(effect, Finish)]


@mistaken
def a_message_bears_a_number_that_was_used(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    first = f"{state.terms.call.negotiation_id}:1"
    return after, [
        replace(effect, msg_id=first) if isinstance(effect, Tell) else effect for effect in effects
    ]


@mistaken
def a_stranger_hears_of_it(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    return after, [
        replace(effect, recipient="agent://mallory") if isinstance(effect, Relay) else effect
        for effect in effects
    ]


@mistaken
def somebody_else_is_refused(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    return after, [
        replace(effect, recipient="agent://zoe") if isinstance(effect, Refuse) else effect
        for effect in effects
    ]


@mistaken
def the_store_is_refused(
    state: Any, event: Event, now: float, after: Any, effects: list[Effect]
) -> Answer | None:
    if event.sender or isinstance(event, DeadlinePassed) or after is not state:
        return None
    return after, [Refuse("", "", "NOT_A_PARTY", "nobody knows you", "go away")]


def a_deadline_is_forgotten(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        if isinstance(event, DeadlinePassed) and not state.is_final:
            return state, []
        return step(state, event, now)

    return wrong


def a_timer_that_is_early_counts(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        early = isinstance(event, DeadlinePassed) and not state.is_final
        return step(state, event, max(now, state.due) if early else now)

    return wrong


def what_is_over_begins_again(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        if state.is_final and isinstance(event, OfferReceived) and not hasattr(state, "net"):
            return replace(state, phase=Phase.OPEN), []
        if state.is_final and isinstance(event, OfferReceived):
            return replace(state, net=replace(state.net, phase=Phase.OPEN)), []
        return step(state, event, now)

    return wrong


def it_is_due_never(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        after, effects = step(state, event, now)
        if after is state:
            return after, effects
        if hasattr(after, "net"):
            return replace(after, net=replace(after.net, due=float("inf"))), effects
        return replace(after, due=float("inf")), effects

    return wrong


def a_module_counts_what_it_has_seen(step: Step) -> Step:
    """A state outside the state: the replay knows nothing of it."""
    seen = itertools.count()

    def wrong(state: Any, event: Event, now: float) -> Answer:
        after, effects = step(state, event, now)
        number = next(seen)
        return after, [
            replace(effect, reason=f"{effect.reason} ({number})")
            if isinstance(effect, Refuse)
            else effect
            for effect in effects
        ]

    return wrong


def a_step_stumbles_over_a_cancellation(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        assert not (isinstance(event, CancelReceived) and not state.is_final), "nobody cancels"
        return step(state, event, now)

    return wrong


class Growing(msgspec.Struct, frozen=True):
    """A state that never forgets."""

    inner: Any
    past: tuple[bytes, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def a_state_keeps_everything_it_ever_heard(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        kept = state if isinstance(state, Growing) else Growing(state)
        after, effects = step(kept.inner, event, now)
        if after is kept.inner:
            return state, effects
        return Growing(after, (*kept.past, bytes(40_000))), effects

    return wrong


class Unlike(Growing, frozen=True):
    """A state that is not the same after a pickle."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def a_state_is_another_one_after_a_pickle(step: Step) -> Step:
    def wrong(state: Any, event: Event, now: float) -> Answer:
        inner = state.inner if isinstance(state, Unlike) else state
        after, effects = step(inner, event, now)
        return (state, effects) if after is inner else (Unlike(after), effects)

    return wrong


MISTAKES: Sequence[Mistake] = (
    an_act_that_is_refused_makes_another_state,
    an_act_that_is_refused_is_noted_for_ever,
    what_is_repeated_is_relayed_again,
    the_outcome_is_told_twice,
    the_outcome_is_never_told,
    a_message_bears_a_number_that_was_used,
    a_stranger_hears_of_it,
    somebody_else_is_refused,
    the_store_is_refused,
    a_deadline_is_forgotten,
    a_timer_that_is_early_counts,
    what_is_over_begins_again,
    it_is_due_never,
    a_module_counts_what_it_has_seen,
    a_step_stumbles_over_a_cancellation,
    a_state_keeps_everything_it_ever_heard,
    a_state_is_another_one_after_a_pickle,
)


def with_mistake(name: str, mistake: Mistake) -> Protocol:
    return changed(PROTOCOLS[name], step=mistake(PROTOCOLS[name].step))


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_in_any_protocol_is_caught(number: int) -> None:
    """A soak that finds nothing proves nothing, unless it finds what is put there."""
    for name in PROTOCOLS:
        with pytest.raises(Found) as found:
            soak(5, 4 * STEPS, {name: with_mistake(name, MISTAKES[number])})
        told = words(5, name, found.value)
        assert f"--seed 5 --protocol {name} --only " in told


def test_a_protocol_that_opens_no_call_is_found() -> None:
    def objection(call: Any) -> Refuse:
        return Refuse("", "", "POLICY_INVALID", "no", "no")

    protocol = changed(PROTOCOLS["contract-net"], objection=objection)
    with pytest.raises(Found, match="objects to every call"):
        soak(5, STEPS, {"contract-net": protocol})


def test_memory_that_grows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = itertools.count(0, 1 << 30)
    monkeypatch.setattr("loadtest.soak.crew._memory", lambda: next(sizes))
    tally = soak(1, 200, {"contract-net": PROTOCOLS["contract-net"]})
    assert "grown by" in tally.failures[0]


# ------------------------------------------------------------------ the command


def test_a_run_of_all_protocols_adds_up() -> None:
    tally = soak_on_all(3, 500, list(PROTOCOLS), 1)
    assert tally.steps.keys() == PROTOCOLS.keys() and not tally.failures
    assert sum(tally.steps.values()) >= 500


def test_the_command_says_its_seed_and_what_it_played(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--steps", "300", "--seed", "11", "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("seed 11: 300 steps") and "every invariant held" in said


def test_one_negotiation_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seed", "11", "--protocol", "sealed-bid", "--only", "4"]
    assert command.main(arguments) == 0
    assert "Call(negotiation_id='soak.0.4'" in capsys.readouterr().out


def test_what_is_broken_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = with_mistake("contract-net", the_outcome_is_told_twice)
    monkeypatch.setattr("loadtest.soak.crew.PROTOCOLS", {"contract-net": broken})
    monkeypatch.setattr(command, "PROTOCOLS", {"contract-net": broken})
    arguments = ["--steps", "500", "--seed", "1", "--processes", "1"]
    assert command.main(arguments) == 1
    said = capsys.readouterr()
    assert "NOT ALL HELD" in said.out and "the outcome is told twice" in said.err
    only = said.err.strip().rpartition("--only ")[2]
    assert command.main(["--seed", "1", "--protocol", "contract-net", "--only", only]) == 1


def test_tallies_add_up() -> None:
    one, two = Tally({"a": 1}, {"a": 1}), Tally({"a": 2}, {"a": 1}, grown=5, failures=["x"])
    one.phases = two.phases = {"a": Counter(done=1)}
    one.add(two)
    assert (one.steps, one.negotiations, one.grown, one.failures) == ({"a": 3}, {"a": 2}, 5, ["x"])
    assert one.phases["a"]["done"] == 2
