"""An award of a gateway with a ledger: written, told, paid, given back."""

from __future__ import annotations

import orjson
import pytest
from structlog.testing import capture_logs

from llmx.v1.envelope_pb2 import Act, Envelope
from policy.auction import commitment
from policy.states import Phase
from tests.support.gateway_parts import Parts, envelope, received, stream_of
from tests.support.market_parts import Cast, bid, cfp, market


async def test_an_award_is_told_when_units_are_locked_and_credit_is_paid() -> None:
    """N-7.7: all of it is one commit."""
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 8)
        cast = Cast(here)
        here.store.asked.clear()
        negotiation_id = cast.call()
        here.store.open.clear()
        cast.offer(negotiation_id, 30, 40)
        await here.look()
        assert cast.state(negotiation_id).phase is Phase.SETTLING
        assert cast.heard(cast.alice) == cast.heard(cast.bob) == []
        here.store.open.set()
        await here.settle()
        assert cast.heard(cast.bob) == ["accepted at 30"]
        assert cast.heard(cast.carol) == ["rejected: outbid"]
        assert cast.heard(cast.alice) == ["committed: bob"]
        assert await here.credit("alice") == (70, 0)
        assert await here.booked("gpu") == [("alice", 4, 1)]
        assert len(here.store.asked) == 1
        assert not here.settlement._known


async def test_the_next_best_wins_where_the_best_has_no_units_left() -> None:
    """N-7.9: each offers units of its own."""
    async with market() as here:
        await here.resource("gpu/bob", 3)
        await here.resource("gpu/carol", 4)
        cast = Cast(here)
        negotiation_id = cast.call(credit=None)
        for member, name, value in ((cast.bob, "bob", 30), (cast.carol, "carol", 40)):
            received(member)
            terms = {"resource": f"gpu/{name}"}
            assert here.parts.admit(member, bid(name, negotiation_id, value, terms=terms))
        await here.settle()
        assert cast.heard(cast.bob) == ["rejected: RESOURCE_GONE"]
        assert cast.heard(cast.carol) == ["accepted at 40"]
        assert cast.heard(cast.alice) == ["committed: carol"]
        assert await here.booked("gpu/bob") == []


