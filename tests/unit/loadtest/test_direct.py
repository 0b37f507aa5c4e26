"""A message that does not come fails the errand; tests of `hops` let them come."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadtest import direct
from loadtest.clusters import cluster
from loadtest.conducting import RoundsFailed
from loadtest.direct import Direct, Errand

pytestmark = pytest.mark.slow

ERRAND = Errand("t", in_flight=4, seconds=0.2, warm_up_seconds=0.05)


def test_a_message_that_is_refused_fails_the_errand_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "STALL_SECONDS_MAX", 0.1)
    monkeypatch.setattr(direct, "SCHEMA", "https://llm-x.org/schemas/v1/Nothing.json")

    async def scenario() -> None:
        with cluster(tmp_path, 1, None) as alone:
            here, cpu = alone.addresses[0], alone.cpu_seconds
            await Direct(here, here, ERRAND, alone.token_of, cpu, alone.told).run()

    with pytest.raises(RoundsFailed, match="4 of 4 messages never came; "):
        asyncio.run(scenario())
