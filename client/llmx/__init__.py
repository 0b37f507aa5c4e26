"""Write agents that negotiate through an LLM-X gateway.

import llmx

bob = llmx.Agent("agent://bob", topics=["gpu"], capabilities=["propose"])

@bob.on_cfp
async def quote(call: llmx.Call) -> llmx.Offer:
    return call.offer(value=40, conditions={"start_in": 2})

llmx.run(bob)
"""

from __future__ import annotations

from llmx import strategies
from llmx.agent import Agent
from llmx.backoff import Backoff
from llmx.calls import Answer, Call, Offer, Refusal, Verdict
from llmx.control import Control
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
    Unreachable,
)
from llmx.events import (
    Event,
    OfferMade,
    OfferRefused,
    OfferWithdrawn,
    Opened,
    Outcome,
    Ranked,
    RankedOffer,
    Report,
)
from llmx.messages import NEGOTIATION_SCHEMA, SCHEMAS, TEXT_SCHEMA, Message
from llmx.negotiation import Negotiation
from llmx.runner import run

__version__ = "0.1.0"

__all__ = [
    "NEGOTIATION_SCHEMA",
    "SCHEMAS",
    "TEXT_SCHEMA",
    "Agent",
    "Answer",
    "Backoff",
    "Call",
    "Control",
    "ControlError",
    "Event",
    "LlmxError",
    "Message",
    "Negotiation",
    "NegotiationLost",
    "NotAllowed",
    "Offer",
    "OfferMade",
    "OfferRefused",
    "OfferWithdrawn",
    "Opened",
    "Outcome",
    "ProtocolError",
    "Ranked",
    "RankedOffer",
    "Refusal",
    "Refused",
    "Replaced",
    "Report",
    "SessionClosed",
    "SessionError",
    "Unauthenticated",
    "Unreachable",
    "Verdict",
    "run",
    "strategies",
]
