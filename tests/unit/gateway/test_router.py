"""Who gets a message, who must not, and who hears when it did not arrive."""

from __future__ import annotations

import orjson
import pytest

from gateway.mailbox import MailboxLimits
from gateway.members import Member, MemberGroup
from gateway.outbox import Parcel, Pushed
from gateway.refusals import Fault
from gateway.router import STUCK_SECONDS, Audience, Router
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.gateway_parts import NOW, Parts, received, stream_of


def audience(parts: Parts, sender: Member, *to: str, capabilities: tuple[str, ...] = ()) -> object:
    envelope = Envelope(recipients=to, capabilities=capabilities)
    answer = parts.router.audience(sender.tenant, sender.agent_id, envelope)
    if isinstance(answer, Audience):
        return dict(zip((member.agent_id for member in answer.members), answer.topics, strict=True))
    return answer.code, answer.pointer


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_a_message_reaches_the_agents_it_names_once_each(parts: Parts) -> None:
    alice, _, _ = parts.join("alice"), parts.join("bob"), parts.join("carol")
    found = audience(parts, alice, "agent://bob", "agent://carol", "agent://bob")
    assert found == {"agent://bob": None, "agent://carol": None}


def test_one_recipient_who_may_not_receive_it_stops_all_and_is_pointed_at(parts: Parts) -> None:
    alice, _ = parts.join("alice"), parts.join("bob")
    parts.join("shy", consent=False)
    to = ("agent://bob", "agent://shy")
    assert audience(parts, alice, *to) == ("CONSENT_MISSING", "/envelope/to/1")
    assert audience(parts, alice, "agent://nobody", *to) == ("AGENT_ABSENT", "/envelope/to/0")


def test_an_agent_may_write_to_itself_without_consent(parts: Parts) -> None:
    alice = parts.join("alice", consent=False)
    assert audience(parts, alice, "agent://alice") == {"agent://alice": None}


def test_an_agent_of_another_tenant_is_absent(parts: Parts) -> None:
    alice, _ = parts.join("alice"), parts.join("bob", "umbrella")
    assert audience(parts, alice, "agent://bob") == ("AGENT_ABSENT", "/envelope/to/0")


def test_a_topic_reaches_subscribers_with_the_capabilities_but_not_the_sender(
    parts: Parts,
) -> None:
    alice, bob, carol = (parts.join(name, consent=False) for name in ("alice", "bob", "carol"))
    for member in (alice, bob, carol):
        member.tenant.listen(member, ["gpu"])
    bob.capabilities = frozenset({"propose", "h100"})
    assert audience(parts, alice, "topic://gpu", capabilities=("propose",)) == {
        "agent://bob": "gpu"
    }
    nobody = audience(parts, alice, "topic://gpu", capabilities=("fly",))
    assert nobody == ("NO_RECIPIENTS", "/envelope/to")


def test_a_named_agent_without_the_capability_is_pointed_at(parts: Parts) -> None:
    alice, _ = parts.join("alice"), parts.join("bob")
    answer = audience(parts, alice, "agent://bob", capabilities=("fly",))
    assert answer == ("CAPABILITY_MISSING", "/envelope/to/0")


def test_a_group_reaches_those_of_its_members_who_are_here_and_consent(parts: Parts) -> None:
    alice, _ = parts.join("alice"), parts.join("bob")
    parts.join("shy", consent=False)
    names = ("agent://bob", "agent://shy", "agent://gone", "agent://alice")
    alice.tenant.groups["night"] = MemberGroup("night", "agent://alice", names)
    assert audience(parts, alice, "group://night") == {"agent://bob": None}
    assert audience(parts, alice, "group://day") == ("NO_RECIPIENTS", "/envelope/to/0")


@pytest.mark.parametrize(
    "address", ["", "bob", "agent://", "topic://", "topic://*", "mailto://bob", "agent://a b"]
)
def test_what_is_no_address_is_pointed_at(parts: Parts, address: str) -> None:
    alice = parts.join("alice")
    assert audience(parts, alice, address) == ("INVALID_ADDRESS", "/envelope/to/0")


def test_no_recipient_and_too_many_are_both_refused() -> None:
    parts = Parts(audience_max=2)
    alice = parts.join("alice")
    assert audience(parts, alice) == ("NO_RECIPIENTS", "/envelope/to")
    for name in ("b", "c", "d"):
        member = parts.join(name)
        member.tenant.listen(member, ["gpu"])
    assert audience(parts, alice, "topic://gpu") == ("TOO_LARGE", "/envelope/to")


