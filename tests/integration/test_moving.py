"""A gateway that stops and sends its agents to another one, as in a rolling upgrade."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import llmx
from gateway.tokens import development_secret
from llmx.backoff import Backoff
from tests.support.gateways import Gateway, running

pytestmark = pytest.mark.slow

MESSAGES = 200


def agent_of(gateway: Gateway, name: str) -> llmx.Agent:
    return llmx.Agent(
        f"agent://{name}",
        gateway.address,
        token=gateway.token(name),
        backoff=Backoff(first=0.02, longest=0.2),
        consents=["*"],
        topics=["work"],
    )


async def told(alice: llmx.Agent, text: str) -> None:
    """Send to bob, who may come to the new gateway a moment later than alice."""
    while True:
        try:
            await alice.send("agent://bob", text, qos="once")
        except llmx.Refused as refused:
            if refused.code != "AGENT_ABSENT":
                raise
        else:
            return


async def test_agents_go_on_where_a_stopping_gateway_sends_them(tmp_path: Path) -> None:
    """The author's code notices nothing: messages go on in order, and the next call is answered."""
    secret = tmp_path / "old" / "state" / "development.secret"
    development_secret(secret.parent)
    heard: list[int] = []
    all_heard = asyncio.Event()

    async def read(message: llmx.Message) -> None:
        heard.append(int(message.text))
        if heard[-1] == MESSAGES - 1:
            all_heard.set()

    async def offer(call: llmx.Call) -> llmx.Offer:
        return llmx.Offer(7.0)

    with (
        running(
            tmp_path / "new", server__gateway_id="new", auth__development_secret_file=secret
        ) as new,
        running(tmp_path / "old", server__gateway_id="old", server__move_to=new.address) as old,
    ):
        bob, alice = agent_of(old, "bob"), agent_of(old, "alice")
        bob.on_message(read)
        bob.on_cfp(offer)
        async with bob, alice:
            for number in range(MESSAGES):
                if number == MESSAGES // 2:
                    stopped = asyncio.get_running_loop().run_in_executor(None, old.stop)
                await told(alice, str(number))
            assert await stopped == 0
            await all_heard.wait()
            outcome = await alice.call({"reply_within": 5}, to="topic://work")
        assert outcome.winners[0].agent == "agent://bob"
        assert outcome.negotiation_id.startswith("new.")
        assert heard == list(range(MESSAGES))
        assert new.log().count("stream opened") == 2
