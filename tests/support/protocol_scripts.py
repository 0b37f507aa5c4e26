"""One short negotiation under each protocol, act by act, as three agents play it.

Alice calls, bob and carol answer. Every act names its own msg_id, so a script is the same
whatever gateway decides it, and however often that changes on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmx.v1.envelope_pb2 import Act, Envelope
from policy.auction import commitment
from tests.support.gateway_parts import envelope

NONCE = b"n" * 32
ACCEPTED = {"decision": "accepted"}


@dataclass(frozen=True, slots=True)
class Said:
    """One act of one agent."""

    agent: str
    act: Act
    msg_id: str
    body: dict[str, Any]
    to: tuple[str, ...] = ()
    hears: Act | None = None
    """What the agent has to have heard before it can say this."""

    def envelope(self, negotiation_id: str, **fields: Any) -> Envelope:
        """Return it as it is sent in a negotiation."""
        return envelope(
            self.agent,
            self.act,
            *self.to,
            msg_id=self.msg_id,
            body=self.body,
            negotiation_id=negotiation_id,
            **fields,
        )


@dataclass(frozen=True, slots=True)
class Script:
    """A call and what is said after it."""

    call: dict[str, Any]
    to: tuple[str, ...]
    acts: tuple[Said, ...]
    state: str
    price: float
    """What the one winner is paid."""
    hears: tuple[str, ...]
    """Who is told the outcome."""

    def opening(self, **fields: Any) -> Envelope:
        """Return the call as it is sent."""
        body = {"reply_within": 120, **self.call}
        to = tuple(f"agent://{name}" for name in self.to)
        return envelope("alice", Act.ACT_CFP, *to, msg_id="call", body=body, **fields)


def _offer(agent: str, msg_id: str, hears: Act | None = Act.ACT_CFP, **body: Any) -> Said:
    return Said(agent, Act.ACT_OFFER, msg_id, body, hears=hears)


def _counter(agent: str, msg_id: str, offer_id: str, value: float, hears: Act) -> Said:
    body = {"offer_id": offer_id, "value": value}
    return Said(agent, Act.ACT_COUNTER, msg_id, body, hears=hears)


def _accept(agent: str, msg_id: str, offer_id: str, hears: Act = Act.ACT_INFORM) -> Said:
    return Said(agent, Act.ACT_ACCEPT, msg_id, {"offer_id": offer_id, **ACCEPTED}, hears=hears)


BOTH = ("bob", "carol")

SCRIPTS = {
    "contract-net": Script(
        {"decider": "initiator", "decide_within": 120, "policy": "high"},
        BOTH,
        (
            _offer("bob", "b1", value=50),
            _offer("carol", "c1", value=55),
            _accept("alice", "a1", "c1"),
        ),
        "committed",
        55,
        ("alice",),
    ),
    "iterated-contract-net": Script(
        {
            "decider": "initiator",
            "decide_within": 120,
            "policy": "high",
            "iterations": {"rounds_max": 2},
        },
        BOTH,
        (
            _offer("bob", "b1", value=50),
            _offer("carol", "c1", value=55),
            Said(
                "alice",
                Act.ACT_CFP,
                "a1",
                {"reply_within": 100},
                ("agent://bob",),
                Act.ACT_INFORM,
            ),
            _offer("bob", "b2", value=45, round=2),
            _accept("alice", "a2", "b2"),
        ),
        "committed",
        45,
        ("alice",),
    ),
    "sealed-bid": Script(
        {"sealed": {"price": "second", "commit": True, "reveal_within": 120}, "policy": "high"},
        BOTH,
        (
            _offer("bob", "b1", commitment=commitment(NONCE, {"value": 40})),
            _offer("carol", "c1", commitment=commitment(NONCE, {"value": 45})),
            _offer("bob", "b2", Act.ACT_INFORM, value=40, nonce=NONCE.hex()),
            _offer("carol", "c2", Act.ACT_INFORM, value=45, nonce=NONCE.hex()),
        ),
        "committed",
        45,
        ("alice",),
    ),
    "alternating-offers": Script(
        {"bargaining": {"max_rounds": 8, "turn_within": 100}},
        ("bob",),
        (
            _offer("bob", "b1", value=60),
            _counter("alice", "a1", "b1", 40, Act.ACT_OFFER),
            _counter("bob", "b2", "a1", 50, Act.ACT_COUNTER),
            _accept("alice", "a2", "b2", Act.ACT_COUNTER),
        ),
        "committed",
        50,
        ("alice", "bob"),
    ),
    "monotonic-concession": Script(
        {"bargaining": {"concession": "both", "step_min": 1}},
        ("bob",),
        (
            _offer("bob", "b1", value=60),
            _offer("alice", "a1", None, value=40),
            _offer("alice", "a2", Act.ACT_INFORM, value=50),
            _offer("bob", "b2", Act.ACT_INFORM, value=50),
        ),
        "committed",
        50,
        ("alice", "bob"),
    ),
}
