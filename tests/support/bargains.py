"""Plays between two: alice called, bob answers, and what follows in words.

    bargain().at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")

Like `tests.support.plays`, with the turn that an agent is told, and with what both hear.
"""

from __future__ import annotations

from typing import Any

from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Relay, Tell, Turn
from policy.events import AcceptReceived, CounterReceived, RejectReceived
from tests.support.plays import Play, make_call
from tests.support.plays import words as common_words

OFFERS = "alternating-offers"
CONCESSION = "monotonic-concession"


class Bargain(Play):
    """One bargain, from its call to wherever the test leaves it."""

    def then(self, *expected: str) -> Bargain:
        """Claim all effects of the last event, in order; the Finish is part of an outcome."""
        happened = [words(effect) for effect in self.unclaimed if not isinstance(effect, Finish)]
        assert happened == list(expected)
        self.unclaimed = []
        return self


def make_bargain(
    protocol: str = OFFERS, *, call: dict[str, Any] | None = None, **options: Any
) -> Call:
    """Return the call of alice's to bob, under these rules; it ends at 10."""
    return make_call(agents="bob", protocol=protocol, options=options, **(call or {}))


def propose(name: str, value: float | None, msg_id: str = "", **fields: Any) -> CounterReceived:
    """Let `name` propose a value, or the terms among `fields`."""
    msg_id = msg_id or f"{name}-{'terms' if value is None else format(value, 'g')}"
    return CounterReceived(f"agent://{name}", msg_id, value=value, **fields)


def take(name: str, offer_id: str, msg_id: str = "") -> AcceptReceived:
    """Let `name` accept the proposal of this id."""
    return AcceptReceived(f"agent://{name}", msg_id or f"{name}-takes-{offer_id}", offer_id)


def leave(name: str, offer_id: str = "", msg_id: str = "") -> RejectReceived:
    """Let `name` end, and say which proposal it rejects."""
    return RejectReceived(f"agent://{name}", msg_id or f"{name}-leaves", offer_id)


def refusal_of(game: Bargain) -> tuple[str, str]:
    """Return the reason and the remedy of the refusal that the last event led to."""
    (refused,) = game.history[-1][1]
    assert isinstance(refused, Refuse)
    return refused.reason, refused.remedy


def words(effect: Effect) -> str:
    """Return an effect as a sentence."""
    match effect:
        case Relay(recipient, turn):
            return f"relay to {name_of(recipient)}{_turn(turn)}"
        case Tell(recipient, "inform", _, _, body, turn):
            return f"{_informed(name_of(recipient), dict(body))}{_turn(turn)}"
        case Refuse(recipient, _, code, reason, remedy):
            assert reason and remedy, "a refusal says why, and what would be right"
            return f"refuse {name_of(recipient)} {code}"
        case _:
            return common_words(effect)


def _turn(turn: Turn | None) -> str:
    if turn is None:
        return ""
    standing = f", {turn.offer_id} stands" if turn.offer_id else ""
    return f": round {turn.round} until {turn.answer_by:g}{standing}"


def _informed(name: str, body: dict[str, Any]) -> str:
    match body:
        case {"outcome": {"state": state, "ended_by": by, "reason": reason} as outcome}:
            deal = outcome.get("agreement")
            if deal is not None:
                return f"outcome to {name}: {state}, {deal['offer_id']}"
            return f"outcome to {name}: {state}, {by}{'' if reason == by else f' ({reason})'}"
        case {"result": {"repeated": deal}, "reason": "turn_timeout", "done": False}:
            return f"{deal['offer_id']} again, to {name}"
        case {"result": {"deals": deals, "step": step}, "done": False}:
            shown = " ".join(deals[side]["offer_id"] for side in ("initiator", "responder"))
            return f"step {step} to {name}, {shown}"
    raise AssertionError(f"an unexpected inform: {body}")


def name_of(address: str) -> str:
    return address.partition("://")[2]


def both(words: str) -> tuple[str, str]:
    """Return the outcome that alice and bob hear."""
    return f"outcome to alice: {words}", f"outcome to bob: {words}"
