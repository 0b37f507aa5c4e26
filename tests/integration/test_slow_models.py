"""Slow and clumsy models take part: they are waited for, told their turn, and corrected."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest

import llmx
from llmx.v1.envelope_pb2 import Act
from tests.support.raw_agent import Crowd, refused

pytestmark = pytest.mark.slow

WINDOW = {"profile": "high", "window": 0.5}


def agent(crowd: Crowd, name: str, **options: Any) -> llmx.Agent:
    """Return an agent of the library on the gateway of the crowd."""
    called = crowd.name(name)
    token = crowd.gateway.token(called)
    return llmx.Agent(f"agent://{called}", crowd.gateway.address, token=token, **options)


def contractor(crowd: Crowd, name: str) -> llmx.Agent:
    return agent(crowd, name, topics=[crowd.topic()])


async def passing(seconds: float) -> None:
    """Let a gateway's own clock go on."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


async def test_a_model_that_answers_garbage_wins_after_it_was_corrected(crowd: Crowd) -> None:
    """Prose first, then the wrong type; the gateway's example shows it how it is done."""
    bob, alice = contractor(crowd, "bob"), agent(crowd, "alice")
    told: list[llmx.Correction] = []

    @bob.on_cfp
    async def quote(call: llmx.Call, correction: llmx.Correction | None = None) -> llmx.Words:
        if correction is None:
            return call.words("I would be happy to do it for about forty.")
        told.append(correction)
        answer = json.loads(correction.refused.example)
        answer["value"] = "forty" if correction.attempt == 1 else 40
        return call.words(f"Here you are:\n```json\n{json.dumps(answer)}\n```")

    async with bob, alice:
        outcome = await alice.call({"reply_within": 5}, to=crowd.topic())
    assert outcome.winner is not None
    assert (outcome.winner.agent, outcome.winner.value) == (bob.agent_id, 40)
    assert [one.refused.code for one in told] == ["INVALID_JSON", "SCHEMA_VIOLATION"]
    assert told[1].refused.pointer == "/payload/value"
    assert "Send a number" in told[1].as_text() and "forty" in told[1].as_text()
    assert "forty" not in told[1].refused.reason + told[1].refused.remedy
    assert [one.attempts_left for one in told] == [1, 0]


async def test_a_model_that_never_gets_it_right_has_not_answered_and_holds_up_nobody(
    crowd: Crowd,
) -> None:
    """Two corrections; then the library refuses in its name, so that the round can close."""
    bob, carol, alice = contractor(crowd, "bob"), contractor(crowd, "carol"), agent(crowd, "alice")
    attempts = 0

    @bob.on_cfp
    def quote(call: llmx.Call, correction: llmx.Correction | None = None) -> llmx.Words:
        nonlocal attempts
        attempts += 1
        return call.words('{"price": 40}')

    carol.on_cfp(lambda call: call.offer(50))
    async with bob, carol, alice:
        outcome = await alice.call({"reply_within": 20}, to=crowd.topic())
    assert attempts == 3
    assert outcome.winner is not None and outcome.winner.agent == carol.agent_id
    assert (outcome.closed_by, outcome.body["refusals"]) == ("all_answered", 1)


async def test_a_round_waits_for_a_model_that_thinks(crowd: Crowd) -> None:
    bob, alice = contractor(crowd, "bob"), agent(crowd, "alice")
    turns: list[str] = []

    @bob.on_cfp
    async def quote(call: llmx.Call) -> llmx.Offer:
        assert call.turn is not None
        assert 0 < call.seconds_left <= 0.5
        turns.append(call.turn.as_text())
        async with call.thinking():
            await passing(0.9)
        return call.offer(40)

    async with (
        bob,
        alice,
        alice.negotiate({"reply_within": 10}, to=crowd.topic(), policy=WINDOW) as n,
    ):
        thoughts = [event async for event in n if isinstance(event, llmx.Thought)]
    assert n.outcome is not None and n.outcome.winner is not None
    assert n.outcome.winner.agent == bob.agent_id
    assert n.outcome.body["closed_at"] - n.outcome.body["opened_at"] > 0.8
    (thought,) = thoughts
    assert (thought.agent, thought.seconds) == (bob.agent_id, 30)
    assert thought.turn is not None and 9 < thought.turn.answer_in <= 10
    assert "Asking for more time gains you" in turns[0]


