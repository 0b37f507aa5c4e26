"""What every negotiation has that this agent calls for, whatever its protocol.

It is *calling* until the gateway has opened it, *open* until the outcome is known, then *over*.
The library keeps the call until the outcome is known and sends it again after every
reconnect: a gateway that knows it says DUPLICATE, one that lost it opens it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from llmx.errors import LlmxError, NegotiationLost, SessionError
from llmx.events import OfferMade, Opened, Outcome, opened_of
from llmx.messages import Drafts, Message, number_in
from llmx.session import Session
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened

log = logging.getLogger("llmx")

REPLY_WITHIN_DEFAULT = 10.0  # seconds


class Initiated:
    """A call of this agent's, from its sending to its outcome."""

    def __init__(
        self,
        session: Session,
        drafts: Drafts,
        call: Envelope,
        body: Mapping[str, Any],
        *,
        enter: Callable[[Initiated], None],
        leave: Callable[[Initiated], None],
        patience: float,
    ) -> None:
        """Prepare a negotiation; entering it sends the call.

        `patience` is how many seconds after the last possible moment the outcome is awaited.
        """
        self.call = call
        """The call as it is sent."""
        self.negotiation_id = ""
        """Empty until the gateway has opened it; another one when it had to be opened anew."""
        self.offers: list[OfferMade] = []
        """The offers that came so far."""
        self.outcome: Outcome | None = None
        """None until it is known."""
        self._session = session
        self._drafts = drafts
        self._body = body
        self._enter = enter
        self._leave = leave
        self._patience = patience
        self._news = asyncio.Event()
        self._failure: LlmxError | None = None
        self._give_up_at = 0.0
        self._eligible: tuple[str, ...] = ()

    async def cancel(self, reason: str = "") -> None:
        """End the negotiation without a winner. Raises Refused when it is too late for that."""
        body = {"reason": reason} if reason else {}
        await self._session.send(self._act(Act.ACT_CANCEL, body))

    # ------------------------------------------------------------------ for the agent

    def hear(self, message: Message) -> bool:
        """Take a message of this negotiation; False means that too many wait already.

        Raises ValueError when the payload is not what the act promises.
        """
        self.is_known_as(message.negotiation_id)
        if message.negotiation_id != self.negotiation_id:
            return True  # of a negotiation that was lost with its gateway
        return self._hear(message)

    def opened(self, opened: NegotiationOpened) -> None:
        """Hear that the gateway has opened the negotiation, perhaps anew."""
        if opened.negotiation_id == self.negotiation_id:
            return
        self.offers.clear()
        told = opened_of(opened)
        missing = tuple(agent for agent in self._eligible if agent not in told.eligible)
        self._eligible = told.eligible + missing
        self._open(replace(told, missing=missing))

    def is_known_as(self, negotiation_id: str) -> None:
        """Learn the id from somebody who mentions it: the word of the opening was lost."""
        if negotiation_id and not self.negotiation_id:
            self._open(Opened(negotiation_id, (), 0.0, ""))

    def fail(self, error: LlmxError) -> None:
        """Hear that there will be no outcome."""
        if self.outcome is not None:
            return
        if isinstance(error, SessionError):
            lost = NegotiationLost(self.negotiation_id, error.detail)
            lost.__cause__ = error
            self._failure = lost if self.negotiation_id else error
        else:
            self._failure = error
        self._news.set()

    # ------------------------------------------------------------------ for each protocol

    def _hear(self, message: Message) -> bool:
        """Take a message of the negotiation as it is now; False: too many wait already."""
        raise AssertionError("each kind of negotiation hears for itself")

    def _begun(self, opened: Opened) -> None:
        """Hear that it is open, perhaps anew; then nothing counts that came before."""

    def _longest(self) -> float:
        """Return how many seconds after its deadline it may go on."""
        return 0.0

    # ------------------------------------------------------------------ inside

    async def _begin(self) -> None:
        """Send the call and wait until the gateway has opened the negotiation."""
        await self._session.room()
        self._enter(self)
        try:
            self._session.post(self.call)
            while not self.negotiation_id:
                self._raise_failure()
                self._news.clear()
                await self._news.wait()
        except BaseException:
            self._leave(self)
            raise

    def _finish(self) -> None:
        """Leave; a negotiation without an outcome is cancelled."""
        self._leave(self)
        if self.outcome is None and self._failure is None:
            try:
                self._session.post(self._act(Act.ACT_CANCEL, {"reason": "initiator_left"}))
            except SessionError as gone:
                log.debug("%r is left without a word: %s", self, gone)

    async def _wait(self) -> None:
        """Wait for news. Raises what went wrong, NegotiationLost when nothing comes in time."""
        self._raise_failure()
        self._news.clear()
        try:
            async with asyncio.timeout_at(self._give_up_at):
                await self._news.wait()
        except TimeoutError:
            self._lose_patience()

    def _open(self, opened: Opened) -> None:
        self.negotiation_id = opened.negotiation_id
        self._enter(self)
        welcome = self._session.welcome
        now = welcome.now.ToNanoseconds() / 1e9 if welcome else 0.0
        closes_in = number_in(self._body, "reply_within")
        if closes_in is None:
            # The Welcome may be old, and then this is too long: it is a guard, not a deadline.
            closes_in = max(opened.closes_at - now, 0.0)
        self._extend(closes_in)
        self._begun(opened)
        self._news.set()

    def _extend(self, closes_in: float) -> None:
        """Expect the outcome so many seconds from now, and what may follow on them."""
        longest = closes_in + self._longest() + self._patience
        self._give_up_at = asyncio.get_running_loop().time() + longest

    def _lose_patience(self) -> None:
        if self._session.is_live:
            why = "the gateway told no outcome in time"
            raise NegotiationLost(self.negotiation_id, why)
        self._give_up_at = asyncio.get_running_loop().time() + self._patience

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _act(self, act: Act, body: Mapping[str, Any], *, in_reply_to: str = "") -> Envelope:
        return self._drafts.write(
            act,
            body,
            negotiation_id=self.negotiation_id,
            in_reply_to=in_reply_to or self.call.msg_id,
        )


def call_body(cfp: Mapping[str, Any], policy: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the payload of a call, with the policy and a time to reply when it names none."""
    body = dict(cfp)
    if policy is not None:
        body["policy"] = policy if isinstance(policy, str) else dict(policy)
    if "deadline" not in body:
        body.setdefault("reply_within", REPLY_WITHIN_DEFAULT)
    body.pop("act", None)  # the draft writes it
    return body