async def test_a_budget_ends_a_call_and_says_when_it_begins_anew() -> None:
    """N-7.6: what the initiator may spend in an hour is spent."""
    async with market() as here:
        await here.give("alice", 100)
        await here.budget("agent://alice", 20)
        cast = Cast(here)
        negotiation_id = cast.call(resources=None)
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        rejections = [orjson.loads(one.payload) for one in received(cast.bob)]
        assert rejections[0]["reason"] == "BUDGET_EXHAUSTED"
        assert rejections[0]["retry_at"] == (here.parts.now // 3600 + 1) * 3600
        assert cast.heard(cast.alice) == ["no_award:"]
        assert await here.credit("alice") == (100, 0)


@pytest.mark.parametrize("body", [{}, {"project": "vision"}])
async def test_who_has_no_credit_or_no_budget_can_award_nothing(body: dict[str, str]) -> None:
    async with market() as here:
        await here.give("alice", 0.5 if not body else 100)
        cast = Cast(here)
        negotiation_id = cast.call(resources=None, credit=body)
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        assert cast.heard(cast.bob) == ["rejected: BUDGET_EXHAUSTED"]


async def test_the_price_counts_in_the_budgets_of_payer_and_project() -> None:
    async with market() as here:
        await here.give("alice", 100)
        await here.budget("agent://alice", 50)
        await here.budget("vision", 60, None)
        cast = Cast(here)
        negotiation_id = cast.call(resources=None, credit={"project": "vision"})
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        for name in ("agent://alice", "project:vision"):
            use = await here.store.budget(f"acme|{name}", here.parts.now)
            assert use is not None and use.used == 30_000_000
        assert await here.credit("alice") == (70, 0)


@pytest.mark.parametrize(
    ("given", "code", "subject", "detail"),
    [
        ({"credit": {"project": "x"}}, "BUDGET_UNKNOWN", "project:x", "there is no such budget"),
        ({"credit": {}}, "CREDIT_SHORT", "agent://alice", "30 credits are wanted, 20 available"),
    ],
)
async def test_why_the_ledger_refuses_an_award_is_logged_and_told_to_the_initiator(
    given: dict[str, object], code: str, subject: str, detail: str
) -> None:
    """What there is of somebody's credit is for the operator alone."""
    async with market() as here:
        await here.give("alice", 100 if given["credit"] else 20)
        cast = Cast(here)
        negotiation_id = cast.call(resources=None, **given)
        cast.offer(negotiation_id, 30, 40)
        with capture_logs() as logs:
            await here.settle()
        told = [line for line in logs if line["event"] == "the ledger refuses an award"]
        assert [(line["code"], line["subject"]) for line in told] == [(code, f"acme|{subject}")]
        assert told[0]["detail"].startswith(detail)
        assert told[0]["key"] == f"settle:{negotiation_id}/1"
        [outcome] = [
            body["outcome"]
            for one in received(cast.alice)
            if "outcome" in (body := orjson.loads(one.payload))
        ]
        assert (outcome["reason"], outcome["detail"]) == (
            "BUDGET_EXHAUSTED",
            f"{code}: {subject}",
        )


def report(name: str, negotiation_id: str, *, done: bool) -> Envelope:
    return envelope(
        name,
        Act.ACT_INFORM,
        msg_id=f"{name}-report",
        negotiation_id=negotiation_id,
        body={"result": {}, "done": done},
    )


async def test_held_credit_is_paid_and_units_are_free_when_the_work_is_done() -> None:
    """N-7.3: a hold ends once."""
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call(report_within=60)
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        assert await here.credit("alice") == (70, 30)
        assert here.settlement.has_decided(negotiation_id)
        assert here.parts.admit(cast.bob, report("bob", negotiation_id, done=True))
        await here.settle()
        assert await here.credit("alice") == (70, 0)
        assert await here.booked("gpu") == []
        assert not here.settlement._known


async def test_everything_goes_back_when_the_work_fails() -> None:
    """N-7.4: after the end nothing is held."""
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call(report_within=60)
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        assert here.parts.admit(cast.bob, report("bob", negotiation_id, done=False))
        await here.settle()
        assert await here.credit("alice") == (100, 0)
        assert await here.booked("gpu") == []


async def test_a_winner_that_does_not_confirm_gives_back_what_the_next_best_gets() -> None:
    async with market() as here:
        await here.give("alice", 100)
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call(policy={"profile": "high", "confirm": True})
        cast.offer(negotiation_id, 30, 40)
        await here.settle()
        assert cast.heard(cast.bob) == ["accepted at 30"]
        assert await here.credit("alice") == (70, 30)
        assert not here.settlement.has_decided(negotiation_id)
        here.parts.now += 10
        await here.settle()
        assert cast.heard(cast.carol) == ["accepted at 40"]
        assert await here.credit("alice") == (60, 40)
        body = {"offer_id": f"carol-{negotiation_id[-27:-11]}"}
        confirm = envelope(
            "carol", Act.ACT_CONFIRM, msg_id="yes", negotiation_id=negotiation_id, body=body
        )
        assert here.parts.admit(cast.carol, confirm)
        await here.settle()
        assert cast.heard(cast.alice) == ["committed: carol"]
        assert await here.credit("alice") == (60, 0)
        assert [who for who, _, _ in await here.booked("gpu")] == ["alice"]


async def test_an_offer_holds_its_units_against_everybody_else() -> None:
    """N-7.9: an accepted offer cannot fail for lack of stock."""
    async with market() as here:
        await here.resource("gpu", 6)
        cast = Cast(here)
        first = cast.call(credit=None)
        received(cast.bob)
        assert here.parts.admit(cast.bob, bid("bob", first, 30, hold=True, valid_for=60))
        await here.settle()
        assert await here.booked("gpu") == [("alice", 4, 0)]
        second = cast.call(credit=None, msg_id="second")
        cast.offer(second, 30, 40)
        await here.settle()
        assert cast.heard(cast.alice) == ["no_award:"], "two units are left, and four are asked for"
        assert cast.heard(cast.carol) == ["rejected: RESOURCE_GONE"]
        received(cast.carol)
        assert here.parts.admit(cast.carol, bid("carol", first, 40))
        here.parts.now += 3
        await here.settle()
        assert cast.heard(cast.alice) == ["committed: bob"]
        assert await here.booked("gpu") == [("alice", 4, 1)]


async def test_an_offer_whose_units_are_taken_hears_so_at_once() -> None:
    async with market() as here:
        await here.resource("gpu", 4)
        cast = Cast(here)
        negotiation_id = cast.call(credit=None)
        received(cast.bob), received(cast.carol)
        assert here.parts.admit(cast.bob, bid("bob", negotiation_id, 30, hold=True))
        await here.settle()
        assert here.parts.admit(cast.carol, bid("carol", negotiation_id, 20, hold=True))
        await here.settle()
        # Her offer closed the round and was the best; but bob holds the units.
        assert cast.heard(cast.carol) == ["rejected: RESOURCE_GONE"]
        assert cast.heard(cast.bob) == ["accepted at 30"]
        assert not here.settlement._known


async def test_a_sealed_bid_holds_its_units_from_when_it_is_revealed() -> None:
    """N-7.9: somebody else cannot have them while the others reveal."""
    async with market() as here:
        await here.resource("gpu", 6)
        cast = Cast(here)
        sealed = {"price": "first", "commit": True, "reveal_within": 5}
        first = cast.call(credit=None, policy=None, protocol="sealed-bid", sealed=sealed)
        nonce = bytes(32)
        for name, member in (("bob", cast.bob), ("carol", cast.carol)):
            promise = commitment(nonce, {"value": 30 if name == "bob" else 40})
            body = {"commitment": promise}
            received(member)
            made = envelope(
                name, Act.ACT_OFFER, negotiation_id=first, msg_id=f"{name}-1", body=body
            )
            assert here.parts.admit(member, made)
        await here.settle()
        assert await here.booked("gpu") == []
        opened = bid("bob", first, 30, hold=True, nonce=nonce.hex())
        assert here.parts.admit(cast.bob, opened)
        await here.settle()
        assert await here.booked("gpu") == [("alice", 4, 0)], "softly: it has no fencing number"
        second = cast.call(credit=None, msg_id="second")
        cast.offer(second, 30, 40)
        await here.settle()
        assert cast.heard(cast.alice) == ["no_award:"], "two units are left, and four are asked for"
        assert here.parts.admit(cast.carol, bid("carol", first, 40, nonce=nonce.hex()))
        await here.settle()
        assert cast.heard(cast.alice) == ["committed: bob"]
        assert await here.booked("gpu") == [("alice", 4, 1)]


async def test_an_award_that_costs_and_locks_nothing_needs_no_store() -> None:
    async with market() as here:
        here.store.memory.is_away = True
        cast = Cast(here)
        confirm = {"profile": "high", "confirm": True}
        negotiation_id = cast.call(resources=None, credit={"payer": "winner"}, policy=confirm)
        cast.offer(negotiation_id, 0, 1)
        await here.look()
        assert cast.heard(cast.bob) == ["accepted at 0"]


def test_a_gateway_without_a_ledger_refuses_a_call_that_needs_one() -> None:
    parts = Parts()
    alice = parts.join("alice")
    parts.join("bob")
    parts.admit(alice, cfp("alice", "bob"))
    assert stream_of(alice).codes() == ["STORE_UNAVAILABLE"]
