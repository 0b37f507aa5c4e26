"""Resources: so many units of a thing, and who has which of them when.

`4 x H100 for 30 min from t` is a booking of four units for an interval. A unit has one holder at
any instant, and a booking keeps its units from its beginning to its end. An interval holds its
first instant and not its last, so one booking may begin where another ends.

A *lock* is a contract and has a fencing number, which grows with each lock of the resource: who
acts for the lock shows it, and an older number than the one that was granted last for those
units is stale. A *soft hold* stands behind an offer until the offer ends; it keeps the units from
others, has no number, and becomes a lock of the same units when the offer wins.

A part of the units may be a *reserve* for the system class: others have to leave it free.

Locks end by their interval, soft holds by `soft_until`; both end sooner when they are taken off.
What has ended is dropped by the next change, so a calendar holds what is to come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import msgspec
from msgspec.structs import replace

from policy.reserve import Reserve

UNITS_MAX = 4_096
BOOKINGS_MAX = 1_024
"""Of one resource, those that have ended not counted."""
SECONDS_MAX = 366 * 86_400.0
"""The longest booking."""


class Booking(msgspec.Struct, frozen=True, gc=False):
    """Units of a resource in an interval."""

    lock_id: str
    units: tuple[int, ...]
    """Their numbers, from 0."""
    starts_at: float
    ends_at: float
    """Seconds since 1970; above `starts_at`."""
    agent: str = ""
    """Who uses them."""
    negotiation_id: str = ""
    fencing: int = 0
    """0 for a soft hold."""
    soft_until: float | None = None
    """When a soft hold ends by itself; None for a lock."""

    def is_over(self, at: float) -> bool:
        """Tell whether it holds nothing any more."""
        return self.ends_at <= at or (self.soft_until is not None and self.soft_until <= at)

    def meets(self, starts_at: float, ends_at: float) -> bool:
        """Tell whether it has an instant in common with an interval."""
        return self.starts_at < ends_at and starts_at < self.ends_at


class Registered(msgspec.Struct, frozen=True, gc=False, tag="registered"):
    """That there is a resource, without its calendar: what changes seldom, so it can be watched."""

    name: str
    units: int
    """0: it was taken out."""


class Resource(msgspec.Struct, frozen=True, gc=False, tag="resource"):
    """A thing that can be had, with its calendar."""

    name: str
    units: int
    """1 to 4,096."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    """What an operator says of it, such as its region."""
    opens_at: float = 0.0
    """It cannot be booked before."""
    closes_at: float | None = None
    """It cannot be booked beyond; None for no end."""
    fencing: int = 0
    """The number of the lock that was granted last."""
    reserve: float = 0.0
    """ρ, the part of the units that only the system class may take; 0 to 1."""
    bookings: tuple[Booking, ...] = ()

    def booking(self, lock_id: str) -> Booking | None:
        """Return a booking by its id."""
        return next((one for one in self.bookings if one.lock_id == lock_id), None)

    def is_open(self, starts_at: float, ends_at: float) -> bool:
        """Tell whether it can be booked in the whole of an interval, if nobody has."""
        return self.opens_at <= starts_at and (self.closes_at is None or ends_at <= self.closes_at)


def free_units(resource: Resource, starts_at: float, ends_at: float, at: float) -> Iterator[int]:
    """Return the units that nobody has in any instant of an interval, as of now, `at`."""
    if not resource.is_open(starts_at, ends_at):
        return iter(())
    taken = {
        unit
        for booking in _living(resource, at)
        if booking.meets(starts_at, ends_at)
        for unit in booking.units
    }
    return (unit for unit in range(resource.units) if unit not in taken)


def booked(
    resource: Resource, wanted: Booking, units: int, at: float, *, is_system: bool = True
) -> Resource | None:
    """Return the resource with a booking of the lowest free units, or None if it has too few.

    A lock gets the next fencing number. Who is not of the system class has to leave the reserve
    free. As it gets the lowest units, it never has one of the highest that are the reserve.
    """
    living = tuple(_living(resource, at))
    kept = 0 if is_system else Reserve(resource.units, resource.reserve).kept
    free = tuple(islice(free_units(resource, wanted.starts_at, wanted.ends_at, at), units + kept))
    if len(free) < units + kept or len(living) >= BOOKINGS_MAX:
        return None
    free = free[:units]
    fencing = resource.fencing + (wanted.soft_until is None)
    booking = replace(wanted, units=free, fencing=fencing if wanted.soft_until is None else 0)
    return replace(resource, fencing=fencing, bookings=(*living, booking))


def hardened(resource: Resource, soft: Booking, lock_id: str, at: float) -> Resource:
    """Return the resource with a soft hold made a lock of the same units."""
    lock = replace(soft, lock_id=lock_id, soft_until=None, fencing=resource.fencing + 1)
    rest = tuple(one for one in _living(resource, at) if one.lock_id != soft.lock_id)
    return replace(resource, fencing=lock.fencing, bookings=(*rest, lock))


def freed(resource: Resource, lock_id: str, at: float) -> Resource:
    """Return the resource without a booking; and without those that are over."""
    rest = tuple(one for one in _living(resource, at) if one.lock_id != lock_id)
    return replace(resource, bookings=rest)


def is_held(resource: Resource, lock_id: str, fencing: int, at: float) -> bool:
    """Tell whether a lock stands now under that number; a stale holder's does not."""
    booking = resource.booking(lock_id)
    return booking is not None and booking.fencing == fencing > 0 and not booking.is_over(at)


def _living(resource: Resource, at: float) -> Iterator[Booking]:
    return (booking for booking in resource.bookings if not booking.is_over(at))
