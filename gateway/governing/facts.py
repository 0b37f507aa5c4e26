"""What a gateway notes of awards, as facts: made by whoever decided, believed by all that hear.

A fact is said once and never changed. It is of one tenant, and has the time at which it became so
on the clock of the gateway that decided.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Awarded(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="a"):
    """An agent has won a unit."""

    tenant: str
    agent: str
    utility: float
    """What it is worth, by its price."""
    at: float


class Waited(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="w"):
    """The call of an agent was decided."""

    tenant: str
    agent: str
    seconds: float
    at: float


class Used(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="u"):
    """An agent pays for the use of something."""

    tenant: str
    agent: str
    good: str
    """The resource, without its parts: "gpu" for "gpu/h100"; "" for awards that lock nothing."""
    units: float
    """Units by seconds; 1 for an award that locks nothing."""
    at: float


class Claimed(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="c"):
    """An award whose initiator may say later what it was worth."""

    tenant: str
    negotiation_id: str
    initiator: str
    agent: str
    claimed: float
    """What the agent said that its work would be worth; above 0."""
    at: float


Fact = Awarded | Waited | Used | Claimed

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Fact, ...]).decode


class FactsError(ValueError):
    """A page that cannot be read."""


def page_of(facts: Sequence[Fact]) -> bytes:
    """Return facts as they are kept."""
    return _encode(facts)


def facts_in(page: bytes) -> tuple[Fact, ...]:
    """Return the facts of a page. Raises FactsError."""
    try:
        return _decode(page)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FactsError(str(error)) from error
