"""Awards that are written before they are told: order, and one award for each call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from federation.award_log import Entry
from gateway.awards import AwardGate
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.cluster_parts import ClusterParts
from tests.support.gateway_parts import envelope, received, stream_of


class Log:
    """A log of awards that writes when it is told to."""

    def __init__(self) -> None:
        self.stands: dict[str, Entry] = {}
        self.waiting: list[tuple[str, Entry, Callable[[Entry], None]]] = []
        self.repeated: list[str] = []

    def propose(
        self, key: str, entry: Entry, heard: Callable[[Entry], None], is_repeated: bool
    ) -> None:
        self.waiting.append((key, entry, heard))
        if is_repeated:
            self.repeated.append(entry.negotiation_id)

    def write(self) -> None:
        """Write everything that waits."""
        while self.waiting:
            key, entry, heard = self.waiting.pop(0)
            heard(self.stands.setdefault(key, entry))


class Market:
    """Two gateways that share a log; alice calls at one of them, bob and carol are at the other."""

    def __init__(self) -> None:
        self.cluster = ClusterParts("a", "b", "c")
        self.log = Log()
        self.gates: dict[str, AwardGate] = {}
        for name, gateway in self.cluster.gateways.items():
            gate = AwardGate(
                name, self.log.propose, gateway.negotiations.perform, lambda negotiation_id: True
            )
            gateway.negotiations.gate = gate.takes
            gateway.admission.on_repeated = gate.repeated
            gateway.inheritance.is_repeated = gate.is_repeated
            gateway.inheritance.on_repeated = gate.repeated
            gate.is_told = lambda award: award.gateway_id in self.cluster.gateways
            self.gates[name] = gate
        self.alice = self.cluster["a"].arrive("alice")
        self.bob = self.cluster["c"].arrive("bob", "gpu")
        self.carol = self.cluster["c"].arrive("carol", "gpu")
        self.cluster.run()

    def call(self, gateway_id: str, *, sent_before: bool = False, **body: Any) -> None:
        asked = {"act": "cfp", "task": "four GPUs", "reply_within": 5, "policy": "high", **body}
        call = envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="call", body=asked)
        call.sent_before = sent_before
        self.cluster.admit(gateway_id, self.alice, call)

    def bid(self, member: Member, value: float) -> None:
        """Let an agent answer the last call that it heard."""
        heard = [one for one in received(member) if one.act == Act.ACT_CFP][-1]
        offer = envelope(
            member.agent_id[8:],
            Act.ACT_OFFER,
            msg_id=f"offer-{value:g}-{heard.negotiation_id[:1]}-{member.agent_id[8:]}",
            body={"act": "offer", "value": value},
            negotiation_id=heard.negotiation_id,
            in_reply_to=heard.msg_id,
        )
        self.cluster.admit("c", member, offer)

    def write(self) -> None:
        self.log.write()
        self.cluster.run()


def outcome(heard: list[Envelope]) -> Any:
    (told,) = [one for one in heard if one.act == Act.ACT_INFORM]
    return orjson.loads(told.payload)["outcome"]


def acts(heard: list[Envelope]) -> list[int]:
    return [one.act for one in heard]


def test_nobody_hears_of_an_award_before_it_is_written() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    assert acts(received(market.alice)) == [Act.ACT_OFFER]
    assert received(market.bob) == received(market.carol) == []
    assert len(market.gates["a"]) == 1
    market.write()
    assert outcome(received(market.alice))["winners"][0]["agent"] == "agent://carol"
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT]
    assert acts(received(market.bob)) == [Act.ACT_REJECT]
    assert len(market.gates["a"]) == 0


def test_what_follows_an_award_waits_behind_it() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    late = envelope(
        "bob",
        Act.ACT_OFFER,
        msg_id="too-late",
        body={"act": "offer", "value": 1},
        negotiation_id=stream_of(market.alice).opened[0].negotiation_id,
        in_reply_to="call",
    )
    market.cluster.admit("c", market.bob, late)
    assert stream_of(market.bob).codes() == []
    market.write()
    assert stream_of(market.bob).codes() == ["ALREADY_ANSWERED"]


def test_a_call_without_a_winner_waits_for_nothing() -> None:
    market = Market()
    market.call("a")
    market.cluster.advance(6.0)
    assert outcome(received(market.alice, market.cluster["a"].now))["winners"] == []
    assert not market.log.waiting


def test_an_award_whose_gateway_died_is_found_when_its_initiator_calls_again() -> None:
    """It may have told the winner already: there is no second one."""
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    market.log.write()  # written, and perhaps told, by a gateway that dies now
    market.cluster.kill("a")
    market.alice = market.cluster["b"].arrive_again("alice")
    market.cluster.run()
    market.call("b")
    market.bid(market.carol, 90)
    market.bid(market.bob, 50)
    market.write()
    found = outcome(received(market.alice))
    assert found["winners"][0]["agent"] == "agent://carol"
    assert found["winners"][0]["value"] == 30
    assert found["negotiation_id"].startswith("a.")
    assert acts(received(market.bob)) == [Act.ACT_REJECT]
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT], "nobody else would tell it"
    assert market.gates["b"].superseded == 1


def test_the_winner_of_a_lost_gateways_award_hears_of_it_though_it_makes_no_offer_again() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    market.log.write()
    market.cluster.kill("a")
    market.alice = market.cluster["b"].arrive_again("alice")
    market.cluster.run()
    market.call("b")
    market.bid(market.bob, 50)
    (called,) = [one for one in received(market.carol) if one.act == Act.ACT_CFP]
    market.cluster.advance(6.0)
    market.write()
    (accept,) = received(market.carol, market.cluster["c"].now)
    assert (accept.act, accept.negotiation_id) == (Act.ACT_ACCEPT, called.negotiation_id)
    body = orjson.loads(accept.payload)
    assert (body["decision"], body["price"]) == ("accepted", 30)


def test_who_confirms_an_award_that_it_has_already_is_not_told_that_it_is_off() -> None:
    market = Market()
    policy = {"profile": "high", "confirm": True}
    for owner in "ab":
        market.call(owner, policy=policy)
        market.bid(market.bob, 40)
        market.bid(market.carol, 30)
        (asked,) = [one for one in received(market.carol) if one.act == Act.ACT_ACCEPT]
        confirm = envelope(
            "carol",
            Act.ACT_CONFIRM,
            msg_id=f"yes-{owner}",
            body={"act": "confirm", "offer_id": asked.in_reply_to},
            negotiation_id=asked.negotiation_id,
            in_reply_to=asked.msg_id,
        )
        market.cluster.admit("c", market.carol, confirm)
        market.log.write()
        if owner == "a":
            market.cluster.kill("a")
            market.alice = market.cluster["b"].arrive_again("alice")
            market.cluster.run()
    market.cluster.run()
    assert received(market.carol) == []
    assert outcome(received(market.alice))["winners"][0]["agent"] == "agent://carol"
    assert market.gates["b"].superseded == 1


def test_of_two_gateways_that_both_own_a_call_one_makes_the_award() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    alice = market.alice
    market.cluster.cut.update({("a", "b"), ("b", "a")})
    handover = market.cluster["b"].handover
    handover.patience = 0.001
    market.alice = market.cluster["b"].arrive_again("alice")
    market.call("b")
    market.bid(market.carol, 60)
    market.bid(market.bob, 50)
    assert len(market.log.waiting) == 2
    market.log.waiting.reverse()  # the younger one is faster
    market.write()
    accepted = [
        one.negotiation_id
        for member in (market.bob, market.carol)
        for one in received(member)
        if one.act == Act.ACT_ACCEPT
    ]
    assert len(accepted) == 1 and accepted[0].startswith("b.")
    assert outcome(received(market.alice))["winners"][0]["agent"] == "agent://bob"
    assert alice is not market.alice


def test_a_winner_that_confirmed_in_vain_hears_that_it_is_off() -> None:
    """It was told before the award was written, and the award of the call was another one."""
    market = Market()
    market.call("a", policy={"profile": "high", "confirm": True})
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    (asked,) = [one for one in received(market.carol) if one.act == Act.ACT_ACCEPT]
    assert not market.log.waiting
    confirm = envelope(
        "carol",
        Act.ACT_CONFIRM,
        msg_id="yes",
        body={"act": "confirm", "offer_id": asked.in_reply_to},
        negotiation_id=asked.negotiation_id,
        in_reply_to=asked.msg_id,
    )
    market.cluster.admit("c", market.carol, confirm)
    (key, _, _) = market.log.waiting[0]
    first = Entry("b.0.1", "b", orjson.dumps({"state": "committed", "winners": []}))
    market.log.stands[key] = first
    market.write()
    assert acts(received(market.carol)) == [Act.ACT_CANCEL]
    assert outcome(received(market.alice)) == {"state": "committed", "winners": []}


def decided_blind() -> Market:
    """Return a market in which an award was told while nobody saw etcd."""
    market = Market()
    market.gates["a"].is_blind = lambda: True
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    return market


def test_while_nobody_sees_etcd_an_award_is_told_at_once() -> None:
    market = decided_blind()
    assert outcome(received(market.alice))["winners"][0]["agent"] == "agent://carol"
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT]
    assert len(market.gates["a"]) == 0
    assert market.gates["a"].blind == 1


def test_an_award_that_was_told_blind_is_written_when_etcd_is_back() -> None:
    market = decided_blind()
    market.gates["a"].is_blind = lambda: False
    market.write()
    (stands,) = market.log.stands.values()
    assert stands.gateway_id == "a"
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT], "and told once"
    assert market.gates["a"].doubled == 0


def test_an_award_that_waited_is_told_when_nobody_sees_etcd_any_more() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    gate = market.gates["a"]
    gate.look()
    market.cluster.run()
    assert acts(received(market.carol)) == [], "somebody may see it"
    gate.is_blind = lambda: True
    gate.look()
    market.cluster.run()
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT]
    assert outcome(received(market.alice))["winners"][0]["agent"] == "agent://carol"
    market.write()
    assert acts(received(market.carol)) == []
    assert (len(gate), gate.blind, gate.doubled) == (0, 1, 0)


def test_what_follows_an_award_goes_on_with_it_when_nobody_sees_etcd() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    late = envelope(
        "bob",
        Act.ACT_OFFER,
        msg_id="too-late",
        body={"act": "offer", "value": 1},
        negotiation_id=stream_of(market.alice).opened[0].negotiation_id,
        in_reply_to="call",
    )
    market.cluster.admit("c", market.bob, late)
    market.gates["a"].is_blind = lambda: True
    market.gates["a"].look()
    market.cluster.run()
    assert acts(received(market.bob)) == [Act.ACT_REJECT]
    assert stream_of(market.bob).codes() == ["ALREADY_ANSWERED"]


def test_the_award_of_a_repeated_call_waits_for_etcd_though_nobody_sees_it() -> None:
    """Its initiator has lost a gateway that may have told an award, unwritten as well."""
    market = Market()
    gate = market.gates["a"]
    gate.is_blind = lambda: True
    market.call("a", sent_before=True)
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    gate.look()
    market.cluster.run()
    assert acts(received(market.carol)) == [] and (len(gate), gate.blind) == (1, 0)
    assert len(market.log.repeated) == 1
    market.write()
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT]
    assert not gate.is_repeated(market.log.repeated[0])


def test_an_heir_knows_that_a_call_was_repeated() -> None:
    market = Market()
    market.call("a", sent_before=True)
    market.cluster["a"].inheritance.heirs = lambda: ["b"]
    assert market.cluster["a"].inheritance.hand_over() == 1
    market.cluster.run()
    market.gates["b"].is_blind = lambda: True
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    assert market.log.repeated and len(market.gates["b"]) == 1


def test_only_so_many_repeated_calls_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.awards.REPEATED_MAX", 2)
    gate = Market().gates["a"]
    for negotiation_id in ("a.0.1", "a.0.2", "a.0.3"):
        gate.repeated(negotiation_id)
    assert [gate.is_repeated(f"a.0.{number}") for number in (1, 2, 3)] == [False, True, True]


def test_a_second_award_beside_one_that_was_told_blind_is_an_error_that_names_both() -> None:
    """Two things have failed: etcd for everybody, and a gateway whose initiator called again."""
    market = decided_blind()
    ((key, told, _),) = market.log.waiting
    market.log.stands[key] = Entry("b.0.1", "b", b"{}")
    with capture_logs() as logs:
        market.write()
    (error,) = [line for line in logs if line["log_level"] == "error"]
    assert error["told"] == told.negotiation_id and error["gateway"] == "a"
    assert error["written"] == "b.0.1" and error["written_by"] == "b"
    assert market.gates["a"].doubled == 1
    assert acts(received(market.carol)) == [Act.ACT_ACCEPT], "it was told, and that stays"


def test_a_negotiation_that_two_gateways_decide_by_mistake_has_one_award_too() -> None:
    market = Market()
    market.call("a")
    market.bid(market.bob, 40)
    market.bid(market.carol, 30)
    ((key, asked, _),) = market.log.waiting
    theirs = {"state": "committed", "winners": [], "negotiation_id": asked.negotiation_id}
    market.log.stands[key] = Entry(asked.negotiation_id, "b", orjson.dumps(theirs))
    market.write()
    assert outcome(received(market.alice)) == theirs
    assert acts(received(market.carol)) == [Act.ACT_REJECT]
