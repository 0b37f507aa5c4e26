"""Negotiations and agents that go on at another gateway stay in their trace."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from gateway.members import Member
from gateway.telemetry import traced_outbox
from gateway.telemetry.moved_traces import MovedTraces
from gateway.telemetry.trace_context import read
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.peering_pb2 import AgentHandover, NegotiationHandover, PeerMessage
from tests.support.cluster_calls import moved
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import envelope, received
from tests.support.traced_parts import Kept, traced

BYTES_MAX = 100_000
OWN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OWN_TRACE = int(OWN[3:35], 16)


class Scene:
    """Gateways a and b; alice and bob are at a, and b has never heard of their call."""

    def __init__(self, *, names: str = "ab", has_traces: bool = True, ratio: float = 1.0) -> None:
        self.cluster = ClusterParts(*names)
        self.kept = {name: Kept(ratio=ratio) for name in names}
        self.told: list[PeerMessage] = []
        for name in names if has_traces else "":
            gateway, tracing = self.cluster[name], self.kept[name].tracing
            traced(gateway, self.kept[name])
            for kind in ("act", "delivery"):
                gateway.peers.heard[kind] = tracing.hopping(kind, gateway.peers.heard[kind])
            MovedTraces(tracing).watch(gateway.peers, gateway.handover, gateway.inheritance)
            admit = tracing.admitting(gateway.admission.admit, BYTES_MAX)
            gateway.admission.admit = admit  # type: ignore[method-assign]
        peers = self.cluster["a"].peers
        send = peers.send

        def overheard(to: str, raw: bytes) -> bool:
            self.told.append(PeerMessage.FromString(raw))
            return send(to, raw)

        peers.send = overheard  # type: ignore[method-assign]
        self.alice, self.bob = (self.cluster["a"].arrive(one, "gpu") for one in ("alice", "bob"))
        self.cluster.run()

    def call(self, gateway_id: str = "a", who: Member | None = None, **fields: Any) -> Envelope:
        """Let alice call, and return what bob hears and acknowledges."""
        body = {"act": "cfp", "task": "four GPUs", "reply_within": 5, "policy": "high"}
        message = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="c", body=body, **fields)
        self.cluster.admit(gateway_id, who or self.alice, message)
        (heard,) = received(self.bob)
        self.cluster.acknowledge(gateway_id, self.bob, "c")
        return heard

    def offer(self, heard: Envelope) -> Envelope:
        return envelope(
            "bob",
            Act.ACT_OFFER,
            msg_id="offer-bob",
            body={"act": "offer", "value": 40},
            negotiation_id=heard.negotiation_id,
            in_reply_to="c",
        )

    def handed(self) -> NegotiationHandover:
        """Return what a told of the negotiation that it gave away."""
        (told,) = [one.negotiation for one in self.told if one.HasField("negotiation")]
        return told

    def agents(self) -> AgentHandover:
        """Return what a told of the agent that moved."""
        (told,) = [one.handover for one in self.told if one.HasField("handover")]
        return told

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a gateway, each of which is in one and the same trace."""
        spans = self.kept[name].spans
        assert spans and {span.get_span_context().trace_id for span in spans} == {OWN_TRACE}
        return spans


def test_what_an_heir_does_is_a_part_of_the_trace_that_the_owner_began() -> None:
    """A deadline comes of no message, so nothing else could tell the heir."""
    scene = Scene()
    scene.call(traceparent=OWN)
    assert scene.cluster["a"].inheritance.hand_over() == 1
    scene.cluster.run()
    scene.cluster.advance(6.0)
    spans = scene.spans("b")
    (hop,) = [one for one in spans if (one.attributes or {}).get("llmx.carried") == "negotiation"]
    (step,) = [one for one in spans if one.name == "step"]
    assert step.attributes is not None and step.attributes["llmx.event"] == "DeadlinePassed"
    assert step.parent is not None and hop.parent is not None
    assert step.parent.span_id == hop.get_span_context().span_id
    assert hop.parent.span_id in {one.get_span_context().span_id for one in scene.spans("a")}


