"""A contractor in ten lines.

export LLMX_TOKEN=$(.venv/bin/llmx token agent://bob), then run this.
"""

import llmx


class Bob(llmx.Agent):
    async def on_cfp(self, call: llmx.Call) -> llmx.Offer | llmx.Refusal | None:
        return call.offer(value=40, conditions={"start_in": 2})


llmx.run(Bob("agent://bob", topics=["gpu"], capabilities=["propose"]))
