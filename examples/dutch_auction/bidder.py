"""A bidder in a Dutch auction, which waits for its price: bidder.py agent://bob 40.

export LLMX_TOKEN=$(.venv/bin/llmx token agent://bob), then run this.
"""

from __future__ import annotations

import asyncio
import math
import sys
from typing import Any

import llmx


def bidder(agent_id: str, limit: float, **options: Any) -> llmx.Agent:
    """Return an agent that says yes when the clock shows what the flowers are worth to it."""
    agent = llmx.Agent(agent_id, topics=["flowers"], **options)

    @agent.on_cfp
    async def wait(call: llmx.Call) -> llmx.Offer | None:
        clock = call.body["options"]
        if limit < clock["floor"]:
            return None
        falls = max(0, math.ceil((clock["start"] - limit) / clock["step"]))
        await asyncio.sleep(falls * clock["every"])
        return call.offer(value=max(clock["floor"], clock["start"] - falls * clock["step"]))

    @agent.on_outcome
    def tell(verdict: llmx.Verdict) -> None:
        print(f"{agent_id}: " + (f"mine for {verdict.price:g}" if verdict.won else verdict.reason))

    return agent


if __name__ == "__main__":
    llmx.run(bidder(sys.argv[1], float(sys.argv[2])))
