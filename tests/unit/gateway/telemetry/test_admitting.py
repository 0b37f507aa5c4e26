"""Some messages are timed, and all are admitted."""

from __future__ import annotations

import asyncio

from gateway.headers import Sender
from gateway.telemetry.admitting import ONE_IN, Admitting
from gateway.telemetry.traffic import OTHERS, TrafficByClass
from llmx.v1.envelope_pb2 import Act
from tests.support.gateway_parts import Parts, envelope


def counts(traffic: TrafficByClass) -> dict[tuple[str, ...], int]:
    return {labels: len(timing) for labels, timing in traffic.timings()}


def test_the_messages_of_one_frame_of_many_are_timed() -> None:
    parts, traffic = Parts(outbox_messages_max=1_000), TrafficByClass()
    alice = parts.join("alice", consent=False)
    admitting = Admitting(parts.admission.admit, traffic)
    for number in range(3 * ONE_IN):
        admit = admitting.admit  # as a session does for each frame
        message = envelope("alice", Act.ACT_MESSAGE, "agent://alice", msg_id=f"m{number}")
        assert admit(Sender(alice), message.SerializeToString()) is None
    assert parts.metrics.admitted == 3 * ONE_IN
    assert counts(traffic) == {("message", OTHERS): 3}


def test_waiting_is_a_part_of_the_time() -> None:
    traffic, parts = TrafficByClass(), Parts()
    alice = parts.join("alice")
    looked: list[bool] = []

    async def wait() -> None:
        looked.append(not counts(traffic))
        await asyncio.sleep(0)

    admitting = Admitting(lambda sender, raw: wait(), traffic)
    for _ in range(ONE_IN):
        admit = admitting.admit
    waiting = admit(Sender(alice), envelope("alice", Act.ACT_CFP).SerializeToString())
    assert waiting is not None
    asyncio.run(_awaited(waiting))
    assert looked == [True]
    assert counts(traffic) == {("cfp", OTHERS): 1}


async def _awaited(waiting: object) -> None:
    await waiting  # type: ignore[misc]  # it is an awaitable


def test_what_cannot_be_read_is_timed_as_an_act_that_there_is_not() -> None:
    parts, traffic = Parts(), TrafficByClass()
    alice = parts.join("alice")
    admitting = Admitting(parts.admission.admit, traffic)
    for _ in range(ONE_IN):
        admitting.admit(Sender(alice), b"\xff\xff")
    assert counts(traffic) == {("unknown", OTHERS): 1}
