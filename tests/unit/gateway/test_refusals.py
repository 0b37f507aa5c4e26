"""How a fault becomes the refusal that an agent reads."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gateway.refusals import CODES, Fault, refusal_of
from llmx.v1.refusal_pb2 import RefusalCode

ROOT = Path(__file__).resolve().parents[3]
FAULT = Fault("WRONG_STATE", "it is over", "call again")


def codes_named_in(folder: str) -> set[str]:
    """Return the codes of every Fault, Refuse and refuse(…) written in a folder."""
    position = {"Fault": 0, "Refuse": 2, "refuse": 1}
    named = set()
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                at = position.get(node.func.id)
                if at is not None and len(node.args) > at:
                    code = node.args[at]
                    if isinstance(code, ast.Constant) and isinstance(code.value, str):
                        named.add(code.value)
    return {code for code in named if code.isupper()}


@pytest.mark.parametrize("folder", ["gateway", "policy"])
def test_every_code_that_is_named_is_a_refusal_code(folder: str) -> None:
    named = codes_named_in(folder)
    assert len(named) > 4, "the search finds what is there"
    assert named <= CODES.keys()


def test_a_refusal_says_what_where_why_and_what_would_have_been_right() -> None:
    fault = Fault("SCHEMA_VIOLATION", "no value", "add it", "/payload", 0.0, '{"value": 1}')
    refusal = refusal_of(fault, "m1", "gw.0.1")
    assert refusal.code == RefusalCode.REFUSAL_CODE_SCHEMA_VIOLATION
    assert (refusal.msg_id, refusal.negotiation_id) == ("m1", "gw.0.1")
    assert (refusal.pointer, refusal.reason, refusal.remedy) == ("/payload", "no value", "add it")
    assert refusal.example == '{"value": 1}'


@pytest.mark.parametrize("seconds", [1e-9, 0.001, 1 / 3, 1.0, 59.999999, 86400.0])
def test_who_waits_as_long_as_the_refusal_says_has_waited_long_enough(seconds: float) -> None:
    fault = Fault("RATE_EXCEEDED", "too fast", "wait", retry_after=seconds)
    told = refusal_of(fault, "m1").retry_after.ToNanoseconds()
    assert seconds * 1e9 <= told <= seconds * 1e9 + 2


@pytest.mark.parametrize("seconds", [0.0, float("inf")])
def test_no_wait_is_told_when_waiting_does_not_help(seconds: float) -> None:
    fault = Fault("RATE_EXCEEDED", "too fast", "wait", retry_after=seconds)
    assert not refusal_of(fault, "m1").HasField("retry_after")


def test_a_refusal_of_what_could_not_be_read_names_no_message() -> None:
    assert refusal_of(FAULT, "").msg_id == ""
