"""Plays: what happens to a negotiation, and what follows, in words.

    play(profile="low").at(1, offer("bob", 40)).then(
        "relay to alice", "accept bob at 40", "outcome committed: awarded, bob at 40"
    )

An effect that nobody claims fails the test. Every state goes through a pickle, and at the end
the whole negotiation is replayed from its record.
"""

from __future__ import annotations

import pickle
from typing import Any, cast

from msgspec.structs import replace

from policy.acceptance import PROFILES, parse
from policy.auction import commitment
from policy.call import Call
from policy.contract_net import Phase
from policy.effects import (
    Capture,
    Effect,
    Finish,
    Hold,
    Refuse,
    Relay,
    Release,
    Settle,
    Tell,
)
from policy.events import (
    AcceptReceived,
    AgentGone,
    CancelReceived,
    CommitmentReceived,
    ConfirmReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    HoldRefused,
    MalformedReceived,
    NotSettled,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    RevisedCallReceived,
    Settled,
    ThinkingReceived,
)
from policy.ledger import MICROS
from policy.protocols import PROTOCOLS
from policy.stakes import Lock, Stake
from policy.table import Record, trace

DEADLINE = 10.0
TIME_UP = DeadlinePassed()
NONCE = bytes(32)


def make_call(
    profile: str = "flow/high",
    *,
    policy: dict[str, object] | None = None,
    agents: str = "bob carol dave",
    **fields: Any,
) -> Call:
    """Return a call of alice's that closes at 10, with the window of its profile."""
    acceptance = parse(policy or {}, PROFILES[profile])
    call = Call(
        negotiation_id="g.0.n",
        initiator="agent://alice",
        msg_id="call",
        eligible=tuple(f"agent://{name}" for name in agents.split()),
        acceptance=acceptance,
        closes_at=DEADLINE if acceptance.window is None else min(DEADLINE, acceptance.window),
        opened_at=0.0,
    )
    return replace(call, **fields)


def offer(name: str, value: float, msg_id: str = "", **fields: Any) -> OfferReceived:
    fields.setdefault("fields", {"value": value})
    return OfferReceived(f"agent://{name}", msg_id or f"{name}-offer", value, **fields)


def probe(value: float) -> OfferReceived:
    return OfferReceived("gateway://g", "probe", value, probe=True)


def refusal(name: str, msg_id: str = "") -> RefusalReceived:
    return RefusalReceived(f"agent://{name}", msg_id or f"{name}-refusal")


def not_understood(name: str, msg_id: str = "") -> NotUnderstoodReceived:
    return NotUnderstoodReceived(f"agent://{name}", msg_id or f"{name}-what")


def malformed(name: str) -> MalformedReceived:
    return MalformedReceived(f"agent://{name}", f"{name}-broken")


def accept(name: str, by: str = "alice", msg_id: str = "") -> AcceptReceived:
    """Let `by` accept the offer of `name`."""
    return AcceptReceived(f"agent://{by}", msg_id or f"accept-{name}", f"{name}-offer")


def reject(name: str, by: str = "alice", msg_id: str = "") -> RejectReceived:
    """Let `by` reject the offer of `name`, or of all that are left with an empty name."""
    offer_id = f"{name}-offer" if name else ""
    return RejectReceived(f"agent://{by}", msg_id or f"reject-{name}", offer_id)


def confirmation(name: str, offer_id: str = "", msg_id: str = "") -> ConfirmReceived:
    return ConfirmReceived(
        f"agent://{name}", msg_id or f"{name}-confirm", offer_id or f"{name}-offer"
    )


def cancellation(name: str = "alice", reason: str = "", msg_id: str = "") -> CancelReceived:
    return CancelReceived(f"agent://{name}", msg_id or f"{name}-cancel", reason)


def report(name: str, succeeded: bool = True, msg_id: str = "") -> ReportReceived:
    return ReportReceived(f"agent://{name}", msg_id or f"{name}-report", succeeded)


