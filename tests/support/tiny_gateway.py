"""A small gateway for tests of the client library.

It speaks ExchangeService for real, over grpc.aio on a port of its own, and does little
behind it: it routes by address, knows one contract net (wait for all, the lowest value
wins), resumes sessions, redelivers in a new session what was not acknowledged, and forgets
everything when it stops. What a test wants to see or to spoil is an attribute.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

from llmx.v1.envelope_pb2 import Act, Envelope, ReceiptRequest
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
from llmx.v1.receipt_pb2 import Receipt, ReceiptStage
from llmx.v1.refusal_pb2 import Refusal, RefusalCode

ADDRESS = "gateway://tiny"
ANSWERS = (Act.ACT_OFFER, Act.ACT_REFUSE, Act.ACT_NOT_UNDERSTOOD)
REPORTS = (Act.ACT_INFORM, Act.ACT_FAILURE, Act.ACT_CONFIRM)


@dataclass
class Member:
    """The session of one agent."""

    hello: Hello
    token: str
    frames: asyncio.Queue[ExchangeResponse | None] = field(default_factory=asyncio.Queue)
    """What waits for the stream; None ends it."""
    unacked: dict[tuple[str, str], Envelope] = field(default_factory=dict)
    waiting: deque[Envelope] = field(default_factory=deque)
    """Messages beyond the window."""
    kept: deque[ExchangeResponse] = field(default_factory=deque)
    """Batches that the agent has not confirmed."""
    number: int = 0
    handled: int = 0
    beats: int = 0
    """Frames without content that came."""
    confirmed: int = 0
    """What the agent has confirmed."""
    repeats: int = 0
    """Batches that came though they had been handled."""
    is_deaf: bool = False
    """What the agent sends is lost on its way."""
    is_unheard: bool = False
    """What is told to the agent is lost on its way."""
    is_broken: bool = False
    """The stream ends without a word."""

    def tell(self, confirmed: int, **content: Any) -> None:
        """Send a frame; a batch is numbered and kept."""
        frame = ExchangeResponse(confirmed_number=confirmed, **content)
        if frame.HasField("batch"):
            self.number += 1
            frame.number = self.number
            self.kept.append(frame)
        if not self.is_unheard:
            self.frames.put_nowait(frame)

    def confirm(self, number: int) -> None:
        self.confirmed = max(self.confirmed, number)
        while self.kept and self.kept[0].number <= number:
            self.kept.popleft()

    def resume(self, hello: Hello, received: int) -> list[ExchangeResponse]:
        """Go on with another stream; returns what is to be told on it again."""
        self.confirm(received)
        lost = list(self.kept)
        self.kept.clear()
        self.hello, self.number, self.frames = hello, received, asyncio.Queue()
        self.is_deaf = self.is_unheard = self.is_broken = False
        return lost


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
        self.resumes = True
        self.heartbeat = 0.0
        self.hellos: list[ExchangeRequest] = []
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

    def say_goodbye(self, agent: str, reason: str, **more: Any) -> None:
        goodbye = Goodbye(reason=reason, detail=f"{reason}, says tiny", **more)
        self.members[agent].tell(0, goodbye=goodbye)
        self.members[agent].frames.put_nowait(None)

    def forget(self) -> None:
        """Know no negotiation and no message any more, as when their owner is gone."""
        self.rounds.clear()
        self._ids.clear()

    def cut(self, agent: str) -> None:
        """Break the stream of an agent."""
        self.members[agent].is_broken = True
        self.members[agent].frames.put_nowait(None)

    async def Exchange(
        self, requests: AsyncIterator[ExchangeRequest], context: Any
    ) -> AsyncIterator[ExchangeResponse]:
        """Serve one stream."""
        self.tokens.append(dict(context.invocation_metadata())["authorization"])
        if self.refuse_stream is not None:
            await context.abort(self.refuse_stream, "not today")
        await context.send_initial_metadata(())
        first = await anext(aiter(requests))
        self.hellos.append(first)
        await self.until(lambda: self.admits(first.hello.agent_id))
        member = self._begin(first)
        frames = member.frames
        await self._notify()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(requests, member))
            while (frame := await frames.get()) is not None:
                yield frame
            reading.cancel()
        if member.is_broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")

    def _begin(self, first: ExchangeRequest) -> Member:
        hello = first.hello
        member = self.members.get(hello.agent_id)
        resumed = self.resumes and member is not None and member.token == hello.resume_token
        again: list[ResponseBatch] = []
        if member is not None and resumed:
            again = [frame.batch for frame in member.resume(hello, first.confirmed_number)]
        else:
            old, member = member, Member(hello, f"tiny-{len(self.hellos)}")
            if old is not None:
                member.unacked = old.unacked
                again = [ResponseBatch(envelopes=old.unacked.values())] if old.unacked else []
            self.members[hello.agent_id] = member
        welcome = Welcome(gateway_id="tiny", agent_id=hello.agent_id, tenant="test")
        welcome.now.GetCurrentTime()
        welcome.resumed, welcome.resume_token = resumed, member.token
        welcome.heartbeat.FromNanoseconds(int(self.heartbeat * 1e9))
        if self.token_life is not None:
            welcome.token_expires_at.FromNanoseconds(self._expiry())
        member.tell(member.handled, welcome=welcome)
        for batch in again:
            member.tell(member.handled, batch=batch)
        return member

    async def _read(self, requests: AsyncIterator[ExchangeRequest], member: Member) -> None:
        frames = member.frames  # of this stream: a later one has others
        async for request in requests:
            if frames is not member.frames:
                break
            if not member.is_deaf:
                self._take(request, member)
                await self._notify()
        frames.put_nowait(None)

    def _take(self, request: ExchangeRequest, member: Member) -> None:
        member.confirm(request.confirmed_number)
        if request.HasField("renew_token"):
            self.tokens.append(request.renew_token.token)
            renewed = TokenRenewed()
            renewed.token_expires_at.FromNanoseconds(time.time_ns() + 3600 * 10**9)
            member.tell(member.handled, token_renewed=renewed)
            return
        member.beats += not request.HasField("batch")
        if request.number <= member.handled:
            member.repeats += request.number > 0
            return
        assert request.number == member.handled + 1, "a client leaves no gap"
        member.handled = request.number
        for msg_id in request.batch.acked_msg_ids:
            self._acknowledge(msg_id, member)
        answer = ResponseBatch()
        self.envelopes_per_frame.append(len(request.batch.envelopes))
        for envelope in request.batch.envelopes:
            self._admit(envelope, answer)
        if not self.is_mute:
            said = {"batch": answer} if answer.ByteSize() else {}
            member.tell(member.handled, **said)

    def _acknowledge(self, msg_id: str, member: Member) -> None:
        self.acked[msg_id] += 1
        for key in [key for key in member.unacked if key[0] == msg_id]:
            envelope = member.unacked.pop(key)
            sender = self.members.get(envelope.sender)
            if sender and envelope.receipt == ReceiptRequest.RECEIPT_REQUEST_DELIVERED:
                stage = ReceiptStage.RECEIPT_STAGE_DELIVERED
                receipt = Receipt(msg_id=msg_id, stage=stage, recipient=member.hello.agent_id)
                sender.tell(0, batch=ResponseBatch(receipts=[receipt]))
            if member.waiting:
                self.deliver(member.hello.agent_id, member.waiting.popleft())

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
        window = member.hello.window_messages
        if window and len(member.unacked) >= window:
            member.waiting.append(envelope)
            return
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
