"""Who holds how many open negotiations, and whom they called directly."""

from __future__ import annotations

import pytest

from gateway.open_calls import OpenCalls
from policy.acceptance import PROFILES
from policy.call import Call
from tests.support.gateway_parts import Parts


def call(negotiation_id: str, *eligible: str) -> Call:
    return Call(
        negotiation_id=negotiation_id,
        initiator="agent://alice",
        msg_id=negotiation_id,
        eligible=eligible or ("agent://bob",),
        acceptance=PROFILES["flow/high"],
        closes_at=10.0,
        opened_at=0.0,
    )


def test_an_agent_may_hold_so_many_and_its_tenant_so_many() -> None:
    parts = Parts()
    alice, bob, carol = parts.join("alice"), parts.join("bob"), parts.join("carol", "umbrella")
    known = OpenCalls(open_max_tenant=3, open_max_agent=2)
    for number in range(2):
        known.add(call(f"n{number}"), (None,), alice)
    fault = known.want_of_room(alice)
    assert fault is not None and fault.code == "OVERLOADED" and fault.retry_after
    assert known.want_of_room(bob) is None
    known.add(call("n2"), (None,), bob)
    assert known.want_of_room(bob) is not None and known.want_of_room(carol) is None


def test_what_ends_makes_room() -> None:
    alice = Parts().join("alice")
    known = OpenCalls(open_max_tenant=1, open_max_agent=1)
    known.add(call("n1"), (None,), alice)
    assert "n1" in known and known.want_of_room(alice) is not None
    known.remove("n1")
    assert "n1" not in known and known.want_of_room(alice) is None
    with pytest.raises(KeyError):
        known.remove("n1")


def test_whom_a_call_named_directly_is_remembered_and_who_listened_is_not() -> None:
    alice = Parts().join("alice")
    known = OpenCalls(5, 5)
    known.add(call("n1", "agent://bob", "agent://carol"), (None, "gpu"), alice)
    assert known["n1"] == (alice, {"agent://bob"})
    assert known.items() == [("n1", (alice, {"agent://bob"}))]


def test_the_open_calls_of_one_agent_are_found_by_its_key() -> None:
    parts = Parts()
    alice, bob = parts.join("alice"), parts.join("bob")
    known = OpenCalls(open_max_tenant=9, open_max_agent=9)
    for number, initiator in enumerate((alice, bob, alice)):
        known.add(call(f"n{number}"), (None,), initiator)
    assert known.of(alice.key) == ["n0", "n2"]
    known.remove("n0")
    known.remove("n1")
    assert known.of(alice.key) == ["n2"] and known.of(bob.key) == []
