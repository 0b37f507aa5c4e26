"""Looks, again and again, at which gateway has which agent and decides which negotiation.

It asks the admin services of a cluster; a gateway that does not answer is left out of that look.
What is new is posted as events:

    {"event": "at", "agent": …, "gateway": …}          an agent is at a gateway
    {"event": "decides", "gateway": …, "negotiation": …}
    {"event": "knows", "gateway": …, "agents": […]}    whom a gateway knows, with their homes
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.commands.admin import Admin
from llmx.errors import LlmxError
from llmx.tokens import Tokens, TokenSource

LOOK_SECONDS = 0.2
ROWS_MAX = 1_000


class Whereabouts:
    """What was seen last."""

    def __init__(
        self, addresses: Mapping[str, str], token: TokenSource, post: Callable[..., None]
    ) -> None:
        """Look at the gateways at these addresses, by id."""
        tokens = Tokens(token)
        self._gateways = {name: Admin(address, tokens) for name, address in addresses.items()}
        self._post = post
        self._seen: dict[tuple[str, str], Any] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                for name in list(self._gateways):
                    await self._look(name)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for gateway in self._gateways.values():
                await gateway.close()

    async def _look(self, name: str) -> None:
        gateway = self._gateways[name]
        try:
            agents, _ = await gateway.agents(ROWS_MAX, "")
            negotiations, _ = await gateway.negotiations(ROWS_MAX)
        except LlmxError:
            return  # it is away, or does not stand yet
        homes = {one.agent.agent_id: one.gateway_id for one in agents if one.agent.connected}
        for agent, home in homes.items():
            if home == name and self._is_news("at", agent, home):  # its home knows best
                self._post(event="at", agent=agent, gateway=home)
        for summary in negotiations:
            negotiation = summary.negotiation_id
            if self._is_news("decides", negotiation, name):
                self._post(event="decides", negotiation=negotiation, gateway=name)
        if self._is_news("knows", name, homes):
            self._post(event="knows", gateway=name, agents=homes)

    def _is_news(self, what: str, key: str, value: Any) -> bool:
        known = self._seen.get((what, key))
        self._seen[what, key] = value
        return bool(known != value)
