"""The operator's page of a real gateway: negotiations as they go, and no word of what is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from llmx.v1.envelope_pb2 import Act
from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd, refused

pytestmark = pytest.mark.slow

SECONDS_MAX = 20.0
Digest = dict[str, Any]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a page that asks everybody for a token."""
    folder = tmp_path_factory.mktemp("page")
    with running(folder, page__port=0, page__token="always") as gateway:
        yield gateway


class Watching:
    """Somebody who looks at the page."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream
        self.text = ""

    async def until(self, is_so: Callable[[Digest], bool]) -> Digest:
        """Return the first digest from here on in which something is so."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                line = (await self._stream.readline()).decode()
                self.text += line
                if line.startswith("data: "):
                    told = json.loads(line[6:])
                    digest: Digest = told.get("digest", told)
                    if is_so(digest):
                        return digest


@asynccontextmanager
async def watching(gateway: Gateway) -> AsyncIterator[Watching]:
    headers = {"Authorization": f"Bearer {gateway.token('olga', roles=['exchange-operator'])}"}
    async with (
        aiohttp.ClientSession(headers=headers, read_bufsize=1 << 22) as client,
        client.get(f"{gateway.page}events") as answer,
    ):
        assert answer.status == 200, await answer.text()
        yield Watching(answer.content)


def talk_of(digest: Digest, negotiation_id: str) -> Digest:
    found = [talk for talk in digest["floor"]["talks"] if talk["id"] == negotiation_id]
    return found[0] if found else {}


async def test_a_negotiation_is_shown_from_its_call_to_its_outcome(
    crowd: Crowd, gateway: Gateway
) -> None:
    async with watching(gateway) as page:
        alice = await crowd.open("alice")
        bob, carol = await crowd.contractors("bob", "carol")
        await refused(alice, alice.text("SECRET"), "NO_RECIPIENTS", "/envelope/to")
        opened = await alice.call_for(crowd.topic(), task={"secret": "SECRET"}, reply_within=60)
        negotiation_id = opened.negotiation_id
        await bob.offer(negotiation_id, 40, text="SECRET", conditions={"start": "SECRET"})
        going = await page.until(lambda one: bool(talk_of(one, negotiation_id).get("answered")))
        talk = talk_of(going, negotiation_id)
        assert (talk["state"], talk["offers"], talk["eligible"]) == ("open", 1, 2)
        assert all(party["value"] is None for party in talk["parties"]), "offers are sealed"
        assert going["sessions"] == 3 and going["floor"]["open"] == 1
        await carol.offer(negotiation_id, 35)
        await alice.outcome(negotiation_id)
        other = (await alice.call_for(crowd.topic(), reply_within=60)).negotiation_id
        for one in (bob, carol):
            await one.do(Act.ACT_REFUSE, other, {"reason": "SECRET"})
        await alice.outcome(other)
        over = await page.until(lambda one: bool(talk_of(one, other).get("is_over")))
        talk = talk_of(over, negotiation_id)
        values = {party["agent"]: (party["word"], party["value"]) for party in talk["parties"]}
        assert values == {carol.address: ("won", 35.0), bob.address: ("lost", 40.0)}
        assert (talk_of(over, other)["state"], talk_of(over, other)["reason"]) == (
            "no_award",
            "no_offers",
        )
        assert over["outcomes"] == {"committed": 1, "no_award": 1}
        assert over["refusals"] == [{"code": "NO_RECIPIENTS", "lately": 1, "total": 1}]
        assert "SECRET" not in page.text


async def test_strangers_see_nothing(gateway: Gateway) -> None:
    async with aiohttp.ClientSession() as client:
        for token, status in (("", 401), (gateway.token("eve"), 403)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with client.get(f"{gateway.page}events", headers=headers) as answer:
                assert answer.status == status
