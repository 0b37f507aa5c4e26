"""What goes wrong around a gateway, as objects.

A fault has a name, tells whether it can be had on this machine, and is injected and healed.
`struck` is how one is used: it looks after the gateway's health before and after.

    async with struck(Killed(gateway), gateway):
        ...

`gateway_faults` holds those of the process and its machine, `line_faults` those of the
connections to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from tests.support.mortal_gateway import MortalGateway

HEALTH_SECONDS_MAX = 10.0


class SickGateway(Exception):
    """The gateway does not serve though nothing is wrong, or nothing is wrong any more."""

    def __init__(self, when: str, fault: str) -> None:
        """Say when it was found sick: "before" or "after" which fault."""
        self.when = when
        self.fault = fault
        super().__init__(f"the gateway does not serve {when} the fault {fault!r}")


class Fault(Protocol):
    """Something that goes wrong, and is put right."""

    @property
    def name(self) -> str:
        """What a log calls it."""

    def is_available(self) -> bool:
        """Tell whether this machine, and this user, can have it."""

    async def inject(self) -> None:
        """Let it go wrong."""

    async def heal(self) -> None:
        """Put it right."""


@asynccontextmanager
async def struck(
    fault: Fault, gateway: MortalGateway, within: float = HEALTH_SECONDS_MAX
) -> AsyncIterator[None]:
    """Inject a fault for as long as the body runs; raises SickGateway before or after.

    Afterwards the gateway is well again: it serves, and its store takes what is durable.
    """
    if not await gateway.serves(within):
        raise SickGateway("before", fault.name)
    await fault.inject()
    try:
        yield
    finally:
        await fault.heal()
    if not (await gateway.serves(within) and await gateway.keeps(within)):
        raise SickGateway("after", fault.name)
