"""What an agent is told with a message that it is expected to answer.

The gateway appends a `Turn` to the bytes of the envelope, which protobuf merges: the round, how
long an answer counts and how long at most, the offer that stands, the agent's own last act. It
is appended

- to a call, once for all that hear it;
- to the question to choose, and to each offer on its way to an initiator that will choose;
- to an accept that wants a confirmation;
- to what an initiator hears of an agent that thinks: until when its answer counts now.

That is how a contract net tells turns. Other protocols say themselves, with each effect, whose
turn it is (`effects.Turn`).

The durations are true when the message is queued; the times hold whenever it comes, also to an
agent that was away meanwhile. A repeat says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.causes import Cause, extended
from gateway.clock import Clock, set_seconds
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.turn_pb2 import StandingOffer, Turn
from policy.auction import keeps, rank, score_of
from policy.call import Call, Terms
from policy.closing import course_of
from policy.effects import Effect, Refuse, Relay, Tell
from policy.effects import Turn as ToldTurn
from policy.events import Event, OfferReceived, RevisedCallReceived, ThinkingReceived
from policy.states import Negotiation, Phase, State, net_of
from policy.thinking import SPANS_MAX

ASKING = frozenset({"accept", "inform"})
"""The acts of the exchange's own that may ask for an answer."""


class Standing:
    """What an initiator that decides has done, and the best offer that it knows of."""

    __slots__ = ("_badness", "_best", "own_last_msg_id")

    def __init__(self, call: Call) -> None:
        """Begin with the call."""
        self.own_last_msg_id = call.msg_id
        self._best: OfferReceived | None = None
        self._badness = 0.0

    def note(self, state: State, event: Event, effects: list[Effect]) -> None:
        """Learn of what happened, unless it did not count."""
        if event.sender != state.terms.initiator:
            if type(event) is OfferReceived and state.answers.get(event.sender) == event.msg_id:
                self._compare(state.terms, event)
        elif event.msg_id and not any(type(effect) is Refuse for effect in effects):
            self.own_last_msg_id = event.msg_id
            if type(event) is RevisedCallReceived:
                self._best = None  # nobody is bound by an offer of the round before

    def best(self, state: State, now: float) -> OfferReceived | None:
        """Return the offer that stands, as the gateway would rank it; the earliest of equals."""
        best = self._best
        if best is None or not (
            best.sender in state.aside.withdrawn
            or (best.valid_until is not None and best.valid_until < now)
        ):
            return best
        self._best = None
        for offer, _, unable in rank(state.terms, state.offers, now)[:1]:
            if not unable:
                self._compare(state.terms, offer)
        return self._best

    def _compare(self, terms: Terms, offer: OfferReceived) -> None:
        badness = _badness(terms, offer)
        if badness is not None and (self._best is None or badness < self._badness):
            self._best, self._badness = offer, badness


def _badness(terms: Terms, offer: OfferReceived) -> float | None:
    """Return by what the lowest is the best; None for an offer that cannot win."""
    call = terms.call
    if call.reserve is not None and not keeps(call.reserve, offer.value, call.direction):
        return None
    if terms.utility is not None:
        score = score_of(terms, offer)
        if score is None:
            return None
    else:
        score = offer.value if call.direction == "allocate" else -offer.value
    return 0.0 if call.acceptance.select == "first" else -score


