"""Units of a resource, in a calendar: each has one holder at any instant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from policy import resources
from policy.resources import BOOKINGS_MAX, Booking, Resource

H100 = Resource("h100", 4)


def book(
    resource: Resource,
    name: str,
    units: int,
    starts: float,
    ends: float,
    soft: float | None = None,
    at: float = 0.0,
) -> Resource:
    wanted = Booking(name, (), starts, ends, "bob", soft_until=soft)
    booked = resources.booked(resource, wanted, units, at)
    assert booked is not None
    return booked


def test_four_units_for_half_an_hour_are_four_units_until_it_is_over() -> None:
    """N-7.8: a unit of resource has ≤ 1 committed contract for any instant."""
    busy = book(H100, "a", 4, 100.0, 1900.0)
    assert busy.bookings[0].units == (0, 1, 2, 3)
    assert tuple(resources.free_units(busy, 1899.0, 1900.0, 0.0)) == ()
    assert tuple(resources.free_units(busy, 0.0, 100.5, 0.0)) == ()
    assert tuple(resources.free_units(busy, 0.0, 100.0, 0.0)) == (0, 1, 2, 3)
    assert tuple(resources.free_units(busy, 1900.0, 2000.0, 0.0)) == (0, 1, 2, 3)
    assert resources.booked(busy, Booking("b", (), 0.0, 101.0), 1, 0.0) is None


def test_a_booking_keeps_its_units_from_beginning_to_end() -> None:
    """Two halves of it, free on different units, are not one booking."""
    two = Resource("pair", 2)
    two = book(two, "a", 1, 0.0, 10.0)
    two = book(two, "b", 2, 10.0, 20.0)
    two = resources.freed(two, "b", 0.0)
    two = book(two, "c", 1, 10.0, 20.0)
    assert [booking.units for booking in two.bookings] == [(0,), (0,)]
    assert tuple(resources.free_units(two, 0.0, 20.0, 0.0)) == (1,)


def test_the_number_of_a_lock_grows_and_an_older_one_is_stale() -> None:
    """N-7.8: the lock carries a fencing number that grows; a stale holder is refused."""
    one = book(H100, "a", 4, 0.0, 10.0)
    assert resources.is_held(one, "a", 1, 5.0)
    assert not resources.is_held(one, "a", 0, 5.0)
    assert not resources.is_held(one, "a", 2, 5.0)
    assert not resources.is_held(one, "a", 1, 10.0)
    two = book(resources.freed(one, "a", 1.0), "b", 4, 0.0, 10.0)
    assert (two.fencing, two.bookings[0].fencing) == (2, 2)
    assert not resources.is_held(two, "a", 1, 5.0)


def test_a_soft_hold_has_no_number_and_becomes_a_lock_of_the_same_units() -> None:
    """N-7.9: an accepted offer cannot fail for lack of stock."""
    soft = book(book(H100, "other", 1, 0.0, 10.0), "offer", 2, 0.0, 10.0, soft=5.0)
    booking = soft.booking("offer")
    assert booking is not None
    assert (booking.units, booking.fencing) == ((1, 2), 0)
    assert not resources.is_held(soft, "offer", 0, 1.0)
    hard = resources.hardened(soft, booking, "award", 4.0)
    lock = hard.booking("award")
    assert lock is not None
    assert (lock.units, lock.fencing, lock.soft_until) == ((1, 2), 2, None)
    assert hard.booking("offer") is None


def test_a_soft_hold_is_over_at_its_end() -> None:
    """N-7.9: it expires at valid_until."""
    soft = book(H100, "offer", 4, 0.0, 10.0, soft=5.0)
    assert tuple(resources.free_units(soft, 0.0, 10.0, 4.9)) == ()
    assert tuple(resources.free_units(soft, 0.0, 10.0, 5.0)) == (0, 1, 2, 3)


def test_what_is_over_is_dropped_by_the_next_change() -> None:
    busy = book(book(H100, "a", 1, 0.0, 10.0), "b", 1, 0.0, 20.0)
    assert [one.lock_id for one in resources.freed(busy, "c", 10.0).bookings] == ["b"]


def test_a_resource_is_open_in_its_time_only() -> None:
    night = Resource("night", 1, opens_at=100.0, closes_at=200.0)
    assert tuple(resources.free_units(night, 99.0, 150.0, 0.0)) == ()
    assert tuple(resources.free_units(night, 150.0, 201.0, 0.0)) == ()
    assert tuple(resources.free_units(night, 100.0, 200.0, 0.0)) == (0,)


def test_a_calendar_has_an_end() -> None:
    many = Resource(
        "many",
        1,
        bookings=tuple(Booking(str(i), (0,), i, i + 1.0) for i in range(BOOKINGS_MAX)),
    )
    wanted = Booking("one more", (), 5_000.0, 5_001.0)
    assert resources.booked(many, wanted, 1, 0.0) is None
    assert resources.booked(many, wanted, 1, 1.0) is not None


SLOTS = Resource("slots", 8, reserve=0.25)
"""Two of eight are for the system class."""


def test_others_leave_the_reserve_free_and_the_system_class_takes_the_last_unit() -> None:
    """N-8.3: normal class admitted iff after - ρB ≥ 0; system class down to 0."""
    busy = SLOTS
    for number in range(6):
        wanted = Booking(f"n{number}", (), 0.0, 10.0)
        found = resources.booked(busy, wanted, 1, 0.0, is_system=False)
        assert found is not None
        busy = found
    assert resources.booked(busy, Booking("n", (), 0.0, 10.0), 1, 0.0, is_system=False) is None
    full = resources.booked(busy, Booking("s", (), 0.0, 10.0), 2, 0.0, is_system=True)
    assert full is not None
    assert full.bookings[-1].units == (6, 7)
    assert resources.booked(full, Booking("t", (), 0.0, 10.0), 1, 0.0, is_system=True) is None


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 6), st.integers(1, 6)), max_size=30))
def test_a_system_request_within_the_reserve_is_admitted_whatever_others_booked(
    wanted: list[tuple[int, int, int]],
) -> None:
    """N-8.3: in any interval, for nobody else ever has one of the units of the reserve."""
    busy = SLOTS
    for number, (units, starts, seconds) in enumerate(wanted):
        booking = Booking(f"n{number}", (), float(starts), float(starts + seconds))
        busy = resources.booked(busy, booking, units, 0.0, is_system=False) or busy
    system = Booking("s", (), 0.0, 99.0)
    assert resources.booked(busy, system, 2, 0.0, is_system=True) is not None
