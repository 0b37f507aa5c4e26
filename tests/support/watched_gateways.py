"""Two gateways of one cluster that are watched in every way, a call across both, and what is left.

`eu` names agents as they are called, `us` by their hashes. A `Story` is told once, everything is
stopped, and tests read what was written: spans wait for nobody then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc

from gateway.telemetry.admitting import ONE_IN
from llmx.v1.admin_service_pb2 import DrainRequest
from llmx.v1.admin_service_pb2_grpc import AdminServiceStub
from llmx.v1.cluster_pb2 import DrainState
from llmx.v1.control_service_pb2 import ListPoliciesRequest, PutPolicyRequest
from llmx.v1.envelope_pb2 import Act
from llmx.v1.exchange_service_pb2 import Hello
from tests.support.etcd import Etcd
from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd, RawAgent

AGENT_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""What the initiator says of its own trace."""
MOVED_TRACE = "00-9d2f0c6a5be84b1f8a3e7c55d1406b72-53995c3f42cd8ad8-01"
"""The same of the call that another gateway takes over."""

SECRETS = {
    field: f"hush{number:02d}zq{field.replace('_', '')}"
    for number, field in enumerate(
        (
            "agent_name",
            "tenant",
            "token_id",
            "token",
            "topic",
            "capability",
            "msg_id",
            "in_reply_to",
            "negotiation_id",
            "recipient",
            "ts",
            "consent",
            "tracestate",
            "traceparent",
            "payload_text",
            "payload_member",
            "payload_schema",
            "payload_broken",
            "big_payload",
            "metadata",
            "method",
            "instance",
            "resume_token",
            "policy",
            "cancel_reason",
            "id_like_ours",
        )
    )
}
"""A word for each field in which somebody may write one, by the field."""


