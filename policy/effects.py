"""What a protocol asks for.

An effect is a request in the imperative. The shell around the table carries it out; the
protocol never learns how. Agents are named by their address, `agent://bob`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Relay(msgspec.Struct, frozen=True, gc=False):
    """Forward the message that caused this step, byte for byte."""

    recipient: str


class Tell(msgspec.Struct, frozen=True, gc=False):
    """Send a message of the exchange's own, "accept", "reject", "inform", "failure", "cancel"."""

    recipient: str
    act: str
    msg_id: str
    """`<negotiation_id>:<n>`, counted per negotiation, so that a replay tells the same."""
    in_reply_to: str
    """The msg_id of the offer, or of the call, that this answers."""
    body: Mapping[str, object]
    """The payload without "$schema" and "act"; judged by the shipped schema of the act."""


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """Answer the sender of the message that caused this step: it did not count."""

    recipient: str
    msg_id: str
    code: str
    """A RefusalCode without its prefix, "WRONG_STATE"."""
    reason: str
    remedy: str


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The outcome is known and final for the initiator: log it, count it, keep the record."""

    outcome: Mapping[str, object]
    """What the initiator is told, see Outcome.json."""


Effect = Relay | Tell | Refuse | Finish
