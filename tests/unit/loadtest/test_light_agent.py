"""A light agent keeps the numbers of its session as the proto's comments say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from llmx.backoff import Backoff
from llmx.v1 import envelope_pb2, exchange_service_pb2
from llmx.v1.exchange_service_pb2 import ExchangeRequest, ExchangeResponse, ResponseBatch
from loadtest import floor
from loadtest.framing import framed
from loadtest.light_agent import CONFIRM_AFTER_FRAMES, Batch, LightAgent, Who

AT_ONCE = Backoff(first=0.001)


class Exchange:
    """A server that hears everything and says only what it is told to."""

    def __init__(self) -> None:
        self.resumes = True
        self.handled = 0
        self.said: list[ExchangeResponse] = []
        self.heard: asyncio.Queue[ExchangeRequest] = asyncio.Queue()

    async def exchange(self, _: Any, context: Any) -> None:
        await context.send_initial_metadata(())
        hello = ExchangeRequest.FromString(await context.read())
        self.heard.put_nowait(hello)
        welcome = exchange_service_pb2.Welcome(
            resume_token="secret", resumed=self.resumes and bool(hello.hello.resume_token)
        )
        confirmed = self.handled if welcome.resumed else 0
        await context.write(
            ExchangeResponse(confirmed_number=confirmed, welcome=welcome).SerializeToString()
        )
        for frame in self.said:
            await context.write(frame.SerializeToString())
        while (raw := await context.read()) is not grpc.aio.EOF:
            self.heard.put_nowait(ExchangeRequest.FromString(raw))


@contextlib.asynccontextmanager
async def _serving(exchange: Exchange) -> AsyncIterator[Who]:
    server = grpc.aio.server()
    handler: Any = grpc.stream_stream_rpc_method_handler(exchange.exchange)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(floor.SERVICE, {"Exchange": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Who("agent://a", "token", "127.0.0.1", port, ("t",), ("c",))
    finally:
        await server.stop(grace=None)


def _batch(number: int, *msg_ids: str) -> ExchangeResponse:
    envelopes = [envelope_pb2.Envelope(msg_id=msg_id) for msg_id in msg_ids]
    return ExchangeResponse(number=number, batch=ResponseBatch(envelopes=envelopes))


def _acknowledge(batch: Batch, acks: list[str]) -> None:
    acks.extend(envelope.msg_id for envelope in batch.envelopes)


async def _say(agent: LightAgent, exchange: Exchange, msg_id: str) -> ExchangeRequest:
    agent.pieces.append(framed(envelope_pb2.Envelope(msg_id=msg_id).SerializeToString()))
    agent.wake()
    return await exchange.heard.get()


async def test_a_hello_bears_no_number_and_batches_count_from_one() -> None:
    exchange = Exchange()
    async with asyncio.timeout(10), _serving(exchange) as who:
        agent = LightAgent(who)
        assert await agent.connect()
        hello = await exchange.heard.get()
        assert (hello.number, hello.hello.agent_id, list(hello.hello.topics)) == (
            0,
            "agent://a",
            ["t"],
        )
        frames = [await _say(agent, exchange, msg_id) for msg_id in ("m1", "m2")]
        assert [frame.number for frame in frames] == [1, 2]
        agent.cut()


async def test_what_was_not_confirmed_follows_on_the_resumed_session() -> None:
    exchange = Exchange()
    exchange.handled = 1
    async with asyncio.timeout(10), _serving(exchange) as who, asyncio.TaskGroup() as tasks:
        agent = LightAgent(who)
        assert await agent.connect()
        staying = tasks.create_task(agent.stay(AT_ONCE))
        await exchange.heard.get()
        for msg_id in ("m1", "m2"):
            await _say(agent, exchange, msg_id)
        agent.cut()
        hello, again = await exchange.heard.get(), await exchange.heard.get()
        assert hello.hello.resume_token == "secret"
        assert (again.number, again.batch.envelopes[0].msg_id) == (2, "m2")
        assert (agent.welcomes, agent.resumed) == (2, 1)
        agent.leave()
        agent.cut()
        await staying


async def test_a_new_session_counts_from_one_and_hears_everything_again() -> None:
    exchange = Exchange()
    exchange.resumes = False
    async with asyncio.timeout(10), _serving(exchange) as who, asyncio.TaskGroup() as tasks:
        agent = LightAgent(who)
        assert await agent.connect()
        staying = tasks.create_task(agent.stay(AT_ONCE))
        await exchange.heard.get()
        for msg_id in ("m1", "m2"):
            await _say(agent, exchange, msg_id)
        agent.cut()
        await exchange.heard.get()
        again = [await exchange.heard.get() for _ in range(2)]
        assert [(one.number, one.batch.envelopes[0].msg_id) for one in again] == [
            (1, "m1"),
            (2, "m2"),
        ]
        agent.leave()
        agent.cut()
        await staying


async def test_a_message_is_acknowledged_and_a_repeated_batch_ignored() -> None:
    exchange = Exchange()
    exchange.said = [_batch(1, "m1"), _batch(1, "m1"), _batch(2, "m2")]
    async with asyncio.timeout(10), _serving(exchange) as who:
        agent = LightAgent(who, _acknowledge)
        assert await agent.connect()
        await exchange.heard.get()
        acked: list[str] = []
        while len(acked) < 2:
            acked += (await exchange.heard.get()).batch.acked_msg_ids
        assert acked == ["m1", "m2"]
        assert agent.messages_received == 2
        agent.cut()


async def test_who_has_nothing_to_say_confirms_the_sixteenth_batch() -> None:
    exchange = Exchange()
    exchange.said = [_batch(number) for number in range(1, CONFIRM_AFTER_FRAMES + 1)]
    async with asyncio.timeout(10), _serving(exchange) as who:
        agent = LightAgent(who)
        assert await agent.connect()
        await exchange.heard.get()
        bare = await exchange.heard.get()
        assert (bare.number, bare.confirmed_number) == (0, CONFIRM_AFTER_FRAMES)
        assert bare.WhichOneof("content") is None
        agent.cut()


async def test_who_is_told_to_leave_while_it_connects_leaves() -> None:
    """Its connection comes after the word, and nobody would say it again."""
    async with _serving(Exchange()) as who, asyncio.timeout(5):
        agent = LightAgent(who)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(agent.stay(AT_ONCE))
            await asyncio.sleep(0)
            assert agent.attempts == 1
            agent.leave()
        assert not agent.is_welcomed


async def test_an_agent_that_nobody_answers_says_why() -> None:
    agent = LightAgent(Who("agent://a", "token", "127.0.0.1", 1))
    assert not await agent.connect()
    assert any("refused" in reason.lower() for reason in agent.endings)
