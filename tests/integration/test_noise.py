"""Thousands of messages that are nearly right: none may end a stream, or the gateway.

The noise comes from a seed, so a failure comes again. What it found has become a test with a
name elsewhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from llmx.v1.envelope_pb2 import Act
from llmx.v1.exchange_service_pb2 import ExchangeRequest, RequestBatch
from tests.support.raw_agent import NEGOTIATION, Crowd, RawAgent

pytestmark = pytest.mark.slow

ODD_VALUES: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, -(2**63), 2**64 - 1, 0.0, -0.0, 1e308, -1e308, 5e-324),
    *("", "x", "\x00", "💥" * 50, "a" * 5000, "accepted", "rejected", "agent://x", "1e9", "NaN"),
    *([], {}, [[]], [1, "x", None], {"": ""}, {"profile": "low"}, {"a": {"b": {"c": []}}}),
    *("2026-11-21T08:00Z", "9999-12-31T23:59:60Z", "0001-01-01T00:00+23:59"),
    *("value / 0", "min()", "value if value > 1 else 0", "((((((value))))))", "conditions.x.y.z"),
)
FIELDS = (
    *("act", "reply_within", "deadline", "round", "task", "constraints", "policy", "decider"),
    *("decide_within", "direction", "utility", "reserve", "max_awards", "confirm_within"),
    *("report_within", "protocol", "durable", "text", "value", "timestamp", "valid_for"),
    *("revocable", "terms", "conditions", "offer_id", "decision", "price", "reason", "award"),
    *("result", "done", "$schema", "unheard"),
)
GOOD: dict[Act, dict[str, object]] = {
    Act.ACT_CFP: {"reply_within": 5},
    Act.ACT_OFFER: {"value": 10},
    Act.ACT_COUNTER: {"offer_id": "o", "value": 1},
    Act.ACT_ACCEPT: {"offer_id": "o", "decision": "accepted"},
    Act.ACT_REJECT: {"decision": "rejected"},
    Act.ACT_CONFIRM: {"offer_id": "o"},
    Act.ACT_REFUSE: {},
    Act.ACT_NOT_UNDERSTOOD: {},
    Act.ACT_CANCEL: {},
    Act.ACT_INFORM: {"done": True},
    Act.ACT_FAILURE: {"reason": "r"},
}


def mutated(noise: random.Random, frame: bytes) -> bytes:
    """Return a frame with a few bytes changed, lost, doubled or exchanged."""
    changed = bytearray(frame)
    for _ in range(noise.randint(1, 6)):
        if not changed:
            break
        at = noise.randrange(len(changed))
        match noise.randrange(4):
            case 0:
                changed[at] = noise.randrange(256)
            case 1:
                del changed[at : at + noise.randint(1, 9)]
            case 2:
                changed[at:at] = changed[at : at + noise.randint(1, 30)]
            case _:
                changed[at] ^= 1 << noise.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
async def test_frames_with_broken_bytes_end_no_stream(crowd: Crowd, seed: int) -> None:
    noise = random.Random(seed)
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    (carol,) = await crowd.contractors("carol")
    alice.numbers_frames = False
    for _ in range(15):
        for _ in range(20):
            act = noise.choice(list(GOOD))
            header = {"recipients": [crowd.topic()], "negotiation_id": "local.0.x"}
            envelope = alice.envelope(act, GOOD[act], ttl=9, in_reply_to="m", **header)
            alice.number += 1
            batch = RequestBatch(envelopes=[envelope, envelope], acked_msg_ids=["m1", "m2"])
            # The number stays right: a gap in the numbers is meant to end a stream.
            number = ExchangeRequest(number=alice.number).SerializeToString()
            broken = mutated(noise, ExchangeRequest(batch=batch).SerializeToString())
            await alice.write_bytes(number + broken)
        await alice.is_served()
    await works(bob, carol, crowd)


async def works(alice: RawAgent, carol: RawAgent, crowd: Crowd) -> None:
    """Expect that a round comes to its end."""
    opened = await alice.call_for(crowd.topic(), policy="low")
    await carol.offer(opened.negotiation_id, 10)
    assert (await alice.outcome(opened.negotiation_id))["state"] == "committed"


def odd(noise: random.Random, fields: dict[str, object]) -> dict[str, object]:
    """Return a payload with a few fields that are odd, and perhaps one missing."""
    odd_fields = dict(fields)
    for _ in range(noise.randint(1, 3)):
        odd_fields[noise.choice(FIELDS)] = noise.choice(ODD_VALUES)
    if noise.random() < 0.1:
        odd_fields.pop(noise.choice(list(odd_fields)))
    return odd_fields


def valid(noise: random.Random) -> dict[str, object]:
    """Return a call of any kind that a call can be."""
    choices: dict[str, Callable[[], object]] = {
        "policy": lambda: {
            "profile": noise.choice(["low", "medium", "high", "proto/low", "paper-replay/medium"]),
            "select": noise.choice(["first", "best", "vickrey"]),
            "confirm": noise.random() < 0.5,
            "late": noise.choice(["reject", "record"]),
            "counts": noise.choice(["valid", "any"]),
            "quorum": noise.choice([0, 1, 2, 0.5, "all", 100_000]),
            "final": noise.choice(["required", "optional"]),
            "settle": noise.choice([0, 0.01]),
        },
        "decider": lambda: noise.choice(["engine", "initiator"]),
        "utility": lambda: noise.choice(["-value", "value / 0", "value * 1e30 / 1e-30", "terms.x"]),
        "reserve": lambda: noise.choice([0, 10, 1e308, -1e308]),
        "max_awards": lambda: noise.choice([1, 2, 64]),
        "report_within": lambda: noise.choice([0.01, 20]),
        "direction": lambda: noise.choice(["procure", "allocate"]),
        "decide_within": lambda: noise.choice([0.01, 20]),
        "confirm_within": lambda: noise.choice([0.01, 20]),
    }
    names = noise.sample(sorted(choices), noise.randint(0, 5))
    if "policy" in names:  # a Vickrey auction takes none of the three
        names = [name for name in names if name not in ("utility", "decider", "max_awards")]
    within = noise.choice([5, 0.02, 1e-3, 86400])
    return {"reply_within": within, **{name: choices[name]() for name in names}}


@pytest.mark.parametrize("seed", range(4))
async def test_acts_of_every_kind_in_any_order_with_odd_content_end_no_stream(
    crowd: Crowd, seed: int
) -> None:
    noise = random.Random(seed)
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    for _ in range(40):
        call = alice.cfp(crowd.topic(), **valid(noise))
        await alice.send(call)
        opened = await alice.opened(call.msg_id)
        offers: list[str] = ["o"]
        for _ in range(12):
            agent = noise.choice([alice, bob, bob, carol, carol])
            act = noise.choice([Act.ACT_OFFER, *GOOD])
            fields = GOOD[act] if noise.random() < 0.5 else odd(noise, GOOD[act])
            if "offer_id" in fields:
                fields = {**fields, "offer_id": noise.choice(offers)}
            payload = json.dumps({"$schema": NEGOTIATION, **fields}).encode()
            header = {"negotiation_id": opened.negotiation_id, "recipients": [crowd.topic()]}
            envelope = agent.envelope(act, payload, **header)
            if act == Act.ACT_OFFER:
                offers.append(envelope.msg_id)
            await agent.send(envelope)
        for agent in (alice, bob, carol):
            await agent.is_served()
    dave, erin = await crowd.open("dave"), await crowd.open("erin", topics=[crowd.topic("other")])
    opened = await dave.call_for(crowd.topic("other"), policy="low")
    await erin.offer(opened.negotiation_id, 10)
    assert (await dave.outcome(opened.negotiation_id))["state"] == "committed"
