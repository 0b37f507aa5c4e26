"""An award whose store is slow, away, or has another award of the same call."""

from __future__ import annotations

import asyncio
from typing import Any

from llmx.v1.envelope_pb2 import Act, Envelope
from policy.memory_store import Memory
from tests.support.gateway_parts import envelope
from tests.support.market_parts import Cast, SlowStore, market, owner


def cancel(negotiation_id: str) -> Envelope:
    return envelope("alice", Act.ACT_CANCEL, msg_id="stop", negotiation_id=negotiation_id, body={})


async def test_a_cancellation_while_the_store_is_asked_undoes_what_it_writes() -> None:
    """Paid already, so it is given back; and the call may be awarded again."""
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call()
        here.store.open.clear()
        cast.offer(negotiation_id, 30, 40)
        await here.look()
        assert here.parts.admit(cast.alice, cancel(negotiation_id))
        here.store.open.set()
        await here.settle()
        assert cast.heard(cast.alice) == ["cancelled:"]
        assert await here.credit("alice") == (100, 0)
        assert await here.booked("gpu") == []
        assert not here.settlement._known


async def test_a_store_that_is_away_for_too_long_ends_the_negotiation_and_forgets_the_award() -> (
    None
):
    """An award that may be written later is called off before."""
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call(settle_within=5)
        here.store.memory.is_away = True
        cast.offer(negotiation_id, 30, 40)
        await here.look()
        here.parts.now += 5
        here.parts.run()
        assert cast.heard(cast.alice) == ["no_award:"]
        assert cast.heard(cast.bob) == ["rejected: not_settled"]
        here.store.memory.is_away = False
        await here.settle()
        assert await here.credit("alice") == (100, 0)
        assert await here.booked("gpu") == []
        assert not here.settlement._known


async def test_an_award_whose_lost_answer_comes_too_late_is_undone() -> None:
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call(settle_within=5)
        call = cast.state(negotiation_id).terms.call
        commit, here.store.open = here.store.commit, asyncio.Event()

        async def written_unheard(asked: Any) -> Any:
            here.store.open.set()
            answer = await commit(asked)
            if asked.key.startswith("settle:") and asked.changes:
                here.parts.now += 6
                here.parts.run()
                assert cast.heard(cast.alice) == ["no_award:"]
            return answer

        here.store.commit = written_unheard  # type: ignore[method-assign]
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        assert await here.credit("alice") == (100, 0)
        assert await here.booked("gpu") == []
        assert await here.store.decision(owner(here.parts).key_of(call)) is None, "opened again"


async def test_a_call_that_comes_again_after_a_crash_hears_of_the_award_that_stands() -> None:
    """N-7.10: the winner too, which the gateway that died may not have told."""
    memory = Memory()
    async with market(gateway_id="old", store=SlowStore(memory, "old")) as old:
        await old.give("alice", 100)
        await old.resource("gpu", 8)
        cast = Cast(old)
        cast.offer(cast.call(), 30, 40)
        await old.settle()
    async with market(gateway_id="new", store=SlowStore(memory, "new")) as new:
        cast = Cast(new)
        cast.offer(cast.call(), 50, 20)  # meanwhile carol is the best
        await new.settle()
        assert cast.heard(cast.bob) == ["accepted at 30"]
        assert cast.heard(cast.carol) == ["rejected: another_offer_won"]
        assert cast.heard(cast.alice) == ["committed: bob"]
        assert await new.credit("alice") == (70, 0)
        assert await new.booked("gpu") == [("alice", 4, 1)]
