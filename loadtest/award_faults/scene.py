"""One gateway that dies at a step of an award, again and again, and agents that live through it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import grpc

import llmx
from llmx.backoff import Backoff
from llmx.v1 import ledger_service_pb2 as wire
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from loadtest.award_faults.books import Call, Sums
from loadtest.award_faults.lives import Lives
from loadtest.award_faults.steps import BY_NAME, Step

CREDITS = 1_000_000.0
PRICES = (30.0, 40.0)
LOCK_SECONDS = 30.0
REPLY_SECONDS = 2.0
REPORT_SECONDS = 8.0
CALL_SECONDS_MAX = 60.0
OVER_SECONDS_MAX = 150.0
"""Longer than any hold of a negotiation that is dead."""
LOOK_SECONDS = 0.5
CATALOGUE = f"""
[[resources]]
name = "gpu"
units = 4000

[[accounts]]
agent = "agent://alice"
credits = {CREDITS}
"""


class PowerFailure(Exception):
    """Why work fails here."""


SOON = Backoff(first=0.1, factor=1.3, longest=0.5)


class Scene:
    """One gateway, alice who calls, and two who offer."""

    def __init__(
        self, folder: Path, settings: dict[str, object], lock_seconds: float = LOCK_SECONDS
    ) -> None:
        """Prepare a gateway with these settings, and a store in the folder."""
        self._lock_seconds = lock_seconds
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "catalogue.toml").write_text(CATALOGUE)
        self.lives = Lives(
            folder,
            {
                "mailbox.file": folder / "mailbox.db",
                "market.catalogue": folder / "catalogue.toml",
                "limits.linger_seconds": 60,
                "server.shutdown_grace": 0.5,
                **settings,
            },
        )
        self._calls: list[Call] = []
        self._by_call: dict[str, Call] = {}
        """By the msg_id of the call, which is the same whatever negotiation it opens."""
        self._heard = asyncio.Event()

    async def play(self, steps: Sequence[str], repetitions: int) -> tuple[list[Call], Sums]:
        """Kill the gateway so often at each step; returns what was heard, and what is left."""
        await self.lives.begin()
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                sums = await self._sums()
                while not sums.minted:  # its resources come before its credit
                    await asyncio.sleep(LOOK_SECONDS)
                    sums = await self._sums()
            async with AsyncExitStack() as stack:
                alice, *_ = [
                    await stack.enter_async_context(self._agent(name))
                    for name in ("alice", "bob", "carol")
                ]
                for number in range(repetitions):
                    for name in steps:
                        await self._once(alice, BY_NAME[name], number)
                sums = await self._over()
        finally:
            await self.lives.end()
        return self._calls, sums

    def _agent(self, name: str) -> llmx.Agent:
        gateway = self.lives.life
        agent = llmx.Agent(
            f"agent://{name}",
            gateway=gateway.address,
            token=lambda: gateway.token(name, ttl=36_000),
            consents=["*"],
            backoff=SOON,
            connect_timeout=None,
        )
        if name == "alice":
            return agent

        @agent.on_cfp
        async def offer(call: llmx.Call) -> llmx.Offer:
            await self._by_call[call.msg_id].doomed.wait()
            return call.offer(PRICES[name == "carol"])

        @agent.on_outcome
        def hear(verdict: llmx.Verdict) -> None:
            call = self._by_call[verdict.call.msg_id]
            (call.told_won if verdict.won else call.told_lost).append(agent.agent_id)
            self._heard.set()

        @agent.on_award
        def work(verdict: llmx.Verdict) -> dict[str, str]:
            if BY_NAME[self._by_call[verdict.call.msg_id].step].plot == "work failed":
                raise PowerFailure
            return {"done": "yes"}

        return agent

    async def _once(self, alice: llmx.Agent, step: Step, number: int) -> None:
        """Let one award come to its step, and the next life go on with it."""
        is_durable = step.plot != "paid at once" or number % 2 == 0
        call = Call(step.name, is_durable)
        self._calls.append(call)
        async with asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(self._negotiated(alice, call, step))
            call.did_die = await self.lives.died()
            if call.did_die:
                await self.lives.begin()
            else:
                self.lives.spare()
            await calling

    async def _negotiated(self, alice: llmx.Agent, call: Call, step: Step) -> None:
        cfp: dict[str, object] = {
            "reply_within": REPLY_SECONDS,
            "resources": [{"resource": "gpu", "units": 1, "seconds": self._lock_seconds}],
            "credit": {},
        }
        if step.plot != "paid at once":
            cfp["report_within"] = REPORT_SECONDS
        to = ["agent://bob", "agent://carol"]
        try:
            async with asyncio.timeout(CALL_SECONDS_MAX):
                # A price that waits for a report makes the call durable without being asked to.
                asks = call.durable and step.plot == "paid at once"
                one = alice.negotiate(cfp, to=to, policy="high", durable=asks)
                self._by_call[one.call.msg_id] = call
                async with one:
                    if not call.doomed.is_set():
                        self.lives.doom(step.name, one.negotiation_id)
                        call.doomed.set()
                    async for _ in one:
                        pass
                while len({*call.told_won, *call.told_lost}) < len(to):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            call.is_late = True
        if one.outcome is None:
            return
        call.negotiation_id, call.state = one.outcome.negotiation_id, one.outcome.state
        call.winners = tuple(winner.agent for winner in one.outcome.winners)
        call.price = sum(winner.price or 0.0 for winner in one.outcome.winners)

    async def _over(self) -> Sums:
        """Wait until nothing can be held any more that is not leaked, and count what there is."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + OVER_SECONDS_MAX
        sums = await self._sums()
        while (sums.held or sums.locks) and loop.time() < give_up_at:
            await asyncio.sleep(LOOK_SECONDS)
            sums = await self._sums()
        return sums

    async def _sums(self) -> Sums:
        """Return what the ledger has now; nothing while it cannot be reached."""
        token = self.lives.life.token("operator", roles=["operator"])
        metadata = (("authorization", f"Bearer {token}"),)
        async with grpc.aio.insecure_channel(self.lives.life.address) as channel:
            stub = LedgerServiceStub(channel)
            try:
                ledger = await stub.GetLedger(wire.GetLedgerRequest(), metadata=metadata)
                found = await stub.ListResources(wire.ListResourcesRequest(), metadata=metadata)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return Sums(0, 0, 0, 0, 0)
                raise
        totals = ledger.totals
        return Sums(
            totals.minted_micros,
            totals.available_micros,
            totals.held_micros,
            totals.paid_micros,
            sum(len(resource.bookings) for resource in found.resources),
        )
