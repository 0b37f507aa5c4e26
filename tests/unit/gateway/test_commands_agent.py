"""`llmx agent`: what it answers and what it writes, with a small gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

import llmx
from gateway.commands.agent import Performer
from gateway.commands.plan import Plan, plan_of
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.tiny_gateway import TinyGateway

CFP = {"task": {"gpus": 4}, "reply_within": 5}


def plan(**changes: Any) -> Plan:
    described = {
        "agent": "agent://bob",
        "topics": ["gpu"],
        "strategy": "fixed",
        "params": {"value": 40, "conditions": {"start_in": 2}},
    }
    return plan_of({**described, **changes}, "test")


def called(bob: Plan, *, as_json: bool, cfp: dict[str, Any] = CFP) -> llmx.Outcome:
    """Let Alice call Bob, and return what came of it."""

    async def scene() -> llmx.Outcome:
        async with asyncio.timeout(20), TinyGateway() as gateway:
            performer = Performer(bob, gateway.address, "bob", as_json=as_json)
            async with (
                performer,
                llmx.Agent("agent://alice", gateway.address, token="alice") as alice,
            ):
                performer.announce()
                return await alice.call(cfp, to="topic://gpu")

    return asyncio.run(scene())


def test_it_writes_a_line_for_call_offer_and_verdict(capsys: pytest.CaptureFixture[str]):
    outcome = called(plan(), as_json=False)
    assert outcome.winner is not None and outcome.winner.value == 40
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("agent://bob listens to topic://gpu")
    assert "Ctrl-C" in lines[0]
    words = [line.split()[1] for line in lines[1:]]
    assert words == ["call", "offer", "won"]
    assert '40 {"start_in": 2}' in lines[2]


def test_it_writes_objects_for_programs(capsys: pytest.CaptureFixture[str]):
    called(plan(), as_json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["ready", "call", "offer", "verdict"]
    assert events[3]["won"] is True
    assert len({event["negotiation"] for event in events[1:]}) == 1


def test_it_declines_as_its_strategy_does(capsys: pytest.CaptureFixture[str]):
    called(plan(), as_json=True, cfp={**CFP, "reserve": 20})
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "declined"
    assert events[-1]["reason"] == "beyond_reserve"


def refused(answer: Callable[[Performer], Any]) -> Any:
    """Return what a performer answers to a refusal."""

    async def scene() -> Any:
        return await answer(Performer(plan(), "127.0.0.1:1", "bob", as_json=True))

    return asyncio.run(scene())


def test_a_price_in_words_is_mended(capsys: pytest.CaptureFixture[str]):
    error = llmx.Refused("SCHEMA_VIOLATION", "text", pointer="/payload/value", negotiation_id="n")
    offer = llmx.Offer("40 credits")  # type: ignore[arg-type]  # what a careless model writes
    assert refused(lambda bob: bob.on_refused(error, offer)) == llmx.Offer(40.0)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in told] == ["refused", "offer"]
    assert told[0]["pointer"] == "/payload/value" and told[0]["mended"] is True


def test_what_cannot_be_mended_is_given_up(capsys: pytest.CaptureFixture[str]):
    error = llmx.Refused("TOO_LARGE", "too big", negotiation_id="n")
    assert refused(lambda bob: bob.on_refused(error, llmx.Offer(40.0))) is None
    assert json.loads(capsys.readouterr().out)["mended"] is False


def test_a_second_verdict_is_told(capsys: pytest.CaptureFixture[str]):
    """The library keeps it from handlers; whoever watches the exchange wants to know."""

    async def scene() -> None:
        bob = Performer(plan(), "127.0.0.1:1", "bob", as_json=True)
        for number in (1, 2):
            bob._deliver(
                Envelope(
                    msg_id=f"m-{number}",
                    act=Act.ACT_REJECT,
                    negotiation_id="n-1",
                    payload=b"{}",
                )
            )

    asyncio.run(scene())
    assert json.loads(capsys.readouterr().out)["event"] == "verdict_again"
