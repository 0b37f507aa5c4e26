"""What survives kill -9: durable messages and negotiations, whatever had happened to them."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.control_service_pb2 import RevokeConsentRequest
from llmx.v1.envelope_pb2 import Act, Envelope, ReceiptRequest
from llmx.v1.receipt_pb2 import ReceiptStage
from llmx.v1.refusal_pb2 import RefusalCode
from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd, RawAgent

EVERYBODY = [Consent(grantee="*")]
ADMITTED = ReceiptRequest.RECEIPT_REQUEST_ADMITTED


@contextmanager
def serving(folder: Path, *, killed: bool = False, **settings: object) -> Iterator[Gateway]:
    """Run a gateway with a store in `folder`, the same each time."""
    code = -signal.SIGKILL if killed else 0
    given = {"mailbox__file": folder / "store.db", "limits__linger_seconds": 60, **settings}
    with running(folder, exit_code=code, **given) as gateway:
        yield gateway


def kill(gateway: Gateway) -> None:
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.process.wait()


@asynccontextmanager
async def crowd_of(gateway: Gateway, tag: str) -> AsyncIterator[Crowd]:
    """Let the agents of one test come, under the same names at each gateway."""
    crowd = Crowd(gateway)
    crowd.tag = tag
    try:
        yield crowd
    finally:
        await crowd.close()


async def contractors(crowd: Crowd) -> tuple[RawAgent, RawAgent]:
    bob, carol = await crowd.contractors("bob", "carol", consents=EVERYBODY)
    return bob, carol


async def codes(agent: RawAgent, msg_id: str) -> str:
    return RefusalCode.Name((await agent.refusal(msg_id)).code)


async def test_a_durable_message_that_was_confirmed_is_delivered_after_kill_9(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, killed=True) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            alice, bob = await crowd.open("alice"), await crowd.open("bob", consents=EVERYBODY)
            bob.acknowledges = False
            sent = [
                alice.text(str(n), bob.address, durable=True, receipt=ADMITTED) for n in range(3)
            ]
            await alice.send(*sent)
            await alice.confirmation()
            while len(alice.receipts) < 3:
                await alice.read()
            assert {one.stage for one in alice.receipts} == {ReceiptStage.RECEIPT_STAGE_ADMITTED}
            await bob.arrival(sent[0].msg_id)
            kill(gateway)
    with serving(tmp_path) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            alice, bob = await crowd.open("alice"), await crowd.open("bob", consents=EVERYBODY)
            assert [(await bob.message()).msg_id for _ in sent] == [one.msg_id for one in sent]
            await alice.send(sent[0])
            assert await codes(alice, sent[0].msg_id) == "REFUSAL_CODE_DUPLICATE"
            await bob.confirmation()
            assert "llmx_mailbox_messages 0.0" in gateway.metrics()
    with serving(tmp_path) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            bob = await crowd.open("bob", consents=EVERYBODY)
            await bob.is_served()
            assert not bob.copies.keys() & {one.msg_id for one in sent}, "acknowledged is gone"


async def test_consents_survive_and_so_does_their_end(tmp_path: Path) -> None:
    with serving(tmp_path, killed=True) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            alice = await crowd.open("alice", consents=[Consent(grantee="*", consent_id="a")])
            bob = await crowd.open("bob", consents=[Consent(grantee="*", consent_id="b")])
            bob.acknowledges = False
            await alice.control.RevokeConsent(
                RevokeConsentRequest(consent_id="a"), metadata=alice.metadata
            )
            msg_id = await bob.say("durable", bob.address, durable=True)
            await bob.confirmation()
            kill(gateway)
    with serving(tmp_path) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            carol = await crowd.open("carol")
            to_bob = await carol.say("do you hear me", crowd.agent("bob").address)
            to_alice = await carol.say("and you", crowd.agent("alice").address)
            assert await codes(carol, to_alice) == "REFUSAL_CODE_CONSENT_MISSING"
            bob = await crowd.open("bob")
            assert [(await bob.message()).msg_id for _ in range(2)] == [msg_id, to_bob]


async def test_a_restart_in_place_loses_no_message_at_all(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            alice, bob = await crowd.open("alice"), await crowd.open("bob", consents=EVERYBODY)
            bob.acknowledges = False
            sent = [alice.text(str(number), bob.address) for number in range(20)]
            await alice.send(*sent)
            await alice.confirmation()
            await bob.arrival(sent[0].msg_id)
            assert gateway.stop() == 0
    with serving(tmp_path) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            bob = await crowd.open("bob", consents=EVERYBODY)
            assert [(await bob.message()).msg_id for _ in sent] == [one.msg_id for one in sent]


@dataclass
class Told:
    """What a gateway has told of a negotiation until it was killed."""

    call: Envelope
    negotiation_id: str
    outcomes: list[dict[str, Any]] = field(default_factory=list)


async def begin(crowd: Crowd, phase: str) -> Told:
    """Let a durable negotiation come to where its gateway is killed."""
    alice = await crowd.open("alice")
    bob, carol = await contractors(crowd)
    call = alice.cfp(crowd.topic(), reply_within=60)
    call.durable = True
    await alice.send(call)
    told = Told(call, (await alice.opened(call.msg_id)).negotiation_id)
    if phase != "before offers":
        await bob.offer(told.negotiation_id, 7)
        await bob.confirmation()
    if phase == "after the award":
        alice.acknowledges = bob.acknowledges = carol.acknowledges = False
        await carol.offer(told.negotiation_id, 5)
        await carol.confirmation()
        told.outcomes.append(await alice.outcome(told.negotiation_id))
    return told


async def go_on(crowd: Crowd, phase: str, told: Told) -> None:
    """Let it end at another life of the gateway, in one outcome."""
    alice = await crowd.open("alice")
    bob, carol = await contractors(crowd)
    negotiation_id, outcomes = told.negotiation_id, told.outcomes
    await alice.send(told.call)  # as a client does that is unsure
    assert await codes(alice, told.call.msg_id) == "REFUSAL_CODE_DUPLICATE"
    assert (await alice.opened(told.call.msg_id)).negotiation_id == negotiation_id
    if phase == "before offers":
        await bob.message(Act.ACT_CFP)
        await bob.offer(negotiation_id, 7)
    if phase != "after the award":
        await carol.offer(negotiation_id, 5)
    outcomes.append(await alice.outcome(negotiation_id))
    assert outcomes[0] == outcomes[-1]
    assert outcomes[0]["state"] == "committed"
    (winner,) = outcomes[0]["winners"]
    assert winner["agent"] == carol.address
    await carol.message(Act.ACT_ACCEPT)
    rejected = await bob.message(Act.ACT_REJECT)
    assert rejected.negotiation_id == negotiation_id
    late = await bob.do(Act.ACT_OFFER, negotiation_id, {"value": 1})
    assert await codes(bob, late) in ("REFUSAL_CODE_LATE", "REFUSAL_CODE_ALREADY_ANSWERED")


async def test_durable_negotiations_survive_kill_9_in_every_phase_and_have_one_outcome(
    tmp_path: Path,
) -> None:
    phases = ("before offers", "with offers", "after the award")
    with serving(tmp_path, killed=True) as gateway:
        async with AsyncExitStack() as agents:
            told = {
                phase: await begin(
                    await agents.enter_async_context(crowd_of(gateway, f"t{number}")), phase
                )
                for number, phase in enumerate(phases)
            }
            kill(gateway)
    with serving(tmp_path) as gateway:
        for number, phase in enumerate(phases):
            async with crowd_of(gateway, f"t{number}") as crowd:
                await go_on(crowd, phase, told[phase])


async def test_a_full_store_refuses_what_is_durable_and_serves_the_rest(tmp_path: Path) -> None:
    with serving(tmp_path, mailbox__file_bytes_max=1 << 20) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            alice, bob = await crowd.open("alice"), await crowd.open("bob", consents=EVERYBODY)
            bob.acknowledges = False
            sent: list[str] = []
            while not alice.refusals:
                text = alice.text("x" * 60_000, bob.address, durable=True)
                sent.append(text.msg_id)
                await alice.send(text)
                await alice.confirmation()
                assert len(sent) < 100
            assert await codes(alice, sent[-1]) == "REFUSAL_CODE_STORE_UNAVAILABLE"
            assert "llmx_store_available 0.0" in gateway.metrics()
            await alice.is_served()
            await bob.arrival(sent[0])
            await bob.acknowledge(*sent)
            await bob.confirmation()
            while "llmx_store_available 0.0" in gateway.metrics():
                await alice.is_served()
            again = await alice.say("works again", bob.address, durable=True)
            await bob.arrival(again)


async def test_a_full_disk_refuses_what_is_durable_and_loses_nothing(tmp_path: Path) -> None:
    """No file may grow beyond what it is: the operating system says so to every write."""
    with serving(tmp_path, killed=True) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            alice, bob = await crowd.open("alice"), await crowd.open("bob", consents=EVERYBODY)
            bob.acknowledges = False
            kept = [alice.text("before", bob.address, durable=True)]
            await alice.send(*kept)
            await alice.confirmation()
            size = (tmp_path / "store.db-wal").stat().st_size
            _, most = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size + 4096, most))
            lost = alice.text("x" * 30_000, bob.address, durable=True)
            await alice.send(lost)
            assert await codes(alice, lost.msg_id) == "REFUSAL_CODE_STORE_UNAVAILABLE"
            assert "llmx_store_available 0.0" in gateway.metrics()
            plain = await alice.say("goes on", bob.address)
            await bob.arrival(plain)
            assert lost.msg_id not in bob.copies
            resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (most, most))
            while "llmx_store_available 0.0" in gateway.metrics():
                await alice.is_served()
            await alice.send(lost)
            await alice.confirmation()
            kept.append(lost)
            kill(gateway)
    assert gateway.log().count("the store cannot be written") == 1
    with serving(tmp_path) as gateway:
        async with crowd_of(gateway, "t") as crowd:
            bob = await crowd.open("bob", consents=EVERYBODY)
            assert [(await bob.message()).msg_id for _ in kept] == [one.msg_id for one in kept]


async def test_one_store_serves_one_gateway(tmp_path: Path) -> None:
    with serving(tmp_path):
        with (
            pytest.raises(AssertionError),
            running(tmp_path / "second", exit_code=2, mailbox__file=tmp_path / "store.db"),
        ):
            pass
        assert "has it open" in (tmp_path / "second" / "stderr").read_text()