def parcel(msg_id: str, sender: str = "agent://alice") -> Parcel:
    return Parcel(msg_id, msg_id.encode() * 3, NOW + 60, sender, "", True)


def test_a_delivery_wakes_the_stream_and_a_repeat_of_it_does_not(parts: Parts) -> None:
    bob = parts.join("bob")
    assert parts.router.deliver(bob, parcel("m1")) is Pushed.QUEUED
    assert parts.router.deliver(bob, parcel("m1")) is Pushed.REPEATED
    assert stream_of(bob).woken == 1 and parts.metrics.delivered == 1


def test_an_agent_that_empties_a_full_mailbox_is_no_slow_consumer() -> None:
    """Or every message that finds its mailbox full would end the stream that empties it."""
    parts = Parts(mailbox=MailboxLimits(100, 1 << 20, 2, 1 << 20))
    bob = parts.join("bob")
    bob.outbox.push(parcel("m"))
    bob.outbox.take(NOW, 1 << 20)
    bob.outbox.confirm(["m"], NOW)
    bob.is_boxed = True
    pushed = [parts.router.deliver(bob, parcel(f"m{n}")) for n in range(3)]
    assert pushed == [Pushed.QUEUED, Pushed.QUEUED, Pushed.FULL]
    assert stream_of(bob).closed == [] and parts.metrics.overflowed == 1
    parts.now += STUCK_SECONDS + 0.1
    parts.router.deliver(bob, parcel("m3"))
    assert stream_of(bob).closed == ["slow_consumer"], "it does not empty it any more"


def test_a_slow_consumer_is_closed_and_what_was_queued_before_waits_for_it() -> None:
    parts = Parts(outbox_messages_max=2)
    bob = parts.join("bob")
    pushed = [parts.router.deliver(bob, parcel(f"m{n}")) for n in range(3)]
    assert pushed == [Pushed.QUEUED, Pushed.CROWDED, Pushed.FULL]
    assert stream_of(bob).warned == parts.metrics.warned == 1
    assert stream_of(bob).closed == ["slow_consumer"] and parts.metrics.overflowed == 1
    assert len(bob.outbox) == 2


def test_an_agent_that_is_away_is_delivered_to_in_its_absence(parts: Parts) -> None:
    bob = parts.join("bob")
    bob.stream = None
    assert parts.router.deliver(bob, parcel("m1")) is Pushed.QUEUED
    assert len(bob.outbox) == 1


def test_the_sender_hears_of_each_message_that_will_not_arrive(parts: Parts) -> None:
    alice, bob = parts.join("alice"), parts.join("bob")
    parts.router.undelivered(bob, [parcel("m1"), parcel("m2", sender="")], "expired")
    failures = received(alice)
    assert len(failures) == 1 and parts.metrics.undelivered == 2
    failure = failures[0]
    assert (failure.sender, failure.act, failure.in_reply_to) == (
        "gateway://gw",
        Act.ACT_FAILURE,
        "m1",
    )
    payload = orjson.loads(failure.payload)
    assert (payload["reason"], payload["failed_msg_id"]) == ("expired", "m1")
    assert payload["recipient"] == "agent://bob"


def test_a_failure_that_cannot_be_delivered_causes_no_further_failure(parts: Parts) -> None:
    alice, bob = parts.join("alice"), parts.join("bob")
    parts.router.undelivered(bob, [parcel("m1")], "expired")
    parts.router.undelivered(alice, alice.outbox.empty(), "agent_absent")
    assert not bob.outbox.has_queued and not alice.outbox.has_queued


def test_nobody_hears_when_the_sender_has_left(parts: Parts) -> None:
    bob = parts.join("bob")
    parts.router.undelivered(bob, [parcel("m1", sender="agent://gone")], "expired")
    assert parts.metrics.undelivered == 1


def test_a_gateway_that_starts_again_repeats_no_id_of_its_own() -> None:
    """A client that remembers the ids of before would drop the new failures as repeats."""
    ids = set()
    for _ in range(2):
        parts = Parts()
        alice, bob = parts.join("alice"), parts.join("bob")
        parts.router.undelivered(bob, [parcel("m1"), parcel("m2")], "expired")
        ids |= {failure.msg_id for failure in received(alice)}
    assert len(ids) == 4


def test_the_fault_of_an_address_names_a_remedy(parts: Parts) -> None:
    router: Router = parts.router
    answer = router.audience(
        parts.join("alice").tenant, "agent://alice", Envelope(recipients=["x"])
    )
    assert isinstance(answer, Fault) and "agent://NAME" in answer.remedy