class Turns:
    """The turns of one gateway's negotiations."""

    def __init__(self, now: Clock) -> None:
        """Tell times from `now` on."""
        self._now = now
        self.deciding: dict[str, Standing] = {}
        """Open negotiations whose initiator decides."""

    def opened(self, call: Call) -> bytes:
        """Return what is appended to a call."""
        if call.decider == "initiator":
            self.deciding[call.negotiation_id] = Standing(call)
        now = self._now()
        deadline = call.closes_at if call.deadline is None else call.deadline
        return _appended(now, call.round, call.closes_at - now, deadline - now)

    def called(
        self, call: Call, effects: list[Effect], cause: Cause
    ) -> Iterable[tuple[str, Cause]]:
        """Return every agent that is called, with the call as it goes to it."""
        until = call.closes_at if call.deadline is None else call.deadline
        bearer = Bearer(self, as_call(cause, until), self.opened(call))
        topics = cause.topics
        if not effects:  # as in most protocols: it differs by topic only
            heard = {topic: bearer.to(EVERYBODYS, topic or "") for topic in set(topics)}
            return zip(call.eligible, map(heard.__getitem__, topics), strict=True)
        turns = {one.recipient: one.turn for one in effects if type(one) is Relay}
        return [
            (agent_id, bearer.to(turns.get(agent_id, EVERYBODYS), topic or ""))
            for agent_id, topic in zip(call.eligible, topics, strict=True)
        ]

    def told(self, turn: ToldTurn) -> bytes:
        """Return what is appended for an agent whose turn it is, as its protocol says."""
        now = self._now()
        offer = None
        if turn.offer_id:
            value = 0.0 if turn.offer_value is None else turn.offer_value
            offer = StandingOffer(offer_id=turn.offer_id, sender=turn.offer_sender, value=value)
        return _appended(
            now,
            turn.round,
            turn.answer_by - now,
            turn.deadline - now,
            turn.own_last_msg_id,
            offer,
            turn.rounds_left,
        )

    def relayed(
        self, state: State, event: Event, effects: list[Effect], rounds_left: int = 0
    ) -> bytes:
        """Return what is appended to an act on its way to the initiator, if it goes there.

        Asked for each event where the initiator decides, and for every one that thinks.
        """
        now, call = self._now(), state.terms.call
        standing = self.deciding.get(call.negotiation_id)
        if standing is not None:
            standing.note(state, event, effects)
        if not any(type(effect) is Relay for effect in effects):
            return b""
        if type(event) is ThinkingReceived:
            waited, longest = _waited_for(state, event.sender, now)
            return _appended(now, call.round, waited, longest, rounds_left=rounds_left)
        if standing is None or type(event) is not OfferReceived:
            return b""
        if state.phase not in (Phase.OPEN, Phase.CLOSED):
            return b""
        answer_in, deadline_in = state.due - now, state.terms.deadline - now
        if state.phase is Phase.OPEN:
            answer_in += call.decide_within
            deadline_in += SPANS_MAX * call.decide_within
        else:
            longest = course_of(state).asked_at + SPANS_MAX * call.decide_within
            deadline_in = longest - now
        own_last = standing.own_last_msg_id
        best, offer = standing.best(state, now), None
        if best is not None:
            offer = StandingOffer(offer_id=best.msg_id, sender=best.sender, value=best.value)
        return _appended(now, call.round, answer_in, deadline_in, own_last, offer, rounds_left)

    def asked(self, state: Negotiation | None, tell: Tell) -> bytes:
        """Return what is appended to a message of the exchange's own; often nothing."""
        body: Mapping[str, Any] = tell.body
        award, choice = body.get("award", NOTHING), body.get("result", NOTHING)
        if not ("confirm_within" in award or "ranking" in choice):
            return b""
        if state is None or net_of(state) is None:
            return b""
        now, round_ = self._now(), state.terms.call.round
        rounds_left = getattr(state, "rounds_left", 0)
        if "confirm_within" in award:
            within = award["confirm_within"]
            longest = SPANS_MAX * within
            return _appended(
                now, round_, within, longest, tell.in_reply_to, rounds_left=rounds_left
            )
        within, offer = choice["decide_within"], None
        best = next((entry for entry in choice["ranking"] if not entry["reason"]), None)
        if best is not None:
            offer = StandingOffer(
                offer_id=best["offer_id"], sender=best["agent"], value=best["value"]
            )
        standing = self.deciding.get(state.terms.call.negotiation_id)
        own_last = tell.in_reply_to if standing is None else standing.own_last_msg_id
        return _appended(now, round_, within, SPANS_MAX * within, own_last, offer, rounds_left)

    def forget(self, negotiation_id: str) -> None:
        """Drop what is known of a negotiation that is over."""
        self.deciding.pop(negotiation_id, None)


EVERYBODYS = "everybody's"
"""Instead of a turn: the one that an agent has of which its protocol tells none."""


class Bearer:
    """One message on its way to several agents, each of which is told its own turn."""

    __slots__ = ("_cause", "_general", "_ready", "_turns")

    def __init__(self, turns: Turns, cause: Cause, general: bytes = b"") -> None:
        """Append `general` as everybody's turn."""
        self._turns = turns
        self._cause = cause
        self._general = general
        self._ready: dict[tuple[ToldTurn | str | None, str | None], Cause] = {}

    def to(self, turn: ToldTurn | str | None, heard_on: str | None = None) -> Cause:
        """Return the message as it goes to one agent; serialised once for all with that turn."""
        key = (turn, heard_on)
        ready = self._ready.get(key)
        if ready is None:
            fields = self._general if turn == EVERYBODYS else b""
            if isinstance(turn, ToldTurn):
                fields = self._turns.told(turn)
            ready = extended(self._cause, fields)
            if heard_on is not None:
                parcel = msgspec.structs.replace(ready.parcel, heard_on=heard_on)
                ready = msgspec.structs.replace(ready, parcel=parcel)
            self._ready[key] = ready
        return ready


def as_call(cause: Cause, until: float) -> Cause:
    """Return a message as a call that can be answered until then: it is no use any later."""
    until = min(cause.parcel.expires_at, until)
    parcel = msgspec.structs.replace(cause.parcel, expires_at=until, is_call=True)
    return msgspec.structs.replace(cause, parcel=parcel)


def relayed(cause: Cause, event: Event | Call | None) -> Cause:
    """Return a message as it is relayed: the call of another round as a call."""
    return as_call(cause, event.deadline) if type(event) is RevisedCallReceived else cause


NOTHING: Mapping[str, Any] = {}


def _waited_for(state: State, agent: str, now: float) -> tuple[float, float]:
    """Return for how long an agent that thinks is waited for, and for how long at most."""
    if state.phase is Phase.CONFIRMING:
        for award in course_of(state).pending:
            if award.agent == agent:
                longest = award.asked_at + SPANS_MAX * state.terms.call.confirm_within
                return award.confirm_by - now, longest - now
    return state.due - now, state.terms.deadline - now


def _appended(
    now: float,
    round_: int,
    answer_in: float,
    deadline_in: float,
    own_last_msg_id: str = "",
    standing_offer: StandingOffer | None = None,
    rounds_left: int = 0,
) -> bytes:
    turn = Turn(
        round=round_,
        rounds_left=rounds_left,
        own_last_msg_id=own_last_msg_id,
        standing_offer=standing_offer,
    )
    answer_in, deadline_in = max(0.0, answer_in), max(0.0, deadline_in)
    set_seconds(turn.answer_in, answer_in)
    set_seconds(turn.deadline_in, deadline_in)
    set_seconds(turn.answer_by, now + answer_in)
    set_seconds(turn.deadline_at, now + deadline_in)
    return Envelope(turn=turn).SerializeToString()
