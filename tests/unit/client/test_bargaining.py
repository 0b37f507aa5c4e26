"""How a bargain begins and ends on either side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import llmx
from llmx.bargaining import Bargains
from llmx.dispatch import Dispatch
from llmx.handlers import Handlers
from llmx.hearing import Hearing
from llmx.messages import Drafts, Message
from llmx.session import Session
from llmx.v1.envelope_pb2 import Act, Envelope

ALICE, BOB = "agent://alice", "agent://bob"
RULES = {"protocol": "alternating-offers", "reply_within": 5}


class Sent:
    """A session as far as a bargain needs one: it keeps what is sent, and takes it."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.refuses: set[int] = set()

    async def send(self, envelope: Envelope) -> None:
        if envelope.act in self.refuses:
            raise llmx.Refused("NOT_YOUR_TURN", "the other party is to move")
        self.envelopes.append(envelope)


class Responder:
    """Bob, who is called."""

    def __init__(self, dispatch: Dispatch) -> None:
        self.session = Sent()
        self.handlers = Handlers(_Nobody(), Hearing)
        session: Session = self.session  # type: ignore[assignment]  # as far as it is needed
        self.bargains = Bargains(BOB, session, Drafts(BOB), dispatch, self.handlers)

    def is_called(self, negotiation_id: str = "g.0.n", msg_id: str = "call", turn: int = 1) -> bool:
        call = envelope(Act.ACT_CFP, msg_id, RULES, negotiation_id)
        call.turn.round = turn
        if not turn:
            call.ClearField("turn")
        assert self.bargains.concerns(call)
        return self.bargains.called(call)

    def hears_the_end(self, negotiation_id: str = "g.0.n") -> None:
        bargain = self.bargains.find(negotiation_id)
        assert bargain is not None
        body = {"outcome": {"negotiation_id": negotiation_id, "state": "no_award"}}
        told = envelope(Act.ACT_INFORM, "g.0.n:1", body, negotiation_id)
        told.sender = "gateway://g"
        bargain.hear(Message(told))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - what holds sets no event
                await asyncio.sleep(0)


class _Nobody(Hearing):
    """An author who has overridden nothing."""


def envelope(act: Act, msg_id: str, body: dict[str, Any], negotiation_id: str) -> Envelope:
    payload = json.dumps(body).encode()
    return Envelope(
        sender=ALICE, act=act, msg_id=msg_id, negotiation_id=negotiation_id, payload=payload
    )


@asynccontextmanager
async def responder(waiting_max: int = 10) -> AsyncIterator[Responder]:
    dispatch = Dispatch(4, waiting_max)
    async with asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        yield Responder(dispatch)
        dispatch.cancel()


def test_only_a_call_for_a_bargain_concerns_it() -> None:
    one = Responder(Dispatch(1, 1))
    for body, concerns in (
        ({}, False),
        ({"protocol": "contract-net"}, False),
        ({"text": 'what "protocol" is this?'}, False),
        ({"protocol": "monotonic-concession"}, True),
    ):
        assert one.bargains.concerns(envelope(Act.ACT_CFP, "c", body, "n")) is concerns


async def test_the_handler_is_handed_the_bargain_and_what_comes_for_it() -> None:
    async with responder() as bob:
        seen: list[llmx.Bargain] = []

        async def sell(bargain: llmx.Bargain) -> None:
            seen.append(bargain)
            async for turn in bargain:
                await bargain.propose(value=60 - turn.round)

        bob.handlers.put("on_bargain", sell)
        assert bob.is_called() and len(bob.bargains) == 1
        await bob.until(lambda: len(bob.session.envelopes) == 1)
        bob.hears_the_end()
        await bob.until(lambda: not len(bob.bargains))
    (sent,) = bob.session.envelopes
    assert (sent.act, sent.negotiation_id, sent.in_reply_to) == (Act.ACT_OFFER, "g.0.n", "call")
    assert seen[0].other == ALICE and seen[0].outcome is not None


@pytest.mark.parametrize("how", ["no handler", "returns", "fails"])
async def test_what_a_handler_leaves_open_is_ended_in_the_next_turn(how: str) -> None:
    async with responder() as bob:

        def leave(bargain: llmx.Bargain) -> None:
            if how == "fails":
                raise RuntimeError("not today")

        if how != "no handler":
            bob.handlers.put("on_bargain", leave)
        bob.is_called()
        await bob.until(lambda: len(bob.session.envelopes) == 1)
        bob.hears_the_end()
        await bob.until(lambda: not len(bob.bargains))
    reason = json.loads(bob.session.envelopes[0].payload)["reason"]
    assert reason == {"no handler": "no_handler", "returns": "left", "fails": "handler_failed"}[how]


async def test_the_same_call_is_handed_on_once() -> None:
    async with responder() as bob:
        calls: list[str] = []

        async def sell(bargain: llmx.Bargain) -> None:
            calls.append(bargain.negotiation_id)
            async for _ in bargain:
                pass

        bob.handlers.put("on_bargain", sell)
        assert bob.is_called() and bob.is_called()
        await bob.until(lambda: len(calls) == 1)
        bob.hears_the_end()
        await bob.until(lambda: not len(bob.bargains))
    assert calls == ["g.0.n"]


async def test_a_call_that_is_opened_anew_takes_the_place_of_the_lost_one() -> None:
    async with responder() as bob:
        lost: list[str] = []

        async def sell(bargain: llmx.Bargain) -> None:
            try:
                async for _ in bargain:
                    pass
            except llmx.NegotiationLost as error:
                lost.append(error.negotiation_id)
                raise

        bob.handlers.put("on_bargain", sell)
        bob.is_called("g.0.n", turn=0)
        await bob.until(lambda: bob.bargains.find("g.0.n") is not None)
        bob.is_called("h.0.m", turn=0)
        await bob.until(lambda: lost == ["g.0.n"] and bob.bargains.find("g.0.n") is None)
        assert bob.bargains.find("h.0.m") is not None
        bob.is_called("h.0.m")
        bob.hears_the_end("h.0.m")
        await bob.until(lambda: not len(bob.bargains))


async def test_a_call_waits_while_there_is_no_room_for_it() -> None:
    async with responder(waiting_max=0) as bob:
        assert not bob.is_called() and not len(bob.bargains)


async def test_a_session_that_is_over_ends_all_bargains() -> None:
    async with responder() as bob:

        async def sell(bargain: llmx.Bargain) -> None:
            async for _ in bargain:
                pass

        bob.handlers.put("on_bargain", sell)
        bob.is_called(turn=0)
        await bob.until(lambda: len(bob.bargains) == 1)
        bob.bargains.fail(llmx.SessionClosed("closed"))
        await bob.until(lambda: not len(bob.bargains))


async def test_one_that_cannot_be_ended_is_left_to_its_deadline() -> None:
    async with responder() as bob:
        bob.session.refuses = {Act.ACT_REFUSE}
        bob.is_called()
        await bob.until(lambda: not len(bob.bargains))
    assert not bob.session.envelopes
