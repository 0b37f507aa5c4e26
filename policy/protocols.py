"""The protocols that a gateway speaks: one line each.

A protocol is a module with three functions, and a state of its own:

    objection(call)          why a call cannot be opened, as the answer to its initiator, or None
    open_call(call, now)     the first state, with the effects of the opening
    step(state, event, now)  the next state, with the effects of the event

The state is a frozen value that offers what `states.Negotiation` names. The rest of the engine
asks for no more: a new protocol is a module and a line in `PROTOCOLS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from policy import alternating_offers as alternating
from policy import call, contract_net
from policy import iterated_contract_net as iterated
from policy import monotonic_concession as monotonic
from policy import sealed_bid as sealed
from policy.call import Call
from policy.effects import Effect, Refuse
from policy.events import Event
from policy.states import Negotiation

Step = tuple[Negotiation, list[Effect]]


@dataclass(frozen=True, slots=True)
class Protocol:
    """One protocol, as functions."""

    name: str
    """What a call names it by."""
    open_call: Callable[[Call, float], Step]
    """Opens a call that `objection` does not object to."""
    step: Callable[[Any, Event, float], Step]
    """Takes a state of the protocol's own."""
    objection: Callable[[Call], Refuse | None]
    property: str = ""
    """Which property of a call for proposals becomes `Call.options`; "": the protocol has none."""


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("contract-net", contract_net.open_call, contract_net.step, call.objection),
        Protocol(
            "iterated-contract-net",
            iterated.open_call,
            iterated.step,
            iterated.objection,
            "iterations",
        ),
        Protocol(
            "alternating-offers",
            alternating.open_call,
            alternating.step,
            alternating.objection,
            "bargaining",
        ),
        Protocol(
            "monotonic-concession",
            monotonic.open_call,
            monotonic.step,
            monotonic.objection,
            "bargaining",
        ),
        Protocol("sealed-bid", sealed.open_call, sealed.step, sealed.objection, "sealed"),
    )
}
