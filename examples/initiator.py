"""Somebody who calls: export LLMX_TOKEN=$(.venv/bin/llmx token agent://alice), then run this."""

import llmx


async def main() -> None:
    async with llmx.Agent("agent://alice") as alice:
        cfp = {"task": {"gpus": 4, "minutes": 30}, "reply_within": 5}
        async with alice.negotiate(cfp, to="topic://gpu", policy="high") as negotiation:
            async for event in negotiation:
                print(event)


llmx.run(main())
