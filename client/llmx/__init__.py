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
