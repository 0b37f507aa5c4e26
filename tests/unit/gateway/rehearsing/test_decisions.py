"""A decision in a few figures."""

from __future__ import annotations

from gateway.rehearsing.decisions import Decision, decision_in
from policy.table import Table
from tests.support.plays import make_call, offer


def test_only_the_step_that_ends_it_has_a_decision() -> None:
    table, call = Table(), make_call("flow/high")
    table.open(call, 0.0)
    steps = [
        table.apply(call.negotiation_id, offer(name, value), at) or []
        for at, name, value in ((1.0, "bob", 40.0), (2.0, "carol", 35.0), (3.0, "dave", 38.0))
    ]
    told = [decision_in(call, effects) for effects in steps]
    assert told[:2] == [None, None]
    label = call.acceptance.label
    assert told[2] == Decision(label, "committed", "awarded", ("agent://carol",), 35.0, 3.0, 3.0)


def test_without_an_award_there_is_no_price() -> None:
    table, call = Table(), make_call("flow/high")
    table.open(call, 0.0)
    from tests.support.plays import TIME_UP

    told = decision_in(call, table.apply(call.negotiation_id, TIME_UP, 100.0) or [])
    assert told is not None
    assert (told.state, told.winners, told.price) == ("no_award", (), None)
