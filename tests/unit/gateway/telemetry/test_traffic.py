"""Acts by class of tenant."""

from __future__ import annotations

import pytest

from gateway.telemetry.traffic import CLASSES_MAX, COUNTED, OTHERS, TrafficByClass, classes_in
from llmx.v1.envelope_pb2 import Act
from tests.support.gateway_parts import Parts, envelope


def test_a_tenant_without_a_class_is_one_of_the_others() -> None:
    traffic = TrafficByClass({"acme": "gold"})
    assert traffic.of("acme").name == "gold"
    assert traffic.of("initech") is traffic.of("globex")
    assert traffic.of("initech").name == OTHERS


def test_every_act_is_there_from_the_start_in_each_class() -> None:
    """A counter that appears with its first event hides that event from rate()."""
    labels = [labels for labels, count in TrafficByClass({"acme": "gold"}).received() if not count]
    assert len(labels) == 2 * COUNTED
    assert {("cfp", "gold"), ("cfp", OTHERS), ("unknown", "gold")} <= set(labels)


def test_what_is_refused_is_received_and_not_admitted() -> None:
    parts = Parts()
    alice = parts.join("alice", consent=False)
    for wrong in (
        envelope("alice", Act.ACT_MESSAGE, "agent://nobody", msg_id="m1"),
        envelope("alice", 99, "agent://nobody", msg_id="m2"),  # type: ignore[arg-type]
        envelope("alice", -7, "agent://nobody", msg_id="m3"),  # type: ignore[arg-type]
        envelope("alice", Act.ACT_MESSAGE, "agent://alice", msg_id="m4"),
    ):
        parts.admit(alice, wrong)
    received = {labels: count for labels, count in parts.members.traffic.received() if count}
    admitted = {labels: count for labels, count in parts.members.traffic.admitted() if count}
    assert received == {("message", OTHERS): 2, ("unknown", OTHERS): 2}
    assert admitted == {("message", OTHERS): 1}


def test_timings_of_acts_that_there_are_not_count_as_one() -> None:
    traffic = TrafficByClass()
    traffic.of("acme").took(Act.ACT_CFP, 0.001)
    traffic.of("acme").took(12_345, 0.001)
    traffic.of("acme").took(-1, 0.001)
    told = {labels: len(timing) for labels, timing in traffic.timings()}
    assert told == {("unknown", OTHERS): 2, ("cfp", OTHERS): 1}


def test_classes_are_read_from_pairs() -> None:
    assert classes_in("acme=gold,globex=silver,initech=gold") == {
        "acme": "gold",
        "globex": "silver",
        "initech": "gold",
    }


@pytest.mark.parametrize("text", ["acme", "acme=", "=gold", "acme=Gold", "a=x,a=y", "a=x,,b=y"])
def test_what_is_no_pair_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="tenant=class"):
        classes_in(text)


def test_there_are_only_so_many_classes() -> None:
    """Each is as many series as there are acts."""
    most = ",".join(f"t{n}=c{n}" for n in range(CLASSES_MAX))
    assert len(classes_in(f"{most},u=default")) == CLASSES_MAX + 1
    with pytest.raises(ValueError, match=f"at most {CLASSES_MAX}"):
        classes_in(f"{most},u=another")
