"""`llmx call` with a call for a bargain: its prices, and the lines it writes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.commands.bargain import Prices, is_bargain, prices_of
from gateway.commands.trouble import CommandError

BODY: dict[str, Any] = {"protocol": "alternating-offers", "reply_within": 5}


def test_only_a_bargain_needs_prices() -> None:
    assert is_bargain(BODY) and not is_bargain({"protocol": "sealed-bid"})
    assert prices_of({}, 1.0, 2.0) is None
    assert prices_of(BODY, 30.0, 45.0) == Prices(30.0, 45.0)


@pytest.mark.parametrize(("start", "limit"), [(None, None), (3.0, None), (None, 3.0)])
def test_a_bargain_without_its_prices_is_not_begun(
    start: float | None, limit: float | None
) -> None:
    with pytest.raises(CommandError, match="--start"):
        prices_of(BODY, start, limit)
