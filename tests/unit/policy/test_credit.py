"""Credit in holds and budgets: what is moved, what is refused, and which facts it touches."""

from __future__ import annotations

import pytest

from policy.budgets import Grant, Share
from policy.facts import Unread
from policy.judging import Writer, judge
from policy.ledger import MICROS_MAX, PLACES_MAX, Hold, Purse
from policy.store import (
    Burn,
    Capture,
    Commit,
    GiveBack,
    HoldCredit,
    Mint,
    Refund,
    Release,
    SetBudget,
)
from tests.support.pure_book import PureBook

A = "agent://alice"
FAR = 9e9


def hold(name: str, micros: int, *budgets: str, expires_at: float = FAR) -> HoldCredit:
    return HoldCredit(name, A, micros, expires_at, budgets=budgets)


@pytest.mark.parametrize(
    "change",
    [
        Mint(A, 0),
        Mint(A, -1),
        Mint(A, MICROS_MAX + 1),
        Burn(A, 0),
        hold("h", 0),
        hold("h", -5),
        hold("h", 5, expires_at=0.0),
        SetBudget("hour", -1),
        SetBudget("hour", MICROS_MAX + 1),
        SetBudget("hour", 1, 0.5),
        SetBudget("hour", 1, 1e12),
    ],
)
def test_what_makes_no_sense_is_refused(change: Mint) -> None:
    book = PureBook(Mint(A, 100))
    assert book.code(change) == "INVALID"


def test_the_usual_hold_touches_what_only_its_gateway_does() -> None:
    """N-8.6: once credit and budget were taken along, an award asks nobody for more."""
    book = PureBook(Mint(A, 100), SetBudget("hour", 100))
    book.done(hold("first", 2, "hour"))
    look = Commit("k", 0.0, (hold("second", 2, "hour"),))
    judgement = judge(look, book.writer, book.facts.get)
    assert judgement.reads == {
        "entry/k",
        "hold/second",
        f"purse/{A}@g1",
        "share/hour@g1",
    }
    assert set(judgement.writes) == judgement.reads


def test_credit_is_taken_along_in_chunks() -> None:
    """N-8.6: and the sum stays the same, wherever it lies."""
    book = PureBook(Mint(A, 100))
    book.done(hold("h", 2))
    assert book.at(f"purse/{A}@g1", Purse) == Purse(A, "g1", 8, 2)
    assert book.at(f"purse/{A}@", Purse) == Purse(A, "", 90, 0, ("g1",))
    book.done(hold("i", 60))
    assert book.at(f"purse/{A}@g1", Purse) == Purse(A, "g1", 0, 62)
    assert book.at(f"purse/{A}@", Purse).available == 38


def test_a_place_that_has_nothing_left_is_not_counted_any_more() -> None:
    book = PureBook(Mint(A, 30))
    book.done(hold("h", 10))
    book.done(Release("h"))
    book.done(hold("i", 30), place="g2")
    assert book.at(f"purse/{A}@", Purse).places == ("g2",)
    book.done(Release("i"), place="g3")
    book.done(hold("j", 5), place="g2")
    book.done(hold("k", 25), place="g3")
    assert book.at(f"purse/{A}@", Purse).places == ("g2", "g3")


def test_credit_lies_at_so_many_places_and_no_more() -> None:
    book = PureBook(Mint(A, 1_000), chunk=1)
    for number in range(PLACES_MAX):
        book.done(hold(f"h{number}", 1), place=f"g{number}")
    assert book.code(hold("h", 1), place="one-more") == "INVALID"
    book.done(Release("h7"), GiveBack(A, "g7"))


def test_a_gateway_that_is_alone_keeps_nothing_apart() -> None:
    book = PureBook(Mint(A, 10), place="")
    book.done(hold("h", 4))
    assert book.at(f"purse/{A}@", Purse) == Purse(A, "", 6, 4)
    assert book.code(hold("i", 7)) == "CREDIT_SHORT"
    book.done(GiveBack(A))


def test_who_keeps_nothing_apart_finds_what_others_took_along() -> None:
    """N-8.6: an operator that writes for no place spends what lies at gateways."""
    book = PureBook(Mint(A, 10))
    book.done(hold("h", 1))
    book.done(Burn(A, 9), place="")
    assert book.at(f"purse/{A}@", Purse) == Purse(A, "", 0, 0, ("g1",))


def test_what_is_burned_is_gone() -> None:
    book = PureBook(Mint(A, 10))
    book.done(Burn(A, 4))
    assert book.code(Burn(A, 7)) == "CREDIT_SHORT"


def test_a_hold_has_a_name_of_its_own() -> None:
    """N-7.3: two holds of one name would both end with the first."""
    book = PureBook(Mint(A, 10))
    book.done(hold("h", 4))
    assert book.code(hold("h", 4)) == "HOLD_EXISTS"


def test_a_release_of_what_is_expired_only_leaves_the_rest() -> None:
    """N-7.3: a sweep that comes too early ends nothing."""
    book = PureBook(Mint(A, 10))
    book.done(hold("h", 4, expires_at=5.0))
    book.done(Release("h", only_expired=True), at=4.0)
    assert book.at("hold/h", Hold).micros == 4
    book.done(Release("h", only_expired=True), at=5.0)
    assert "hold/h" not in book.facts


def test_another_gateway_may_end_a_hold_and_the_credit_stays_where_it_lay() -> None:
    """N-7.4: also when the gateway that held it is gone."""
    book = PureBook(Mint(A, 10))
    book.done(hold("h", 4))
    book.done(Capture("h", 1), place="g2")
    assert book.at(f"purse/{A}@g1", Purse) == Purse(A, "g1", 4, 0)


