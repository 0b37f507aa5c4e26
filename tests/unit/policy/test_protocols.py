"""The table of protocols: what each line promises to whoever goes by it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from msgspec.structs import replace

from policy.call import Call
from policy.events import DeadlinePassed
from policy.protocols import PROTOCOLS
from policy.states import Negotiation, View
from tests.support.plays import make_call

CALLS: dict[str, dict[str, Any]] = {
    "contract-net": {},
    "iterated-contract-net": {"decider": "initiator"},
    "alternating-offers": {"agents": "bob"},
    "monotonic-concession": {"agents": "bob"},
    "sealed-bid": {},
}


def call_for(name: str) -> Call:
    return replace(make_call(**CALLS[name]), protocol=name)


def opened(name: str) -> Negotiation:
    protocol, call = PROTOCOLS[name], call_for(name)
    assert protocol.objection(call) is None
    state, _ = protocol.open_call(call, 0.0)
    return state


def test_every_protocol_is_known_by_its_own_name() -> None:
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())
    assert CALLS.keys() == PROTOCOLS.keys()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_state_is_a_value_that_can_be_kept_and_moved(name: str) -> None:
    state = opened(name)
    assert pickle.loads(pickle.dumps(state)) == state
    assert "<" in repr(state)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_state_offers_what_the_table_and_the_shell_ask_for(name: str) -> None:
    state, call = opened(name), call_for(name)
    terms = state.terms
    assert (terms.call.negotiation_id, terms.initiator) == (call.negotiation_id, call.initiator)
    assert terms.eligible == set(call.eligible) and terms.size == len(call.eligible)
    assert 0 < state.due <= terms.deadline and not state.is_final


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_operator_is_shown_every_party_in_a_word_and_no_value_before_the_close(
    name: str,
) -> None:
    view = opened(name).view()
    assert isinstance(view, View) and view.values == {} and view.round == 1
    assert set(call_for(name).eligible) <= view.parties.keys()
    assert all(word.islower() and " " not in word for word in view.parties.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_time_ends_what_nobody_answers_and_forgets_it_later(name: str) -> None:
    step, state = PROTOCOLS[name].step, opened(name)
    ended, effects = step(state, DeadlinePassed(), state.due)
    assert ended.is_final and ended.due > state.due and effects
    assert ended.view().reason and ended.view().closed_by


def test_no_two_protocols_read_one_property_of_a_call_unless_they_share_its_meaning() -> None:
    shared = {"bargaining": {"alternating-offers", "monotonic-concession"}}
    owners: dict[str, set[str]] = {}
    for protocol in PROTOCOLS.values():
        if protocol.property:
            owners.setdefault(protocol.property, set()).add(protocol.name)
    assert {name: of for name, of in owners.items() if len(of) > 1} == shared
