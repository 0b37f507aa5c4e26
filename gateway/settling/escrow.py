"""Whether a price that waits for a report is remembered by whoever holds it.

A call with `credit` and `report_within` holds the price until the winner reports. The ledger
outlives the gateway, and ends the hold by its time at the latest; what the gateway knows of the
negotiation does not, unless it is durable. After a crash the work would be done, nobody would know
whom to ask for its report, and the credit would go back to its payer. So where the ledger lasts:

    the gateway keeps a journal    such a call is durable, whether it says so or not
    it keeps none                  such a call is refused
    the call says durable: false   it is taken as it is: everybody who hears it can read that

Where the ledger is in memory it ends with the gateway, and with it all that could be paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gateway.refusals import Fault

Escrow = Literal["plain", "durable", "refused"]
"""What becomes of a call whose price waits for a report and that does not say `durable`."""

FORGETFUL = Fault(
    "STORE_UNAVAILABLE",
    "the price would wait for a report that this gateway forgets when it crashes, because it "
    "keeps no journal",
    "leave report_within out to pay with the award, say durable: false to accept that the credit "
    "goes back then, or use a gateway whose operator has set mailbox.file",
    "/payload/report_within",
)


def escrow_of(*, lasts: bool, has_journal: bool) -> Escrow:
    """Return what a gateway does with such calls.

    `lasts` tells whether its ledger outlives it, `has_journal` whether its negotiations can.
    """
    if not lasts:
        return "plain"
    return "durable" if has_journal else "refused"


def waits(body: Mapping[str, Any]) -> bool:
    """Tell whether the price of a call waits for a report, and the call leaves it to us how."""
    return "credit" in body and body.get("report_within") is not None and "durable" not in body


def is_durable(body: Mapping[str, Any], escrow: Escrow, *, marked: bool) -> bool:
    """Tell whether a call is durable: its envelope is `marked` so, its payload, or for escrow."""
    return marked or body.get("durable") is True or (escrow == "durable" and waits(body))