def test_a_negotiation_that_is_handed_over_twice_stays_in_its_trace() -> None:
    scene = Scene()
    heard = scene.call(traceparent=OWN)
    scene.cluster["a"].inheritance.hand_over()
    scene.cluster.run()
    scene.kept["a"].tracing._calls.clear()  # as if it had been another gateway
    scene.kept["a"].spans.clear()
    scene.cluster["b"].inheritance.hand_over()
    scene.cluster.run()
    scene.cluster.admit("a", scene.bob, scene.offer(heard))
    assert {"hop", "admission", "step"} <= {one.name for one in scene.spans("a")}


def test_an_agent_that_has_moved_answers_in_the_trace_of_the_call_that_it_heard_before() -> None:
    """Its new gateway has never seen that call."""
    scene = Scene()
    heard = scene.call(traceparent=OWN)
    bob = moved(scene.cluster, "b", "bob")
    scene.cluster.admit("b", bob, scene.offer(heard))
    assert {one.name for one in scene.spans("b")} >= {"admission"}
    assert "step" in {one.name for one in scene.spans("a")}


def test_an_agent_that_moves_again_takes_along_what_it_came_with() -> None:
    scene = Scene(names="abc")
    heard = scene.call(traceparent=OWN)
    moved(scene.cluster, "b", "bob")
    bob = moved(scene.cluster, "c", "bob")
    scene.cluster.admit("c", bob, scene.offer(heard))
    assert {one.name for one in scene.spans("c")} >= {"admission"}


def test_the_initiator_that_has_moved_stays_in_the_trace_of_its_call() -> None:
    scene = Scene()
    heard = scene.call(traceparent=OWN)
    alice = moved(scene.cluster, "b", "alice")
    cancel = envelope("alice", Act.ACT_CANCEL, body={"act": "cancel"}, msg_id="x")
    cancel.negotiation_id = heard.negotiation_id
    scene.cluster.admit("b", alice, cancel)
    assert "admission" in {one.name for one in scene.spans("b")}


def test_a_trace_that_is_left_out_is_left_out_after_a_move_too() -> None:
    scene = Scene(ratio=0.0)
    heard = scene.call(traceparent=OWN)
    bob = moved(scene.cluster, "b", "bob")
    scene.cluster["a"].inheritance.hand_over()
    scene.cluster.run()
    scene.cluster.admit("b", bob, scene.offer(heard))
    assert not scene.kept["a"].spans and not scene.kept["b"].spans
    assert read(scene.handed().traceparent) is not None
    assert not scene.handed().traceparent.endswith("1")


def test_without_traces_nothing_more_is_told_than_before() -> None:
    scene = Scene(has_traces=False)
    scene.call(traceparent=OWN)
    moved(scene.cluster, "b", "bob")
    scene.cluster["a"].inheritance.hand_over()
    assert {one.name for one, _ in scene.handed().ListFields()} == {"negotiation_id", "record"}
    assert "traces" not in {one.name for one, _ in scene.agents().ListFields()}


def test_an_agent_takes_along_only_so_many_traces_those_it_heard_of_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traced_outbox, "NEGOTIATIONS_MAX", 2)
    scene = Scene()
    ids = []
    for number in range(3):
        body = {"act": "cfp", "task": "a GPU", "reply_within": 5}
        call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id=f"c{number}", body=body)
        scene.cluster.admit("a", scene.alice, call)
        ids.append(received(scene.bob)[-1].negotiation_id)
        scene.cluster.acknowledge("a", scene.bob, f"c{number}")
    moved(scene.cluster, "b", "bob")
    assert [one.negotiation_id for one in scene.agents().traces] == ids[1:]


def test_a_gateway_keeps_what_it_knows_itself() -> None:
    """What another one says of a trace is older, or as good."""
    scene, own = Scene(), read(OWN)
    assert own is not None
    heard = scene.call()
    scene.kept["b"].tracing.remember(heard.negotiation_id, own)
    moved(scene.cluster, "b", "bob")
    assert scene.kept["b"].tracing.known(heard.negotiation_id) is own


def test_a_call_that_is_sent_again_to_another_gateway_goes_on_in_its_trace() -> None:
    """Its owner was killed, and nobody could hand anything over."""
    scene = Scene()
    scene.call()
    (began,) = {one.get_span_context().trace_id for one in scene.kept["a"].spans}
    scene.cluster.kill("a")
    alice, scene.bob = (scene.cluster["b"].arrive_again(one) for one in ("alice", "bob"))
    scene.cluster.run()
    scene.call("b", alice)
    assert {one.get_span_context().trace_id for one in scene.kept["b"].spans} == {began}