def test_facts_of_different_times_are_read_again_together() -> None:
    """A hold that somebody has just made, beside a purse from before it."""
    facts = {"hold/h": Hold("h", A, 4, "g1", FAR), f"purse/{A}@g1": Purse(A, "g1", 4)}
    for change in (Capture("h", 4), Release("h")):
        with pytest.raises(Unread) as unread:
            judge(Commit("k", 0.0, (change,)), Writer("g1", "g1"), facts.get)
        assert unread.value.keys == ("hold/h", f"purse/{A}@g1")


def test_a_refund_is_of_what_was_paid() -> None:
    """N-7.5: what is refunded is taken off what was spent, and never more than that."""
    book = PureBook(Mint(A, 10))
    book.done(hold("h", 4))
    paid = book.done(Capture("h", 3))
    assert book.code(Refund(paid.key, "h", 4)) == "REFUND_TOO_LARGE"
    assert book.code(Refund(paid.key, "h", 0)) == "REFUND_TOO_LARGE"
    assert book.code(Refund(paid.key, "other", 1)) == "REFUND_TOO_LARGE"
    assert book.code(Refund("nothing", "h", 1)) == "REFUND_TOO_LARGE"
    book.done(Refund(paid.key, "h", 2))
    assert book.code(Refund(paid.key, "h", 2)) == "REFUND_TOO_LARGE"
    back = book.done(Refund(paid.key, "h", 1))
    assert back.spent[0].micros == -1


def test_a_budget_counts_what_is_held_and_paid_in_its_window() -> None:
    """N-7.6: Σ captures + open holds in window ≤ grant."""
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 20, "hour"))
    book.done(Capture("a", 15))
    assert book.code(hold("b", 16, "hour")) == "BUDGET_EXHAUSTED"
    book.done(hold("b", 15, "hour"))
    assert book.code(hold("c", 1, "hour"), at=3599.0) == "BUDGET_EXHAUSTED"
    book.done(hold("c", 30, "hour"), at=3600.0)
    assert book.code(hold("d", 1, "nothing")) == "BUDGET_UNKNOWN"


def test_what_ends_in_a_later_window_is_not_given_back_to_it() -> None:
    """N-7.6: a hold counts in the window in which it was made, and in no other."""
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 30, "hour"))
    book.done(hold("b", 30, "hour"), at=3600.0)
    book.done(Release("a"), at=3601.0)
    assert book.code(hold("c", 1, "hour"), at=3602.0) == "BUDGET_EXHAUSTED"
    book.done(Release("b"), at=3603.0)
    book.done(hold("c", 30, "hour"), at=3604.0)


def test_shares_that_others_do_not_use_are_taken_back() -> None:
    """N-8.6: admitted total ≤ global, and all of it can be admitted."""
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 1, "hour"))
    assert book.at("share/hour@g1", Share).leased == 10
    book.done(hold("b", 29, "hour"), place="g2")
    assert book.at("share/hour@g1", Share).leased == 1
    assert book.at("grant/hour", Grant).free == 0
    assert book.code(hold("c", 1, "hour")) == "BUDGET_EXHAUSTED"


def test_shares_of_an_older_window_are_worth_nothing() -> None:
    """N-8.6: a gateway that slept through the change of the window has no old credit in it."""
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 1, "hour"))
    book.done(hold("b", 25, "hour"), at=3600.0, place="g2")
    assert book.code(hold("c", 6, "hour"), at=3600.0) == "BUDGET_EXHAUSTED"
    book.done(hold("d", 5, "hour"), at=3600.0)


def test_a_gateway_whose_clock_is_behind_counts_in_the_newer_window() -> None:
    """N-7.6: windows only go forward, whoever looks at them."""
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 20, "hour"), at=3600.0)
    entry = book.done(hold("b", 10, "hour"), at=3599.0, place="g2")
    assert entry.at == 3599.0
    assert book.at("hold/b", Hold).budgets == {"hour": 1}
    assert book.code(hold("c", 1, "hour"), at=3600.0) == "BUDGET_EXHAUSTED"


def test_a_grant_can_be_changed_and_its_window_cannot() -> None:
    """N-7.6: what is used stays used; a window of another length is another budget."""
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 1, "hour"))
    book.done(hold("b", 1, "hour"), at=7200.0, place="g2")
    book.done(SetBudget("hour", 2), at=7200.0)
    assert book.code(hold("c", 2, "hour"), at=7200.0) == "BUDGET_EXHAUSTED"
    book.done(hold("c", 1, "hour"), at=7200.0)
    assert book.code(SetBudget("hour", 2, 60.0)) == "INVALID"


def test_a_change_of_the_grant_leaves_shares_of_older_windows_alone() -> None:
    book = PureBook(Mint(A, 1_000), SetBudget("hour", 30))
    book.done(hold("a", 1, "hour"))
    book.facts["share/hour@g1"] = Share(-1, 10, 1, 3600.0)
    book.done(SetBudget("hour", 2))
    assert book.at("share/hour@g1", Share).leased == 10


def test_what_is_available_at_a_place_is_carried_to_the_treasury() -> None:
    """N-8.6: a gateway that leaves hands back what it took along."""
    book = PureBook(Mint(A, 100))
    book.done(hold("h", 2))
    book.done(GiveBack(A))
    assert book.at(f"purse/{A}@g1", Purse) == Purse(A, "g1", 0, 2)
    assert book.at(f"purse/{A}@", Purse).available == 98
    book.done(GiveBack(A))
    book.done(GiveBack(A, ""), place="")
