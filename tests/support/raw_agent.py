"""Agents made of nothing but the generated stubs, as an agent in another language is.

A `Crowd` opens agents on one gateway and closes them all. An agent writes what it is told to
and reads when it is asked for something: `await bob.message(Act.ACT_CFP)` reads frames until
there is one, files everything else, and acknowledges what arrives. There is no task in the
background, so an agent that is not asked does not read.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import grpc

from llmx.v1.control_service_pb2_grpc import ControlServiceStub
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService
from llmx.v1.exchange_service_pb2 import (
    ExchangeRequest,
    ExchangeResponse,
    Goodbye,
    Hello,
    RenewToken,
    RequestBatch,
    TokenRenewed,
    Welcome,
)
from llmx.v1.negotiation_pb2 import NegotiationOpened
from llmx.v1.receipt_pb2 import Receipt
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from tests.support.gateways import Gateway

SCHEMAS = "https://llm-x.org/schemas/v1/"
NEGOTIATION = f"{SCHEMAS}Negotiation.json"
TEXT = f"{SCHEMAS}Text.json"
EXCHANGE = "/llmx.v1.ExchangeService/Exchange"
WAIT_SECONDS_MAX = 8.0

OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
"""A connection of its own for each agent; everything else as grpc has it by default."""

Item = TypeVar("Item")


class StreamEndedError(Exception):
    """The stream has ended while something was awaited."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a stream ended."""

    code: grpc.StatusCode
    details: str
    goodbye: Goodbye | None


