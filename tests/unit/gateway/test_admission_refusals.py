"""What admission answers: a code that agents know, and what would have been right."""

from __future__ import annotations

import pytest

from gateway import admission_refusals
from gateway.refusals import Fault
from llmx.v1.refusal_pb2 import RefusalCode

FAULTS = {
    name: value for name, value in vars(admission_refusals).items() if isinstance(value, Fault)
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_has_a_code_a_reason_and_a_remedy(name: str) -> None:
    fault = FAULTS[name]
    assert f"REFUSAL_CODE_{fault.code}" in RefusalCode.keys()  # noqa: SIM118 - it is no dict
    assert fault.reason and fault.remedy and fault.reason != fault.remedy


def test_there_is_one_for_each_way_to_miss_a_recipient() -> None:
    assert set(admission_refusals.MISSED) == {"recipient_overloaded", "msg_id_taken"}
    assert len(FAULTS) >= 8
