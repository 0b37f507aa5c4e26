"""Calls are due at their own time, and a round is over when everybody has heard its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from llmx.v1 import envelope_pb2
from llmx.v1.exchange_service_pb2 import ResponseBatch
from llmx.v1.refusal_pb2 import REFUSAL_CODE_NO_RECIPIENTS, Refusal
from llmx.wire.v1 import frame_pb2
from loadtest import traffic
from loadtest.light_agent import LightAgent, Who
from loadtest.traffic import Group, Phase, Traffic, TrafficFailed, groups_of

MSG_ID = "g-0000001"
CALL, OFFER, ACCEPT = envelope_pb2.ACT_CFP, envelope_pb2.ACT_OFFER, envelope_pb2.ACT_ACCEPT


def _who(name: str, topics: Sequence[str], capabilities: Sequence[str]) -> Who:
    return Who(f"agent://{name}", "token", "127.0.0.1", 1, topics, capabilities)


def _tell(agent: LightAgent, act: envelope_pb2.Act, negotiation_id: str, msg_id: str = "m") -> None:
    envelope = envelope_pb2.Envelope(act=act, negotiation_id=negotiation_id, msg_id=msg_id)
    agent.take(ResponseBatch(envelopes=[envelope]))


def _sent(agent: LightAgent) -> list[envelope_pb2.Envelope]:
    batch = frame_pb2.RequestBatchBytes.FromString(b"".join(agent.pieces))
    agent.pieces.clear()
    return [envelope_pb2.Envelope.FromString(raw) for raw in batch.envelopes]


async def test_a_round_is_over_when_all_who_were_called_and_the_initiator_have_heard() -> None:
    group, phase = Group("g", 2, _who), Phase("p")
    first, second, alice = group.agents
    group.begin(1, time.perf_counter(), phase)
    assert [call.msg_id for call in _sent(alice)] == [MSG_ID]
    for contractor in (first, second):
        _tell(contractor, CALL, "n1", MSG_ID)
        (offer,) = _sent(contractor)
        assert (offer.act, offer.negotiation_id, offer.in_reply_to) == (OFFER, "n1", MSG_ID)
        _tell(contractor, ACCEPT, "n1")
    assert phase.latencies == []
    _tell(alice, envelope_pb2.ACT_INFORM, "n1")
    assert len(phase.latencies) == 1
    assert not group.open


async def test_who_listens_hears_of_each_round_and_when_its_last_offer_came() -> None:
    group, phase = Group("g", 2, _who), Phase("p")
    *contractors, alice = group.agents
    ended: list[tuple[int, float, float]] = []
    group.on_round = lambda one, now: ended.append((one.offers, one.offered_at, now))
    group.begin(1, time.perf_counter(), phase)
    for contractor in contractors:
        _tell(contractor, CALL, "n1", MSG_ID)
        _tell(alice, OFFER, "n1")
        _tell(contractor, ACCEPT, "n1")
    assert ended == []
    _tell(alice, envelope_pb2.ACT_INFORM, "n1")
    ((offers, offered_at, now),) = ended
    assert offers == 2
    assert 0 < offered_at < now


async def test_latency_counts_from_when_the_call_was_due() -> None:
    group, phase = Group("g", 1, _who), Phase("p")
    contractor, alice = group.agents
    group.begin(1, time.perf_counter() - 3.0, phase)
    _tell(contractor, CALL, "n1", MSG_ID)
    _tell(contractor, ACCEPT, "n1")
    _tell(alice, envelope_pb2.ACT_INFORM, "n1")
    assert 3.0 <= phase.latencies[0] < 4.0


async def test_a_call_that_comes_twice_is_offered_to_once() -> None:
    group, phase = Group("g", 1, _who), Phase("p")
    contractor, _ = group.agents
    group.begin(1, 0.0, phase)
    for _ in range(2):
        _tell(contractor, CALL, "n1", MSG_ID)
    assert len(_sent(contractor)) == 1
    assert phase.repeats == 1


async def test_what_was_open_when_the_gateway_was_lost_is_called_again() -> None:
    group, phase = Group("g", 1, _who), Phase("p")
    contractor, alice = group.agents
    group.begin(1, 0.0, phase)
    _tell(contractor, CALL, "n1", MSG_ID)
    _sent(alice)
    assert alice.on_welcome is not None
    alice.on_welcome(True)
    assert _sent(alice) == []
    alice.on_welcome(False)
    assert [call.msg_id for call in _sent(alice)] == [MSG_ID]
    assert phase.called_again == 1
    _tell(contractor, CALL, "n2", MSG_ID)
    _tell(contractor, ACCEPT, "n1")
    _tell(contractor, ACCEPT, "n2")
    _tell(alice, envelope_pb2.ACT_INFORM, "n2")
    assert len(phase.latencies) == 1


async def test_a_refused_call_is_counted_by_its_code() -> None:
    group = Group("g", 1, _who)
    _, alice = group.agents
    group.begin(1, 0.0, Phase("p"))
    refusal = Refusal(code=REFUSAL_CODE_NO_RECIPIENTS, msg_id=MSG_ID)
    alice.take(ResponseBatch(refusals=[refusal]))
    assert group.refused == {"NO_RECIPIENTS": 1}


async def test_calls_are_due_whatever_became_of_those_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody answers here, and yet one call follows the other, up to a bound that is told."""
    monkeypatch.setattr(traffic, "ROUNDS_OPEN_MAX", 20)
    calls = Traffic([Group("g", 1, _who)], rounds_per_second=2_000.0, seed=7)
    phase = calls.measure("p")
    with pytest.raises(TrafficFailed, match="20 rounds are open"):
        await calls.run()
    assert calls.open_count == phase.due == phase.figures()["unfinished"] == 20


async def test_nothing_is_due_while_the_traffic_rests() -> None:
    calls = Traffic([Group("g", 1, _who)], rounds_per_second=10_000.0, seed=7)
    phase = calls.measure("p")
    calls.rest()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await calls.run()
    await calls.drained(seconds_max=1.0)
    assert phase.due == calls.open_count == 0


@pytest.mark.parametrize(("agents", "groups"), [(500, 40), (7, 3), (4, 2)])
def test_agents_are_spread_evenly_over_their_groups(agents: int, groups: int) -> None:
    sizes = [len(group.agents) for group in groups_of(agents, groups, _who)]
    assert (sum(sizes), len(sizes)) == (agents, groups)
    assert max(sizes) - min(sizes) <= 1


def test_a_group_needs_somebody_to_call() -> None:
    with pytest.raises(ValueError, match="need 6 agents"):
        groups_of(5, 3, _who)


def test_figures_are_percentiles_in_milliseconds_and_counts() -> None:
    phase = Phase("p", latencies=[0.001 * n for n in range(1, 101)], lags=[0.002], due=102)
    figures = phase.figures()
    assert (figures["rounds"], figures["unfinished"]) == (100, 2)
    assert figures["p50_ms"] == pytest.approx(50)
    assert figures["p99_ms"] == pytest.approx(99)
    assert figures["own_lag_p99_ms"] == pytest.approx(2)
