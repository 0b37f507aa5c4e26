"""`llmx call` speaks every protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import llmx
from gateway.commands.agent import Performer
from gateway.commands.bargain import Prices, bargain
from gateway.commands.call import Order, Showing, Telling, _negotiate
from gateway.commands.plan import Plan
from gateway.commands.trouble import NO_AWARD, OK
from llmx.concession import Concede
from tests.integration.test_bargains import agent
from tests.support.raw_agent import Crowd


def call(**rules: Any) -> dict[str, Any]:
    rules = {"max_rounds": 10, **rules}
    return {"protocol": "alternating-offers", "reply_within": 5, "bargaining": rules}


@pytest.mark.parametrize(
    ("limit", "code", "said"),
    [(50.0, OK, "agreed at"), (25.0, NO_AWARD, "ended by end")],
)
async def test_it_gives_way_until_the_deal_is_good_enough(
    crowd: Crowd, capsys: pytest.CaptureFixture[str], limit: float, code: int, said: str
) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")

    @bob.on_bargain
    async def sell(bargain: llmx.Bargain) -> None:
        await bargain.play(Concede(start=60, limit=40))

    async with bob, alice:
        prices = Prices(20.0, limit)
        assert await bargain(alice, call(), bob.agent_id, prices, as_json=False) == code
        assert await bargain(alice, call(), bob.agent_id, prices, as_json=True) == code
    lines = capsys.readouterr().out.splitlines()
    shown = [line for line in lines if not line.startswith("{")]
    assert shown[0].startswith("bargain") and said in shown[-1]
    assert sum(line.startswith("propose") for line in shown) >= 4
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [one["event"] for one in told[:2]] == ["opened", "proposal"]
    assert told[-1]["event"] == "outcome" and told[-1]["outcome"]["ended_by"]


async def test_a_bargain_that_the_gateway_refuses_is_complained_about(
    crowd: Crowd, capsys: pytest.CaptureFixture[str]
) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")
    async with bob, alice:
        body = call(concession="both")
        order = Order(body, (bob.agent_id,), alice.agent_id, prices=Prices(1.0, 2.0))
        assert await _negotiate(alice, order, None, Telling()) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "OPTIONS_INVALID"


async def test_it_calls_all_again_as_long_as_rounds_are_left(
    crowd: Crowd, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = agent(crowd, "alice")
    bob, carol = (agent(crowd, name, topics=[crowd.topic()]) for name in ("bob", "carol"))
    for contractor, price in ((bob, 40), (carol, 42)):

        @contractor.on_cfp
        def quote(call: llmx.Call, price: int = price) -> llmx.Offer:
            round_ = 1 if call.turn is None else call.turn.round
            return call.offer(value=price - round_ * (2 if price == 42 else 1))

    body = {
        "protocol": "iterated-contract-net",
        "decider": "initiator",
        "iterations": {"rounds_max": 3},
        "reply_within": 5,
    }
    order = Order(body, (crowd.topic(),), alice.agent_id)
    async with bob, carol, alice:
        assert await _negotiate(alice, order, "high", Showing()) == OK
    lines = capsys.readouterr().out.splitlines()
    ranked = [line for line in lines if line.startswith("ranked")]
    assert [line.partition("; ")[2].split("  ")[0] for line in ranked] == [
        "2 more rounds at most",
        "1 more rounds at most",
        "the first is accepted",
    ]
    assert f"{carol.agent_id} wins at 36" in lines[-1]


@pytest.mark.parametrize("prices", [{"start": 60.0, "limit": 40.0}, None])
async def test_a_contractor_of_the_command_line_bargains(
    crowd: Crowd, capsys: pytest.CaptureFixture[str], prices: dict[str, float] | None
) -> None:
    name = crowd.name("bob")
    plan = Plan(f"agent://{name}", "fixed", {"value": 1}, consents=("*",), bargain=prices)
    bob = Performer(plan, crowd.gateway.address, crowd.gateway.token(name), as_json=True)
    alice = agent(crowd, "alice")
    async with bob, alice:
        code = await bargain(alice, call(), bob.agent_id, Prices(20.0, 55.0), as_json=False)
    assert code == (NO_AWARD if prices is None else OK)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert json.loads(lines[0])["event"] == "bargain"


def test_a_file_of_a_bargain_needs_its_prices(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from gateway.cli import app

    file = tmp_path / "bargain.json"
    file.write_text(json.dumps(call()), "utf-8")
    done = CliRunner().invoke(app, ["call", str(file), "--to", "agent://bob"])
    assert done.exit_code == 2 and "--start 30 --limit 45" in done.output
