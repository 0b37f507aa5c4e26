"""Alice, bob and carol of the scripts as agents on real gateways."""

from __future__ import annotations

import json
from typing import Any

from llmx.v1.consent_pb2 import Consent
from tests.support.protocol_scripts import Script
from tests.support.raw_agent import RawAgent

EVERYBODY = [Consent(grantee="*")]
NAMES = ("alice", "bob", "carol")


class Players:
    """Three agents that play a script, wherever they are connected."""

    def __init__(self, script: Script, tag: str) -> None:
        """Play `script`; `tag` keeps its message ids apart from those of other plays."""
        self.script = script
        self.tag = tag
        self.agents: dict[str, RawAgent] = {}
        self.id = ""

    async def connect(self, name: str, token: str, address: str) -> None:
        """Let one of them come to a gateway."""
        agent = self.agents[name] = RawAgent(name, token, address)
        await agent.open(consents=EVERYBODY)

    async def call(self, **fields: Any) -> None:
        """Let alice call, and wait until it is open."""
        opening = self.script.opening(**fields)
        opening.msg_id += self.tag
        alice = self.agents["alice"]
        await alice.send(opening)
        self.id = (await alice.opened(opening.msg_id)).negotiation_id

    async def play(self, first: int = 0, last: int | None = None, *, hearing: bool) -> None:
        """Play some acts, each when its gateway has handled the one before it.

        With `hearing` each agent waits for what it has to hear before: between gateways that takes
        a moment, and an act that overtakes it would be out of turn.
        """
        for said in self.script.acts[first:last]:
            if hearing and said.hears is not None:
                await self.agents[said.agent].message(said.hears, self.id)
            envelope = said.envelope(self.id)
            envelope.msg_id += self.tag
            body = json.loads(envelope.payload)
            if "offer_id" in body:
                envelope.payload = json.dumps(
                    {**body, "offer_id": body["offer_id"] + self.tag}
                ).encode()
            agent = self.agents[said.agent]
            await agent.send(envelope)
            await agent.confirmation()
            assert not agent.refused(envelope.msg_id), agent.refused(envelope.msg_id)

    async def is_played(self) -> None:
        """Expect the outcome of the script, told to everybody who hears it."""
        for name in self.script.hears:
            outcome = await self.agents[name].outcome(self.id)
            assert outcome["state"] == self.script.state, outcome
            assert [winner["price"] for winner in outcome["winners"]] == [self.script.price]
        for agent in self.agents.values():
            assert not agent.refusals, agent.refusals

    async def close(self) -> None:
        """Hang up for all."""
        for agent in self.agents.values():
            await agent.close()