@dataclass
class Watched:
    """What is left of a gateway."""

    folder: Path
    scrape: str = ""

    @property
    def audit(self) -> Path:
        return self.folder / "audit.jsonl"

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text("utf-8")

    def audited(self, kind: str) -> list[dict[str, Any]]:
        """Return what the audit says of one kind."""
        lines = [json.loads(line) for line in self.audit.read_text("utf-8").splitlines()]
        return [line for line in lines if line["kind"] == kind]

    def spans(self) -> list[dict[str, Any]]:
        """Return all spans, as they were exported."""
        text = (self.folder / "spans.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]


@dataclass
class Story:
    """What happened, and what was written of it."""

    eu: Watched
    us: Watched
    negotiation_id: str = ""
    moved_id: str = ""
    """The negotiation that eu began and us decided."""
    names: dict[str, str] = field(default_factory=dict)
    """The addresses of the agents."""
    heard_traces: list[str] = field(default_factory=list)
    """What agents heard of the trace, with what was delivered to them."""
    planted: set[str] = field(default_factory=set)
    """The fields whose secrets were sent."""

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [*self.eu.spans(), *self.us.spans()]


def settings_of(folder: Path, name: str, other: str, etcd: Etcd, **more: object) -> dict[str, Any]:
    """Return the settings of one of two gateways."""
    return {
        "server__gateway_id": name,
        "auth__development_secret_file": folder / "eu" / "state" / "development.secret",
        "federation__etcd": f"127.0.0.1:{etcd.port}",
        "federation__unix": folder / f"{name}.sock",
        "federation__listen": "none",
        "federation__awards": "all",
        "federation__heartbeat_seconds": 0.2,
        "market__store": "etcd",
        "mailbox__file": folder / name / "mail.sqlite",
        "server__shutdown_grace": 0.3,
        "telemetry__tenant_classes": "default=gold",
        "telemetry__audit": folder / name / "audit.jsonl",
        "telemetry__traces": "file",
        "telemetry__traces_file": folder / name / "spans.jsonl",
        **more,
    }


@contextmanager
def watched(folder: Path) -> Iterator[tuple[Story, Gateway, Gateway]]:
    """Run etcd and both gateways; when the block ends all are stopped, and the story is whole."""
    etcd = Etcd(folder / "etcd")
    asyncio.run(etcd.restart())
    story = Story(Watched(folder / "eu"), Watched(folder / "us"))
    try:
        with (
            running(folder / "eu", **settings_of(folder, "eu", "us", etcd)) as eu,
            running(
                folder / "us", **settings_of(folder, "us", "eu", etcd, log__names="hashed")
            ) as us,
        ):
            us.secret = eu.secret
            yield story, eu, us
            story.eu.scrape, story.us.scrape = eu.metrics(), us.metrics()
    finally:
        etcd.end()


async def tell(story: Story, eu: Gateway, us: Gateway) -> None:
    """Let everything happen that is to be seen."""
    await call_across(story, eu, us)
    await operate(eu)
    await plant(story, us)
    await move_away(story, eu, us)


async def operate(eu: Gateway) -> None:
    """Let operators come, one of whom may not do what it wants; and many small messages."""
    async with Crowd(eu) as crowd:
        operator = crowd.agent("olga", roles=["operator"])
        control, admin = operator.control, AdminServiceStub(operator.channel)
        known = await control.ListPolicies(ListPoliciesRequest(), metadata=operator.metadata)
        profile = known.profiles[0]
        profile.name = "quick"
        await control.PutPolicy(PutPolicyRequest(profile=profile), metadata=operator.metadata)
        with suppress(grpc.aio.AioRpcError):
            request = DrainRequest(gateway_id="eu")
            async for _ in admin.Drain(request, metadata=operator.metadata):
                raise AssertionError("she may not")
        with suppress(grpc.aio.AioRpcError):
            await operator.channel.unary_unary("/llmx.v1.Nobody/Knows")(b"")
        await stranger(crowd, "no token at all")
        talker = await crowd.open("tom")
        for _ in range(ONE_IN):  # in frames of their own, of which one is timed
            await talker.say("hello", talker.address)
        await talker.say("hello", "agent://nobody")
        await talker.confirmation()


async def stranger(crowd: Crowd, token: str) -> None:
    """Let somebody come whose token nobody believes."""
    agent = crowd.agent("stranger", token)
    agent.connect()
    await agent.write(hello=Hello())
    await agent.end()


async def plant(story: Story, us: Gateway) -> None:
    """Write a secret into every field, in messages that are admitted and in such that are not."""
    s = SECRETS
    async with Crowd(us) as crowd:
        await stranger(crowd, s["token"])
        claims: dict[str, Any] = {"tenant": s["tenant"], "roles": [s["token_id"]]}
        hello = {
            "topics": [s["topic"]],
            "capabilities": [s["capability"]],
            "instance": s["instance"],
        }
        eve = await crowd.open(s["agent_name"], claims=claims, **hello)
        eve.openings.clear()
        ann = await crowd.open("ann", claims=claims, **hello, resume_token=s["resume_token"])
        topic = f"topic://{s['topic']}"
        good: dict[str, Any] = {
            "capabilities": [s["capability"]],
            "in_reply_to": s["in_reply_to"],
            "tracestate": f"vendor={s['tracestate']}",
            "traceparent": s["traceparent"],
        }
        text = eve.text(s["payload_text"], topic, msg_id=s["msg_id"], **good)
        text.scope.consent = s["consent"]
        await eve.send(text)
        await ann.arrival(s["msg_id"])
        await eve.say(s["big_payload"] * 1_000, topic)
        await ann.message()
        for wrong in (
            eve.text("", f"agent://{s['recipient']}"),
            eve.text("", s["recipient"]),
            eve.text("", topic, ts=s["ts"]),
            eve.envelope(Act.ACT_OFFER, {"value": 1}, negotiation_id=s["negotiation_id"]),
            eve.envelope(
                Act.ACT_OFFER,
                {s["payload_member"]: 1, "value": s["payload_text"]},
                negotiation_id="us.0.0000000000000000-0000000000",
            ),
            eve.envelope(Act.ACT_MESSAGE, {"$schema": s["payload_schema"]}, recipients=[topic]),
            eve.envelope(
                Act.ACT_MESSAGE, f'{{"{s["payload_broken"]}"'.encode(), recipients=[topic]
            ),
            eve.envelope(Act.ACT_MESSAGE, s["big_payload"].encode() * 1_000, recipients=[topic]),
            eve.cfp(topic, task="x", policy=s["policy"]),
        ):
            await eve.send(wrong)
            await eve.refusal(wrong.msg_id)
        tag = f"-{sha256(s['tenant'].encode()).hexdigest()[:10]}"
        for owner in ("us", "eu"):  # it looks like one of theirs, so it goes there
            like_ours = f"{owner}.0.{s['id_like_ours'][:16]}{tag}"
            wrong = eve.envelope(Act.ACT_OFFER, {"value": 1}, negotiation_id=like_ours)
            await eve.send(wrong)
            await eve.refusal(wrong.msg_id)
        opened = await eve.call_for(topic, task=s["payload_text"])
        await ann.message(Act.ACT_CFP)
        await eve.do(Act.ACT_CANCEL, opened.negotiation_id, {"reason": s["cancel_reason"]})
        outcome = await eve.outcome(opened.negotiation_id)
        assert outcome["state"] == "cancelled", outcome
        opened = await eve.call_for(topic, task=s["payload_text"])
        await ann.message(Act.ACT_CFP)
        conditions = {s["payload_member"]: s["payload_text"]}
        await ann.offer(opened.negotiation_id, 5, conditions=conditions)
        await eve.outcome(opened.negotiation_id)
        odd = (*eve.metadata, ("x-odd", s["metadata"]))
        with suppress(grpc.aio.AioRpcError):
            await eve.channel.unary_unary(f"/llmx.v1.{s['method']}/{s['method']}")(
                b"", metadata=odd
            )
        story.planted.update(s)


async def call_across(story: Story, eu: Gateway, us: Gateway) -> None:
    """Let alice at eu call; bob at us wins over carol at eu, with an offer that a worker judges."""
    async with Crowd(eu) as here, Crowd(us) as there:
        there.tag = here.tag
        alice = await here.open("alice")
        carol = await here.open("carol", topics=[here.topic()])
        bob = await there.open("bob", topics=[here.topic()], capabilities=["far"])
        story.names = {agent.name.partition("-")[0]: agent.address for agent in (alice, bob, carol)}
        call = alice.cfp(here.topic(), task="four GPUs", policy="high", reply_within=20)
        call.traceparent = AGENT_TRACE
        await _known(alice, bob, here.topic())
        await alice.send(call)
        opened = await alice.opened(call.msg_id)
        story.negotiation_id = opened.negotiation_id
        heard = await bob.message(Act.ACT_CFP)
        story.heard_traces.append(heard.traceparent)
        await bob.offer(opened.negotiation_id, 30, conditions={"note": "x" * 9_000})
        heard = await carol.message(Act.ACT_CFP)
        story.heard_traces.append(heard.traceparent)
        await carol.offer(opened.negotiation_id, 40)
        outcome = await alice.outcome(opened.negotiation_id)
        assert [one["agent"] for one in outcome["winners"]] == [bob.address], outcome
        await bob.message(Act.ACT_ACCEPT)
        await carol.message(Act.ACT_REJECT)
        await bob.offer(opened.negotiation_id, 1)  # too late
        for agent in (alice, bob, carol):
            await agent.confirmation()


async def move_away(story: Story, eu: Gateway, us: Gateway) -> None:
    """Let dave at eu call erin there; both go on at us, and so does the negotiation, by a drain."""
    async with Crowd(eu) as here, Crowd(us) as there:
        there.tag = here.tag
        dave = await here.open("dave")
        erin = await here.open("erin", topics=[here.topic()])
        call = dave.cfp(here.topic(), task="four GPUs", policy="high", reply_within=20)
        call.traceparent = MOVED_TRACE
        await dave.send(call)
        story.moved_id = (await dave.opened(call.msg_id)).negotiation_id
        await erin.message(Act.ACT_CFP, story.moved_id)
        await erin.confirmation()
        erin, dave = await there.open("erin", topics=[here.topic()]), await there.open("dave")
        operator = here.agent("opal", roles=["exchange-operator"])
        request = DrainRequest(gateway_id="eu", agents_per_second=100)
        drained = AdminServiceStub(operator.channel).Drain(request, metadata=operator.metadata)
        async for told in drained:
            state = told.drain.state
        assert state == DrainState.DRAIN_STATE_DRAINED
        await erin.offer(story.moved_id, 30)
        assert (await dave.outcome(story.moved_id))["state"] == "committed"


async def _known(alice: RawAgent, bob: RawAgent, topic: str) -> None:
    """Wait until alice's gateway knows bob, who can do what nobody else can."""
    async with asyncio.timeout(8):
        while True:
            asked = alice.text("are you there?", topic, capabilities=["far"])
            await alice.send(asked)
            await alice.confirmation()
            if not alice.refused(asked.msg_id):
                await bob.arrival(asked.msg_id)
                return