async def test_a_round_waits_for_nobody_beyond_its_deadline(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    opened = await alice.call_for(crowd.topic(), reply_within=1, policy=WINDOW)
    call = await bob.message(Act.ACT_CFP)
    answer_in, deadline_in = call.turn.answer_in, call.turn.deadline_in
    assert 0 < answer_in.ToMilliseconds() <= 500 < deadline_in.ToMilliseconds() <= 1_000
    await bob.do(Act.ACT_THINKING, opened.negotiation_id, {"seconds": 3600})
    heard = await alice.message(Act.ACT_THINKING)
    assert heard.sender == bob.address
    assert 500 < heard.turn.answer_in.ToMilliseconds() <= 1_000
    outcome = await alice.outcome(opened.negotiation_id)
    assert (outcome["state"], outcome["closed_by"]) == ("no_award", "deadline")
    assert 0.99 < outcome["closed_at"] - outcome["opened_at"] < 60  # and not the hour it asked for
    late = await bob.do(Act.ACT_THINKING, opened.negotiation_id)
    await refused(bob, late, "LATE", "/envelope/act", reason="closed")


async def test_a_silent_agent_has_not_answered_and_nothing_is_made_up_for_it(
    crowd: Crowd,
) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    opened = await alice.call_for(crowd.topic(), reply_within=0.5)
    await bob.offer(opened.negotiation_id, 40)
    outcome = await alice.outcome(opened.negotiation_id)
    assert (outcome["closed_by"], outcome["complete"]) == ("deadline", False)
    assert (outcome["eligible"], outcome["offers"], outcome["refusals"]) == (2, 1, 0)
    assert [winner["agent"] for winner in outcome["winners"]] == [bob.address]
    assert [entry["agent"] for entry in outcome["ranking"]] == [bob.address]
    assert not [one for one in alice.messages if one.sender == carol.address]
    await carol.is_served()
    assert [one.act for one in carol.messages] == [Act.ACT_CFP]


async def test_thinking_is_refused_where_nobody_waits(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob, _carol = await crowd.contractors("bob", "carol")
    opened = await alice.call_for(crowd.topic())
    wrong = await bob.do(Act.ACT_THINKING, opened.negotiation_id, {"seconds": "some"})
    refusal = await refused(bob, wrong, "SCHEMA_VIOLATION", "/payload/seconds", remedy="a number")
    again = bob.envelope(
        Act.ACT_THINKING, refusal.example.encode(), negotiation_id=opened.negotiation_id
    )
    await bob.send(again)
    await alice.arrival(again.msg_id)
    await bob.offer(opened.negotiation_id, 40)
    answered = await bob.do(Act.ACT_THINKING, opened.negotiation_id)
    await refused(bob, answered, "ALREADY_ANSWERED", "/envelope/act")
    own = await alice.do(Act.ACT_THINKING, opened.negotiation_id)
    await refused(alice, own, "WRONG_STATE", "/envelope/act")


async def test_an_initiator_that_decides_is_told_what_stands_and_may_think(crowd: Crowd) -> None:
    bob, carol, alice = contractor(crowd, "bob"), contractor(crowd, "carol"), agent(crowd, "alice")
    bob.on_cfp(lambda call: call.offer(50))
    bob_has_offered = asyncio.Event()

    @carol.on_cfp
    async def quote(call: llmx.Call) -> llmx.Offer:
        await bob_has_offered.wait()
        return call.offer(40)

    stands: list[float] = []
    cfp = {"reply_within": 5, "decider": "initiator", "decide_within": 0.6}
    async with bob, carol, alice, alice.negotiate(cfp, to=crowd.topic()) as n:
        async for event in n:
            if isinstance(event, llmx.OfferMade):
                assert event.turn is not None and event.turn.standing_offer is not None
                stands.append(event.turn.standing_offer.value)
                bob_has_offered.set()
            elif isinstance(event, llmx.Ranked):
                assert event.turn is not None and event.turn.standing_offer is not None
                assert 0.3 < event.turn.answer_in <= 0.6  # what is left of it
                assert event.turn.own_last_msg_id == n.call.msg_id
                async with n.thinking():
                    await passing(0.9)
                await n.accept(event.offers[0])
    assert stands == [50, 40]
    assert n.outcome is not None and n.outcome.winner is not None
    assert n.outcome.winner.agent == carol.agent_id


async def test_a_winner_may_think_before_it_confirms(crowd: Crowd) -> None:
    bob, alice = contractor(crowd, "bob"), agent(crowd, "alice")
    bob.on_cfp(lambda call: call.offer(50))

    @bob.on_confirm
    async def confirm(verdict: llmx.Verdict) -> bool:
        assert verdict.turn is not None
        assert verdict.turn.own_last_msg_id == verdict.offer_id
        await verdict.thinking()
        await passing(0.9)
        return True

    async with bob, alice:
        outcome = await alice.call(
            {"reply_within": 5, "confirm_within": 0.6},
            to=crowd.topic(),
            policy={"profile": "high", "confirm": True},
        )
    assert (outcome.state, outcome.reason) == ("committed", "awarded")
