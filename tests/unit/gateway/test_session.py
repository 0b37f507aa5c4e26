"""One agent's stream: what it reads, what it writes and when, and how it ends."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from gateway import session as session_module
from gateway.auth import Identity
from gateway.endings import STATUS_OF
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.exchange_service_pb2 import ExchangeRequest, ExchangeResponse, Hello
from llmx.v1.refusal_pb2 import RefusalCode
from tests.support.fake_streams import FRAME_BYTES_MAX, bob_is_here, played
from tests.support.gateway_parts import NOW, Parts, envelope, received


def ids(frame: ExchangeResponse) -> list[str]:
    return [one.msg_id for one in frame.batch.envelopes]


def codes(frame: ExchangeResponse) -> list[str]:
    names = [RefusalCode.Name(one.code) for one in frame.batch.refusals]
    return [name.removeprefix("REFUSAL_CODE_") for name in names]


@played
async def test_the_welcome_is_first_and_batches_count_from_one() -> None:
    async with bob_is_here(waiting="m1") as bob:  # which reads a Welcome with number 0
        frame = await bob.stream.heard()
        assert (frame.number, ids(frame)) == (1, ["m1"])
        assert bob.stream.frames.empty() and bob.parts.metrics.frames_out == 2


@played
async def test_one_frame_carries_everything_that_is_queued_when_it_can_go() -> None:
    async with bob_is_here() as bob:
        bob.stream.block()
        bob.deliver("m1")
        await bob.stream.stuck()
        bob.deliver("m2", "m3")
        bob.stream.send_envelopes(Envelope(msg_id="wrong"))
        await bob.stream.handled()
        bob.stream.flow()
        assert await bob.next_ids() == ["m1"]
        rest = await bob.stream.heard()
        assert ids(rest) == ["m2", "m3"] and codes(rest) == ["SENDER_MISMATCH"]
        assert (rest.number, rest.confirmed_number) == (2, 1)


@played
async def test_what_is_too_much_for_one_frame_goes_in_several_in_order() -> None:
    async with bob_is_here() as bob:
        names = [f"m{n}" for n in range(10)]
        bob.deliver(*names, size=4_000)
        heard: list[str] = []
        while len(heard) < len(names):
            frame = await bob.stream.heard()
            assert frame.ByteSize() < FRAME_BYTES_MAX / 2  # refusals and openings have parts too
            heard += ids(frame)
        assert heard == names


@played
async def test_an_acknowledgement_ends_the_wait_for_it() -> None:
    async with bob_is_here() as bob:
        bob.deliver("m1", "m2")
        assert await bob.next_ids() == ["m1", "m2"]
        bob.stream.send(batch={"acked_msg_ids": ["m1", "unknown"]})
        await bob.stream.handled()
        assert len(bob.member.outbox) == 1 and bob.parts.metrics.acknowledged == 1


@played
async def test_envelopes_are_admitted_in_order() -> None:
    async with bob_is_here(Parts(outbox_messages_max=200)) as bob:
        carol = bob.parts.join("carol")
        to = (Act.ACT_MESSAGE, "agent://carol")
        sent = [envelope("bob", *to, msg_id=f"m{n}") for n in range(150)]
        bob.stream.send_envelopes(*sent[:100])  # more than are admitted in one go
        bob.stream.send_envelopes(*sent[100:])
        await bob.stream.handled()
        assert [one.msg_id for one in received(carol)] == [f"m{n}" for n in range(150)]


@played
async def test_a_confirmation_that_found_no_frame_for_an_interval_goes_by_itself_once() -> None:
    async with bob_is_here() as bob:
        bob.stream.send(batch={})
        await bob.stream.handled()
        assert bob.to_confirm == {bob.session} and bob.stream.frames.empty()
        assert not bob.session.confirm_soon(), "a frame may yet go that it rides on"
        await asyncio.sleep(0)
        assert bob.stream.frames.empty()
        assert not bob.session.confirm_soon()
        alone = await bob.stream.heard()
        assert (alone.number, alone.confirmed_number, alone.WhichOneof("content")) == (0, 1, None)
        assert bob.session.confirm_soon(), "there is no more to tell"
        await asyncio.sleep(0)
        bob.deliver("m1")
        following = await bob.stream.heard()
        assert (following.number, ids(following)) == (1, ["m1"])


@played
async def test_a_confirmation_rides_on_a_frame_that_goes_anyway() -> None:
    async with bob_is_here() as bob:
        bob.stream.send(batch={})
        await bob.stream.handled()
        bob.deliver("m1")
        frame = await bob.stream.heard()
        assert (frame.confirmed_number, ids(frame)) == (1, ["m1"])
        bob.session.confirm_soon()
        bob.deliver("m2")
        following = await bob.stream.heard()
        assert (following.number, ids(following)) == (2, ["m2"])


@played
async def test_a_batch_is_not_confirmed_before_a_shard_has_judged_what_was_in_it() -> None:
    """Else an agent takes a move for admitted whose refusal is still on its way."""
    async with bob_is_here() as bob:
        negotiation_id = bob.parts.negotiations.mint(bob.member.tenant)
        bob.stream.send_envelopes(
            envelope("bob", Act.ACT_OFFER, negotiation_id=negotiation_id, body={"value": 7})
        )
        await bob.stream.handled()
        assert not bob.session.confirm_soon(), "whoever confirms has to ask again"
        bob.deliver("m1")
        frame = await bob.stream.heard()
        assert (ids(frame), frame.confirmed_number) == (["m1"], 0)
        bob.parts.run()
        frame = await bob.stream.heard()
        assert (codes(frame), frame.confirmed_number) == (["UNKNOWN_NEGOTIATION"], 1)
        assert bob.session.confirm_soon()


@played
async def test_a_frame_that_is_wrong_is_refused_and_the_stream_lives() -> None:
    async with bob_is_here() as bob:
        bob.stream.send_bytes(b"\xff")
        assert codes(await bob.stream.heard()) == ["MALFORMED_FRAME"]
        bob.stream.send_bytes(b"x" * (FRAME_BYTES_MAX + 1))
        assert codes(await bob.stream.heard()) == ["TOO_LARGE"]
        bob.stream.send(hello=Hello(agent_id="agent://eve"))
        again = await bob.stream.heard()
        assert codes(again) == ["MALFORMED_FRAME"] and again.batch.refusals[0].remedy
        assert bob.parts.metrics.refused == {"MALFORMED_FRAME": 2, "TOO_LARGE": 1}
        bob.deliver("m1")
        assert await bob.next_ids() == ["m1"]


@played
async def test_answers_that_nobody_takes_stop_the_reader_until_they_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or an agent that sends rubbish and never reads could fill our memory."""
    monkeypatch.setattr(session_module, "ANSWERS_MAX", 3)
    async with bob_is_here() as bob:
        bob.stream.block()
        bob.deliver("m1")
        await bob.stream.stuck()
        for _ in range(10):
            bob.stream.send_bytes(b"\xff")
        for _ in range(50):
            await asyncio.sleep(0)  # time enough to read all, were it allowed
        assert bob.stream.unread == 6
        bob.stream.flow()
        assert await bob.next_ids() == ["m1"]
        assert len(codes(await bob.stream.heard())) == 4
        await bob.stream.handled()
        assert bob.parts.metrics.refused["MALFORMED_FRAME"] == 10


