"""Awards are written before they are told, where a log of awards is kept for the cluster.

The engine decides at once; what its decision asks for is *held* until the log says which award of
the call stands, and what the negotiation does next is held behind it, so the order stays. If the
award of another negotiation of the same call stands, because its gateway was lost and the
initiator called again, or because two gateways both took it for theirs, then that is the outcome
the initiator is told, and nobody wins here.

While etcd is away for everybody (`is_blind`) nothing is held: an award is told at once, and what
was held is told too, because nobody else can write one either. It is written when etcd is back.

A call that is *repeated* may have an award at a gateway that its initiator has lost, told there and
perhaps not written yet. So its award waits for etcd in any case, and the log writes it only when
this gateway is bound by no promise any more (`federation.fencing`): by then the other one has had
time to write. A call has two awards only if an award was told unwritten, its initiator lost that
gateway, and that one could not write for all this time; then an error in the log names both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
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

REPEATED_MAX = 100_000
"""Calls of which is known that they were repeated."""

Propose = Callable[[str, Entry, Callable[[Entry], None], bool], None]
"""Writes an award unless there is one, and tells which one stands. Was its call repeated?"""
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


@dataclass(slots=True)
class _Held:
    """A negotiation that waits for the log."""

    shard: Shard[Cause]
    steps: deque[Step]
    asked: Entry
    """The award that the log is asked for; that of the first step."""
    is_repeated: bool


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
        self.is_blind: Callable[[], bool] = lambda: False
        """Tells whether awards are told unwritten: nobody can write one now."""
        self.epoch: Callable[[], int] = lambda: 0
        """Tells under which epoch this gateway lives."""
        self.is_told: Callable[[Entry], bool] = lambda entry: False
        """Tells whether the gateway that made an award is there, and has told it itself."""
        self.stands: Callable[[str], bool] = lambda negotiation_id: False
        """Tells of which negotiations the award was written together with what it holds."""
        self._held: dict[str, _Held] = {}
        self._repeated: dict[str, None] = {}
        self.superseded = 0
        """Negotiations whose call had an award already."""
        self.blind = 0
        """Awards that were told before they were written."""
        self.doubled = 0
        """Those of them whose call turned out to have another one."""

    def __len__(self) -> int:
        """Return how many negotiations wait for the log."""
        return len(self._held)

    def __contains__(self, negotiation_id: object) -> bool:
        """Tell whether a negotiation waits for the log."""
        return negotiation_id in self._held

    def repeated(self, negotiation_id: str) -> None:
        """Know that the call of a negotiation may have an award that was told elsewhere."""
        self._repeated[negotiation_id] = None
        if len(self._repeated) > REPEATED_MAX:
            del self._repeated[next(iter(self._repeated))]

    def is_repeated(self, negotiation_id: str) -> bool:
        """Tell whether that is known of a negotiation."""
        return negotiation_id in self._repeated

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
            held.steps.append(step)
            return True
        outcome = _award_in(effects)
        if outcome is None or self.stands(negotiation_id) or not self._concerns(negotiation_id):
            return False
        asked = self._entry(negotiation_id, outcome)
        is_repeated = self.is_repeated(negotiation_id)
        self._repeated.pop(negotiation_id, None)
        if not is_repeated and self.is_blind():
            self.blind += 1
            self._ask(shard, asked, is_repeated)
            return False
        self._held[negotiation_id] = _Held(shard, deque([step]), asked, is_repeated)
        self._ask(shard, asked, is_repeated)
        return True

    def look(self) -> None:
        """Let go on what waits for a log that nobody can write now."""
        if not self.is_blind():
            return
        for negotiation_id, held in list(self._held.items()):
            if held.is_repeated:
                continue
            del self._held[negotiation_id]
            self.blind += 1
            for step in held.steps:
                self._carry_out(held.shard, negotiation_id, step)

    def _entry(self, negotiation_id: str, outcome: Mapping[str, Any]) -> Entry:
        return Entry(negotiation_id, self._gateway_id, orjson.dumps(outcome), self.epoch())

    def _ask(self, shard: Shard[Cause], asked: Entry, is_repeated: bool) -> None:
        negotiation_id = asked.negotiation_id
        state = shard.table.state(negotiation_id)
        assert state is not None, "a negotiation that awards is remembered"
        call = state.terms.call
        key = call_key(negotiation_id.rpartition("-")[2], call.initiator, call.msg_id)
        self._propose(key, asked, lambda stands: self._hear(asked, stands), is_repeated)

    def _hear(self, asked: Entry, stands: Entry) -> None:
        negotiation_id = asked.negotiation_id
        held = self._held.get(negotiation_id)
        if held is None or held.asked is not asked:
            self._compare(asked, stands)
            return
        step = held.steps.popleft()
        if not _is_same(asked, stands):
            self.superseded += 1
            log.warning(
                "the call had an award already",
                negotiation_id=negotiation_id,
                award=stands.negotiation_id,
                gateway=stands.gateway_id,
            )
            effects = superseded(
                step.effects or [],
                orjson.loads(stands.outcome),
                is_lost=not self.is_told(stands),
            )
            step = Step(step.at, step.event, effects, step.cause)
        self._carry_out(held.shard, negotiation_id, step)
        while held.steps:
            outcome = _award_in(held.steps[0].effects)
            if outcome is not None:
                held.asked = self._entry(negotiation_id, outcome)
                self._ask(held.shard, held.asked, held.is_repeated)
                return
            self._carry_out(held.shard, negotiation_id, held.steps.popleft())
        del self._held[negotiation_id]

    def _compare(self, asked: Entry, stands: Entry) -> None:
        """See whether an award that was told unwritten is the one that stands."""
        if not _is_same(asked, stands):
            self.doubled += 1
            log.error(
                "a call has two awards: one was told while nobody saw etcd",
                told=asked.negotiation_id,
                gateway=asked.gateway_id,
                written=stands.negotiation_id,
                written_by=stands.gateway_id,
            )

    def _carry_out(self, shard: Shard[Cause], negotiation_id: str, step: Step) -> None:
        now, shard.at = shard.at, step.at
        try:
            self._perform(shard, negotiation_id, step.event, step.effects, step.cause)
        finally:
            shard.at = now


def _is_same(asked: Entry, stands: Entry) -> bool:
    """Tell whether an award is the one that stands.

    One negotiation is decided by two gateways only by a mistake; then too the first award counts.
    """
    return (asked.negotiation_id, asked.gateway_id) == (stands.negotiation_id, stands.gateway_id)


def _award_in(effects: Sequence[Effect] | None) -> Mapping[str, Any] | None:
    """Return the outcome with winners that a step leads to, if it does."""
    for effect in reversed(effects or ()):
        if type(effect) is Finish:
            return effect.outcome if effect.outcome["winners"] else None
    return None


def superseded(
    effects: Sequence[Effect], outcome: Mapping[str, Any], *, is_lost: bool
) -> list[Effect]:
    """Return what a step asks for when the call's award is another one, whose outcome this is.

    The initiator hears of the award that stands. Its winners do if the gateway that made it
    `is_lost`, for then nobody else tells them; who has heard it before hears the same again.
    Everybody else hears that it did not win.
    """
    stand: dict[str, Mapping[str, Any]] = {one["agent"]: one for one in outcome["winners"]}
    changed: list[Effect] = []
    told = {effect.recipient for effect in effects if type(effect) is Tell}
    for effect in effects:
        if type(effect) is Tell and effect.act in ("accept", "reject"):
            winner = stand.get(effect.recipient)
            if winner is not None and not is_lost:
                continue
            act, body = (
                ("reject", _rejected(effect.body["offer_id"]))
                if winner is None
                else ("accept", _accepted(winner, outcome, effect.body["offer_id"]))
            )
            changed.append(msgspec.structs.replace(effect, act=act, body=body))
        elif type(effect) is Tell and "outcome" in effect.body:
            changed.append(
                msgspec.structs.replace(effect, body={**effect.body, "outcome": outcome})
            )
        elif type(effect) is Finish:
            changed += _called_off(effect, told, stand)
            if is_lost:
                changed += _told_besides(effect, told, outcome)
            changed.append(Finish({**effect.outcome, "winners": [], "reason": "superseded"}))
        else:
            changed.append(effect)
    return changed


def _rejected(offer_id: object) -> Mapping[str, object]:
    return {
        "decision": "rejected",
        "offer_id": offer_id,
        "reason": "another_offer_won",
        "detail": "the call was awarded before, at another gateway",
    }


def _accepted(
    winner: Mapping[str, Any], outcome: Mapping[str, Any], offer_id: object
) -> Mapping[str, object]:
    return {
        "decision": "accepted",
        "offer_id": offer_id,
        "price": winner["price"],
        "award": {"rank": winner["rank"], "round": outcome.get("round", 1), "confirm": False},
    }


def _called_off(finish: Finish, told: set[str], stand: Collection[str]) -> list[Tell]:
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
        if winner["agent"] not in told and winner["agent"] not in stand
    ]


def _told_besides(finish: Finish, told: set[str], outcome: Mapping[str, Any]) -> list[Tell]:
    """Return what winners of the award that stands hear who have made no offer here."""
    winners: Sequence[Mapping[str, Any]] = finish.outcome["winners"]  # type: ignore[assignment]
    confirmed = {winner["agent"] for winner in winners}
    return [
        Tell(
            winner["agent"],
            "accept",
            f"{finish.outcome['negotiation_id']}:stands-{number}",
            winner["offer_id"],
            _accepted(winner, outcome, winner["offer_id"]),
        )
        for number, winner in enumerate(outcome["winners"], 1)
        if winner["agent"] not in told | confirmed
    ]
