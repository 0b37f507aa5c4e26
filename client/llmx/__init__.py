"""Write agents that negotiate through an LLM-X gateway.

import llmx

bob = llmx.Agent("agent://bob", topics=["gpu"], capabilities=["propose"])

@bob.on_cfp
async def quote(call: llmx.Call) -> llmx.Offer:
    return call.offer(value=40, conditions={"start_in": 2})

llmx.run(bob)
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""True for those who read types without running anything; it hides no circle."""

if TYPE_CHECKING:
    from llmx import strategies
    from llmx.agent import Agent
    from llmx.backoff import Backoff
    from llmx.bargain import Accept, Bargain, End, Move, Proposal, Propose
    from llmx.bargaining import CalledBargain
    from llmx.calls import Answer, Call, Offer, Refusal, Verdict, Words
    from llmx.control import Control
    from llmx.corrections import Correction
    from llmx.errors import (
        ControlError,
        LlmxError,
        NegotiationLost,
        NotAllowed,
        ProtocolError,
        Refused,
        Replaced,
        SessionClosed,
        SessionError,
        Unauthenticated,
        Undelivered,
        Unreachable,
    )
    from llmx.events import (
        Agreement,
        Event,
        OfferMade,
        OfferRefused,
        OfferWithdrawn,
        Opened,
        Outcome,
        Ranked,
        RankedOffer,
        Report,
        SlowConsumer,
        Thought,
    )
    from llmx.messages import NEGOTIATION_SCHEMA, SCHEMAS, TEXT_SCHEMA, Message
    from llmx.negotiation import Negotiation
    from llmx.receipts import Delivery
    from llmx.runner import run
    from llmx.stakes import Lock, Payment
    from llmx.thinking import Thinking
    from llmx.turns import StandingOffer, Turn

__version__ = "0.1.0"

__all__ = [
    "NEGOTIATION_SCHEMA",
    "SCHEMAS",
    "TEXT_SCHEMA",
    "Accept",
    "Agent",
    "Agreement",
    "Answer",
    "Backoff",
    "Bargain",
    "Call",
    "CalledBargain",
    "Control",
    "ControlError",
    "Correction",
    "Delivery",
    "End",
    "Event",
    "LlmxError",
    "Lock",
    "Message",
    "Move",
    "Negotiation",
    "NegotiationLost",
    "NotAllowed",
    "Offer",
    "OfferMade",
    "OfferRefused",
    "OfferWithdrawn",
    "Opened",
    "Outcome",
    "Payment",
    "Proposal",
    "Propose",
    "ProtocolError",
    "Ranked",
    "RankedOffer",
    "Refusal",
    "Refused",
    "Replaced",
    "Report",
    "SessionClosed",
    "SessionError",
    "SlowConsumer",
    "StandingOffer",
    "Thinking",
    "Thought",
    "Turn",
    "Unauthenticated",
    "Undelivered",
    "Unreachable",
    "Verdict",
    "Words",
    "run",
    "strategies",
]

# Every gateway imports `llmx.v1`, and so this: it would pay a tenth of a second for all of the
# client. So a name is fetched from its module when somebody asks for it.
_HOMES = {
    "agent": ("Agent",),
    "backoff": ("Backoff",),
    "bargain": ("Accept", "Bargain", "End", "Move", "Proposal", "Propose"),
    "bargaining": ("CalledBargain",),
    "calls": ("Answer", "Call", "Offer", "Refusal", "Verdict", "Words"),
    "control": ("Control",),
    "corrections": ("Correction",),
    "errors": (
        "ControlError",
        "LlmxError",
        "NegotiationLost",
        "NotAllowed",
        "ProtocolError",
        "Refused",
        "Replaced",
        "SessionClosed",
        "SessionError",
        "Unauthenticated",
        "Undelivered",
        "Unreachable",
    ),
    "events": (
        "Agreement",
        "Event",
        "OfferMade",
        "OfferRefused",
        "OfferWithdrawn",
        "Opened",
        "Outcome",
        "Ranked",
        "RankedOffer",
        "Report",
        "SlowConsumer",
        "Thought",
    ),
    "messages": ("NEGOTIATION_SCHEMA", "SCHEMAS", "TEXT_SCHEMA", "Message"),
    "negotiation": ("Negotiation",),
    "receipts": ("Delivery",),
    "runner": ("run",),
    "stakes": ("Lock", "Payment"),
    "thinking": ("Thinking",),
    "turns": ("StandingOffer", "Turn"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # there it would let every wrong name pass

    def __getattr__(name):
        """Fetch a name, or a module of ours, that nobody has asked for yet."""
        home = _MODULES.get(name)
        try:
            module = import_module(f"llmx.{home or name}")
        except ModuleNotFoundError as error:
            if error.name != f"llmx.{name}":
                raise
            raise AttributeError(f"module 'llmx' has no attribute {name!r}") from None
        found = globals()[name] = getattr(module, name) if home else module
        return found


def __dir__() -> list[str]:
    """Return all names, whether anybody has asked for them or not."""
    return sorted({*globals(), *__all__})
