"""Strategies of the library against the pure protocols: whole bargains, without a wire.

`Table` holds one bargain of `policy`; both parties are `llmx.Bargain`s that speak to it directly.
What a gateway does in between is done here in the simplest way: an event for each act, a message
for each effect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmx.bargain import Accept, Bargain, Move, Propose, Strategy
from llmx.calls import Call as ClientCall
from llmx.messages import Message
from llmx.turns import Turn
from llmx.v1.envelope_pb2 import Act, Envelope
from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.effects import Turn as Told
from policy.events import AcceptReceived, CounterReceived, Event, RefusalReceived
from policy.protocols import PROTOCOLS

ALICE, BOB = "agent://alice", "agent://bob"


class Table:
    """One bargain between two strategies."""

    def __init__(self, call: Call) -> None:
        self.protocol = PROTOCOLS[call.protocol]
        self.call = call
        self.moves = 0
        self.outcome: Mapping[str, Any] = {}
        self.refused: list[str] = []
        body = {
            "protocol": call.protocol,
            "bargaining": dict(call.options),
            "direction": call.direction,
            "reply_within": call.closes_at - call.opened_at,
        }
        envelope = Envelope(msg_id=call.msg_id, sender=ALICE, payload=json.dumps(body).encode())
        self.parties = {
            agent: Bargain(agent, other, ClientCall(envelope), _nobody)
            for agent, other in ((ALICE, BOB), (BOB, ALICE))
        }
        self.state: Any
        self.state, effects = self.protocol.open_call(call, call.opened_at)
        for party in self.parties.values():
            party.opened(call.negotiation_id)
        self._carry_out(effects, None)

    def play(self, strategies: Mapping[str, Strategy], moves_max: int = 5_000) -> Mapping[str, Any]:
        """Let strategies move until it is over; returns the outcome."""
        while not self.state.is_final:
            assert self.moves < moves_max, "a bargain has an end"
            agent = self.state.to_move[0]
            move = strategies[agent](self.parties[agent])
            assert not isinstance(move, Mapping) and hasattr(move, "__slots__")
            self.make(agent, move)  # type: ignore[arg-type]
            assert not self.refused, self.refused
        return self.outcome

    def make(self, agent: str, move: Move) -> None:
        """Make one move of one party."""
        self.moves += 1
        party, msg_id = self.parties[agent], f"{agent[8:]}-{self.moves}"
        party.turn = None
        event: Event
        match move:
            case Propose(value, terms):
                event = CounterReceived(agent, msg_id, terms or {}, value)
                body = {"value": value, "terms": dict(terms or {})}
                party.own = party._heard(agent, msg_id, body, None)
            case Accept():
                assert party.standing is not None
                event = AcceptReceived(agent, msg_id, party.standing.offer_id)
            case _:
                event = RefusalReceived(agent, msg_id, move.reason)
        self.state, effects = self.protocol.step(self.state, event, 1.0)
        self._carry_out(effects, event)

    def _carry_out(self, effects: list[Effect], event: Event | None) -> None:
        for effect in effects:
            match effect:
                case Finish(outcome):
                    self.outcome = outcome
                case Refuse(_, _, code):
                    self.refused.append(code)
                case Relay(recipient, turn):
                    self._relay(recipient, turn, event)
                case Tell(recipient, _, _, _, body, turn):
                    payload = json.dumps(body).encode()
                    told = Envelope(sender="gateway://g", act=Act.ACT_INFORM, payload=payload)
                    self._heard(recipient, told, turn)

    def _relay(self, recipient: str, turn: Told | None, event: Event | None) -> None:
        party = self.parties[recipient]
        if isinstance(event, CounterReceived):
            body = {"value": event.value, "terms": dict(event.terms)}
            payload = json.dumps(
                {key: said for key, said in body.items() if said not in (None, {})}
            ).encode()
            told = Envelope(
                sender=event.sender, msg_id=event.msg_id, act=Act.ACT_COUNTER, payload=payload
            )
            self._heard(recipient, told, turn)
        elif turn is not None:
            party.turn = _turn(turn)

    def _heard(self, recipient: str, told: Envelope, turn: Told | None) -> None:
        party = self.parties[recipient]
        if "outcome" not in json.loads(told.payload):
            party.hear(Message(told))
        party.turn = None if turn is None else _turn(turn)


def _turn(told: Told) -> Turn:
    return Turn(told.round, told.rounds_left, 1.0, 1.0)


async def _nobody(act: Act, body: Mapping[str, Any], in_reply_to: str) -> str:
    raise AssertionError("nobody is asked to speak here")
