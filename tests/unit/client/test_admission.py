"""Who waits until a message is admitted, and how long."""

from __future__ import annotations

import asyncio

import pytest

from llmx.admission import Admission
from llmx.errors import Refused, SessionClosed
from llmx.v1.envelope_pb2 import Envelope

BIG = 1 << 20


async def test_a_message_is_admitted_with_its_frame_or_refused_alone():
    admission = Admission(8)
    for name in "ab":
        admission.post(Envelope(msg_id=name))
    one, two = admission.expect("a"), admission.expect("b")
    admission.outbox.take(2, BIG)
    assert admission.refuse(Refused("LATE", "too late", msg_id="a"))
    admission.confirm(2)
    with pytest.raises(Refused):
        await one
    await two
    assert not admission.refuse(Refused("LATE", "too late", msg_id="a")), "nobody waits any more"


async def test_turns_come_in_order_and_a_turn_that_nobody_takes_is_passed_on():
    admission = Admission(1)
    admission.post(Envelope(msg_id="a"))
    order: list[str] = []

    async def post(name: str) -> None:
        await admission.room()
        order.append(name)
        admission.post(Envelope(msg_id=name))

    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(post(name)) for name in "bcd"]
        await asyncio.sleep(0)  # one turn, in which all three begin to wait
        admission.admit("a")
        waiting[0].cancel()  # in the instant in which its turn has come
        await waiting[1]
        admission.admit("c")
    assert order == ["c", "d"]


async def test_everybody_who_waits_hears_that_the_session_is_over():
    admission = Admission(1)
    admission.post(Envelope(msg_id="a"))
    admitted = admission.expect("a")

    async def fail() -> None:
        admission.fail(SessionClosed("over"))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        with pytest.raises(SessionClosed):
            await admission.room()
    with pytest.raises(SessionClosed):
        await admitted
    with pytest.raises(SessionClosed):
        admission.post(Envelope(msg_id="b"))
