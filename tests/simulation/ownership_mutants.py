"""Mistakes in who may tell an award, each planted in a copy of a real part.

A simulation that passes says something only if it fails on these.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from federation.award_log import Entry, proposal
from federation.etcd.transactions import Committed, Transaction
from federation.fencing import Fence
from gateway import awards as awards_module
from gateway.awards import AwardGate
from policy.shard import Shard
from tests.simulation import ownership_side
from tests.simulation.ownership_side import Side
from tests.simulation.ownership_world import Weather


def replaces_what_stands(key: str, entry: Entry, lease: int) -> Transaction:
    """Write an award, whether there is one or not."""
    return Transaction([], proposal(key, entry, lease).then, [])


def believes_in_itself(asked: Entry, stands: Entry) -> bool:
    """Tell the own award, whatever is found."""
    return True


def hears_itself(entry: Entry, done: Committed) -> Entry:
    """Take every answer of etcd for a success."""
    return entry


class TellsBeforeItWrites(AwardGate):
    def takes(self, shard: Shard[Any], negotiation_id: str, *step: Any) -> bool:
        super().takes(shard, negotiation_id, *step)
        self._held.pop(negotiation_id, None)
        return False


class TellsWhatWaitsAtOnce(AwardGate):
    """Lets what is held go on at the next look, blind or not."""

    def look(self) -> None:
        is_blind, self.is_blind = self.is_blind, lambda: True
        super().look()
        self.is_blind = is_blind


class WritesNothingBlind(AwardGate):
    def _ask(self, shard: Shard[Any], asked: Entry, is_repeated: bool) -> None:
        if not self.is_blind():
            super()._ask(shard, asked, is_repeated)


class TellsRepeatsBlind(AwardGate):
    """Takes a call that is repeated for any other."""

    def repeated(self, negotiation_id: str) -> None:
        pass


class HoldsForEver(AwardGate):
    """Forgets what follows an award."""

    def _hear(self, asked: Entry, stands: Entry) -> None:
        held = self._held.get(asked.negotiation_id)
        if held is not None and len(held.steps) > 1:
            return
        super()._hear(asked, stands)


class IsNeverShut(Fence):
    def may_decide(self, *known: Any) -> bool:
        super().may_decide(*known)
        return True


class AsksNobody(Fence):
    """Goes on when it does not see etcd, whatever the others see."""

    def may_decide(
        self, now: float, epoch: int, sure_until: float, blind_until: float, members: Any
    ) -> bool:
        return super().may_decide(now, epoch, sure_until, blind_until, {})


class BelievesOldPromises(Fence):
    def __init__(self, heartbeat_seconds: float) -> None:
        super().__init__(10 * heartbeat_seconds)


def tells_blind_at_once(self: Side) -> bool:
    """Take a question that has not been answered yet for an etcd that is away."""
    return self.world.now() - self.answered_at > ownership_side.LOOK_SECONDS


def keeps_no_promise(self: Side) -> bool:
    """Write as soon as etcd is back, whoever relies on the contrary."""
    return False


def keeps_what_it_gave(self: Side) -> None:
    """Hand over, and go on."""
    given, diaries = dict(self.table._states), dict(self.table._diaries)
    hand_over(self)
    self.table._diaries = diaries
    for negotiation_id in given.keys() - self.table._states.keys():
        self.table._enter(negotiation_id, given[negotiation_id])


def gives_without_its_story(self: Side, record: Any) -> None:
    """Take over a negotiation as it was when it was opened."""
    take_up(self, type(record)(record.call, record.opened_at, ()))


def ignores_notices(self: Side, negotiation_id: str, owner: str) -> None:
    """Stay with what the id says."""


def passes_nothing_on(self: Side, negotiation_id: str, event: Any) -> None:
    """Drop what comes for a negotiation that was handed over."""


def gives_to_itself(negotiation_id: str, living: Collection[str]) -> str | None:
    """Find no heir."""
    return None


hand_over: Callable[[Side], None] = Side.hand_over
take_up: Callable[[Side, Any], None] = Side._take_up

MUTANTS: dict[str, tuple[object, str, object, Weather]] = {
    "replaces what stands": (ownership_side, "proposal", replaces_what_stands, "all"),
    "takes every answer for a success": (ownership_side, "award_that_stands", hears_itself, "all"),
    "believes in itself": (awards_module, "_is_same", believes_in_itself, "all"),
    "tells before it writes": (ownership_side, "AwardGate", TellsBeforeItWrites, "etcd is well"),
    "tells what waits": (ownership_side, "AwardGate", TellsWhatWaitsAtOnce, "all"),
    "never writes what it told blind": (
        ownership_side,
        "AwardGate",
        WritesNothingBlind,
        "nobody is lost",
    ),
    "tells a repeated call blind": (
        ownership_side,
        "AwardGate",
        TellsRepeatsBlind,
        "etcd stumbles",
    ),
    "breaks its promises": (Side, "is_bound", keeps_no_promise, "etcd stumbles"),
    "drops what follows": (ownership_side, "AwardGate", HoldsForEver, "all"),
    "has no fence": (ownership_side, "Fence", IsNeverShut, "all"),
    "asks nobody what they see": (ownership_side, "Fence", AsksNobody, "all"),
    "believes promises that are over": (ownership_side, "Fence", BelievesOldPromises, "all"),
    "is blind when an answer is late": (Side, "is_blind", tells_blind_at_once, "all"),
    "keeps what it gave": (Side, "hand_over", keeps_what_it_gave, "gateways leave"),
    "gives without the story": (Side, "_take_up", gives_without_its_story, "gateways leave"),
    "ignores notices": (Side, "learn", ignores_notices, "gateways leave"),
    "passes nothing on": (Side, "_pass_on", passes_nothing_on, "gateways leave"),
    "finds no heir": (ownership_side, "heir_of", gives_to_itself, "gateways leave"),
}
"""What to replace by what, and the weather in which that shows."""
