"""What an agent owes as a contractor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

import llmx
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

GPU: dict[str, Any] = {"task": {"gpus": 4}, "reply_within": 5}


def sent(gateway: TinyGateway, act: Act) -> list[dict[str, Any]]:
    return [json.loads(e.payload) for e in gateway.received if e.act == act]


async def test_winner_and_loser_both_hear_the_verdict(agent: AgentMaker):
    verdicts: dict[str, llmx.Verdict] = {}
    both = asyncio.Event()

    class Bidder(llmx.Agent):
        async def on_cfp(self, call: llmx.Call) -> llmx.Offer:
            return call.offer(value=40 if self.agent_id == "agent://bob" else 50)

        async def on_outcome(self, verdict: llmx.Verdict) -> None:
            verdicts[self.agent_id] = verdict
            if len(verdicts) == 2:
                both.set()

    async with TinyGateway() as gateway:
        bob = Bidder("agent://bob", gateway.address, token="b", topics=["gpu"])
        carol = Bidder("agent://carol", gateway.address, token="c", topics=["gpu"])
        async with bob, carol, agent("alice", gateway.address) as alice:
            await alice.call(GPU, to="topic://gpu")
            await both.wait()
    won, lost = verdicts["agent://bob"], verdicts["agent://carol"]
    assert (won.won, won.price, won.offer.value) == (True, 40, 40)
    assert (lost.won, lost.reason, lost.offer.value) == (False, "outbid", 50)
    assert won.offer_id != lost.offer_id


async def test_a_handler_that_raises_answers_not_understood_and_is_logged(
    agent: AgentMaker, caplog: pytest.LogCaptureFixture
):
    async with TinyGateway() as gateway:
        bob, carol = (agent(name, gateway.address, topics=["gpu"]) for name in ("bob", "carol"))

        @bob.on_cfp
        async def broken(call: llmx.Call) -> llmx.Offer:
            raise RuntimeError("oops")

        @carol.on_cfp
        def broken_at_once(call: llmx.Call) -> llmx.Offer:
            raise RuntimeError("oops")

        with caplog.at_level(logging.ERROR, "llmx"):
            async with bob, carol, agent("alice", gateway.address) as alice:
                outcome = await alice.call(GPU, to="topic://gpu")
                again = await alice.call(GPU, to="topic://gpu")  # the sessions live on
    assert (outcome.state, again.state) == ("no_award", "no_award")
    assert len(sent(gateway, Act.ACT_NOT_UNDERSTOOD)) == 4
    assert outcome.negotiation_id in caplog.text


async def test_a_handler_that_is_cancelled_by_nobody_answers_not_understood(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob, carol = (agent(name, gateway.address, topics=["gpu"]) for name in ("bob", "carol"))

        @bob.on_cfp
        async def broken(call: llmx.Call) -> llmx.Offer:
            raise asyncio.CancelledError

        @carol.on_cfp
        def broken_at_once(call: llmx.Call) -> llmx.Offer:
            raise asyncio.CancelledError

        async with bob, carol, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu")
            again = await alice.call(GPU, to="topic://gpu")  # the sessions live on
    assert (outcome.state, again.state) == ("no_award", "no_award")
    assert len(sent(gateway, Act.ACT_NOT_UNDERSTOOD)) == 4


async def test_work_that_is_cancelled_by_nobody_is_reported_as_a_failure(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))

        @bob.on_award
        async def work(verdict: llmx.Verdict) -> None:
            raise asyncio.CancelledError

        async with (
            bob,
            agent("alice", gateway.address) as alice,
            alice.negotiate(GPU | {"report_within": 1}, to="topic://gpu") as n,
        ):
            async for _ in n:
                pass
            reports = await n.reports()
    assert [(report.succeeded, report.reason) for report in reports] == [
        (False, "HandlerCancelled")
    ]


@pytest.mark.parametrize("answer", [40, {"value": 40}])
async def test_an_answer_of_another_kind_is_not_understood(agent: AgentMaker, answer: object):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: answer)
        async with bob, agent("alice", gateway.address) as alice:
            await alice.call(GPU, to="topic://gpu")
    assert sent(gateway, Act.ACT_NOT_UNDERSTOOD)


@pytest.mark.parametrize(("answer", "reason"), [(None, None), (llmx.Refusal("busy"), "busy")])
async def test_refusing_is_an_answer(agent: AgentMaker, answer: object, reason: str | None):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: answer)
        async with bob, agent("alice", gateway.address) as alice:
            await alice.call(GPU, to="topic://gpu")
    assert sent(gateway, Act.ACT_REFUSE)[0].get("reason") == reason


async def test_a_slow_handler_does_not_hold_up_another_negotiation(agent: AgentMaker):
    gate = asyncio.Event()
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])

        @bob.on_cfp
        async def quote(call: llmx.Call) -> llmx.Offer:
            if call.task == "slow":
                await gate.wait()
            return call.offer(1)

        async with (
            bob,
            agent("alice", gateway.address) as alice,
            alice.negotiate(GPU | {"task": "slow"}, to="topic://gpu") as n,
        ):
            quick = await alice.call(GPU | {"task": "quick"}, to="topic://gpu")
            assert quick.state == "committed" and not n.offers
            gate.set()
            async for _ in n:
                pass
    assert n.outcome is not None and n.outcome.state == "committed"


async def test_work_is_reported_when_the_call_asks_for_it(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))

        @bob.on_award
        async def work(verdict: llmx.Verdict) -> dict[str, str]:
            if verdict.call.task == "hard":
                raise RuntimeError("too hard")
            return {"lease": "L-17"}

        async with bob, agent("alice", gateway.address) as alice:
            reports = []
            for task in ("easy", "hard"):
                cfp = GPU | {"report_within": 5, "task": task}
                async with alice.negotiate(cfp, to="topic://gpu") as n:
                    async for _ in n:
                        pass
                    reports += await n.reports()
    assert [(report.succeeded, report.result) for report in reports] == [
        (True, {"lease": "L-17"}),
        (False, None),
    ]
    assert reports[1].reason == "RuntimeError"


@pytest.mark.parametrize("result", [datetime.now(UTC), float("nan"), {1, 2}])
async def test_a_result_that_is_not_json_is_reported_as_a_failure(
    agent: AgentMaker, result: object, caplog: pytest.LogCaptureFixture
):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        bob.on_award(lambda verdict: result)
        with caplog.at_level(logging.ERROR, "llmx"):
            async with (
                bob,
                agent("alice", gateway.address) as alice,
                alice.negotiate(GPU | {"report_within": 1}, to="topic://gpu") as n,
            ):
                async for _ in n:
                    pass
                reports = await n.reports()
                assert len(bob._contractor) == 0
    assert [(report.succeeded, report.reason) for report in reports] == [(False, "not_json")]
    assert n.negotiation_id in caplog.text


async def test_a_winner_that_cannot_work_says_so_instead_of_nothing(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        async with (
            bob,
            agent("alice", gateway.address) as alice,
            alice.negotiate(GPU | {"report_within": 5}, to="topic://gpu") as n,
        ):
            async for _ in n:
                pass
            reports = await n.reports()
    assert [(report.succeeded, report.reason) for report in reports] == [(False, "no_handler")]


@pytest.mark.parametrize(("stands", "act"), [(True, Act.ACT_CONFIRM), (False, Act.ACT_REFUSE)])
async def test_a_winner_is_asked_to_confirm(agent: AgentMaker, stands: bool, act: Act):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        bob.on_confirm(lambda verdict: stands)
        async with bob, agent("alice", gateway.address) as alice:
            await alice.call(GPU | {"confirm_within": 5}, to="topic://gpu")
            await gateway.until(lambda: gateway.received[-1].act == act)


async def test_a_winner_confirms_without_a_handler(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        async with bob, agent("alice", gateway.address) as alice:
            await alice.call(GPU | {"confirm_within": 5}, to="topic://gpu")
            await gateway.until(lambda: gateway.received[-1].act == Act.ACT_CONFIRM)


def strict(envelope: Envelope) -> Refusal | None:
    """Take only offers of 10 or more."""
    if envelope.act != Act.ACT_OFFER or json.loads(envelope.payload)["value"] >= 10:
        return None
    return Refusal(
        code=RefusalCode.REFUSAL_CODE_SCHEMA_VIOLATION, pointer="/payload/value", reason="too small"
    )


async def test_a_refused_offer_can_be_repaired(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.judge = strict
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        places: list[str] = []

        @bob.on_refused
        async def repair(refused: llmx.Refused, offer: llmx.Offer) -> llmx.Offer:
            places.append(refused.pointer)
            return llmx.Offer(offer.value + 5)

        async with bob, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu")
    assert outcome.winner is not None and outcome.winner.value == 11
    assert places == ["/payload/value"] * 2


async def test_repairing_ends_after_two_attempts_with_a_refusal(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.judge = strict
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        bob.on_refused(lambda refused, offer: offer)
        async with bob, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu")
    assert outcome.state == "no_award"
    assert len(sent(gateway, Act.ACT_OFFER)) == 3
    assert sent(gateway, Act.ACT_REFUSE)[0]["reason"] == "offer_invalid"


async def test_an_offer_that_came_too_fast_is_sent_again_later(agent: AgentMaker):
    async with TinyGateway() as gateway:
        refusals = 0

        def hurried(envelope: Envelope) -> Refusal | None:
            nonlocal refusals
            if envelope.act != Act.ACT_OFFER or refusals:
                return None
            refusals += 1
            refusal = Refusal(code=RefusalCode.REFUSAL_CODE_RATE_EXCEEDED, reason="too fast")
            refusal.retry_after.FromMilliseconds(5)
            return refusal

        gateway.judge = hurried
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(40))
        async with bob, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu")
    assert outcome.winner is not None and outcome.winner.value == 40


async def test_nothing_is_kept_of_a_negotiation_that_is_over(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(1))
        over = asyncio.Event()
        bob.on_outcome(lambda verdict: over.set())
        async with bob, agent("alice", gateway.address) as alice:
            await alice.call(GPU, to="topic://gpu")
            await over.wait()
            assert len(bob._contractor) == 0
            assert not alice._reception._negotiations


async def test_an_award_that_an_heir_tells_again_is_not_told_to_the_author_again(agent: AgentMaker):
    """The gateway that made it was lost; its heir is called again, and finds the award."""
    asked: list[str] = []
    verdicts: list[llmx.Verdict] = []
    over = asyncio.Event()

    def offer(call: llmx.Call) -> llmx.Offer:
        asked.append(call.negotiation_id)
        return call.offer(7)

    def hear(verdict: llmx.Verdict) -> None:
        verdicts.append(verdict)
        over.set()

    first = TinyGateway()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(first)
        bob, alice = agent("bob", first.address, topics=["gpu"]), agent("alice", first.address)
        bob.on_cfp(offer)
        bob.on_outcome(hear)
        await stack.enter_async_context(bob)
        await stack.enter_async_context(alice)
        await alice.call(GPU, to="topic://gpu")
        await over.wait()
        await first._server.stop(0)
        second = await stack.enter_async_context(TinyGateway(first.port))
        await second.until(lambda: len(second.members) == 2)
        (call,) = [one for one in first.received if one.act == Act.ACT_CFP]
        call.negotiation_id = ""
        alice._session.post(call, repeated=True)
        await second.until(lambda: len(sent(second, Act.ACT_OFFER)) == 1)
        await second.until(lambda: not second.members["agent://bob"].unacked)
        await bob.send("agent://alice", "what came before is handled")
    assert [verdict.won for verdict in verdicts] == [True]
    assert len(asked) == 1


async def test_an_award_of_the_gateway_that_was_only_slow_counts_and_its_other_words_do_not(
    agent: AgentMaker,
):
    """The call had been opened again elsewhere; whoever writes the award first has made it."""
    verdicts: list[llmx.Verdict] = []
    over = asyncio.Event()

    def hear(verdict: llmx.Verdict) -> None:
        verdicts.append(verdict)
        over.set()

    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        bob.on_cfp(lambda call: call.offer(7))
        bob.on_outcome(hear)
        async with bob, agent("alice", gateway.address) as alice:

            def tell(act: Act, negotiation_id: str, msg_id: str, **body: Any) -> None:
                told = Envelope(
                    msg_id=msg_id,
                    sender="agent://alice" if act == Act.ACT_CFP else "gateway://tiny",
                    act=act,
                    negotiation_id=negotiation_id,
                    payload=json.dumps(body).encode(),
                )
                gateway.deliver("agent://bob", told)

            for owner in ("slow.0.1", "heir.0.1"):
                tell(Act.ACT_CFP, owner, "call", **GPU)
            await gateway.until(lambda: len(sent(gateway, Act.ACT_OFFER)) == 2)
            tell(Act.ACT_REJECT, "slow.0.1", "no", decision="rejected", reason="no_offers")
            tell(Act.ACT_ACCEPT, "slow.0.1", "yes", decision="accepted", price=7)
            tell(Act.ACT_ACCEPT, "heir.0.1", "again", decision="accepted", price=7)
            await over.wait()
            await gateway.until(lambda: not gateway.members["agent://bob"].unacked)
            await alice.send("agent://bob", "what came before is handled")
            assert [(one.won, one.negotiation_id) for one in verdicts] == [(True, "slow.0.1")]
            tell(Act.ACT_CANCEL, "slow.0.1", "off", reason="superseded")
            await gateway.until(lambda: gateway.acked["off"] == 1)
            await gateway.until(lambda: len(verdicts) >= 2)
    assert (verdicts[1].won, verdicts[1].reason) == (False, "superseded")
