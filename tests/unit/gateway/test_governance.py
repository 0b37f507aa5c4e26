"""What an exchange does beside the rules of a protocol, with a real admission and real shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway import governance as module
from gateway.governance import Governance, GovernanceRules, governance_rules, in_this_loop
from gateway.members import Member
from gateway.record_format import line_of, recorded_in
from gateway.settings import Settings
from llmx.v1.envelope_pb2 import Act
from policy.events import OfferReceived
from policy.probing import ProbingRule
from policy.table import replay
from tests.support.gateway_parts import Parts, envelope, received, stream_of

ALWAYS = GovernanceRules(probing=ProbingRule(rate=1.0))


class Market:
    """A gateway that governs, alice who calls, and two who bid."""

    def __init__(self, rules: GovernanceRules = ALWAYS, names: str = "bob carol") -> None:
        self.parts = Parts()
        self.waiting: list[tuple[float, Callable[[], None]]] = []
        self.governance = Governance(
            rules,
            "gw",
            b"s" * 32,
            self.parts.members,
            lambda: self.parts.now,
            lambda seconds, then: self.waiting.append((seconds, then)),
        )
        self.governance.rule(self.parts.negotiations, self.parts.recorder)
        self.alice = self.parts.join("alice")
        self.bidders = {name: self.parts.join(name) for name in names.split()}
        self.calls = 0

    def call(self, **body: Any) -> str:
        """Let alice call everybody; returns the negotiation, or the code of the refusal."""
        self.calls += 1
        msg_id = f"call-{self.calls}"
        to = [f"agent://{name}" for name in self.bidders]
        self.parts.admit(
            self.alice,
            envelope("alice", Act.ACT_CFP, *to, msg_id=msg_id, body={"reply_within": 60} | body),
        )
        stream = stream_of(self.alice)
        refused = [one for one in stream.refusals if one.msg_id == msg_id]
        return stream.codes()[-1] if refused else stream.opened[-1].negotiation_id

    def bid(self, negotiation_id: str, **bids: float) -> None:
        """Let agents bid, in this order."""
        for name, value in bids.items():
            self.parts.admit(
                self.bidders[name],
                envelope(
                    name,
                    Act.ACT_OFFER,
                    msg_id=f"{name}-{negotiation_id[-20:]}",
                    negotiation_id=negotiation_id,
                    body={"value": value},
                ),
            )

    def outcome(self) -> dict[str, Any]:
        """Return what alice was told last."""
        told = [orjson.loads(one.payload) for one in received(self.alice)]
        found: dict[str, Any] = [one["outcome"] for one in told if "outcome" in one][-1]
        return found

    def won(self, **bids: float) -> str:
        """Hold a round and return who won it."""
        self.bid(self.call(), **bids)
        winner: str = self.outcome()["winners"][0]["agent"]
        return winner.removeprefix("agent://")

    def ring(self) -> None:
        """Let everything happen that waits for its time."""
        waiting, self.waiting = self.waiting, []
        for _, then in waiting:
            then()
        self.parts.run()


def test_who_has_had_its_share_is_not_called_and_the_outcome_says_so() -> None:
    """Bob has won twice of twice; with a largest share of a half he may not win again."""
    market = Market()
    assert market.won(bob=1, carol=2) == "bob"
    assert market.won(bob=1, carol=2) == "bob"
    received(market.bidders["bob"])
    received(market.bidders["carol"])
    opened = market.call(fairness={"max_share": 0.5})
    assert received(market.bidders["bob"]) == []
    assert len(received(market.bidders["carol"])) == 1
    market.bid(opened, carol=2)
    outcome = market.outcome()
    assert outcome["winners"][0]["agent"] == "agent://carol"
    assert outcome["fairness"]["left_out"] == {"agent://bob": "max_share"}
    assert outcome["fairness"]["awards"] == pytest.approx(9 / (2 * 5))


def test_what_is_older_than_the_window_counts_no_more() -> None:
    market = Market(GovernanceRules(window=100.0))
    for _ in range(2):
        assert market.won(bob=1, carol=2) == "bob"
    market.parts.now += 101
    market.call(fairness={"max_share": 0.5})
    assert len(stream_of(market.alice).opened[-1].eligible) == 2


def test_of_equal_bids_the_one_that_lost_last_time_wins() -> None:
    market = Market()
    assert market.won(bob=5, carol=5) == "bob"
    market.bid(market.call(fairness={"tie_break": "least_recently_served"}), bob=5, carol=5)
    assert market.outcome()["winners"][0]["agent"] == "agent://carol"


def test_a_liar_loses_against_a_better_rating() -> None:
    market = Market()
    for _ in range(20):
        market.governance.rate("acme", "agent://bob", claimed=30, realised=10)
    assert market.governance.ratings("acme").of("agent://bob").rating < 0.5
    asked = {"direction": "allocate", "fairness": {"by_rating": True}}
    market.bid(market.call(**asked), bob=30, carol=20)
    assert market.outcome()["winners"][0] | {"offer_id": ""} == {
        "agent": "agent://carol",
        "offer_id": "",
        "value": 20,
        "price": 20,
        "rank": 1,
    }
    assert market.governance.ratings("other").of("agent://bob").rating == 1, "tenants are apart"


def test_a_call_to_too_few_is_refused() -> None:
    market = Market()
    assert market.call(fairness={"min_eligible": 3}) == "FAIRNESS_RULE"


def test_a_fair_call_replays_to_the_same_effects() -> None:
    """What it is decided by is in its record, so nothing else is needed to decide it again."""
    market = Market()
    market.won(bob=5, carol=5)
    market.bid(market.call(fairness={"tie_break": "least_recently_served"}), bob=5, carol=5)
    record = market.parts.recorder.recent[-1]
    assert record.call.fairness is not None
    read = recorded_in(line_of(record)).record
    assert read.call == record.call
    assert replay(read) == replay(record)
    effects = [effect for step in replay(record) for effect in step]
    assert market.outcome() == effects[-1].outcome  # type: ignore[union-attr]


def test_a_market_that_has_a_price_is_probed_and_nobody_notices() -> None:
    """N-6.5: the record has a marked bid, the outcome is that of the round without it."""
    market = Market()
    assert market.won(bob=10, carol=20) == "bob"
    assert not market.waiting, "there was no price to probe yet"
    opened = market.call()
    (seconds, _) = market.waiting[0]
    assert 0 <= seconds < 60
    received(market.alice)
    market.ring()
    assert received(market.alice) == []
    market.bid(opened, bob=10, carol=20)
    assert market.outcome()["winners"][0]["agent"] == "agent://bob"
    record = market.parts.recorder.recent[-1]
    marked = [one for _, one in record.events if isinstance(one, OfferReceived) and one.probe]
    assert [one.sender for one in marked] == ["gateway://gw"]
    assert 10 / 1.5 <= marked[0].value <= 15
    assert market.governance.probes_total == 1


def test_a_probe_of_a_round_that_is_over_is_let_go() -> None:
    market = Market()
    market.won(bob=10, carol=20)
    market.bid(market.call(), bob=10, carol=20)
    market.ring()
    record = market.parts.recorder.recent[-1]
    assert not any(getattr(one, "probe", False) for _, one in record.events)


def test_bargains_and_committed_bids_are_not_probed() -> None:
    market = Market(names="bob")
    market.won(bob=10)
    market.call(protocol="alternating-offers")
    market.call(protocol="sealed-bid", sealed={"commit": True})
    assert market.governance.probes_total == 0
    market.call(protocol="sealed-bid")
    assert market.governance.probes_total == 1


def test_markets_are_apart_by_tenant_direction_and_kind_of_task() -> None:
    market = Market()
    market.bid(market.call(task={"name": "gpu"}), bob=10, carol=20)
    market.call(task={"name": "cpu"})
    market.call(task={"name": "gpu"}, direction="allocate")
    market.call(task={"name": 7})
    market.call(task="gpu")
    market.call(task={"name": "x" * 65})
    assert market.governance.probes_total == 0
    market.call(task={"name": "gpu"})
    assert market.governance.probes_total == 1


def test_a_gateway_that_does_not_probe_learns_no_prices() -> None:
    market = Market(GovernanceRules())
    market.won(bob=10, carol=20)
    market.call()
    assert not market.waiting


@pytest.mark.slow
def test_bidders_that_spare_each_other_are_suspected() -> None:
    """Each of three bids a price of its own alone, and lets another win when it is there."""
    names = "r0 r1 r2 h0"
    # Ids are drawn, so a probe off the level would make every run another one.
    at_the_level = GovernanceRules(probing=ProbingRule(rate=1.0, spread=1.0))
    market = Market(at_the_level, names)
    market.won(r0=10, r1=10, r2=10, h0=10)
    agents = list(market.bidders)
    for turn in range(90):
        present = [agents[turn % 3], "h0"] if turn % 2 else agents
        asked = {name: market.bidders[name] for name in present}
        everybody, market.bidders = market.bidders, asked
        met = [name for name in present if name != "h0"]
        bids = dict.fromkeys(present, 11.0 + turn % 2)
        if len(met) > 1:
            bids |= {name: 20.0 + turn % 5 for name in met if name != met[turn // 2 % 3]}
        opened = market.call()
        market.ring()
        market.bid(opened, **bids)
        market.bidders = everybody
        for member in (market.alice, *everybody.values()):
            received(member)
    ring = frozenset(f"agent://r{number}" for number in range(3))
    assert asyncio.run(market.governance.suspects("acme")) == [("procure", ring)]
    assert asyncio.run(market.governance.suspects("other")) == []


def test_of_too_many_markets_the_one_probed_longest_ago_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WATCHES_MAX", 1)
    market = Market()
    for kind in ("gpu", "cpu", "gpu", "cpu"):
        market.bid(market.call(task={"name": kind}), bob=1, carol=2)
    assert list(market.governance._watches) == ["acme|procure cpu"]


def test_the_figures_are_of_a_bounded_number_of_tenants() -> None:
    """N-8.1: Jain's index by tenant; labels of a metric are bounded."""
    market = Market(GovernanceRules(tenants_shown=1))
    assert list(market.governance.figures()) == []
    market.won(bob=1, carol=2)
    market.governance.book("other").note_award("agent://x", 1.0, market.parts.now)
    assert dict(market.governance.figures()) == {
        ("acme", "awards"): pytest.approx(1 / 3),
        ("acme", "utility"): pytest.approx(1 / 3),
        ("acme", "latency"): 1.0,
    }
    assert market.governance.evenness("nobody")["awards"].nothing


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TENANTS_MAX", 2)
    monkeypatch.setattr(module, "ROUNDS_MAX", 1)
    market = Market()
    for tenant in ("a", "b", "c"):
        market.governance.rate(tenant, "agent://x", 2, 1)
    assert market.governance.ratings("a").of("agent://x").rating == 1
    first = market.call()
    market.call()
    market.bid(first, bob=1, carol=2)
    market.call()
    assert market.governance.probes_total == 0, "the first round was forgotten"


def test_an_outcome_of_a_tenant_that_is_gone_is_passed_over() -> None:
    market = Market()
    market.won(bob=1, carol=2)
    record = market.parts.recorder.recent[-1]
    outcome = {"negotiation_id": "gw.0.nobody", "decided_at": 1.0, "winners": []}
    market.governance.finished(record, outcome)
    market.governance.finished(None, {**outcome, "negotiation_id": record.call.negotiation_id})
    assert market.governance.book("acme").standing([], market.parts.now).total == 1


def test_a_probe_of_a_negotiation_that_is_not_here_any_more_is_let_go() -> None:
    market = Market()
    sender: Member = market.bidders["bob"]
    event = OfferReceived("gateway://gw", "probe", 1.0, probe=True)
    market.governance.post("elsewhere.0.n", event, module.nobody(sender))
    market.parts.run()


def test_an_operator_sets_the_rules() -> None:
    rules = governance_rules(Settings().governance)
    assert rules == GovernanceRules()
    assert rules.probing.rate == 0


async def test_time_is_kept_by_the_loop() -> None:
    done = asyncio.Event()
    in_this_loop(0.0, done.set)
    await asyncio.wait_for(done.wait(), 5)