@played
async def test_one_frame_of_rubbish_waits_for_its_answers_to_go_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "ANSWERS_MAX", 100)
    async with bob_is_here() as bob:
        bob.stream.block()
        bob.deliver("m1")
        await bob.stream.stuck()
        bob.stream.send_envelopes(*[Envelope()] * 500)
        refused = bob.parts.metrics.refused
        for _ in range(50):
            await asyncio.sleep(0)
        assert 100 < sum(refused.values()) <= 100 + session_module.ADMIT_SLICE
        bob.stream.flow()
        await bob.stream.handled()
        assert sum(refused.values()) == 500


@played
async def test_who_does_not_read_is_let_go_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "GOODBYE_SECONDS_MAX", 0.001)
    async with bob_is_here(Parts(outbox_messages_max=2)) as bob:
        bob.stream.block()
        bob.deliver("m1")
        await bob.stream.stuck()
        bob.deliver("m2", "m3")
        assert "closing, slow_consumer" in repr(bob.session)
        assert await bob.ended == "slow_consumer"
        assert bob.stream.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert bob.stream.details.startswith("slow_consumer: 2 messages")
        assert len(bob.member.outbox) == 2 and bob.stream.frames.empty()


@pytest.mark.parametrize(("reason", "status"), STATUS_OF.items())
@played
async def test_a_stream_that_is_closed_ends_with_a_goodbye_and_its_status(
    reason: str, status: grpc.StatusCode
) -> None:
    async with bob_is_here() as bob:
        bob.session.close(reason, "for a test")
        bob.session.close("stopping", "a second reason does not count")
        goodbye = (await bob.stream.heard()).goodbye
        assert (goodbye.reason, goodbye.detail) == (reason, "for a test")
        assert await bob.ended == reason
        assert (bob.stream.code, bob.stream.details) == (status, f"{reason}: for a test")


