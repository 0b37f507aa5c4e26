"""How a stream goes on where the one before it broke, and what keeps a quiet one alive."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, ReceiptRequest
from llmx.v1.exchange_service_pb2 import ExchangeResponse, Goodbye, Hello
from llmx.v1.receipt_pb2 import Receipt, ReceiptStage
from tests.support.fake_streams import Aborted, FakeStream, Served, played
from tests.support.gateway_parts import envelope, stream_of

TO_BOB = (Act.ACT_MESSAGE, "agent://bob")


def certain() -> float:
    """Chance without chance."""
    return 1.0


def hello(token: str = "", window: int = 0) -> Hello:
    return Hello(consents=[Consent(grantee="*")], resume_token=token, window_messages=window)


def ids(frame: ExchangeResponse) -> list[str]:
    return [one.msg_id for one in frame.batch.envelopes]


async def broken(line: FakeStream) -> None:
    """Lose the connection."""
    line.call.cancel()
    await asyncio.wait((line.call,))


@pytest.fixture
def served() -> Served:
    return Served()


@played
async def test_a_resumed_stream_goes_on_without_gap_or_repeat(served: Served) -> None:
    alice = served.join("alice")
    async with served.open("bob", hello()) as line:
        assert not line.first.welcome.resumed
        token = line.first.welcome.resume_token
        for msg_id in ("m1", "m2"):
            served.admit(alice, envelope("alice", *TO_BOB, msg_id=msg_id))
            assert ids(await line.heard()) == [msg_id]
        line.send_envelopes(envelope("bob", *TO_BOB, msg_id="own"))
        assert (await line.heard()).confirmed_number == 1
        await broken(line)
    served.admit(alice, envelope("alice", *TO_BOB, msg_id="m3"))
    async with served.open("bob", hello(token), received=1) as line:
        welcome = line.first.welcome
        assert (welcome.resumed, welcome.resume_token) == (True, token)
        assert line.first.confirmed_number == 1, "the batch with `own` was handled"
        first, second = await line.heard(), await line.heard()
        assert [(one.number, ids(one)) for one in (first, second)] == [
            (2, ["m2", "own"]),
            (3, ["m3"]),
        ]
        assert served.metrics.resumed == 1


@pytest.mark.parametrize(("token", "received"), [("", 1), ("guessed", 1), (None, 7)])
@played
async def test_a_stream_that_cannot_resume_begins_anew_and_gets_all_that_is_owed(
    token: str | None, received: int
) -> None:
    served = Served()
    alice = served.join("alice")
    async with served.open("bob", hello()) as line:
        known = line.first.welcome.resume_token
        served.admit(alice, envelope("alice", *TO_BOB))
        assert ids(await line.heard()) == ["m1"]
        await broken(line)
    given = known if token is None else token
    async with served.open("bob", hello(given), received=received) as line:
        assert not line.first.welcome.resumed and line.first.confirmed_number == 0
        assert line.first.welcome.resume_token not in ("", known)
        again = await line.heard()
        assert (again.number, ids(again)) == (1, ["m1"])


@played
async def test_an_answer_that_was_lost_with_its_stream_is_given_on_the_next(
    served: Served,
) -> None:
    async with served.open("bob", hello()) as line:
        token = line.first.welcome.resume_token
        line.send_envelopes(envelope("bob", Act.ACT_MESSAGE, "agent://nobody"))
        refused = await line.heard()
        assert len(refused.batch.refusals) == 1
        await broken(line)
    async with served.open("bob", hello(token)) as line:
        assert line.first.confirmed_number == 1
        assert (await line.heard()).batch.refusals == refused.batch.refusals


@played
async def test_after_the_grace_there_is_nothing_to_resume(served: Served) -> None:
    async with served.open("bob", hello()) as line:
        token = line.first.welcome.resume_token
        assert line.first.welcome.resume_grace.ToSeconds() == 30
        await broken(line)
    served.now += 30.1
    served.upkeep.look(served.now, certain)
    async with served.open("bob", hello(token)) as line:
        assert not line.first.welcome.resumed


@played
async def test_a_half_dead_stream_is_taken_over_and_says_nothing_more(served: Served) -> None:
    """The connection hangs, the agent has noticed and we have not."""
    alice = served.join("alice")
    async with served.open("bob", hello()) as dead:
        dead.block()
        served.admit(alice, envelope("alice", *TO_BOB))
        await dead.stuck()
        token = dead.first.welcome.resume_token
        async with served.open("bob", hello(token)) as line:
            assert line.first.welcome.resumed
            assert ids(await line.heard()) == ["m1"]
            served.admit(alice, envelope("alice", *TO_BOB, msg_id="m2"))
            assert ids(await line.heard()) == ["m2"]
            dead.flow()
            assert ids(await dead.heard()) == ["m1"]
            goodbye = (await dead.heard()).goodbye
            assert (goodbye.reason, goodbye.resume_token) == ("replaced", "")


@played
async def test_a_batch_that_comes_twice_is_handled_once_and_confirmed_again(
    served: Served,
) -> None:
    async with served.open("bob", hello()) as line:
        line.send_envelopes(envelope("bob", *TO_BOB))
        assert ids(await line.heard()) == ["m1"]
        line.number -= 1
        line.send_envelopes(envelope("bob", *TO_BOB))
        await line.handled()
        assert not served.session("bob").confirm_soon()
        served.session("bob").confirm_soon()
        confirmation = await line.heard()
        assert (confirmation.number, confirmation.confirmed_number) == (0, 1)
        assert not served.metrics.refused and served.metrics.batches_repeated == 1


@played
async def test_a_gap_in_the_numbers_ends_the_stream_and_not_the_session(served: Served) -> None:
    async with served.open("bob", hello()) as line:
        line.number += 1
        line.send_envelopes(envelope("bob", *TO_BOB))
        goodbye = (await line.heard()).goodbye
        assert (goodbye.reason, bool(goodbye.resume_token)) == ("out_of_order", True)
        await asyncio.wait((line.call,))
        assert line.code is grpc.StatusCode.OUT_OF_RANGE
    async with served.open("bob", hello(goodbye.resume_token)) as line:
        assert line.first.welcome.resumed and line.first.confirmed_number == 0
        assert served.metrics.admitted == 0


@pytest.mark.parametrize(("wanted", "window"), [(0, 100), (2, 2), (5_000, 100)])
@played
async def test_an_agent_may_want_a_smaller_window(wanted: int, window: int) -> None:
    served = Served()
    alice = served.join("alice")
    async with served.open("bob", hello(window=wanted)) as line:
        assert line.first.welcome.window_messages == window
        for number in range(3):
            served.admit(alice, envelope("alice", *TO_BOB, msg_id=f"m{number}"))
        seen: list[str] = []
        while len(seen) < min(3, window):
            seen += ids(await line.heard())
        assert seen == ["m0", "m1", "m2"][:window]
        line.send(batch={"acked_msg_ids": ["m0"]})
        if window == 2:
            assert ids(await line.heard()) == ["m2"]


@played
async def test_a_sender_that_asks_is_told_what_was_admitted_and_what_arrived(
    served: Served,
) -> None:
    alice = served.join("alice")
    served.join("carol")
    asked = {"receipt": ReceiptRequest.RECEIPT_REQUEST_DELIVERED}
    async with served.open("bob", hello()) as line:
        both = envelope("bob", *TO_BOB, "agent://carol", **asked)
        line.send_envelopes(both)
        frame = await line.heard()
        assert ids(frame) == ["m1"]
        line.send(batch={"acked_msg_ids": ["m1"]})
        receipts = list(frame.batch.receipts)
        while len(receipts) < 2:
            receipts += (await line.heard()).batch.receipts
        admitted = Receipt(msg_id="m1", stage=ReceiptStage.RECEIPT_STAGE_ADMITTED)
        delivered = Receipt(
            msg_id="m1", stage=ReceiptStage.RECEIPT_STAGE_DELIVERED, recipient="agent://bob"
        )
        assert receipts == [admitted, delivered], "carol has not acknowledged it"
    served.admit(alice, envelope("alice", *TO_BOB, msg_id="m2"))
    assert not stream_of(alice).receipts, "nobody asked"


@played
async def test_a_gateway_that_stops_says_where_to_go_and_when(served: Served) -> None:
    async with served.open("bob", hello()) as line:
        served.exchange.stop(("gw-2:7600", "gw-3:7600"), certain)
        goodbye: Goodbye = (await line.heard()).goodbye
        assert goodbye.reason == "stopping" and goodbye.resume_token
        assert list(goodbye.move_to) == ["gw-2:7600", "gw-3:7600"]
        assert goodbye.reconnect_after.ToMilliseconds() == 1, "one agent of 1,000 in a second"


@played
async def test_a_slow_consumer_is_told_before_it_is_let_go() -> None:
    served = Served(outbox_messages_max=4)
    alice = served.join("alice")
    async with served.open("bob", hello()) as line:
        for number in range(3):
            served.admit(alice, envelope("alice", *TO_BOB, msg_id=f"m{number}"))
        warning = (await line.heard()).slow_consumer
        assert (warning.waiting_messages, warning.waiting_messages_max) == (3, 4)
        assert ids(await line.heard()) == ["m0", "m1", "m2"]
        for number in (3, 4):
            served.admit(alice, envelope("alice", *TO_BOB, msg_id=f"m{number}"))
        goodbye = (await line.heard()).goodbye
        assert goodbye.reason == "slow_consumer"
    async with served.open("bob", hello(goodbye.resume_token)) as line:
        again = await line.heard()
        assert ids(again) == ["m0", "m1", "m2"], "its Hello said that none had arrived"
        assert ids(await line.heard()) == ["m3"]


@played
async def test_a_hello_that_was_held_up_does_not_replace_the_stream_after_it(
    served: Served,
) -> None:
    """The agent had given that connection up; to be replaced would end it for good."""
    late = Hello(instance="p1", stream_count=1, topics=["old"])
    newer = Hello(instance="p1", stream_count=2, topics=["new"])
    async with served.open("bob", newer) as line:
        stream = served.stream("bob")
        stream.send(hello=late)
        with pytest.raises(Aborted) as aborted:
            await served.exchange.handle(None, stream)  # type: ignore[arg-type]
        assert aborted.value.code is grpc.StatusCode.ABORTED
        assert served.member("bob").topics == {"new"} and line.code is None
    async with served.open("bob", Hello(instance="p2", stream_count=1)) as line:
        assert line.first.welcome.agent_id == "agent://bob", "another process may start anew"


@played
async def test_what_a_resumed_stream_has_and_does_not_acknowledge_is_sent_again(
    served: Served,
) -> None:
    """Nothing was queued since: the writer has to time what went with the stream before."""
    alice = served.join("alice")
    async with served.open("bob", hello()) as line:
        token = line.first.welcome.resume_token
        served.admit(alice, envelope("alice", *TO_BOB, msg_id="m1"))
        assert ids(await line.heard()) == ["m1"]
        await broken(line)
    async with served.open("bob", hello(token), received=1) as line:
        assert line.first.welcome.resumed
        for _ in range(3):
            await asyncio.sleep(0)  # the writer looks
        served.now += 60
        served.upkeep.look(served.now, certain)
        assert ids(await line.heard()) == ["m1"]