class RawAgent:
    """One agent and its stream."""

    def __init__(self, name: str, token: str, at: str | grpc.aio.Channel) -> None:
        """Speak over a channel, or a new one to an address; `open` says Hello."""
        self.name = name
        self.address = f"agent://{name}"
        self.token = token
        self.acknowledges = True
        """False: what arrives is not acknowledged."""
        self.numbers_frames = True
        """False: it does not count well, so confirmations may go back."""
        self.copies: Counter[str] = Counter()
        """How often each message arrived, by msg_id."""
        self.messages: list[Envelope] = []
        self.refusals: list[Refusal] = []
        self.openings: list[NegotiationOpened] = []
        self.renewals: list[TokenRenewed] = []
        self.goodbye: Goodbye | None = None
        self.confirmed = 0
        self.channel = grpc.aio.insecure_channel(at, OPTIONS) if isinstance(at, str) else at
        self.control = ControlServiceStub(self.channel)
        self.call: Any = None
        self.number = 0
        self.seen = 0
        """The number of the last batch that was received."""
        self.receipts: list[Receipt] = []
        self._ids = itertools.count(1)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call bears."""
        return (("authorization", f"Bearer {self.token}"),)

    def connect(self, **options: Any) -> None:
        """Start the call without saying anything."""
        method = self.channel.stream_stream(EXCHANGE)
        self.call = method(**{"metadata": self.metadata, **options})

    async def open(self, **hello: Any) -> Welcome:
        """Say Hello, and return the Welcome."""
        self.connect()
        if not hello.get("resume_token"):
            self.number = self.seen = self.confirmed = 0
        await self.write(hello=Hello(**hello))
        frame = await self.read()
        assert frame.number == 0
        assert frame.WhichOneof("content") == "welcome"
        return frame.welcome

    async def write(self, **content: Any) -> None:
        """Send one frame; a batch gets the next number."""
        self.number += "batch" in content
        number = self.number if "batch" in content else 0
        frame = ExchangeRequest(number=number, confirmed_number=self.seen, **content)
        await self.write_bytes(frame.SerializeToString())

    async def write_bytes(self, frame: bytes) -> None:
        """Send whatever this is as one frame; a call that has ended takes it silently."""
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                await self.call.write(frame)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    async def read(self) -> ExchangeResponse:
        """Read one frame, acknowledge and file what is in it; raises StreamEndedError."""
        raw: object = None
        with suppress(grpc.aio.AioRpcError):  # `end` tells how
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                raw = await self.call.read()
        if not isinstance(raw, bytes):
            raise StreamEndedError(f"{self.name}: {await self.call.code()} {self.goodbye}")
        frame = ExchangeResponse.FromString(raw)
        self.seen = max(self.seen, frame.number)
        assert frame.confirmed_number >= self.confirmed or not self.numbers_frames
        self.confirmed = frame.confirmed_number
        batch = frame.batch
        for envelope in batch.envelopes:
            self.copies[envelope.msg_id] += 1
            if self.copies[envelope.msg_id] == 1:
                self.messages.append(envelope)
        self.refusals.extend(batch.refusals)
        self.openings.extend(batch.opened)
        self.receipts.extend(batch.receipts)
        if frame.HasField("token_renewed"):
            self.renewals.append(frame.token_renewed)
        if frame.HasField("goodbye"):
            self.goodbye = frame.goodbye
        if batch.envelopes and self.acknowledges:
            await self.acknowledge(*(envelope.msg_id for envelope in batch.envelopes))
        return frame

    async def acknowledge(self, *msg_ids: str) -> None:
        await self.write(batch=RequestBatch(acked_msg_ids=msg_ids))

    async def send(self, *envelopes: Envelope) -> None:
        """Send messages in one frame."""
        await self.write(batch=RequestBatch(envelopes=envelopes))

    def envelope(self, act: Act, payload: Mapping[str, object] | bytes, **header: Any) -> Envelope:
        """Return a message of this agent; `header` sets or replaces fields."""
        if not isinstance(payload, bytes):
            schema = TEXT if act == Act.ACT_MESSAGE else NEGOTIATION
            payload = json.dumps({"$schema": schema, **payload}).encode()
        scope_ttl = header.pop("ttl", None)
        fields: dict[str, Any] = {
            "msg_id": f"{self.name}-{next(self._ids)}-{secrets.token_hex(4)}",
            "ts": datetime.now(UTC).isoformat(),
            "sender": self.address,
            "act": act,
            "payload": payload,
            **header,
        }
        envelope = Envelope(**fields)
        if scope_ttl is not None:
            envelope.scope.ttl.FromNanoseconds(int(scope_ttl * 1e9))
        return envelope

    def text(self, text: str, *to: str, **header: Any) -> Envelope:
        """Return a plain message."""
        return self.envelope(Act.ACT_MESSAGE, {"text": text}, recipients=to, **header)

    async def say(self, text: str, *to: str, **header: Any) -> str:
        """Send a plain message; returns its msg_id."""
        envelope = self.text(text, *to, **header)
        await self.send(envelope)
        return envelope.msg_id

    async def do(
        self, act: Act, negotiation_id: str, payload: Mapping[str, object] | None = None, **h: Any
    ) -> str:
        """Send an act of a negotiation; returns its msg_id."""
        envelope = self.envelope(act, payload or {}, negotiation_id=negotiation_id, **h)
        await self.send(envelope)
        return envelope.msg_id

    async def offer(self, negotiation_id: str, value: float, **fields: object) -> str:
        """Make an offer; returns its msg_id."""
        return await self.do(Act.ACT_OFFER, negotiation_id, {"value": value, **fields})

    def cfp(self, *to: str, **fields: object) -> Envelope:
        """Return a call for proposals, by default one for 5 seconds."""
        payload = fields if "deadline" in fields else {"reply_within": 5, **fields}
        return self.envelope(Act.ACT_CFP, payload, recipients=to)

    async def call_for(self, *to: str, **fields: object) -> NegotiationOpened:
        """Call for proposals; returns the answer that it is open."""
        envelope = self.cfp(*to, **fields)
        await self.send(envelope)
        return await self.opened(envelope.msg_id)

    async def _until(self, filed: list[Item], wanted: Callable[[Item], bool]) -> Item:
        """Return the first filed item that is wanted, reading on until there is one."""
        while True:
            for index, item in enumerate(filed):
                if wanted(item):
                    return filed.pop(index)
            await self.read()

    async def message(self, act: Act = Act.ACT_MESSAGE, negotiation_id: str = "") -> Envelope:
        """Return the next message that does `act`, in the negotiation if one is named."""
        return await self._until(
            self.messages,
            lambda one: one.act == act and negotiation_id in ("", one.negotiation_id),
        )

    async def arrival(self, msg_id: str) -> Envelope:
        """Return the message with this id."""
        return await self._until(self.messages, lambda one: one.msg_id == msg_id)

    async def copy(self, msg_id: str, count: int) -> None:
        """Wait until a message has arrived `count` times."""
        while self.copies[msg_id] < count:
            await self.read()

    async def refusal(self, msg_id: str) -> Refusal:
        """Return the refusal of a message."""
        return await self._until(self.refusals, lambda one: one.msg_id == msg_id)

    async def opened(self, msg_id: str) -> NegotiationOpened:
        """Return the answer to a call."""
        while msg_id not in {opened.msg_id for opened in self.openings}:
            assert not self.refused(msg_id), self.refused(msg_id)
            await self.read()
        return await self._until(self.openings, lambda one: one.msg_id == msg_id)

    async def outcome(self, negotiation_id: str) -> dict[str, Any]:
        """Return what the gateway tells of how a negotiation ended."""
        told = await self._until(
            self.messages,
            lambda one: one.negotiation_id == negotiation_id and b'"outcome"' in one.payload,
        )
        outcome: dict[str, Any] = json.loads(told.payload)["outcome"]
        return outcome

    async def renew(self, token: str) -> None:
        """Offer a new token on the living stream."""
        await self.write(renew_token=RenewToken(token=token))

    async def end(self) -> Ended:
        """Read on until the stream has ended, in silence.

        A frame written to a call that has ended would replace its status by one of grpc's own.
        """
        self.acknowledges = False
        try:
            while True:
                await self.read()
        except StreamEndedError:
            pass
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            return Ended(await self.call.code(), await self.call.details(), self.goodbye)

    def refused(self, msg_id: str) -> list[Refusal]:
        """Return the refusals of a message that have come and were not asked for."""
        return [refusal for refusal in self.refusals if refusal.msg_id == msg_id]

    async def confirmation(self) -> None:
        """Wait until the gateway has handled every batch so far; an empty one asks for that."""
        await self.write(batch=RequestBatch())
        asked = self.number  # what is acknowledged meanwhile is confirmed some time later
        while self.confirmed < asked:
            await self.read()

    async def is_served(self) -> None:
        """Prove that the stream still works: a message to oneself arrives, nothing is refused."""
        msg_id = await self.say("still here", self.address)
        while not self.copies[msg_id]:
            assert not self.refused(msg_id), self.refused(msg_id)
            await self.read()
        await self.arrival(msg_id)

    async def close(self) -> None:
        """Hang up."""
        if self.call is not None:
            self.call.cancel()
        await self.channel.close()


class Crowd:
    """The agents of one test, whose names, topics and groups nobody else has."""

    def __init__(self, gateway: Gateway) -> None:
        """Let agents of `gateway` come."""
        self.gateway = gateway
        self.tag = secrets.token_hex(4)
        self._agents: list[RawAgent] = []

    async def __aenter__(self) -> Self:
        """Let them come."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up for all."""
        await self.close()

    def name(self, name: str) -> str:
        """Return `name` as it is called in this test."""
        return f"{name}-{self.tag}"

    def topic(self, name: str = "gpu") -> str:
        """Return the address of a topic of this test."""
        return f"topic://{self.name(name)}"

    def agent(self, name: str, token: str | None = None, **claims: Any) -> RawAgent:
        """Return an agent that has not opened its stream yet."""
        called = self.name(name)
        token = self.gateway.token(called, **claims) if token is None else token
        agent = RawAgent(called, token, self.gateway.address)
        self._agents.append(agent)
        return agent

    async def open(
        self, name: str, *, claims: Mapping[str, Any] | None = None, **hello: Any
    ) -> RawAgent:
        """Return an agent whose stream is open."""
        agent = self.agent(name, **(claims or {}))
        await agent.open(**hello)
        return agent

    async def contractors(self, *names: str, **hello: Any) -> list[RawAgent]:
        """Return agents that listen to `topic()`."""
        hello = {"topics": [self.topic()], **hello}
        return [await self.open(name, **hello) for name in names]

    async def close(self) -> None:
        """Hang up for all."""
        for agent in self._agents:
            await agent.close()


async def refused(
    agent: RawAgent, sent: Envelope | str, code: str, pointer: str = "", **contains: str
) -> Refusal:
    """Expect the refusal of what was sent, whole and in words, on a stream that lives on.

    `reason` and `remedy` are words that must stand there. An envelope is sent here.
    """
    if isinstance(sent, Envelope):
        await agent.send(sent)
        sent = sent.msg_id
    refusal = await agent.refusal(sent)
    assert RefusalCode.Name(refusal.code) == f"REFUSAL_CODE_{code}", refusal
    assert refusal.pointer == pointer, refusal
    assert len(refusal.reason) > 9 and len(refusal.remedy) > 9, refusal
    for field, words in contains.items():
        assert words in getattr(refusal, field), refusal
    await agent.is_served()
    return refusal


async def honour(refusal: Refusal) -> None:
    """Keep quiet for as long as a refusal asks."""
    with suppress(TimeoutError):
        async with asyncio.timeout(refusal.retry_after.ToNanoseconds() / 1e9):
            await asyncio.Event().wait()


def at_most_once() -> dict[str, Any]:
    """Return the header of a message that is never repeated."""
    return {"quality_of_service": QualityOfService.QUALITY_OF_SERVICE_AT_MOST_ONCE}
