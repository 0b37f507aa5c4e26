"""The turns of what a round asks for: which offer to choose, whether an award stands.

A contract net leaves its turns to the gateway. A protocol that is made of its rounds tells them
itself, because it knows how many rounds are left and what is waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from policy.effects import Effect, Tell, Turn
from policy.states import State
from policy.thinking import SPANS_MAX


def with_turns(
    effects: Iterable[Effect], net: State, now: float, rounds_left: int = 0, own_last: str = ""
) -> list[Effect]:
    """Return the effects of a step of a round, each question with the turn that it gives.

    `own_last` is the last act of the initiator.
    """
    return [
        replace(effect, turn=_turn(effect, net, now, rounds_left, own_last))
        if type(effect) is Tell and _asks(effect.body)
        else effect
        for effect in effects
    ]


def _asks(body: Mapping[str, Any]) -> bool:
    return "confirm_within" in body.get("award", ()) or "ranking" in body.get("result", ())


def _turn(tell: Tell, net: State, now: float, rounds_left: int, own_last: str) -> Turn:
    body: Mapping[str, Any] = tell.body
    question = body["award"] if "award" in body else body["result"]
    if "confirm_within" in question:
        within, own, best = question["confirm_within"], tell.in_reply_to, None
    else:
        within, own = question["decide_within"], own_last
        best = next((one for one in question["ranking"] if not one["reason"]), None)
    turn = Turn(net.terms.round, rounds_left, now + within, now + SPANS_MAX * within, own)
    if best is None:
        return turn
    return replace(
        turn, offer_id=best["offer_id"], offer_sender=best["agent"], offer_value=best["value"]
    )
