"""A grant is leased to gateways in shares that never add up to more than it."""

from __future__ import annotations

from itertools import product

from policy import budgets
from policy.budgets import Grant, Share


def test_a_window_begins_where_the_one_before_it_ends() -> None:
    """N-7.6: budget window (hour | project), with the time at which it is reset."""
    hour = Grant("alice", 100)
    assert [hour.window_at(at) for at in (0.0, 3599.9, 3600.0, 7200.0)] == [0, 0, 1, 2]
    assert hour.resets_at(1) == 7200.0
    project = Grant("atlas", 100, None)
    assert (project.window_at(9e9), project.resets_at(0)) == (0, None)


def test_in_a_new_window_nothing_is_leased_and_nothing_used() -> None:
    """N-7.6: who was priced out may begin again when the window ends."""
    grant = Grant("alice", 100, 10.0, 3, {"g1": 60})
    share = Share(3, 60, 60, 10.0)
    assert not share.is_over(39.9)
    assert share.is_over(40.0)
    assert budgets.at_window(grant, 3) is grant
    assert budgets.at_window(grant, 4).free == 100
    assert share.at_window(3, 10.0) is share
    assert share.at_window(4, 10.0) == Share(4, 0, 0, 10.0)


def test_leases_never_add_up_to_more_than_the_grant() -> None:
    """N-8.6: Σ local leases ≤ global, for every order of wishes and every chunk."""
    for wishes in product([("g1", 1), ("g2", 30), ("g1", 70), ("g2", 200)], repeat=4):
        for chunk in (0, 5, 1_000):
            grant = Grant("hour", 100)
            shares = {"g1": Share(), "g2": Share()}
            for place, micros in wishes:
                before = shares[place].leased
                free = grant.free
                grant, shares[place] = budgets.leased(grant, shares[place], place, micros, chunk)
                assert shares[place].leased - before >= min(micros, free)
                assert sum(grant.leased.values()) <= 100
                leases = {name: share.leased for name, share in shares.items()}
                assert {**dict.fromkeys(shares, 0), **grant.leased} == leases


def test_a_chunk_is_at_most_half_of_what_is_left_unless_more_is_needed() -> None:
    grant, share = budgets.leased(Grant("hour", 100), Share(), "g1", 1, 1_000)
    assert share.leased == 50
    grant, share = budgets.leased(grant, share, "g1", 45, 1_000)
    assert (share.leased, grant.free) == (95, 5)


def test_only_what_was_not_used_is_handed_back() -> None:
    """N-8.6: a share goes back up to what it has left."""
    grant = Grant("hour", 100, leased={"g1": 60, "g2": 40})
    share = Share(0, 60, 25)
    grant, share = budgets.handed_back(grant, share, "g1", 10)
    assert (grant.leased, share.leased) == ({"g1": 50, "g2": 40}, 50)
    grant, share = budgets.handed_back(grant, share, "g1", 1_000)
    assert (grant.leased, share.leased) == ({"g1": 25, "g2": 40}, 25)
