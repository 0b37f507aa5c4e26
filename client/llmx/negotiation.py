"""One negotiation as its initiator sees it: an async context and an async iterator.

    async with alice.negotiate({"task": {"gpus": 4}}, to="topic://gpu") as n:
        async for event in n:
            print(event)
    print(n.outcome)

What is true of every negotiation that this agent calls for stands in `initiating`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Self

from llmx.errors import Refused
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
    outcome_of,
    ranked_offers,
)
from llmx.initiating import REPLY_WITHIN_DEFAULT, Initiated
from llmx.messages import Drafts, Message, number_in, object_in, text_in
from llmx.session import Session
from llmx.thinking import Thinking
from llmx.turns import Turn
from llmx.v1.envelope_pb2 import Act, Envelope

log = logging.getLogger("llmx")

EVENTS_MAX = 16_384
DECIDE_WITHIN_DEFAULT = 30.0  # what the gateway assumes when a call does not say
CONFIRM_WITHIN_DEFAULT = 10.0
CONFIRMS_MAX = 64
SPANS_MAX = 2  # who thinks about a decision or a confirmation has twice its time at most
SAID_AGAIN = ("task", "constraints", "reserve", "issues")  # who answers may remember no round
FINAL_STATES = ("committed", "no_award", "cancelled", "done", "failed")


class Negotiation(Initiated):
    """A negotiation that this agent initiates."""

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
        """Prepare a negotiation; `Agent.negotiate` does this, entering it sends the call.

        `patience` is how many seconds after the last possible moment the outcome is awaited.
        """
        super().__init__(session, drafts, call, body, enter=enter, leave=leave, patience=patience)
        self._events: deque[Event] = deque()
        self._reports: dict[str, Report] = {}
        self._told_all = False
        self._turn: Turn | None = None

    def __repr__(self) -> str:
        state = "over" if self.outcome else "open" if self.negotiation_id else "calling"
        return f"<Negotiation {self.negotiation_id}: {state}, {len(self.offers)} offers>"

    # ------------------------------------------------------------------ for the author

    async def __aenter__(self) -> Self:
        """Send the call and wait until the gateway has opened the negotiation.

        Raises Refused when the gateway does not take the call, SessionError without a session.
        """
        await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave; a negotiation without an outcome is cancelled."""
        self._finish()

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
            await self._wait()
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

    async def revise(
        self, to: Iterable[OfferMade | RankedOffer | str], changes: Mapping[str, Any] | None = None
    ) -> None:
        """Call some of those that offered to another round, under `iterated-contract-net`.

        `to` are their offers, or the agents; `changes` is what is new: task, reserve, issues,
        reply_within. What is not new is said again as it was. The others are out. What follows is
        told by the events: offers of the new round, and `Ranked`. Raises Refused.
        """
        agents = [one if isinstance(one, str) else one.agent for one in to]
        within = number_in(self._body, "reply_within") or REPLY_WITHIN_DEFAULT
        body = {name: self._body[name] for name in SAID_AGAIN if name in self._body}
        body |= changes or {}
        if "deadline" not in body:
            body.setdefault("reply_within", within)
        earlier = len(self.offers)  # those of the new round may be quicker than the next line
        revised = self._drafts.write(Act.ACT_CFP, body, agents, negotiation_id=self.negotiation_id)
        await self._session.send(revised)
        del self.offers[:earlier]
        self._body = {**self._body, **body}
        self._extend(number_in(body, "reply_within") or within)

    async def realised(self, value: float, agent: str = "") -> None:
        """Say what the work of an award was worth, once it is over; its agent is rated by that.

        For a call with `report_within`, and once for each award. `agent` may be left out where
        one agent was awarded. Raises Refused.
        """
        named = {"agent": agent} if agent else {}
        await self._session.send(self._act(Act.ACT_INFORM, {"realised": value, **named}))

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

    def _hear(self, message: Message) -> bool:
        if len(self._events) >= EVENTS_MAX:
            return False
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

    def _begun(self, opened: Opened) -> None:
        self._tell(opened)

    def _longest(self) -> float:
        decide = number_in(self._body, "decide_within") or DECIDE_WITHIN_DEFAULT
        confirm = number_in(self._body, "confirm_within") or CONFIRM_WITHIN_DEFAULT
        confirms = min(len(self._eligible) or 1, CONFIRMS_MAX)
        return SPANS_MAX * (decide + confirm * confirms)


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
