"""One negotiation as its initiator sees it: an async context and an async iterator.

    async with alice.negotiate({"task": {"gpus": 4}}, to="topic://gpu") as n:
        async for event in n:
            print(event)
    print(n.outcome)

A negotiation is *calling* until the gateway has opened it, *open* until the outcome is
known, then *over*. Entering waits for the opening; leaving before the outcome cancels it.
The library keeps the call until the outcome is known and sends it again after every
reconnect: a gateway that knows it says DUPLICATE, one that lost it opens it anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any, Self

from llmx.errors import LlmxError, NegotiationLost, Refused, SessionError
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
    Thought,
    offer_of,
    opened_of,
    outcome_of,
    ranked_offers,
)
from llmx.messages import Drafts, Message, number_in, object_in, text_in
from llmx.session import Session
from llmx.thinking import Thinking
from llmx.turns import Turn
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened

log = logging.getLogger("llmx")

REPLY_WITHIN_DEFAULT = 10.0  # seconds
EVENTS_MAX = 16_384
DECIDE_WITHIN_DEFAULT = 30.0  # what the gateway assumes when a call does not say
CONFIRM_WITHIN_DEFAULT = 10.0
CONFIRMS_MAX = 64
SPANS_MAX = 2  # who thinks about a decision or a confirmation has twice its time at most
FINAL_STATES = ("committed", "no_award", "cancelled", "done", "failed")


class Negotiation:
    """A negotiation that this agent initiates."""

    def __init__(
        self,
        session: Session,
        drafts: Drafts,
        call: Envelope,
        body: Mapping[str, Any],
        *,
        enter: Callable[[Negotiation], None],
        leave: Callable[[Negotiation], None],
        patience: float,
    ) -> None:
        """Prepare a negotiation; `Agent.negotiate` does this, entering it sends the call.

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
        self._events: deque[Event] = deque()
        self._reports: dict[str, Report] = {}
        self._news = asyncio.Event()
        self._failure: LlmxError | None = None
        self._give_up_at = 0.0
        self._told_all = False
        self._turn: Turn | None = None
        self._eligible: tuple[str, ...] = ()

    def __repr__(self) -> str:
        state = "over" if self.outcome else "open" if self.negotiation_id else "calling"
        return f"<Negotiation {self.negotiation_id}: {state}, {len(self.offers)} offers>"

    # ------------------------------------------------------------------ for the author

    async def __aenter__(self) -> Self:
        """Send the call and wait until the gateway has opened the negotiation.

        Raises Refused when the gateway does not take the call, SessionError without a session.
        """
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
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave; a negotiation without an outcome is cancelled."""
        self._leave(self)
        if self.outcome is None and self._failure is None:
            try:
                self._session.post(self._act(Act.ACT_CANCEL, {"reason": "initiator_left"}))
            except SessionError as gone:
                log.debug("%r is left without a word: %s", self, gone)

    def __aiter__(self) -> AsyncIterator[Event]:
        """Return the events from here on; the outcome is the last."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event.

        Raises Refused when the call is refused after a reconnect, NegotiationLost when the
        session ends or the gateway tells no outcome in time.
        """
        while not self._events:
            if self._told_all:
                raise StopAsyncIteration
            self._raise_failure()
            self._news.clear()
            try:
                async with asyncio.timeout_at(self._give_up_at):
                    await self._news.wait()
            except TimeoutError:
                self._lose_patience()
        event = self._events.popleft()
        self._told_all = isinstance(event, Outcome)
        return event

    async def accept(self, offer: OfferMade | RankedOffer | str) -> None:
        """Accept an offer, where the call says `decider: "initiator"`.

        Returns when the gateway has taken it; what follows is told by the events. Raises Refused.
        """
        offer_id = offer if isinstance(offer, str) else offer.offer_id
        body = {"offer_id": offer_id, "decision": "accepted"}
        await self._session.send(self._act(Act.ACT_ACCEPT, body, in_reply_to=offer_id))

    async def reject(self, offer: OfferMade | RankedOffer | str = "", reason: str = "") -> None:
        """Reject one offer, or all that are left. Raises Refused."""
        offer_id = offer if isinstance(offer, str) else offer.offer_id
        body: dict[str, Any] = {"decision": "rejected"}
        if offer_id:
            body["offer_id"] = offer_id
        if reason:
            body["reason"] = reason
        await self._session.send(self._act(Act.ACT_REJECT, body, in_reply_to=offer_id))

    async def cancel(self, reason: str = "") -> None:
        """End the negotiation without a winner. Raises Refused when it is too late for that."""
        body = {"reason": reason} if reason else {}
        await self._session.send(self._act(Act.ACT_CANCEL, body))

    def thinking(self, seconds: float | None = None) -> Thinking:
        """Ask for more time to decide, once it has come to that: await it to ask once.

        `async with negotiation.thinking():` asks again until the block ends. A gateway waits at
        most twice the call's `decide_within`. Awaiting raises Refused when nothing is to decide.
        """

        async def ask(wanted: float) -> None:
            await self._session.send(self._act(Act.ACT_THINKING, {"seconds": wanted}))

        turn = self._turn
        return Thinking(ask, seconds, turn.seconds_left_at_most if turn else None)

    async def reports(self) -> list[Report]:
        """Wait for the reports of the winners, where the call says `report_within`.

        Returns what has come when all have reported or their time is over; call it inside
        the `async with`, after the outcome.
        """
        within = number_in(self._body, "report_within")
        winners = {winner.agent for winner in self.outcome.winners} if self.outcome else set()
        try:
            async with asyncio.timeout(within or 0.0):
                while winners - self._reports.keys() and self._failure is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        return list(self._reports.values())

    # ------------------------------------------------------------------ for the agent

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

    def hear(self, message: Message) -> bool:
        """Take a message of this negotiation; False means that too many wait already.

        Raises ValueError when the payload is not what the act promises.
        """
        if len(self._events) >= EVENTS_MAX:
            return False
        self.is_known_as(message.negotiation_id)
        if message.negotiation_id != self.negotiation_id:
            return True  # of a negotiation that was lost with its gateway
        body = message.body
        match message.envelope.act:
            case Act.ACT_OFFER:
                offer = offer_of(message)
                self.offers.append(offer)
                self._tell(offer)
            case Act.ACT_REFUSE:
                self._tell(OfferRefused(message.sender, text_in(body, "reason")))
            case Act.ACT_NOT_UNDERSTOOD:
                self._tell(OfferRefused(message.sender, text_in(body, "reason"), False))
            case Act.ACT_THINKING:
                seconds = number_in(body, "seconds")
                self._tell(Thought(message.sender, seconds, message.turn))
            case Act.ACT_CANCEL:
                self._tell(OfferWithdrawn(message.sender, text_in(body, "reason")))
            case Act.ACT_INFORM | Act.ACT_FAILURE:
                self._informed(message)
        return True

    def _informed(self, message: Message) -> None:
        """Hear a gateway's word; what anybody else informs of is a report, never the outcome."""
        if not message.sender.startswith("gateway://"):
            self._reported(message)
            return
        outcome = object_in(message.body, "outcome")
        if text_in(outcome, "state") in FINAL_STATES:
            if self.outcome is None:
                self.outcome = outcome_of(message)
                self._tell(self.outcome)
            return
        shown = outcome or object_in(message.body, "result") or message.body
        ranking = shown.get("ranking")
        if isinstance(ranking, list):
            self._turn = message.turn
            self._tell(Ranked(ranked_offers(ranking), message.body, message.turn))
            return
        # The gateway names the winners that did not report.
        reason = text_in(message.body, "reason")
        for agent in text_in(message.body, "detail").split(", "):
            if agent.startswith("agent://"):
                self._reports.setdefault(agent, Report(agent, False, None, reason))
        self._news.set()

    def _reported(self, message: Message) -> None:
        succeeded = message.envelope.act == Act.ACT_INFORM and message.body.get("done") is not False
        self._reports[message.sender] = Report(
            message.sender, succeeded, message.body.get("result"), text_in(message.body, "reason")
        )
        self._news.set()

    # ------------------------------------------------------------------ inside

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()

    def _open(self, opened: Opened) -> None:
        self.negotiation_id = opened.negotiation_id
        self._enter(self)
        welcome = self._session.welcome
        now = welcome.now.ToNanoseconds() / 1e9 if welcome else 0.0
        closes_in = number_in(self._body, "reply_within")
        if closes_in is None:
            # The Welcome may be old, and then this is too long: it is a guard, not a deadline.
            closes_in = max(opened.closes_at - now, 0.0)
        decide = number_in(self._body, "decide_within") or DECIDE_WITHIN_DEFAULT
        confirm = number_in(self._body, "confirm_within") or CONFIRM_WITHIN_DEFAULT
        confirms = min(len(opened.eligible) or 1, CONFIRMS_MAX)
        asked = SPANS_MAX * (decide + confirm * confirms)
        longest = closes_in + asked + self._patience
        self._give_up_at = asyncio.get_running_loop().time() + longest
        self._tell(opened)

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


async def decide(
    negotiation: Negotiation, choose: Callable[[tuple[RankedOffer, ...]], RankedOffer | None]
) -> Outcome:
    """Follow a negotiation to its outcome and accept the ranked offer that `choose` picks.

    When it picks none, all are rejected.
    """
    async for event in negotiation:
        if not isinstance(event, Ranked):
            continue
        chosen = choose(event.offers)
        try:
            if chosen is None:
                await negotiation.reject(reason="none_chosen")
            else:
                await negotiation.accept(chosen)
        except Refused as error:  # the time to decide was over: the outcome says so
            log.warning("%r: the decision was refused: %s", negotiation, error)
    assert negotiation.outcome is not None, "the events end with the outcome"
    return negotiation.outcome
