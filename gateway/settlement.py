"""Settles awards: writes what they hold to the store, and tells the engine what became of it.

What one negotiation asks for is done in its order, one commit at a time; negotiations do not wait
for each other. A commit whose fate is unknown is asked for again under the same key, which makes
that harmless. An award is tried until its deadline; then the engine has it called off, and the
store's answer to that says whether there was anything to undo. What is owed to the ledger, a
payment or a return, is tried until it is done, or the gateway stops: then holds end by themselves,
and a gateway that starts again asks for the same once more.

    perform --asked--> chain of jobs --commit--> store
       ^                    |
       +------ shard <--post+ Settled, NotSettled, HoldRefused

Where the award of a call is known at once, it is written in the same commit. Then nobody else can
award the call, and a later negotiation of it hears which award stands: its agents are told of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import orjson
import structlog

from federation.award_log import Entry
from gateway import commits
from gateway.awards import superseded
from gateway.causes import Cause
from gateway.certain_commits import CertainCommits
from gateway.chains import Chains, Job
from gateway.clock import Clock
from gateway.commits import Owner
from gateway.known_budgets import KnownBudgets
from policy.call import Call
from policy.effects import Capture, Effect, Finish, Hold, Release, Settle
from policy.events import Event, NotSettled, Settled
from policy.protocols import PROTOCOLS, Protocol
from policy.settling import UNANSWERED
from policy.shard import Shard
from policy.stakes import Stake
from policy.store import Committed, Refused, Store, StoreError

EXPIRE_SECONDS = 5.0
"""How often holds are looked for whose time is over."""
AGAIN_SECONDS = 60.0
"""How long an award of an earlier life may wait: the gateway joins its cluster meanwhile."""
CHAINS_MAX = 100_000
"""Negotiations with something to do; awards of more are refused."""
OPENED_AGAIN = frozenset(("late", UNANSWERED, "cancelled"))
"""Why a stake is given back when the call has no award then."""

Perform = Callable[
    [Shard[Cause], str, "Event | Call | None", "list[Effect] | None", "Cause | None"], None
]

log = structlog.get_logger("llmx.settlement")


@dataclass(slots=True)
class _Known:
    """One negotiation whose awards hold something."""

    shard: Shard[Cause]
    call: Call
    owner: Owner
    stakes: dict[str, Stake] = field(default_factory=dict)
    """By their keys: those that are asked for or held."""
    written: set[int] = field(default_factory=set)
    """The times of asking that the store has written."""
    paid: dict[str, str] = field(default_factory=dict)
    """Stakes that are paid, each with the key of the commit."""
    is_decided: bool = False
    """The award of the call stands in the store."""


class Settlement:
    """Settles the awards of one gateway."""

    def __init__(self, gateway_id: str, store: Store, perform: Perform, now: Clock) -> None:
        """Write to `store`; `perform` carries out steps."""
        self._gateway_id = gateway_id
        self._store = store
        self._ledger = CertainCommits(store, now)
        self._perform = perform
        self._now = now
        self._known: dict[str, _Known] = {}
        self.chains = Chains(self._ended)
        self.budgets = KnownBudgets(store, now)
        self._stands: dict[str, Entry] = {}
        self.protocols: Mapping[str, Protocol] = PROTOCOLS
        self.epoch: Callable[[], int] = lambda: 0
        """Tells under which epoch this gateway lives."""
        self.is_told: Callable[[Entry], bool] = lambda entry: False
        """Tells whether the gateway that made an award is there, and has told it itself."""
        self.settled = 0
        self.refused = 0
        self.undone = 0
        """Awards that the store had written, and that nobody wanted any more."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Settlement: {len(self._known)} negotiations, {len(self.chains)} at work>"

    def __contains__(self, negotiation_id: object) -> bool:
        """Tell whether something of a negotiation is being written."""
        return negotiation_id in self.chains

    def has_decided(self, negotiation_id: str) -> bool:
        """Tell whether the award of a negotiation stands in the store already."""
        known = self._known.get(negotiation_id)
        return known is not None and known.is_decided

    def forget(self, negotiation_id: str) -> None:
        """Know a negotiation no more that is decided elsewhere from now on."""
        self._known.pop(negotiation_id, None)

    # ------------------------------------------------------------------ what the engine asks for

    def asked(self, shard: Shard[Cause], call: Call, owner: Owner, effect: Effect) -> Job:
        """Return what carries out an effect about stakes, to be handed to `then`.

        Taken at once from the state that the step has led to, though it is done later.
        """
        negotiation_id = call.negotiation_id
        known = self._known.get(negotiation_id)
        if known is None:
            known = self._known[negotiation_id] = _Known(shard, call, owner)
        match effect:
            case Settle():
                known.stakes |= {stake.key: stake for stake in effect.stakes}
                award, paid = self._foreseen(shard, call, effect)
                return lambda: self._settle(known, effect, award, paid)
            case Hold(stake):
                known.stakes[stake.key] = stake
                return lambda: self._hold(known, stake)
            case Capture(keys, unlock):
                return lambda: self._capture(known, keys, unlock=unlock)
            case Release(keys, reason):
                return lambda: self._release(known, keys, reason)
            case _:
                raise AssertionError(f"{type(effect).__name__} is not about what an award holds")

    def then(self, negotiation_id: str, job: Job) -> None:
        """Do a job when those before it are done."""
        self.chains.add(negotiation_id, job)

    def _foreseen(
        self, shard: Shard[Cause], call: Call, settle: Settle
    ) -> tuple[Entry | None, frozenset[str]]:
        """Return the award that follows at once when this is written, and what it pays at once."""
        state = shard.table.state(call.negotiation_id)
        if state is None:
            return None, frozenset()
        locks = {stake.key: stake.locks for stake in settle.stakes}
        event = Settled(number=settle.number, locks=locks)
        _, effects = self.protocols[call.protocol].step(state, event, shard.at)
        outcome = next((one.outcome for one in effects if isinstance(one, Finish)), None)
        if outcome is None or not outcome["winners"]:
            return None, frozenset()
        entry = Entry(call.negotiation_id, self._gateway_id, orjson.dumps(outcome), self.epoch())
        return entry, commits.paid_at_once(effects)

    def recall(
        self,
        shard: Shard[Cause],
        call: Call,
        owner: Owner,
        steps: Iterable[tuple[Event, Sequence[Effect]]],
    ) -> None:
        """Take a negotiation up again, after its events were played: ask for all of it once more.

        What was written is answered as the first time; an award that the engine has heard of
        already is not asked for.
        """
        jobs: list[Effect] = []
        heard: set[int] = set()
        known = _Known(shard, call, owner)
        for event, effects in steps:
            jobs += [one for one in effects if isinstance(one, Settle | Capture | Release)]
            if isinstance(event, Settled | NotSettled):
                heard.add(event.number)
            if isinstance(event, Settled):
                known.written.add(event.number)
                known.is_decided |= any(isinstance(one, Finish) for one in effects)
                by = commits.settle_key(call.negotiation_id, event.number)
                known.paid |= dict.fromkeys(commits.paid_at_once(effects), by)
        if not jobs:
            return
        self._known[call.negotiation_id] = known
        over = {key for one in jobs if isinstance(one, Release) for key in one.keys}
        for effect in jobs:
            job = self.asked(shard, call, owner, effect)
            if not isinstance(effect, Settle):
                self.then(call.negotiation_id, job)
            elif effect.number not in heard and over.isdisjoint(s.key for s in effect.stakes):
                self.then(call.negotiation_id, self._again(known, effect))

    def takes(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> bool:
        """Carry out a step in which a negotiation hears that its call has another award.

        False for every other step.
        """
        if type(event) is not NotSettled or effects is None or event.reason != "SUPERSEDED":
            return False
        stands = self._stands.pop(negotiation_id, None)
        if stands is None:
            return False
        log.warning(
            "the call had an award already",
            negotiation_id=negotiation_id,
            award=stands.negotiation_id,
            gateway=stands.gateway_id,
        )
        outcome = orjson.loads(stands.outcome)
        changed = superseded(effects, outcome, is_lost=not self.is_told(stands))
        self._perform(shard, negotiation_id, event, changed, cause)
        return True

    # ------------------------------------------------------------------ at work

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.chains.run())
            tasks.create_task(self._expire())

    async def finished(self) -> None:
        """Wait until nothing is left to be written."""
        await self.chains.finished()

    def _ended(self, negotiation_id: str) -> None:
        known = self._known.get(negotiation_id)
        if known is not None and not known.stakes:
            del self._known[negotiation_id]

    def _again(self, known: _Known, settle: Settle) -> Job:
        """Ask for an award whose answer was lost with an earlier life, as if no time had passed.

        Meanwhile its deadline waits: it may be written, and then its agents shall hear of it.
        """
        negotiation_id, shard = known.call.negotiation_id, known.shard
        state = shard.table.state(negotiation_id)
        received_at = settle.answer_by if state is None else min(settle.answer_by, state.due)
        is_held = shard.hold(negotiation_id, received_at)
        award, paid = self._foreseen(shard, known.call, settle)

        async def ask() -> None:
            renewed = msgspec.structs.replace(settle, answer_by=self._now() + AGAIN_SECONDS)
            try:
                await self._settle(known, renewed, award, paid, received_at)
            finally:
                if is_held:
                    shard.release(negotiation_id)

        return ask

    async def _settle(
        self,
        known: _Known,
        settle: Settle,
        award: Entry | None,
        paid: frozenset[str],
        received_at: float | None = None,
    ) -> None:
        if len(self.chains) > CHAINS_MAX:
            self._post(
                known, NotSettled(number=settle.number, reason="STORE_UNAVAILABLE"), received_at
            )
            return
        named = {known.owner.named(stake.payer) for stake in settle.stakes if stake.micros}
        budgets = await self.budgets.among(named, settle.answer_by)
        if budgets is None:
            return  # as below
        commit = commits.settling(
            settle, known.call, known.owner, self._now(), award, budgets, paid
        )
        if not commit.changes:  # it costs nothing and needs nothing
            self._post(known, Settled(number=settle.number), received_at)
            return
        answer = await self._ledger.award(commit, settle.answer_by)
        if answer is None:
            return  # its deadline has passed, and it is called off
        if isinstance(answer, Refused):
            self.refused += 1
            if answer.decision is not None:
                self._stands[known.call.negotiation_id] = commits.award_of(answer.decision)
            for stake in settle.stakes:
                known.stakes.pop(stake.key, None)
        elif not answer.entry.is_void:
            self.settled += 1
            known.written.add(settle.number)
            for stake in settle.stakes:
                known.stakes.pop(stake.instead_of, None)
            known.is_decided = award is not None
            known.paid |= dict.fromkeys(paid, commit.key)
        event = commits.event_of(settle, answer, known.owner)
        if event is not None:
            self._post(known, event, received_at)

    async def _hold(self, known: _Known, stake: Stake) -> None:
        owner, negotiation_id = known.owner, known.call.negotiation_id
        answer = await self._ledger.award(
            commits.softly(stake, owner, negotiation_id, self._now()), stake.ends_at
        )
        event = None if answer is None else commits.hold_event_of(stake, answer)
        if event is not None:
            known.stakes.pop(stake.key, None)
            self._post(known, event)

    async def _capture(self, known: _Known, keys: Sequence[str], *, unlock: bool) -> None:
        for key in keys:
            stake = known.stakes.pop(key, None)
            if stake is None or (key in known.paid and not unlock):
                continue
            commit = commits.capturing(stake, known.owner, self._now(), unlock=unlock)
            if commit.changes:
                await self._ledger.owed(commit, stake.ends_at)

    async def _release(self, known: _Known, keys: Sequence[str], reason: str) -> None:
        numbers = {commits.number_of(key) for key in keys if key in known.stakes}
        for number in sorted(numbers - known.written - {0}):
            await self._call_off(known, number)
        for key in keys:
            stake = known.stakes.pop(key, None)
            if stake is None:
                continue
            self.undone += reason in OPENED_AGAIN
            reopened = known.call if known.is_decided and reason in OPENED_AGAIN else None
            commit = commits.returning(
                stake,
                known.owner,
                self._now(),
                paid_by=known.paid.get(key, ""),
                reopened=reopened,
            )
            if commit.changes:
                await self._ledger.owed(commit)

    async def _call_off(self, known: _Known, number: int) -> None:
        """Make sure that an award is not written, or find that it is."""
        negotiation_id = known.call.negotiation_id
        commit = commits.voiding(negotiation_id, number, self._now())
        answer = await self._ledger.commit(commit)
        if not isinstance(answer, Committed) or answer.entry.is_void:
            place = f"{negotiation_id}/{number}/"
            known.stakes = {k: s for k, s in known.stakes.items() if not k.startswith(place)}
            return
        known.written.add(number)
        known.is_decided = True  # to be opened again; nothing happens if it was not
        known.paid |= {spent.hold_id: commit.key for spent in answer.entry.spent}

    def _post(self, known: _Known, event: Event, received_at: float | None = None) -> None:
        at = self._now() if received_at is None else min(received_at, self._now())
        known.shard.post(at, known.call.negotiation_id, event, None)

    async def _expire(self) -> None:
        while True:
            try:
                ended = await self._store.expire(self._now())
            except StoreError as error:
                log.warning("holds that are over cannot be released now", error=str(error))
            else:
                if ended:
                    log.info("holds have ended by themselves", count=ended)
            await asyncio.sleep(EXPIRE_SECONDS)
