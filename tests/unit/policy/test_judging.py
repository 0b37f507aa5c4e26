"""Which commits can be, and what they write."""

from __future__ import annotations

import pytest

from policy.judging import Writer, judge
from policy.ledger import Entry
from policy.resources import SECONDS_MAX, UNITS_MAX, Registered, Resource
from policy.store import (
    CHANGES_MAX,
    KEY_CHARACTERS_MAX,
    Commit,
    Committed,
    Decide,
    HoldCredit,
    Lock,
    Mint,
    Refused,
    Reopen,
    SetResource,
    ShowLock,
    Unlock,
)
from tests.support.pure_book import PureBook

H100 = SetResource("h100", 2)


def lock(
    name: str, starts: float = 10.0, ends: float = 20.0, units: int = 1, soft: float | None = None
) -> Lock:
    return Lock(name, "h100", units, starts, ends, "bob", "n", soft)


def test_an_award_is_one_entry_that_sums_to_nothing() -> None:
    """N-7.1: each transaction sums to 0, whatever a commit does at once."""
    book = PureBook(Mint("alice", 100), H100)
    award = (Decide("c", "n"), lock("l"), HoldCredit("h", "alice", 30, 9.0))
    entry = book.done(*award)
    assert sum(posting.micros for posting in entry.postings) == 0
    assert (entry.locks, entry.units) == ({"l": 1}, {"l": (0,)})
    assert {key for key in book.facts if not key.startswith("entry/")} == {
        "purse/alice@",
        "purse/alice@g1",
        "resource/h100",
        "registered/h100",
        "call/c",
        "hold/h",
    }


def test_what_is_refused_writes_nothing_and_tells_what_it_was_judged_by() -> None:
    """N-7.7: all or none; and a refusal is as good as the facts that it read."""
    book = PureBook(Mint("alice", 100), H100)
    commit = Commit("k", 0.0, (Decide("c", "n"), lock("l", units=3)))
    judgement = judge(commit, book.writer, book.facts.get)
    assert isinstance(judgement.answer, Refused)
    assert not judgement.writes
    assert judgement.reads == {"entry/k", "call/c", "resource/h100"}


def test_a_key_that_was_used_is_answered_by_its_entry() -> None:
    """N-7.3: replays with the same idempotency key are no-ops returning the first answer."""
    book = PureBook(Mint("alice", 100))
    entry = book.facts["entry/k1"]
    judgement = judge(Commit("k1", 9.0, (Mint("alice", 7),)), Writer("g2"), book.facts.get)
    assert isinstance(entry, Entry)
    assert judgement.answer == Committed(entry, is_first=False)
    assert not judgement.writes


@pytest.mark.parametrize(
    "commit",
    [
        Commit("", 0.0),
        Commit("k" * (KEY_CHARACTERS_MAX + 1), 0.0),
        Commit("k", 0.0, (H100,) * (CHANGES_MAX + 1)),
    ],
)
def test_a_commit_has_limits(commit: Commit) -> None:
    judgement = judge(commit, Writer("g1"), {}.get)
    assert isinstance(judgement.answer, Refused)
    assert judgement.answer.code == "INVALID"


@pytest.mark.parametrize(
    "change",
    [
        lock("l", units=0),
        lock("l", starts=10.0, ends=10.0),
        lock("l", starts=10.0, ends=10.0 + SECONDS_MAX + 1),
        lock("l", starts=-2.0, ends=0.0),
        lock("l", soft=0.0),
        Lock("l", "h100", 1, 0.0, 1.0, soft_until=5.0, instead_of="m"),
        SetResource("", 1),
        SetResource("h100", -1),
        SetResource("h100", UNITS_MAX + 1),
    ],
)
def test_what_makes_no_sense_is_refused(change: Lock) -> None:
    assert PureBook(H100).code(change) == "INVALID"


def test_a_resource_must_be_registered() -> None:
    book = PureBook(H100)
    assert book.code(Lock("l", "a100", 1, 0.0, 1.0)) == "RESOURCE_UNKNOWN"
    book.done(SetResource("h100", 0))
    assert book.code(lock("l")) == "RESOURCE_UNKNOWN"
    book.done(Unlock("a100", "l"), Unlock("h100", "l"))
    assert book.code(ShowLock("a100", "l", 1)) == "LOCK_STALE"


