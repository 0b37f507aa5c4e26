"""A price that waits for a report is remembered by whoever holds it, or not taken."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.call_stakes import stakes_of
from gateway.refusals import Fault
from gateway.settling.escrow import FORGETFUL, Escrow, escrow_of, is_durable, waits
from policy.stakes import Stakes

WAITING: dict[str, Any] = {"credit": {}, "report_within": 60}


@pytest.mark.parametrize(
    ("lasts", "has_journal", "escrow"),
    [
        (True, True, "durable"),
        (True, False, "refused"),
        (False, True, "plain"),
        (False, False, "plain"),
    ],
)
def test_what_is_done_follows_from_what_outlives_the_gateway(
    lasts: bool, has_journal: bool, escrow: Escrow
) -> None:
    assert escrow_of(lasts=lasts, has_journal=has_journal) == escrow


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (WAITING, True),
        ({"credit": {}, "report_within": None}, False),
        ({"credit": {}}, False),
        ({"report_within": 60}, False),
        ({**WAITING, "durable": False}, False),
        ({**WAITING, "durable": True}, False),
    ],
)
def test_only_credit_with_a_report_waits_and_only_where_the_call_says_nothing(
    body: dict[str, Any], expected: bool
) -> None:
    """N-7.3: or the hold would end by its time after a crash, though the work was done."""
    assert waits(body) is expected
    assert is_durable(body, "durable", marked=False) is (expected or body.get("durable") is True)
    assert is_durable(body, "plain", marked=False) is (body.get("durable") is True)
    assert is_durable(body, "plain", marked=True)


@pytest.mark.parametrize("more", [{}, {"durable": False}, {"durable": True}])
def test_a_gateway_that_forgets_takes_such_a_call_only_if_it_says_how(more: dict[str, Any]) -> None:
    """That it is durable: true is refused where durable calls are, with a reason of its own."""

    def asked(escrow: Escrow) -> Stakes | Fault | None:
        body = {**WAITING, **more}
        return stakes_of(
            body,
            "procure",
            has_ledger=True,
            most_units=lambda name: None,
            now=1.0,
            escrow=escrow,
        )

    assert isinstance(asked("durable"), Stakes)
    assert isinstance(asked("plain"), Stakes)
    if more:
        assert isinstance(asked("refused"), Stakes)
    else:
        assert asked("refused") is FORGETFUL
