"""A protocol of somebody's own is one module and one setting, as the example shows."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import llmx
from gateway.commands.replay import replay
from llmx.v1.envelope_pb2 import Act
from tests.support.gateways import ROOT, Gateway, environment, known_issuer, launched
from tests.support.raw_agent import Crowd, refused

FOLDER = ROOT / "examples" / "dutch_auction"
CLOCK = {"start": 100, "floor": 20, "step": 10, "every": 0.01}
CALL = json.loads((FOLDER / "flowers.json").read_text("utf-8")) | {"options": CLOCK}


def module(name: str) -> ModuleType:
    """Return a module of the example."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # where the gateway's settings find it
    spec.loader.exec_module(loaded)
    return loaded


@contextmanager
def serving(folder: Path) -> Iterator[Gateway]:
    """Run a gateway that speaks the protocol of the example."""
    path = environment(folder)["PYTHONPATH"]
    settings = {
        "engine__protocols": "dutch_auction:PROTOCOL",
        "engine__records": folder / "r.jsonl",
    }
    gateway = launched(
        folder, known_issuer(), settings, variables={"PYTHONPATH": f"{path}:{FOLDER}"}
    )
    with gateway.process:
        try:
            yield gateway.announced()
        finally:
            code = gateway.stop()
        assert code == 0, gateway.log()[-4_000:]


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("flowers")) as gateway:
        yield gateway


def options_of(gateway: Gateway, name: str) -> dict[str, str]:
    return {"gateway": gateway.address, "token": gateway.token(name)}


async def test_the_first_who_says_yes_has_it_at_the_price_of_the_moment(flowers: Gateway) -> None:
    bidder = module("bidder").bidder
    agents = [
        bidder(f"agent://{name}", limit, **options_of(flowers, name))
        for name, limit in (("bob", 40), ("carol", 65), ("dave", 5))
    ]
    bob, carol, dave = agents
    async with (
        bob,
        carol,
        dave,
        llmx.Agent("agent://alice", **options_of(flowers, "alice")) as alice,
    ):
        outcome = await alice.call(CALL, to="topic://flowers")
    assert outcome.winner is not None and outcome.reason == "first"
    assert outcome.winner.agent == carol.agent_id
    assert outcome.winner.price is not None and outcome.winner.price <= 60


async def test_an_offer_below_the_clock_is_refused_and_a_late_one_too(flowers: Gateway) -> None:
    async with Crowd(flowers) as crowd:
        alice = await crowd.open("alice")
        bob, carol = await crowd.contractors("bob", "carol")
        slow = {**CALL, "options": {**CLOCK, "every": 60}}
        opened = await alice.call_for(crowd.topic(), **slow)
        low = bob.envelope(Act.ACT_OFFER, {"value": 99}, negotiation_id=opened.negotiation_id)
        await refused(bob, low, "WRONG_STATE", "/envelope/act", remedy="offer 100")
        await bob.offer(opened.negotiation_id, 100)
        await bob.message(Act.ACT_ACCEPT, opened.negotiation_id)
        await carol.message(Act.ACT_CANCEL, opened.negotiation_id)
        late = carol.envelope(Act.ACT_OFFER, {"value": 100}, negotiation_id=opened.negotiation_id)
        await refused(carol, late, "LATE", "/envelope/act")
        (won,) = (await alice.outcome(opened.negotiation_id))["winners"]
        assert (won["agent"], won["price"]) == (bob.address, 100)


async def test_nobody_says_yes(flowers: Gateway) -> None:
    async with Crowd(flowers) as crowd:
        alice = await crowd.open("alice")
        await crowd.contractors("bob")
        opened = await alice.call_for(crowd.topic(), **{**CALL, "reply_within": 0.05})
        outcome = await alice.outcome(opened.negotiation_id)
        assert (outcome["state"], outcome["reason"]) == ("no_award", "no_offers")


@pytest.mark.parametrize(
    "options", [{}, {**CLOCK, "step": 0}, {**CLOCK, "floor": 100}, {**CLOCK, "every": "often"}]
)
async def test_a_clock_that_does_not_fall_opens_nothing(
    flowers: Gateway, options: dict[str, object]
) -> None:
    async with Crowd(flowers) as crowd:
        alice = await crowd.open("alice")
        await crowd.contractors("bob")
        call = alice.cfp(crowd.topic(), **{**CALL, "options": options})
        await refused(alice, call, "OPTIONS_INVALID", "/payload")


async def test_a_gateway_without_the_setting_does_not_speak_it(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob")
    await refused(alice, alice.cfp(crowd.topic(), **CALL), "UNKNOWN_PROTOCOL", "/payload/protocol")


async def test_who_calls_may_take_it_back(flowers: Gateway) -> None:
    async with Crowd(flowers) as crowd, asyncio.timeout(5):
        alice = await crowd.open("alice")
        (bob,) = await crowd.contractors("bob")
        opened = await alice.call_for(crowd.topic(), **CALL)
        await alice.do(Act.ACT_CANCEL, opened.negotiation_id, {"reason": "withered"})
        await bob.message(Act.ACT_CANCEL, opened.negotiation_id)
        assert (await alice.outcome(opened.negotiation_id))["reason"] == "withered"


def test_its_records_play_again_to_the_same_bytes(
    flowers: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    """By who has the module; others cannot read them, and say so."""
    module("dutch_auction")
    file = flowers.folder / "r.jsonl"
    assert file.stat().st_size, "the auctions above are in it"
    assert replay([file], as_json=True, protocols="dutch_auction:PROTOCOL") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["good"] and set(summary["protocols"]) == {"dutch-auction"}
    assert replay([file], as_json=True) == 1
    assert replay([file], as_json=True, protocols="nowhere:PROTOCOL") == 2
