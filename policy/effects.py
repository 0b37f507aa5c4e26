"""What a protocol asks for.

An effect is a request in the imperative. The shell around the table carries it out; the
protocol never learns how. Agents are named by their address, `agent://bob`.

Records hold a fingerprint of what was asked for. Each kind has a tag, and leaves out what has its
default, so that a field which is added later changes no fingerprint that was written before.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from policy.stakes import Stake


class Turn(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What an agent is told with a message that it is expected to answer."""

    round: int
    rounds_left: int
    """Rounds that may follow this one."""
    answer_by: float
    """Until when an answer counts, seconds on the gateway's clock."""
    deadline: float
    """Until when the negotiation may last at most; nothing extends it."""
    own_last_msg_id: str = ""
    """The last act of the recipient itself; "" when it did none."""
    offer_id: str = ""
    """The msg_id of the offer that stands, as the recipient may know it; "": none does."""
    offer_sender: str = ""
    offer_value: float | None = None


class Relay(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Forward the message that caused this step, byte for byte.

    Asked for by the step that opens a call it does not send the call, which goes to everybody
    eligible anyway: it says with which turn it goes to that agent, and with none for None.
    """

    recipient: str
    turn: Turn | None = None
    """What is appended for a recipient whose turn it is now."""


class Tell(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Send a message of the exchange's own, "accept", "reject", "inform", "failure", "cancel"."""

    recipient: str
    act: str
    msg_id: str
    """`<negotiation_id>:<n>`, counted per negotiation, so that a replay tells the same."""
    in_reply_to: str
    """The msg_id of the offer, or of the call, that this answers."""
    body: Mapping[str, object]
    """The payload without "$schema" and "act"; judged by the shipped schema of the act."""
    turn: Turn | None = None
    """What is appended for a recipient whose turn it is now."""


class Refuse(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Answer the sender of the message that caused this step: it did not count."""

    recipient: str
    msg_id: str
    code: str
    """A RefusalCode without its prefix, "WRONG_STATE"."""
    reason: str
    remedy: str
    member: str = ""
    """The property of the call that is wrong, where it is one: "fairness/min_eligible"."""


class Finish(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """The outcome is known and final for the initiator: log it, count it, keep the record."""

    outcome: Mapping[str, object]
    """What the initiator is told, see Outcome.json."""


class Settle(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Write an award in one go: units locked, credit held, or nothing of it.

    The answer is a `Settled` or `NotSettled` of the same number. One that is asked for again,
    because its answer was lost, is answered as it was the first time.
    """

    number: int
    stakes: tuple[Stake, ...]
    answer_by: float
    """When the negotiation goes on without an answer; one that comes later is undone."""


class Hold(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Hold units for an offer, softly: until its stake ends. Only a `HoldRefused` is answered."""

    stake: Stake


class Capture(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Pay held credit. Units that are no longer used are given back."""

    keys: tuple[str, ...]
    """Of stakes."""
    unlock: bool


class Release(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag=True):
    """Give held credit back to its payer, and units to everybody."""

    keys: tuple[str, ...]
    """Of stakes, settled or not: what is released can never be settled later."""
    reason: str


Effect = Relay | Tell | Refuse | Finish | Settle | Hold | Capture | Release