def counter(name: str) -> CounterReceived:
    return CounterReceived(f"agent://{name}", f"{name}-counter")


def thinking(name: str, seconds: float = 30.0, msg_id: str = "") -> ThinkingReceived:
    return ThinkingReceived(f"agent://{name}", msg_id or f"{name}-thinks", seconds)


def settled(number: int, *keys: str, fence: int = 7) -> Settled:
    """Return that the store has written what was asked for, with one lock for each key."""
    lock = Lock("gpu", 4, 0.0, 60.0, fence)
    locks = {f"g.0.n/{key}": (lock,) for key in keys or (f"{number}/1",)}
    return Settled(number=number, locks=locks)


def not_settled(number: int, reason: str, *names: str, **fields: Any) -> NotSettled:
    agents = tuple(f"agent://{name}" for name in names)
    return NotSettled(number=number, reason=reason, agents=agents, **fields)


def hold_refused(name: str, reason: str = "RESOURCE_GONE") -> HoldRefused:
    return HoldRefused(agent=f"agent://{name}", offer_id=f"{name}-offer", reason=reason)


def sealed(name: str, value: float, msg_id: str = "", **more: object) -> CommitmentReceived:
    """Let `name` commit a bid."""
    promise = commitment(NONCE, {"value": value, **more})
    return CommitmentReceived(f"agent://{name}", msg_id or f"{name}-sealed", promise)


def reveal(name: str, value: float, msg_id: str = "", **more: object) -> OfferReceived:
    """Let `name` open its bid."""
    fields = {"$schema": "Negotiation.json", "value": value, "nonce": NONCE.hex(), **more}
    return offer(name, value, msg_id, fields=fields)


def revision(
    names: str = "",
    round_: int = 0,
    *,
    closes_at: float = 100.0,
    deadline: float = 100.0,
    by: str = "alice",
    msg_id: str = "",
    **fields: object,
) -> RevisedCallReceived:
    """Let `by` call these agents to the next round."""
    invited = tuple(f"agent://{name}" for name in names.split())
    msg_id = msg_id or f"call-{names.replace(' ', '-')}"
    return RevisedCallReceived(
        f"agent://{by}", msg_id, round_, invited, closes_at, deadline, fields
    )


def gone(name: str) -> AgentGone:
    return AgentGone(f"agent://{name}")


def words(effect: Effect) -> str:
    """Return an effect as a sentence."""
    match effect:
        case Relay(recipient):
            return f"relay to {_name(recipient)}"
        case Refuse(recipient, _, code, reason, remedy):
            assert reason and remedy, "a refusal says why, and what would be right"
            return f"refuse {_name(recipient)} {code}"
        case Finish(outcome):
            return f"finish {outcome['state']}"
        case Settle(number, stakes):
            return f"settle {number}: {', '.join(map(_staked, stakes))}"
        case Hold(stake):
            return f"hold {_staked(stake)}"
        case Capture(keys, unlock):
            return f"capture {_short(keys)}{' and unlock' if unlock else ''}"
        case Release(keys, reason):
            return f"release {_short(keys)}: {reason}"
        case Tell(recipient, act, _, _, body):
            return _told(_name(recipient), act, dict(body))


def _told(name: str, act: str, body: dict[str, Any]) -> str:
    match act, body:
        case "accept", {"decision": "accepted", "price": price, "award": {"rank": _}}:
            return f"accept {name} at {price:g}"
        case "reject", {"decision": "rejected", "reason": reason}:
            return f"reject {name}: {reason}"
        case "inform", {"outcome": outcome}:
            assert name == "alice"
            winners = [f", {_name(won['agent'])} at {won['price']:g}" for won in outcome["winners"]]
            return f"outcome {outcome['state']}: {outcome['reason']}{''.join(winners)}"
        case "inform", {"result": {"ranking": ranking, "decide_before": before}}:
            names = " ".join(_name(entry["agent"]) for entry in ranking)
            return f"show {name} {names} until {before:g}"
        case "inform", {"result": {"reveal_before": before}, "done": False}:
            return f"ask {name} to reveal until {before:g}"
        case "failure", {"detail": detail, "reason": reason}:
            return f"failure to {name}: {reason} {_name(detail)}"
        case "cancel", {"reason": reason}:
            return f"cancel {name}: {reason}"
        case _:
            raise AssertionError(f"an unexpected {act}: {body}")


