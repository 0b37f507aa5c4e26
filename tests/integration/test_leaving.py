"""Agents that leave: those that say so are not waited for."""

from __future__ import annotations

from llmx.v1.envelope_pb2 import Act
from tests.support.raw_agent import Crowd


async def test_an_open_round_does_not_wait_for_a_contractor_that_closed_its_stream(
    crowd: Crowd,
) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    opened = await alice.call_for(crowd.topic(), reply_within=60)
    await bob.offer(opened.negotiation_id, 3)
    await carol.message(Act.ACT_CFP)
    await carol.call.done_writing()
    outcome = await alice.outcome(opened.negotiation_id)
    assert (outcome["state"], outcome["offers"], outcome["complete"]) == ("committed", 1, False)


async def test_who_closed_its_stream_is_called_no_more(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    await carol.call.done_writing()
    assert (await carol.end()).code.name == "OK"
    opened = await alice.call_for(crowd.topic(), reply_within=60)
    assert list(opened.eligible) == [bob.address]
