"""Rules of fairness in the payload of a call."""

from __future__ import annotations

from gateway.call_fairness import fairness_of, with_fairness
from gateway.refusals import Fault
from policy.fairness import Fairness, FairnessRules


def test_a_call_without_rules_has_no_fairness() -> None:
    assert fairness_of({}) is None


def test_rules_are_read_and_know_nothing_of_the_past_yet() -> None:
    read = fairness_of({"fairness": {"max_share": 0.5, "must_concede": True}})
    assert read == Fairness(FairnessRules(max_share=0.5, must_concede=True))


def test_rules_that_cannot_be_are_refused_with_what_would_be() -> None:
    fault = fairness_of({"fairness": {"max_share": 2}})
    assert isinstance(fault, Fault)
    assert (fault.code, fault.pointer) == ("OPTIONS_INVALID", "/payload/fairness")
    assert "at most 1" in fault.remedy


def test_alternating_offers_have_to_concede_by_their_own_rule() -> None:
    """N-3.9: the protocol knows the rule, and the call may say it either way."""
    concede = Fairness(FairnessRules(must_concede=True))
    said = {"max_rounds": 8}
    assert with_fairness("alternating-offers", said, concede) == said | {"must_concede": True}
    assert with_fairness("alternating-offers", said, Fairness()) is said
    assert with_fairness("alternating-offers", said, None) is said
    assert with_fairness("contract-net", said, concede) is said
