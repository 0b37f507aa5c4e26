"""Waits until the gateways of a cluster have met: each has an open link to every other one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from gateway.commands.admin import Admin
from llmx.errors import LlmxError
from llmx.tokens import Tokens, TokenSource
from llmx.v1.cluster_pb2 import LinkCondition

LOOK_SECONDS = 0.1


async def formed(addresses: Sequence[str], token: TokenSource, seconds: float) -> str:
    """Return an empty text once all have met, or after some seconds what is missing."""
    give_up_at = time.monotonic() + seconds
    tokens = Tokens(token)
    gateways = [Admin(address, tokens) for address in addresses]
    try:
        while True:
            missing = await _missing(gateways)
            if not missing or time.monotonic() >= give_up_at:
                return missing
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        for gateway in gateways:
            await gateway.close()


async def _missing(gateways: Sequence[Admin]) -> str:
    """Return who does not see all others yet, in words."""
    for gateway in gateways:
        try:
            links, _ = await gateway.links(len(gateways))
        except LlmxError as error:
            return f"{gateway.address}: {error}"
        there = sum(link.condition == LinkCondition.LINK_CONDITION_OPEN for link in links)
        if there < len(gateways) - 1:
            return f"{gateway.address} has open links to {there} of {len(gateways) - 1} others"
    return ""
