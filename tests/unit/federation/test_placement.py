"""Who owns a negotiation: everybody computes the same, and little changes with the members."""

from __future__ import annotations

import subprocess
import sys

import pytest

from federation.placement import gateway_of, heir_of, owner_of

IDS = [f"eu-1.{number % 4}.{number:016x}-acme" for number in range(4_000)]
LIVING = [f"gateway-{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("negotiation_id", "gateway_id"),
    [
        ("eu-1.0.0123456789abcdef-acme", "eu-1"),
        ("eu-1.12.x", "eu-1"),
        ("eu-1", ""),
        ("", ""),
        (".0.x", ""),
    ],
)
def test_an_id_names_the_gateway_that_minted_it(negotiation_id: str, gateway_id: str) -> None:
    assert gateway_of(negotiation_id) == gateway_id


def test_the_gateway_in_an_id_owns_it_while_it_lives() -> None:
    assert all(owner_of(one, ["ap-1", "eu-1", "us-1"]) == "eu-1" for one in IDS)


def test_the_heir_owns_what_its_gateway_has_left() -> None:
    for one in IDS[:100]:
        assert owner_of(one, ["ap-1", "us-1"]) == heir_of(one, ["us-1", "ap-1"])
    assert owner_of(IDS[0], []) is heir_of(IDS[0], []) is None


@pytest.mark.parametrize(
    ("negotiation_id", "heir_of_three", "heir_of_five"),
    [
        ("eu-1.0.0123456789abcdef-t1", "ap", "e"),
        ("us.3.ffff", "ap", "d"),
        ("x", "us", "c"),
    ],
)
def test_heirs_are_what_they_were_in_every_version(
    negotiation_id: str, heir_of_three: str, heir_of_five: str
) -> None:
    """Gateways of two versions share a cluster while it is upgraded."""
    assert heir_of(negotiation_id, ["ap", "eu", "us"]) == heir_of_three
    assert heir_of(negotiation_id, list("abcde")) == heir_of_five


def test_another_process_computes_the_same_heirs() -> None:
    """Python draws the hashes of strings anew in each process."""
    code = (
        "import sys; from federation.placement import heir_of; "
        "print(*[heir_of(one, sys.argv[1:4]) for one in sys.argv[4:]])"
    )
    living, some = LIVING[:3], IDS[:20]
    done = subprocess.run(
        [sys.executable, "-c", code, *living, *some], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [heir_of(one, living) for one in some]


def test_the_order_in_which_members_are_known_does_not_matter() -> None:
    assert [heir_of(one, LIVING) for one in IDS] == [heir_of(one, LIVING[::-1]) for one in IDS]


def test_what_one_leaves_is_shared_by_all_who_stay() -> None:
    counts = dict.fromkeys(LIVING, 0)
    for one in IDS:
        heir = heir_of(one, LIVING)
        assert heir is not None
        counts[heir] += 1
    share = len(IDS) / len(LIVING)
    assert all(0.8 * share < count < 1.2 * share for count in counts.values()), counts


def test_when_a_gateway_goes_only_its_own_ids_change_their_heir() -> None:
    rest = LIVING[:-1]
    for one in IDS:
        before, after = heir_of(one, LIVING), heir_of(one, rest)
        assert before == after or before == LIVING[-1]


def test_when_a_gateway_comes_it_takes_its_share_and_nothing_else_moves() -> None:
    more = [*LIVING, "gateway-new"]
    moved = [one for one in IDS if heir_of(one, LIVING) != heir_of(one, more)]
    assert all(heir_of(one, more) == "gateway-new" for one in moved)
    assert 0.7 < len(moved) / (len(IDS) / len(more)) < 1.3


def test_where_one_name_ends_and_the_next_begins_is_a_part_of_what_is_hashed() -> None:
    """Else the gateways "a" and "aa" would rank alike for "aax" and "ax"."""
    same = [heir_of(f"a{one}", ["a", "b"]) == heir_of(one, ["aa", "b"]) for one in IDS[:200]]
    assert not all(same)
