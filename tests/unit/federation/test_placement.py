"""Who owns a negotiation, by its id and by who lives."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter

from federation.placement import gateway_of, heir_of

IDS = [f"eu-1.{shard}.{number:05d}" for shard in range(4) for number in range(500)]
LIVING = ["ap-1", "eu-2", "us-1", "us-2"]


def test_an_id_names_its_gateway() -> None:
    assert gateway_of("eu-1.3.abc-tenant") == "eu-1"
    assert gateway_of("nonsense") == "" == gateway_of("")


def test_of_one_that_lives_that_one_is_the_heir_and_of_nobody_nobody() -> None:
    assert heir_of("eu-1.0.x", ["us-1"]) == "us-1"
    assert heir_of("eu-1.0.x", []) is None


def test_the_heir_is_the_same_in_whatever_order_one_knows_the_others() -> None:
    for negotiation_id in IDS[:20]:
        heirs = {heir_of(negotiation_id, order) for order in itertools.permutations(LIVING)}
        assert len(heirs) == 1


def test_the_heir_is_the_same_in_every_process() -> None:
    """Python's own hash differs from process to process."""
    program = (
        "from federation.placement import heir_of\n"
        f"print([heir_of(one, {LIVING}) for one in {IDS[:50]}])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str([heir_of(one, LIVING) for one in IDS[:50]])
    assert [heir_of(one, LIVING) for one in IDS[3:6]] == ["ap-1", "us-2", "ap-1"]


def test_what_a_lost_gateway_owned_is_spread_evenly() -> None:
    counts = Counter(heir_of(one, LIVING) for one in IDS)
    assert counts.keys() == set(LIVING)
    assert max(counts.values()) < 1.3 * len(IDS) / len(LIVING)


def test_when_a_gateway_goes_only_what_it_inherited_moves() -> None:
    left = [one for one in LIVING if one != "us-1"]
    for negotiation_id in IDS:
        before, after = heir_of(negotiation_id, LIVING), heir_of(negotiation_id, left)
        assert before == after or before == "us-1"
