"""A small gateway for tests of the client library.

It speaks ExchangeService for real, over grpc.aio on a port of its own, and does little
behind it: it routes by address, knows one contract net (wait for all, the lowest value
wins), redelivers to a returning agent what was not acknowledged, and forgets everything
when it stops. What a test wants to see or to spoil is an attribute.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.exchange_service_pb2 import (
    ExchangeRequest,
    ExchangeResponse,
    Goodbye,
    Hello,
    ResponseBatch,
    TokenRenewed,
    Welcome,
)
from llmx.v1.exchange_service_pb2_grpc import (
    ExchangeServiceServicer,
    add_ExchangeServiceServicer_to_server,
)
from llmx.v1.negotiation_pb2 import NegotiationOpened
from llmx.v1.refusal_pb2 import Refusal, RefusalCode

ADDRESS = "gateway://tiny"
ANSWERS = (Act.ACT_OFFER, Act.ACT_REFUSE, Act.ACT_NOT_UNDERSTOOD)
REPORTS = (Act.ACT_INFORM, Act.ACT_FAILURE, Act.ACT_CONFIRM)


@dataclass
class Member:
    """One agent as the gateway knows it."""

    hello: Hello
    frames: asyncio.Queue[ExchangeResponse | None] = field(default_factory=asyncio.Queue)
    unacked: dict[tuple[str, str], Envelope] = field(default_factory=dict)
    number: int = 0

    def tell(self, confirmed: int, **content: Any) -> None:
        self.number += 1
        frame = ExchangeResponse(number=self.number, confirmed_number=confirmed, **content)
        self.frames.put_nowait(frame)


@dataclass
class Round:
    """One negotiation."""

    call: Envelope
    eligible: list[str]
    offers: list[Envelope] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    told: int = 0


class TinyGateway(ExchangeServiceServicer):
    """Serves between `start` and `stop`."""

    def __init__(self, port: int = 0, token_life: float | None = None) -> None:
        """Listen on `port`, 0 is any; tokens live for `token_life` seconds."""
        self.port = port
        self.token_life = token_life
        self.members: dict[str, Member] = {}
        self.rounds: dict[str, Round] = {}
        self.tokens: list[str] = []
        self.received: list[Envelope] = []
        self.acked: Counter[str] = Counter()
        self.envelopes_per_frame: list[int] = []
        self.judge: Callable[[Envelope], Refusal | None] = lambda envelope: None
        self.refuse_stream: grpc.StatusCode | None = None
        self.admits: Callable[[str], bool] = lambda agent: True
        self.copies = 1
        self.is_mute = False
        self._ids: set[tuple[str, str]] = set()
        self._changed = asyncio.Condition()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> TinyGateway:
        self._server = grpc.aio.server()
        add_ExchangeServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(0)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return as soon as something holds; fail after five seconds."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(holds)

    def say_goodbye(self, agent: str, reason: str) -> None:
        self.members[agent].tell(0, goodbye=Goodbye(reason=reason, detail=f"{reason}, says tiny"))
        self.members[agent].frames.put_nowait(None)

    async def Exchange(
        self, requests: AsyncIterator[ExchangeRequest], context: Any
    ) -> AsyncIterator[ExchangeResponse]:
        """Serve one stream."""
        self.tokens.append(dict(context.invocation_metadata())["authorization"])
        if self.refuse_stream is not None:
            await context.abort(self.refuse_stream, "not today")
        await context.send_initial_metadata(())
        hello = (await anext(aiter(requests))).hello
        await self.until(lambda: self.admits(hello.agent_id))
        member = Member(hello)
        if (old := self.members.get(hello.agent_id)) is not None:
            member.unacked = old.unacked
        self.members[hello.agent_id] = member
        welcome = Welcome(gateway_id="tiny", agent_id=hello.agent_id, tenant="test")
        welcome.now.GetCurrentTime()
        if self.token_life is not None:
            welcome.token_expires_at.FromNanoseconds(self._expiry())
        member.tell(1, welcome=welcome)
        if member.unacked:
            member.tell(1, batch=ResponseBatch(envelopes=member.unacked.values()))
        await self._notify()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(requests, member))
            while (frame := await member.frames.get()) is not None:
                yield frame
            reading.cancel()

    async def _read(self, requests: AsyncIterator[ExchangeRequest], member: Member) -> None:
        async for request in requests:
            if request.HasField("renew_token"):
                self.tokens.append(request.renew_token.token)
                renewed = TokenRenewed()
                renewed.token_expires_at.FromNanoseconds(time.time_ns() + 3600 * 10**9)
                member.tell(request.number, token_renewed=renewed)
            for msg_id in request.batch.acked_msg_ids:
                self.acked[msg_id] += 1
                for key in [key for key in member.unacked if key[0] == msg_id]:
                    del member.unacked[key]
            answer = ResponseBatch()
            self.envelopes_per_frame.append(len(request.batch.envelopes))
            for envelope in request.batch.envelopes:
                self._admit(envelope, answer)
            if request.batch.envelopes and not self.is_mute:
                member.tell(request.number, batch=answer)
            await self._notify()
        member.frames.put_nowait(None)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _expiry(self) -> int:
        return time.time_ns() + int((self.token_life or 0) * 1e9)

    def _admit(self, envelope: Envelope, answer: ResponseBatch) -> None:
        self.received.append(envelope)
        refusal = self.judge(envelope)
        key = (envelope.sender, envelope.msg_id)
        if refusal is None and key in self._ids:
            refusal = Refusal(code=RefusalCode.REFUSAL_CODE_DUPLICATE, reason="seen before")
        if refusal is None and envelope.act == Act.ACT_CFP:
            self._open(envelope, answer)
        elif refusal is None and envelope.act != Act.ACT_MESSAGE:
            known = self.rounds.get(envelope.negotiation_id)
            if known is None:
                code = RefusalCode.REFUSAL_CODE_UNKNOWN_NEGOTIATION
                refusal = Refusal(code=code, reason="no such negotiation")
            else:
                self._step(known, envelope)
        elif refusal is None:
            for agent in self._audience(envelope):
                self.deliver(agent, envelope)
        if refusal is not None:
            refusal.msg_id, refusal.negotiation_id = envelope.msg_id, envelope.negotiation_id
            answer.refusals.append(refusal)
        else:
            self._ids.add(key)

    def _audience(self, envelope: Envelope) -> list[str]:
        found = []
        for to in envelope.recipients:
            topic = to.removeprefix("topic://")
            heard = [a for a, m in self.members.items() if topic in m.hello.topics]
            found += [agent for agent in heard if agent != envelope.sender] or [to]
        return [agent for agent in found if agent in self.members]

    def deliver(self, agent: str, envelope: Envelope) -> None:
        member = self.members[agent]
        member.unacked[envelope.msg_id, envelope.negotiation_id] = envelope
        member.tell(0, batch=ResponseBatch(envelopes=[envelope] * self.copies))

    def _open(self, call: Envelope, answer: ResponseBatch) -> None:
        call.negotiation_id = f"tiny.{self.port}.{len(self.rounds)}.{time.monotonic_ns()}"
        opened = Round(call, self._audience(call))
        self.rounds[call.negotiation_id] = opened
        answer.opened.append(
            NegotiationOpened(
                msg_id=call.msg_id,
                negotiation_id=call.negotiation_id,
                eligible=opened.eligible,
                policy="tiny@1",
            )
        )
        for agent in opened.eligible:
            self.deliver(agent, call)

    def _step(self, round_: Round, envelope: Envelope) -> None:
        body = json.loads(envelope.payload)
        initiator = round_.call.sender
        if envelope.act in ANSWERS:
            round_.answered.add(envelope.sender)
            if envelope.act == Act.ACT_OFFER:
                round_.offers.append(envelope)
            self.deliver(initiator, envelope)
            if len(round_.answered) == len(round_.eligible):
                self._close(round_)
        elif envelope.act == Act.ACT_ACCEPT:
            self._award(round_, next(o for o in round_.offers if o.msg_id == body["offer_id"]))
        elif envelope.act == Act.ACT_CANCEL:
            for agent in round_.eligible:
                self._tell(round_, agent, Act.ACT_CANCEL, {"reason": "cancelled"})
            self._finish(round_, "cancelled", [])
        elif envelope.act in REPORTS and envelope.sender != initiator:
            self.deliver(initiator, envelope)

    def _close(self, round_: Round) -> None:
        round_.offers.sort(key=lambda offer: float(json.loads(offer.payload)["value"]))
        if json.loads(round_.call.payload).get("decider") == "initiator":
            ranking = {"ranking": [_entry(offer) for offer in round_.offers]}
            self._tell(round_, round_.call.sender, Act.ACT_INFORM, ranking)
        elif round_.offers:
            self._award(round_, round_.offers[0])
        else:
            self._finish(round_, "no_award", [])

    def _award(self, round_: Round, best: Envelope) -> None:
        wants = json.loads(round_.call.payload)
        award = {name: wants[name] for name in ("confirm_within", "report_within") if name in wants}
        for offer in round_.offers:
            body: dict[str, Any] = {"offer_id": offer.msg_id, "decision": "rejected"}
            if offer is best:
                body |= {"decision": "accepted", "price": _entry(offer)["value"], "award": award}
            else:
                body |= {"reason": "outbid"}
            act = Act.ACT_ACCEPT if offer is best else Act.ACT_REJECT
            self._tell(round_, offer.sender, act, body)
        self._finish(round_, "committed", [_entry(best)])

    def _finish(self, round_: Round, state: str, winners: list[dict[str, Any]]) -> None:
        body = {"state": state, "reason": "tiny", "winners": winners}
        self._tell(round_, round_.call.sender, Act.ACT_INFORM, {"outcome": body})

    def _tell(self, round_: Round, agent: str, act: Act, body: dict[str, Any]) -> None:
        round_.told += 1
        nid = round_.call.negotiation_id
        self.deliver(
            agent,
            Envelope(
                msg_id=f"{nid}:{round_.told}",
                sender=ADDRESS,
                act=act,
                negotiation_id=nid,
                in_reply_to=round_.call.msg_id,
                payload=json.dumps(body).encode(),
            ),
        )


def _entry(offer: Envelope) -> dict[str, Any]:
    value = json.loads(offer.payload)["value"]
    return {"agent": offer.sender, "offer_id": offer.msg_id, "value": value, "price": value}
