"""Awards are written before they are told, where a log of awards is kept for the cluster.

The engine decides at once; what its decision asks for is *held* until the log says which award of
the call stands, and what the negotiation does next is held behind it, so the order stays. If the
award of another negotiation of the same call stands, because its gateway was lost and the
initiator called again, or because two gateways both took it for theirs, then that is the outcome
the initiator is told, and nobody wins here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
import structlog

from federation.award_log import Entry, call_key
from gateway.causes import Cause
from policy.call import Call
from policy.effects import Effect, Finish, Tell
from policy.events import Event
from policy.shard import Shard

log = structlog.get_logger("llmx.awards")

Propose = Callable[[str, Entry, Callable[[Entry], None]], None]
"""Writes an award unless there is one, and tells which one stands."""
Perform = Callable[
    [Shard[Cause], str, "Event | Call | None", "list[Effect] | None", "Cause | None"], None
]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a negotiation that is not carried out yet."""

    at: float
    event: Event | Call | None
    effects: list[Effect] | None
    cause: Cause | None


class AwardGate:
    """Lets steps be carried out when their awards stand."""

    def __init__(
        self,
        gateway_id: str,
        propose: Propose,
        perform: Perform,
        concerns: Callable[[str], bool],
    ) -> None:
        """Hold back what `perform` would carry out; `concerns` tells which negotiations."""
        self._gateway_id = gateway_id
        self._propose = propose
        self._perform = perform
        self._concerns = concerns
        self._held: dict[str, deque[Step]] = {}
        self.superseded = 0
        """Negotiations whose call had an award already."""

    def __len__(self) -> int:
        """Return how many negotiations wait for the log."""
        return len(self._held)

    def __contains__(self, negotiation_id: object) -> bool:
        """Tell whether a negotiation waits for the log."""
        return negotiation_id in self._held

    def takes(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> bool:
        """Hold a step if it awards, or follows one that does; False when it may go on at once."""
        held = self._held.get(negotiation_id)
        step = Step(shard.at, event, effects, cause)
        if held is not None:
            held.append(step)
            return True
        outcome = _award_in(effects)
        if outcome is None or not self._concerns(negotiation_id):
            return False
        self._held[negotiation_id] = deque([step])
        self._ask(shard, negotiation_id, outcome)
        return True

    def _ask(self, shard: Shard[Cause], negotiation_id: str, outcome: Mapping[str, Any]) -> None:
        state = shard.table.state(negotiation_id)
        assert state is not None, "a negotiation that awards is remembered"
        call = state.terms.call
        entry = Entry(negotiation_id, self._gateway_id, orjson.dumps(outcome))
        key = call_key(negotiation_id.rpartition("-")[2], call.initiator, call.msg_id)
        self._propose(key, entry, lambda stands: self._hear(shard, negotiation_id, stands))

    def _hear(self, shard: Shard[Cause], negotiation_id: str, stands: Entry) -> None:
        held = self._held[negotiation_id]
        step = held.popleft()
        if stands.negotiation_id != negotiation_id:
            self.superseded += 1
            log.warning(
                "the call had an award already",
                negotiation_id=negotiation_id,
                award=stands.negotiation_id,
                gateway=stands.gateway_id,
            )
            effects = superseded(step.effects or [], orjson.loads(stands.outcome))
            step = Step(step.at, step.event, effects, step.cause)
        self._carry_out(shard, negotiation_id, step)
        while held:
            outcome = _award_in(held[0].effects)
            if outcome is not None:
                self._ask(shard, negotiation_id, outcome)
                return
            self._carry_out(shard, negotiation_id, held.popleft())
        del self._held[negotiation_id]

    def _carry_out(self, shard: Shard[Cause], negotiation_id: str, step: Step) -> None:
        now, shard.at = shard.at, step.at
        try:
            self._perform(shard, negotiation_id, step.event, step.effects, step.cause)
        finally:
            shard.at = now


def _award_in(effects: Sequence[Effect] | None) -> Mapping[str, Any] | None:
    """Return the outcome with winners that a step leads to, if it does."""
    for effect in reversed(effects or ()):
        if type(effect) is Finish:
            return effect.outcome if effect.outcome["winners"] else None
    return None


def superseded(effects: Sequence[Effect], outcome: Mapping[str, Any]) -> list[Effect]:
    """Return what a step asks for when the call's award is another one, whose outcome this is.

    Whoever would have won hears that it did not; the initiator hears of the award that stands.
    """
    changed: list[Effect] = []
    told = {effect.recipient for effect in effects if type(effect) is Tell}
    for effect in effects:
        if type(effect) is Tell and effect.act == "accept":
            body = {
                "decision": "rejected",
                "offer_id": effect.body["offer_id"],
                "reason": "another_offer_won",
                "detail": "the call was awarded before, at another gateway",
            }
            changed.append(msgspec.structs.replace(effect, act="reject", body=body))
        elif type(effect) is Tell and "outcome" in effect.body:
            changed.append(
                msgspec.structs.replace(effect, body={**effect.body, "outcome": outcome})
            )
        elif type(effect) is Finish:
            changed += _called_off(effect, told)
            changed.append(Finish({**effect.outcome, "winners": [], "reason": "superseded"}))
        else:
            changed.append(effect)
    return changed


def _called_off(finish: Finish, told: set[str]) -> list[Tell]:
    """Return what winners hear that were told to confirm, did so, and yet do not win."""
    winners: Sequence[Mapping[str, Any]] = finish.outcome["winners"]  # type: ignore[assignment]
    return [
        Tell(
            winner["agent"],
            "cancel",
            f"{finish.outcome['negotiation_id']}:superseded-{number}",
            winner["offer_id"],
            {"reason": "superseded", "offer_id": winner["offer_id"]},
        )
        for number, winner in enumerate(winners, 1)
        if winner["agent"] not in told
    ]
