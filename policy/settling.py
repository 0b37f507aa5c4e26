"""An award that holds something waits until the store has written it: the part that all share.

    decided --Settle--> SETTLING --Settled--> the award is told, and goes on as without stakes
                           |
                           +--NotSettled--> the next best, or the end
                           +--the deadline--> the end, and a Release for what may have been written

A protocol keeps a `Settlement` and goes to `Phase.SETTLING` with `ask`. When the answer comes it
asks `is_current`: an answer that nobody waits for any more is undone by `undo`, in whatever
phase it comes. What stands is in `held` until it is captured or released, which the protocol asks
for with `capture` and `release`, so that after the last word of a negotiation it holds nothing.

    from policy import settling

    settlement, effect = settling.ask(before, number, stakes, now, within)
    ...
    case Settled() | NotSettled() if not settling.is_current(settlement, event):
        return state, settling.undo(event)
    case Settled():
        settlement = settling.settled(settlement, event)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from policy.effects import Capture, Effect, Release, Settle
from policy.events import NotSettled, Settled
from policy.stakes import Stake, told

ATTEMPTS_MAX = 1_000_000
"""More than one round can have: each takes an offer out, or is the last."""
UNANSWERED = "not_settled"
"""Why there is no award when the store did not answer in time."""


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What the awards of one negotiation hold, and what the store is asked for."""

    number: int = 0
    """Of the last time that the store was asked."""
    asked: tuple[Stake, ...] = ()
    """What it is asked for; empty when nothing is awaited."""
    answer_by: float = 0.0
    held: tuple[Stake, ...] = ()
    """What it has written, and was neither captured nor released since."""
    paid: tuple[Stake, ...] = ()
    """What was captured."""
    refused: str = ""
    """Why it refused the last time; "" when it did not."""
    retry_at: float | None = None
    """When that may be different, if it is known."""
    detail: str = ""
    """What exactly it refused; "" when it did not, or did not say."""


NOTHING_SETTLED = Settlement()


def key_of(negotiation_id: str, number: int, place: int) -> str:
    """Return the key of a stake: of the `place`th award of the `number`th time of asking."""
    return f"{negotiation_id}/{number}/{place}"


def hold_key_of(negotiation_id: str, round_: int, agent: str) -> str:
    """Return the key of what an offer holds; an agent makes one offer in a round."""
    return f"{negotiation_id}/hold-{round_}/{agent.removeprefix('agent://')}"


def next_number(settlement: Settlement, round_: int = 1) -> int:
    """Return the number of the next time of asking, unlike any other of the negotiation."""
    return max(settlement.number, (round_ - 1) * ATTEMPTS_MAX) + 1


def ask(
    settlement: Settlement, number: int, stakes: Sequence[Stake], now: float, within: float
) -> tuple[Settlement, Settle]:
    """Return what is awaited then, and the effect that asks the store."""
    answer_by = now + within
    asked = replace(settlement, number=number, asked=tuple(stakes), answer_by=answer_by)
    return asked, Settle(number, asked.asked, answer_by)


def is_current(settlement: Settlement | None, event: Settled | NotSettled) -> bool:
    """Tell whether an answer is the one that is awaited."""
    return settlement is not None and bool(settlement.asked) and settlement.number == event.number


def undo(settlement: Settlement | None, event: Settled | NotSettled) -> list[Effect]:
    """Return what becomes of an answer that is not awaited: nothing is kept of it.

    The store repeats an answer when it was asked twice: what is held already stays.
    """
    if isinstance(event, NotSettled):
        return []
    stands = () if settlement is None else (*settlement.held, *settlement.paid)
    keys = set(event.locks) - {stake.key for stake in stands}
    return [Release(tuple(sorted(keys)), "late")] if keys else []


def settled(settlement: Settlement, event: Settled) -> Settlement:
    """Return what is held once the store has written what was asked for."""
    written = tuple(
        replace(stake, locks=event.locks.get(stake.key, stake.locks)) for stake in settlement.asked
    )
    return replace(
        settlement,
        asked=(),
        held=(*settlement.held, *written),
        refused="",
        retry_at=None,
        detail="",
    )


def not_settled(settlement: Settlement, event: NotSettled) -> Settlement:
    """Return what is held when the store has refused what was asked for: as before."""
    return replace(
        settlement,
        asked=(),
        refused=event.reason,
        retry_at=event.retry_at,
        detail=event.detail,
    )


def give_up(settlement: Settlement) -> tuple[Settlement, list[Effect]]:
    """Await the answer no more, and have undone what may have been written."""
    keys = tuple(stake.key for stake in settlement.asked)
    given_up = replace(settlement, asked=(), refused=UNANSWERED, retry_at=None, detail="")
    return given_up, [Release(keys, UNANSWERED)] if keys else []


def release(
    settlement: Settlement, reason: str, agents: Collection[str] | None = None
) -> tuple[Settlement, list[Effect]]:
    """Give back what the awards of these agents hold; of all, and what is asked for, with None."""
    gone = _of(settlement.held, agents)
    asked = settlement.asked if agents is None else ()
    keys = tuple(stake.key for stake in (*gone, *asked))
    left = tuple(stake for stake in settlement.held if stake not in gone)
    released = replace(settlement, held=left, asked=() if agents is None else settlement.asked)
    return released, [Release(keys, reason)] if keys else []


def capture(
    settlement: Settlement, *, unlock: bool, agents: Collection[str] | None = None
) -> tuple[Settlement, list[Effect]]:
    """Pay what the awards of these agents hold, or all of them; `unlock` frees the units too."""
    paid = _of(settlement.held, agents)
    if not paid:
        return settlement, []
    left = tuple(stake for stake in settlement.held if stake not in paid)
    captured = replace(settlement, held=left, paid=(*settlement.paid, *paid))
    return captured, [Capture(tuple(stake.key for stake in paid), unlock)]


def stake_for(settlement: Settlement | None, agent: str) -> Stake | None:
    """Return what the award of an agent holds, or held until it was paid."""
    if settlement is None:
        return None
    both = (*settlement.held, *settlement.paid)
    return next((stake for stake in both if stake.agent == agent), None)


def shown(settlement: Settlement, agent: str) -> dict[str, object]:
    """Return what the parties are told of what the award of an agent holds."""
    stake = stake_for(settlement, agent)
    return {} if stake is None else told(stake)


def refusal(settlement: Settlement | None, reason: str) -> dict[str, object]:
    """Return what an outcome without award tells of the store, where that is its reason."""
    if settlement is None or not settlement.detail or settlement.refused != reason:
        return {}
    again = {} if settlement.retry_at is None else {"retry_at": settlement.retry_at}
    return {"detail": settlement.detail, **again}


def _of(stakes: tuple[Stake, ...], agents: Collection[str] | None) -> tuple[Stake, ...]:
    return tuple(stake for stake in stakes if agents is None or stake.agent in agents)
