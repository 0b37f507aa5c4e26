"""What is kept under which key, and what a draft reads and writes."""

from __future__ import annotations

import pytest

from policy import facts
from policy.budgets import Grant, Share
from policy.facts import Draft, Fact, Unread, decode, encode, presumed_new, sure_keys
from policy.ledger import Entry, Hold, Posting, Purse, Refunded, Spent
from policy.resources import Booking, Registered, Resource
from policy.store import (
    Burn,
    Capture,
    CarryForward,
    Commit,
    Decide,
    Decision,
    GiveBack,
    HoldCredit,
    Lock,
    Mint,
    Refund,
    Release,
    Reopen,
    SetBudget,
    SetResource,
    ShowLock,
    Unlock,
)

FACTS: list[Fact] = [
    Decision("c", "n", "g1", b"\x00{}", 1.5),
    Entry("k", 1.5, "g1", (Posting("mint", -1),), (Spent("h", "a", 1),), {"l": 3}, {"l": (0, 2)}),
    Grant("hour", 5, None, 2, {"g1": 3}),
    Hold("h", "a", 1, "g1", 9.0, budgets={"hour": 2}),
    Purse("a", "g1", 1, 2, ("g1",)),
    Refunded(3),
    Registered("h100", 4),
    Resource("h100", 4, {"in": "eu"}, 1.0, 2.0, 3, bookings=(Booking("l", (0, 1), 1.0, 2.0),)),
    Share(2, 3, 1, 3600.0),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_fact_comes_back_as_it_was_kept(fact: Fact) -> None:
    assert decode(encode(fact)) == fact


CHANGES = {
    Decide("c", "n"): {"call/c"},
    Reopen("c", "n"): {"call/c"},
    Lock("l", "r", 1, 0.0, 1.0): {"resource/r"},
    Unlock("r", "l"): {"resource/r"},
    ShowLock("r", "l", 1): {"resource/r"},
    HoldCredit("h", "a", 1, 9.0, budgets=("b",)): {"hold/h", "purse/a@g1", "share/b@g1"},
    Capture("h", 1): {"hold/h"},
    Release("h"): {"hold/h"},
    Refund("k", "h", 1): {"hold/h"},
    Mint("a", 1): {"purse/a@"},
    Burn("a", 1): {"purse/a@g1"},
    GiveBack("a"): {"purse/a@g1"},
    SetBudget("b", 1): {"grant/b"},
    CarryForward(("e",), ("c",)): {"entry/e", "call/c"},
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_a_change_tells_which_facts_it_is_about(change: Mint) -> None:
    commit = Commit("k", 0.0, (change,))
    assert sure_keys(commit, "g1") == {"entry/k"} | CHANGES[change]


def test_a_registration_is_about_its_resource() -> None:
    assert sure_keys(Commit("k", 0.0, (SetResource("r", 1),)), "") == {
        "entry/k",
        "resource/r",
        "registered/r",
    }


def test_what_an_award_creates_is_presumed_not_to_be_there() -> None:
    """N-7.7: so the usual award reads nothing first: its write holds only if nothing is there."""
    award = (Decide("c", "n"), Lock("l", "r", 1, 0.0, 1.0), HoldCredit("h", "a", 1, 9.0))
    assert presumed_new(Commit("k", 0.0, award)) == {"entry/k", "call/c", "hold/h"}
    assert presumed_new(Commit("k", 0.0, (Capture("h", 1), Mint("a", 1)))) == {"entry/k"}


def test_a_draft_sees_what_it_has_written_and_tells_what_it_looked_at() -> None:
    kept = {"purse/a@": Purse("a", "", 5)}
    draft = Draft(kept.get)
    assert draft.purse("a", "") == Purse("a", "", 5)
    assert draft.purse("a", "g1") == Purse("a", "g1")
    draft.put_purse(Purse("a", "", 6))
    draft.take_off(facts.hold_key("h"))
    assert draft.purse("a", "").available == 6
    assert draft.get(facts.hold_key("h"), Hold) is None
    assert draft.reads == {"purse/a@", "purse/a@g1", "hold/h"}
    assert draft.writes == {"purse/a@": Purse("a", "", 6), "hold/h": None}
    assert kept["purse/a@"].available == 5


def test_what_is_not_at_hand_names_what_to_read() -> None:
    unread = Unread("hold/h", "purse/a@")
    assert unread.keys == ("hold/h", "purse/a@")