@played
async def test_a_replaced_stream_leaves_what_is_queued_to_the_newer_one() -> None:
    async with bob_is_here() as bob:
        bob.stream.block()
        bob.deliver("m1")
        await bob.stream.stuck()
        bob.session.close("replaced", "there is a newer one")
        bob.member.outbox.resume()
        bob.deliver("m2")
        bob.stream.flow()
        assert await bob.next_ids() == ["m1"]  # it was on its way already
        assert (await bob.stream.heard()).goodbye.reason == "replaced"
        assert await bob.ended == "replaced" and bob.stream.frames.empty()
        assert [one.msg_id for one in received(bob.member)] == ["m1", "m2"]


@played
async def test_a_gateway_that_stops_sends_what_is_queued_before_its_goodbye() -> None:
    async with bob_is_here() as bob:
        bob.session.close("stopping", "until later")
        bob.deliver("m1")
        assert await bob.next_ids() == ["m1"]
        assert (await bob.stream.heard()).goodbye.reason == "stopping"


@played
async def test_who_half_closes_still_hears_what_is_queued() -> None:
    async with bob_is_here() as bob:
        bob.stream.block()
        bob.deliver("m0")
        await bob.stream.stuck()
        bob.deliver(*(f"m{n}" for n in range(1, 6)), size=6_000)
        bob.stream.send_bytes(b"\xff")
        bob.stream.half_close()
        bob.stream.flow()
        assert await bob.ended == "client_closed" and bob.stream.code is None
        frames = [bob.stream.frames.get_nowait() for _ in range(bob.stream.frames.qsize())]
        assert [one for frame in frames for one in ids(frame)] == [f"m{n}" for n in range(6)]
        assert [one for frame in frames for one in codes(frame)] == ["MALFORMED_FRAME"]


@played
async def test_a_write_that_fails_means_that_the_agent_vanished_without_a_word() -> None:
    """It may come back within the grace; one that half-closed is not waited for."""
    async with bob_is_here() as bob:
        bob.stream.is_broken = True
        bob.deliver("m1")
        assert await bob.ended == "client_vanished"
    async with bob_is_here() as bob:
        bob.stream.is_broken = True
        bob.stream.half_close()  # as a break looks at first
        assert await bob.ended == "client_vanished"


@played
async def test_a_renewal_is_passed_on_and_answered() -> None:
    async with bob_is_here() as bob:
        bob.stream.send(renew_token={"token": "new"})
        await bob.stream.handled()
        assert bob.renewals == [b"\n\x03new"]
        later = Identity("agent://bob", "acme", frozenset(), None, NOW + 900, "token-2")
        bob.session.renewed(later)
        answer = await bob.stream.heard()
        assert answer.token_renewed.token_expires_at.ToSeconds() == NOW + 900
        assert answer.number == 0 and bob.session.identity is later


@played
async def test_who_is_asked_to_move_knows_what_became_of_its_last_batch() -> None:
    """Or it would send again, to a gateway that knows nothing of it, what was delivered here."""
    async with bob_is_here() as bob:
        bob.disk = asyncio.Event()
        to_itself = (Act.ACT_MESSAGE, "agent://bob")
        bob.stream.send_envelopes(envelope("bob", *to_itself))
        assert await bob.next_ids() == ["m1"]
        bob.session.close("stopping", "until later")
        for _ in range(10):
            await asyncio.sleep(0)  # time enough to say Goodbye
        assert bob.stream.frames.empty(), "the disk has not answered"
        bob.disk.set()
        confirmation = await bob.stream.heard()
        assert (confirmation.number, confirmation.confirmed_number) == (0, 1)
        assert (await bob.stream.heard()).goodbye.reason == "stopping"


@played
async def test_a_batch_without_a_number_is_refused_and_the_stream_lives() -> None:
    """Somebody who writes a client is told, instead of being ignored."""
    async with bob_is_here() as bob:
        bob.stream.send_bytes(ExchangeRequest(batch={"acked_msg_ids": ["x"]}).SerializeToString())
        assert codes(await bob.stream.heard()) == ["MALFORMED_FRAME"]
        bob.deliver("m1")
        assert await bob.next_ids() == ["m1"]


@played
async def test_an_agent_whose_batch_waits_for_the_disk_is_not_taken_for_silent() -> None:
    async with bob_is_here() as bob:
        bob.disk = asyncio.Event()
        bob.stream.send(batch={})
        for _ in range(10):
            await asyncio.sleep(0)  # time enough to begin with the batch
        bob.session.show_life(NOW + 100, heartbeat=10)
        assert (await bob.stream.heard()).WhichOneof("content") is None
        bob.disk.set()
        await bob.stream.handled()
        bob.session.show_life(NOW + 100, heartbeat=10)
        assert (await bob.stream.heard()).goodbye.reason == "silent"
