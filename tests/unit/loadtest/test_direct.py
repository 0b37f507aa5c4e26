"""A message is timed from alice to bob, and one that does not come fails the errand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadtest import direct
from loadtest.clusters import Wire, cluster
from loadtest.direct import Direct, Errand, Ran
from loadtest.rounds import RoundsFailed

pytestmark = pytest.mark.slow

ERRAND = Errand("t", in_flight=4, seconds=0.2, warm_up_seconds=0.05)


def ran_between(folder: Path, gateways: int, errand: Errand, **settings: object) -> Ran:
    async def scenario() -> Ran:
        with cluster(folder, gateways, None, wire=Wire.UNIX, **settings) as those:
            await those.formed()
            first, last = those.addresses[0], those.addresses[-1]
            cpu = those.cpu_seconds
            return await Direct(first, last, errand, those.token_of, cpu, those.told).run()

    return asyncio.run(scenario())


def test_messages_between_two_gateways_are_counted_and_timed(tmp_path: Path) -> None:
    ran = ran_between(tmp_path, 2, ERRAND)
    assert len(ran.latencies) > ERRAND.in_flight
    assert 0 < min(ran.latencies) <= max(ran.latencies) < 10
    assert ran.seconds >= ERRAND.seconds
    assert ran.cpu_seconds > 0


def test_a_message_that_is_refused_fails_the_errand_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "STALL_SECONDS_MAX", 0.1)
    monkeypatch.setattr(direct, "SCHEMA", "https://llm-x.org/schemas/v1/Nothing.json")
    with pytest.raises(RoundsFailed, match="4 of 4 messages never came; "):
        ran_between(tmp_path, 1, ERRAND)