def test_a_lock_has_a_name_of_its_own_while_it_lasts() -> None:
    book = PureBook(H100)
    book.done(lock("l"))
    assert book.code(lock("l", starts=30.0, ends=40.0)) == "LOCK_EXISTS"
    book.done(lock("l", starts=30.0, ends=40.0), at=20.0)


def test_a_lock_that_wants_other_units_than_its_soft_hold_takes_them_anew() -> None:
    """N-7.9: what was held softly is free for it, and for nobody else."""
    book = PureBook(H100)
    book.done(lock("offer", units=2, soft=5.0))
    longer = Lock("l", "h100", 2, 10.0, 25.0, "bob", instead_of="offer")
    entry = book.done(longer)
    assert entry.units == {"l": (0, 1)}
    (booking,) = book.at("resource/h100", Resource).bookings
    assert (booking.lock_id, booking.ends_at) == ("l", 25.0)


def test_a_lock_does_not_take_the_place_of_another_lock() -> None:
    """N-7.8: a contract stands until it is taken off."""
    book = PureBook(H100)
    book.done(lock("a", units=2))
    second = Lock("b", "h100", 2, 10.0, 20.0, "bob", instead_of="a")
    assert book.code(second) == "RESOURCE_GONE"


def test_an_award_can_be_taken_back_by_its_negotiation_only() -> None:
    """N-7.7: DECIDED → CLOSED; twice is once, and what never was is nothing."""
    book = PureBook()
    book.done(Reopen("c", "n"))
    book.done(Decide("c", "n"))
    assert book.code(Decide("c", "n")) == "ALREADY_DECIDED"
    assert book.code(Reopen("c", "m")) == "ALREADY_DECIDED"
    book.done(Reopen("c", "n"))
    book.done(Reopen("c", "n"))
    book.done(Decide("c", "m"))


def test_a_resource_is_not_made_smaller_than_what_is_booked() -> None:
    """N-7.8: a committed contract keeps its units."""
    book = PureBook(H100)
    book.done(lock("a", units=2))
    assert book.code(SetResource("h100", 1)) == "RESOURCE_BUSY"
    assert book.code(SetResource("h100", 2, opens_at=11.0)) == "RESOURCE_BUSY"
    assert book.code(SetResource("h100", 2, closes_at=19.0)) == "RESOURCE_BUSY"
    book.done(SetResource("h100", 1), at=20.0)


def test_a_commit_without_changes_makes_its_key_void() -> None:
    """N-7.10: what is called off never happens."""
    book = PureBook(H100)
    entry = book.commit(key="award")
    assert isinstance(entry, Entry) and entry.is_void
    assert book.commit(lock("l"), key="award") == entry
    assert not book.at("resource/h100", Resource).bookings


def test_a_reserve_is_for_the_system_class_and_a_refusal_says_so() -> None:
    """N-8.3: who is not of it hears that units are kept."""
    book = PureBook(SetResource("h100", 2, reserve=0.5))
    refused = book.commit(lock("n", units=2))
    assert isinstance(refused, Refused)
    assert refused.code == "RESOURCE_GONE"
    assert refused.detail.endswith("beside 1 for the system class")
    assert book.done(lock("n")).units == {"n": (0,)}
    book.done(SetResource("h100", 2))  # what a change does not say stays as it was
    assert book.code(lock("m")) == "RESOURCE_GONE"
    system = Lock("s", "h100", 1, 10.0, 20.0, "watchdog", "n", is_system=True)
    assert book.done(system).units == {"s": (1,)}


@pytest.mark.parametrize("reserve", [-0.1, 1.1])
def test_a_reserve_is_a_part(reserve: float) -> None:
    assert PureBook().code(SetResource("h100", 2, reserve=reserve)) == "INVALID"


def test_a_resource_that_is_registered_is_told_without_its_calendar() -> None:
    """So that gateways can watch what there is, and hear nothing of awards."""
    book = PureBook(H100)
    assert book.facts["registered/h100"] == Registered("h100", H100.units)
    book.done(lock("l"))
    assert book.facts["registered/h100"] == Registered("h100", H100.units)
    book.done(SetResource("disk", 3))
    book.done(SetResource("disk", 0))
    assert book.facts["registered/disk"] == Registered("disk", 0)
