"""Refusals have codes that the protocol knows, and remedies."""

from __future__ import annotations

import ast
import inspect

import pytest

from llmx.v1.refusal_pb2 import RefusalCode
from policy import call, closing, contract_net, offers, refusals, table
from policy.effects import Refuse
from policy.events import CounterReceived
from policy.refusals import refuse
from tests.support.plays import make_call


@pytest.mark.parametrize("module", [call, closing, contract_net, offers, refusals, table])
def test_every_code_is_one_of_the_protocol(module: object) -> None:
    """A RefusalCode without its prefix."""
    known = {name.removeprefix("REFUSAL_CODE_") for name in RefusalCode.keys()}  # noqa: SIM118
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {text for text in texts if "_" in text and text.isupper()} <= known


def test_an_offer_without_a_value_is_told_that_it_needs_one() -> None:
    state, _ = contract_net.open_call(make_call(), 0.0)
    (refusal,) = refusals.answer(state, CounterReceived("agent://bob", "m1", {"price": 3}))
    assert isinstance(refusal, Refuse) and "value" in refusal.remedy
    (own,) = refusals.answer(state, CounterReceived("agent://alice", "m1"))
    assert isinstance(own, Refuse) and "value" not in own.remedy


def test_a_refusal_answers_the_message_that_did_not_count() -> None:
    event = CounterReceived("agent://bob", "m1")
    [plain] = refuse(event, "LATE", "too late")
    assert isinstance(plain, Refuse)
    assert (plain.recipient, plain.msg_id, plain.code) == ("agent://bob", "m1", "LATE")
    assert plain.remedy == "answer before the deadline of the next call"
    [own] = refuse(event, "LATE", "too late", "be quick")
    assert isinstance(own, Refuse) and own.remedy == "be quick"
