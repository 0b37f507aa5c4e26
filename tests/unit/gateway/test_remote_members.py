"""Agents of other gateways, as those see them who send to them."""

from __future__ import annotations

import pytest

from gateway.consents import ConsentGrant
from gateway.members import Tenant
from gateway.outbox import NEVER, Outbox, Parcel
from gateway.remote_members import RemoteMember

BOB = "agent://bob"


class Carrier:
    """Keeps what it is asked to carry."""

    def __init__(self) -> None:
        self.made = 0
        self.flushed: list[RemoteMember] = []
        self.answers: list[tuple[str, bytes]] = []

    def new_outbox(self) -> Outbox:
        self.made += 1
        return Outbox(10, 1000, NEVER, NEVER, 10)

    def flush_soon(self, member: RemoteMember) -> None:
        self.flushed.append(member)

    def answer(self, member: RemoteMember, kind: str, answer: bytes) -> None:
        self.answers.append((kind, answer))


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


@pytest.fixture
def bob(carrier: Carrier) -> RemoteMember:
    return RemoteMember(Tenant("acme"), BOB, "us", carrier)


def test_an_outbox_is_made_for_those_only_that_something_is_owed_to(
    bob: RemoteMember, carrier: Carrier
) -> None:
    assert bob.owes_nothing and not carrier.made
    bob.outbox.push(Parcel("m1", b"", 1.0, "", "", True))
    assert not bob.owes_nothing and carrier.made == 1
    bob.outbox.empty()
    assert bob.owes_nothing and carrier.made == 1


def test_what_carries_messages_to_it_is_there_until_its_home_is_lost(
    bob: RemoteMember, carrier: Carrier
) -> None:
    assert bob.stream is bob
    bob.wake()
    assert carrier.flushed == [bob]
    bob.lost_at = 5.0
    assert bob.stream is None


def test_answers_go_to_its_home_by_their_kind(bob: RemoteMember, carrier: Carrier) -> None:
    bob.answer_refused(b"no")
    bob.answer_opened(b"yes")
    bob.answer_receipt(b"got it")
    assert carrier.answers == [("refusal", b"no"), ("opened", b"yes"), ("receipt", b"got it")]


def test_it_hears_whom_it_has_consented_to_hear(bob: RemoteMember) -> None:
    grants = [
        ConsentGrant("1", "agent://alice", fields=frozenset({"/price"})),
        ConsentGrant("2", "*", topics=frozenset({"gpu"})),
    ]
    bob.register(3, frozenset({"propose"}), frozenset({"news"}), grants, is_away=False)
    assert bob.allows("agent://alice", None, 0.0) and not bob.allows("agent://carol", None, 0.0)
    assert bob.allows("agent://carol", "gpu", 0.0) and bob.allows("agent://carol", "news", 0.0)
    assert bob.visible_fields("agent://alice", None, 0.0) == {"/price"}
    assert not bob.visible_fields("agent://carol", None, 0.0)
    assert bob.tenant.topics["news"] == {BOB: bob}
    bob.register(3, frozenset(), frozenset(), (), is_away=True)
    assert bob.is_away and not bob.tenant.topics and not bob.consents


def test_to_warn_it_and_to_close_its_stream_is_its_homes_business(
    bob: RemoteMember, carrier: Carrier
) -> None:
    bob.warn_slow(5, 10)
    bob.close("slow_consumer", "it does not read")
    assert not carrier.flushed and not carrier.answers and bob.stream is bob


def test_it_tells_where_it_is(bob: RemoteMember) -> None:
    assert "at us" in repr(bob)
    bob.lost_at = 1.0
    assert "lost" in repr(bob)
