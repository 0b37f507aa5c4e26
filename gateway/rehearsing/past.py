"""A recorded negotiation as it was, round by round, with how long each answer took.

What agents did of their own accord stands with its round, at its time since that was opened; what
they revealed when they were asked to, at its time since the round was closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.rehearsing.decisions import Decision, decision_in
from policy.effects import Settle, Tell
from policy.events import (
    AcceptReceived,
    ConfirmReceived,
    DeadlinePassed,
    Event,
    HoldRefused,
    NotSettled,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    RevisedCallReceived,
    Settled,
)
from policy.states import Course, Negotiation, Phase, State, net_of
from policy.table import Record, trace

ANSWERS = (
    AcceptReceived,
    RejectReceived,
    ConfirmReceived,
    ReportReceived,
    RevisedCallReceived,
    Settled,
    NotSettled,
    HoldRefused,
    DeadlinePassed,
)
"""What happened because the exchange had asked, or because time was over."""


@dataclass(slots=True)
class Round:
    """One round of offers."""

    opened_at: float
    closed_at: float | None = None
    happened: list[tuple[float, Event, bool]] = field(default_factory=list)
    """Seconds after the opening, and whether a timer had rung in that very instant."""
    revealed: list[tuple[float, Event]] = field(default_factory=list)
    """Seconds after the close."""
    accepted: list[tuple[float, str]] = field(default_factory=list)
    """What the initiator accepted, in seconds after the close."""
    rejected: float | None = None
    """When it rejected all that were left."""
    revised: tuple[float, RevisedCallReceived] | None = None
    """When it called some of them again, and how."""


class Past:
    """A negotiation as it was."""

    def __init__(self, record: Record) -> None:
        """Follow a record."""
        self.record = record
        self.decision: Decision | None = None
        self.rounds: dict[int, Round] = {}
        self.confirmed: dict[str, float] = {}
        """How long each winner took to confirm."""
        self.asked: dict[str, float] = {}
        """When each winner was told that it had won, and for some, asked to confirm."""
        self.settling = 0.0
        self.gone: dict[str, str] = {}
        """Whose stakes could not be, and why."""
        self._follow()

    def _follow(self) -> None:
        record = self.record
        steps = iter(trace(record))
        state, effects = next(steps)
        self._note_opened(state, record.opened_at)
        settle_at, rang_at = record.opened_at, record.opened_at - 1
        self.decision = decision_in(record.call, effects)
        for (at, event), (after, effects) in zip(record.events, steps, strict=True):
            before, state = state, after
            round_ = self.rounds[round_of(before)]
            if isinstance(event, DeadlinePassed):
                rang_at = at
            elif not isinstance(event, ANSWERS):
                self._note_done(round_, before, event, at, rang=at == rang_at)
            is_closed = state.phase is not Phase.OPEN or round_of(state) != round_of(before)
            if before.phase is Phase.OPEN and is_closed:
                round_.closed_at = at  # then whoever is asked hears so, however late the timer
            if state is not before:
                self._note_answer(round_, event, at, settle_at)
            for effect in effects:
                if isinstance(effect, Tell) and effect.act == "accept":
                    self.asked[effect.recipient] = at
                elif isinstance(effect, Settle):
                    settle_at = at
            self._note_opened(state, at)
            self.decision = self.decision or decision_in(record.call, effects)

    def _note_opened(self, state: Negotiation, at: float) -> None:
        """Begin another round when one was opened; one may be over at once."""
        number = round_of(state)
        if number not in self.rounds:
            closed_at = None if state.phase is Phase.OPEN else at
            self.rounds[number] = Round(at, closed_at)

    def _note_done(
        self, round_: Round, before: Negotiation, event: Event, at: float, *, rang: bool
    ) -> None:
        """Note what an agent did of its own accord, or because it was to reveal."""
        is_reveal = isinstance(event, OfferReceived) and "nonce" in event.fields
        declines = isinstance(event, RefusalReceived) and before.phase is Phase.CLOSED
        if round_.closed_at is not None and (is_reveal or declines):
            round_.revealed.append((at - round_.closed_at, event))
        else:
            round_.happened.append((at - round_.opened_at, event, rang))

    def _note_answer(self, round_: Round, event: Event, at: float, settle_at: float) -> None:
        """Note what counted of what was asked for, with how long it took."""
        closed_at = at if round_.closed_at is None else round_.closed_at
        match event:
            case ConfirmReceived(sender):
                self.confirmed[sender] = at - self.asked.get(sender, at)
            case AcceptReceived(_, _, offer_id):
                round_.accepted.append((at - closed_at, offer_id))
            case RejectReceived(_, _, ""):
                round_.rejected = at - closed_at
            case RevisedCallReceived():
                round_.revised = (at - closed_at, event)
            case Settled() | NotSettled():
                self.settling = at - settle_at
                if isinstance(event, NotSettled):
                    self.gone |= dict.fromkeys(event.agents, event.reason)


def net_in(state: Negotiation) -> State:
    """Return the contract net of a negotiation that is made of rounds; no other is rehearsed."""
    net = net_of(state)
    assert net is not None, "only protocols made of rounds are rehearsed"
    return net


def course_of(state: Negotiation) -> Course:
    """Return what has been going on since the round of a negotiation was closed."""
    course = net_in(state).course
    assert course is not None, "a round that was closed has a course"
    return course


def round_of(state: Negotiation) -> int:
    """Return the number of the round that a negotiation is in."""
    return net_in(state).terms.round
