"""What must hold after every step of every protocol, and in the end.

- An act that does not count leaves the very same state object (N-1.12), and is answered by one
  refusal to who sent it, or by nothing. What the exchange itself says is never refused.
- The outcome is told once, and nobody hears a verdict of acceptance after a cancellation.
- Messages of the exchange's own are numbered without gaps, and go to parties only.
- What is over stays over. What is not has a deadline, and a deadline that passes moves it on.
- A state can be pickled, is the same after that, and does not grow without bound.
- Written as a record and read again, a negotiation does to the byte what it did.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from gateway.record_format import fingerprint, line_of, recorded_in
from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.events import DeadlinePassed, Event, OfferReceived
from policy.protocols import Protocol
from policy.states import Negotiation, Phase, net_of
from policy.table import Record, trace

STATE_BYTES_MAX = 96 * 1024
"""What a state may take as a pickle, whatever happened: all sets that are drawn from are small."""


class Broken(Exception):
    """An invariant does not hold."""


def broken(what: str) -> NoReturn:
    """Say which invariant does not hold."""
    raise Broken(what)


class Watch:
    """What is known of one negotiation from outside."""

    def __init__(self, call: Call) -> None:
        """Watch from the opening on."""
        self._id = call.negotiation_id
        self._parties = {call.initiator, *call.eligible}
        self._told = 0
        self.finished = 0
        self._is_cancelled = False

    def opening(self, state: Negotiation, effects: Sequence[Effect]) -> None:
        """Look at the first state."""
        self._look(effects, state)

    def step(
        self,
        before: Negotiation,
        event: Event,
        now: float,
        after: Negotiation,
        effects: Sequence[Effect],
    ) -> None:
        """Look at a step."""
        refusals = [effect for effect in effects if isinstance(effect, Refuse)]
        if refusals:
            self._refused(before, event, now, after, effects, refusals)
        if after is before and len(effects) > len(refusals):
            broken(f"the state is the same, and {_kinds(effects)} is asked for")
        if before.is_final and not after.is_final:
            broken(f"it was over, and is {after.phase.value} again")
        if not math.isfinite(after.due):
            broken(f"it is due at {after.due}")
        if isinstance(event, DeadlinePassed) and now >= before.due and not before.is_final:
            if after is before:
                broken("a deadline has passed, and nothing happens")
        elif isinstance(event, DeadlinePassed) and now < before.due and after is not before:
            broken("a deadline that has not passed moves it on")
        self._look(effects, after)

    def _refused(
        self,
        before: Negotiation,
        event: Event,
        now: float,
        after: Negotiation,
        effects: Sequence[Effect],
        refusals: Sequence[Refuse],
    ) -> None:
        if len(refusals) > 1:
            broken("one act is refused twice")
        (refusal,) = refusals
        if not event.sender or (refusal.recipient, refusal.msg_id) != (event.sender, event.msg_id):
            broken(f"what {event.sender or 'the exchange'} did is refused to {refusal.recipient}")
        if not (refusal.code and refusal.reason and refusal.remedy):
            broken("a refusal says no code, no reason or no remedy")
        if now > before.due and not before.is_final:
            return  # the deadline came first
        if _is_malformed(before, event, refusal):
            return
        if len(effects) > 1:
            broken(f"an act is refused, and {_kinds(effects)} is asked for")
        if after is not before:
            broken(f"an act is refused ({refusal.code}), and the state is another object")

    def _look(self, effects: Sequence[Effect], state: Negotiation) -> None:
        for effect in effects:
            match effect:
                case Tell(recipient, act, msg_id):
                    self._told += 1
                    if msg_id != f"{self._id}:{self._told}":
                        broken(f"message {self._told} of its own is called {msg_id}")
                    if recipient not in self._parties:
                        broken(f"{act} goes to {recipient}, who takes no part")
                    if act == "accept" and self._is_cancelled:
                        broken("an offer is accepted after the cancellation")
                case Relay(recipient) if recipient not in self._parties:
                    broken(f"an act goes on to {recipient}, who takes no part")
                case Finish(outcome):
                    self.finished += 1
                    self._outcome(outcome)
        if self.finished > 1:
            broken("the outcome is told twice")
        if state.is_final and not self.finished:
            broken(f"it is {state.phase.value}, and nobody has heard the outcome")
        self._is_cancelled = self._is_cancelled or state.phase is Phase.CANCELLED

    def _outcome(self, outcome: Mapping[str, object]) -> None:
        if outcome["negotiation_id"] != self._id:
            broken("the outcome is that of another negotiation")
        msgspec.json.encode(outcome)


def _is_malformed(before: Negotiation, event: Event, refusal: Refuse) -> bool:
    """Tell whether an offer's terms break the issues of its call.

    In a round that is refused and noted like an offer that breaks its schema, because some
    profiles count any answer. Between two it changes nothing.
    """
    is_round = net_of(before) is not None and before.phase is Phase.OPEN
    return is_round and isinstance(event, OfferReceived) and refusal.code == "TERMS_INVALID"


def check_value(state: Negotiation) -> Negotiation:
    """Return a state that went through a pickle, the same and not too large."""
    raw = pickle.dumps(state)
    if len(raw) > STATE_BYTES_MAX:
        broken(f"a state takes {len(raw)} bytes")
    copy: Negotiation = pickle.loads(raw)
    if copy != state:
        broken("a state is another one after a pickle")
    return copy


def check_view(state: Negotiation, call: Call) -> None:
    """Look at what an operator is shown."""
    view = state.view()
    msgspec.json.encode(view)
    strangers = (view.parties.keys() | view.values.keys()) - {call.initiator, *call.eligible}
    if strangers:
        broken(f"an operator is shown {strangers}, who take no part")


def check_replay(record: Record, protocol: Protocol) -> None:
    """Write a record, read it again, play it, and compare with what it did."""
    read = recorded_in(line_of(record))
    if read.record != record:
        broken("a record is another one after it was written and read")
    played = [effects for _, effects in trace(read.record, {record.call.protocol: protocol})]
    now, then = fingerprint(played), fingerprint(record.effects)
    if now != then:
        steps = zip(now.steps, then.steps, strict=True)
        places = [number for number, (is_, was) in enumerate(steps) if is_ != was]
        broken(f"the replay differs at the steps {places}")


def _kinds(effects: Sequence[Effect]) -> str:
    return ", ".join(type(effect).__name__ for effect in effects)
