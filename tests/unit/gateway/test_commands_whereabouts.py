"""Which gateway has which agent, and decides which negotiation."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.commands.whereabouts import Whereabouts
from gateway.tokens import mint_development_token
from tests.support.admin_view import FakeView, detail, located, served
from tests.support.fake_streams import SECRET, played

TOKEN = mint_development_token(SECRET, "agent://root", roles=["operator"])


@played
async def test_what_is_new_is_posted_and_nothing_twice():
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    view = FakeView(
        located={"default": [located("bob", "eu"), located("carol", "us")]},
        details={"default": [detail("eu.0.1", "eu")]},
    )
    async with served(view, SECRET) as address:
        addresses = {"eu": address, "gone": "127.0.0.1:1"}
        looking = Whereabouts(addresses, TOKEN, lambda **event: events.put_nowait(event))
        async with asyncio.TaskGroup() as tasks:
            looks = tasks.create_task(looking.run())
            at, decides, knows = [await events.get() for _ in range(3)]
            assert at == {"event": "at", "agent": "agent://bob", "gateway": "eu"}
            assert (decides["negotiation"], decides["gateway"]) == ("eu.0.1", "eu")
            assert knows["agents"] == {"agent://bob": "eu", "agent://carol": "us"}
            view.located = {"default": [located("bob", "eu"), located("carol", "eu")]}
            at = await events.get()
            assert at == {"event": "at", "agent": "agent://carol", "gateway": "eu"}
            assert (await events.get())["event"] == "knows"
            looks.cancel()
    assert events.empty()