def _staked(stake: Stake) -> str:
    locks = [f"{lock.units} {lock.resource}" for lock in stake.locks]
    paid = [f"{stake.micros / MICROS:g} of {_name(stake.payer)}"] if stake.payer else []
    return f"{_name(stake.agent)} {' and '.join([*locks, *paid])}"


def _short(keys: tuple[str, ...]) -> str:
    return " ".join(key.partition("/")[2] for key in keys)


def _name(address: str) -> str:
    return address.partition("://")[2]


class Play:
    """One negotiation, from its call to wherever the test leaves it."""

    def __init__(self, call: Call, now: float = 0.0) -> None:
        self.call = call
        self.opened = now
        self.events: list[tuple[float, Event]] = []
        self._step = PROTOCOLS[call.protocol].step
        self.state: Any
        self.state, effects = PROTOCOLS[call.protocol].open_call(call, now)
        self.history: list[tuple[Any, list[Effect]]] = [(self.state, effects)]
        self.unclaimed = list(effects)

    def at(self, now: float, *events: Event) -> Play:
        """Let events happen; what they cause has to be claimed by `then`."""
        for event in events:
            self._claimed()
            before = self.state
            state, effects = self._step(before, event, now)
            if state is before:
                assert all(isinstance(e, Refuse | Finish | Release) for e in effects), (
                    "a Tell counts"
                )
            self.state = pickle.loads(pickle.dumps(state))
            assert self.state == state
            self.events.append((now, event))
            self.history.append((state, effects))
            self.unclaimed = list(effects)
        return self

    def then(self, *expected: str) -> Play:
        """Claim all effects of the last event, in order; outcome includes its Finish."""
        happened = [words(effect) for effect in self.unclaimed]
        assert [word for word in happened if not word.startswith("finish")] == list(expected)
        self.unclaimed = []
        return self

    def told(self, *expected: str) -> Play:
        """Claim the effects of the last event that are for bidders, and pass over the rest."""
        happened = [
            words(effect) for effect in self.unclaimed if not isinstance(effect, Relay | Finish)
        ]
        assert [word for word in happened if not word.startswith("outcome")] == list(expected)
        self.unclaimed = []
        return self

    def shows(self, **expected: object) -> Play:
        """Expect these fields in the outcome."""
        outcome = self.outcome
        assert {key: outcome.get(key) for key in expected} == expected
        return self

    def is_in(self, phase: Phase, due: float | None = None) -> Play:
        """Expect the phase, and the next timer."""
        assert self.state.phase is phase
        if due is not None:
            assert self.state.due == due
        return self

    @property
    def outcome(self) -> dict[str, Any]:
        """The outcome that was told."""
        told = [
            body["outcome"]
            for _, effects in self.history
            for body in (effect.body for effect in effects if isinstance(effect, Tell))
            if "outcome" in body
        ]
        assert told, "the initiator has heard no outcome"
        return dict(cast("dict[str, Any]", told[-1]))

    @property
    def tells(self) -> list[Tell]:
        """Every message of the exchange's own so far."""
        return [e for _, effects in self.history for e in effects if isinstance(e, Tell)]

    def end(self) -> None:
        """Expect that nothing is unclaimed, ids count up, and a replay gives the same."""
        self._claimed()
        expected = [f"{self.call.negotiation_id}:{n}" for n in range(1, len(self.tells) + 1)]
        assert [tell.msg_id for tell in self.tells] == expected
        record = Record(self.call, self.opened, tuple(self.events))
        assert list(trace(pickle.loads(pickle.dumps(record)))) == self.history

    def _claimed(self) -> None:
        assert not self.unclaimed, [words(effect) for effect in self.unclaimed]
