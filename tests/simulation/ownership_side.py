"""One gateway process of a simulated cluster, with the parts that say what it may tell.

The table, the shard, the gate of awards, the fence and the membership are the product's own. What
goes between processes is the world's to carry; what the process does with etcd, links and agents
is here, as short as it can be. While it is frozen, everything that comes waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from federation.award_log import Entry, award_that_stands, proposal
from federation.etcd.transactions import Committed, Delete, KeyValue, Put, Transaction
from federation.fencing import NEVER, Fence, Word
from federation.membership import PREFIX, MemberInfo, Membership, read, written
from federation.peer_states import UNHEARD, PeerView
from federation.placement import gateway_of, heir_of
from gateway.awards import AwardGate
from policy.acceptance import PROFILES
from policy.call import Call
from policy.effects import Effect, Finish, Tell
from policy.events import Event, OfferReceived
from policy.shard import Shard
from policy.table import Record, Table
from tests.support.etcd_store import EtcdStore

LEASE_SECONDS = 4.0
DOUBT_SECONDS = 0.2
SIGHT_SECONDS = 0.45 * LEASE_SECONDS
HEARTBEAT_SECONDS = 1.0
LOOK_SECONDS = 0.75
RETRY_SECONDS = 0.4
QUEUE_MAX = 10_000
FOREVER = float("inf")
AWARDS = "awards/"


class Around(Protocol):
    """What is around a process."""

    store: EtcdStore

    def now(self) -> float:
        """Return the time that all clocks show."""

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later."""

    def ask(
        self,
        side: Side,
        serve: Callable[[EtcdStore], object],
        answer: Callable[[Any], None],
    ) -> None:
        """Ask etcd; the answer is None when there was none in time."""

    def beat(self, side: Side, gateway_id: str, what: Callable[[Side], None]) -> None:
        """Bring a heartbeat to another gateway, or not."""

    def tell_peer(self, side: Side, gateway_id: str, what: Callable[[Side], None]) -> bool:
        """Bring something over the link to another gateway; False when there is none."""

    def reaches(self, side: Side, info: MemberInfo) -> bool:
        """Tell whether there is a link to another gateway, as far as one can tell."""

    def call_out(self, side: Side, contractor: str, negotiation_id: str) -> None:
        """Bring a call to an agent, as soon as it can be reached."""

    def tell_award(self, side: Side, contractor: str, negotiation_id: str) -> None:
        """Bring an accept to an agent, as soon as it can be reached."""

    def tell_outcome(self, side: Side, call: Call, outcome: Mapping[str, Any]) -> None:
        """Bring the outcome to an initiator, as soon as it can be reached."""

    def mint(self, side: Side, key: str) -> str:
        """Return a fresh id for a call."""

    def decides(self, side: Side, negotiation_id: str) -> None:
        """Hear that a negotiation is decided."""

    def carries_out(self, side: Side, negotiation_id: str, outcome: Mapping[str, Any]) -> None:
        """Hear that a decision is told."""


class Side:
    """One process of a gateway."""

    def __init__(self, world: Around, gateway_id: str, number: int, *, writes_awards: bool) -> None:
        self.world = world
        self.gateway_id = gateway_id
        self.number = number
        self.own_key = PREFIX + gateway_id
        self.writes_awards = writes_awards
        self.is_dead = False
        self.frozen_at: float | None = None
        self.epoch = 0
        self.sure_until = NEVER
        self.answered_at = self.sees_since = NEVER
        self.membership = Membership(gateway_id)
        self.fence = Fence(HEARTBEAT_SECONDS)
        self.word = Word(HEARTBEAT_SECONDS)
        self.table = Table(keep_records=True)
        self.shard: Shard[Any] = Shard(0, self.table, world.now, self._step, QUEUE_MAX)
        self.shard.may_decide = self.may_decide
        self.gate = AwardGate(gateway_id, self._propose, self.perform, lambda _: writes_awards)
        self.gate.is_blind = self.is_blind
        self.gate.epoch = lambda: self.epoch
        self.gate.is_told = self._is_told
        self.is_leaving = False
        self.known: dict[str, str] = {}
        self.opened: dict[str, str] = {}
        """By call, the negotiation that it is here."""
        self.outcomes: dict[str, Mapping[str, Any]] = {}
        self._lease = 0
        self._was_registered = self._is_asking = False
        self._views: dict[str, PeerView] = {}
        self._heard_sent: dict[str, float] = {}
        self._waiting: list[Callable[[], None]] = []
        self._wakes_at = FOREVER

    def __str__(self) -> str:
        return f"{self.gateway_id}#{self.number}"

    def do(self, action: Callable[[], None]) -> None:
        """Let the process do something, as soon as it runs."""
        if self.is_dead:
            return
        if self.frozen_at is None:
            action()
        else:
            self._waiting.append(action)

    def thaw(self) -> None:
        self.frozen_at = None
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            self.do(action)

    # What it knows, and may do.

    def look(self) -> None:
        """Do what is due, again and again."""
        sent = self.world.now()
        if not self._is_asking:
            self._is_asking = True
            self.world.ask(self, self._registered, lambda answer: self._know(sent, answer))
        sees = self.word.say(sent, bool(self.epoch) and sent - self._kept_at < SIGHT_SECONDS)
        for other in self.membership.members:
            self.world.beat(self, other, self._heartbeat(other, sent, sees))
        self.gate.look()
        self.work()
        if self.is_leaving:
            self.hand_over()
        self.world.after(LOOK_SECONDS, lambda: self.do(self.look))

    @property
    def _kept_at(self) -> float:
        return self.sure_until - LEASE_SECONDS

    def _heartbeat(self, other: str, sent: float, sees: bool) -> Callable[[Side], None]:
        own, echo = self.gateway_id, self._heard_sent.get(other, NEVER)
        return lambda hearer: hearer.hear_beat(own, sent, echo, sees)

    def hear_beat(self, gateway_id: str, sent: float, echo: float, sees: bool) -> None:
        self._heard_sent[gateway_id] = sent
        self._views[gateway_id] = PeerView(self.world.now(), sees, frozenset(), echo)

    def _registered(self, store: EtcdStore) -> tuple[int, int, tuple[KeyValue, ...]]:
        """Be kept alive, or registered anew; the answer says who there is."""
        now, lease, pair = self.world.now(), self._lease, store.pairs.get(self.own_key)
        epoch = 0
        if store.keep_alive(lease, now) and pair is not None and pair.lease == lease:
            epoch = pair.create_revision
        elif pair is None or not self._was_registered:
            if pair is not None:
                store.commit(Transaction([], [Delete(self.own_key)]))
            lease = store.grant(LEASE_SECONDS, now)
            info = written(MemberInfo(self.gateway_id, "here", "", ""))
            epoch = store.commit(Transaction([], [Put(self.own_key, info, lease)])).revision
        return epoch, lease, store.under(PREFIX)

    def _know(self, sent: float, answer: tuple[int, int, tuple[KeyValue, ...]] | None) -> None:
        self._is_asking = False
        if answer is None:
            return
        now = self.world.now()
        if now - self.answered_at > SIGHT_SECONDS:
            self.sees_since = now
        self.answered_at = now
        self.epoch, self._lease, pairs = answer
        self.sure_until = sent + LEASE_SECONDS if self.epoch else NEVER
        self._was_registered |= bool(self.epoch)
        infos = (read(pair.value, pair.create_revision) for pair in pairs)
        self.membership.replace(info for info in infos if info is not None)
        self.may_decide()  # the fence has to know who was there

    def may_decide(self) -> bool:
        views = {one: self._views.get(one, UNHEARD) for one in self.membership.members}
        sure_until = self.sure_until - DOUBT_SECONDS
        return self.fence.may_decide(self.world.now(), self.epoch, sure_until, FOREVER, views)

    def is_blind(self) -> bool:
        return self.world.now() >= self.sure_until and self.may_decide()

    def _is_told(self, award: Entry) -> bool:
        if award.gateway_id == self.gateway_id:
            return self.table.knows(award.negotiation_id)
        info = self.membership.members.get(award.gateway_id)
        return info is not None and info.epoch == award.epoch and self.world.reaches(self, info)

    # What it owns.

    def hear_call(
        self,
        initiator: str,
        msg_id: str,
        eligible: tuple[str, ...],
        policy: str,
        *,
        sent_before: bool,
    ) -> None:
        """Open a negotiation, unless the call was heard before."""
        now, key = self.world.now(), f"{initiator}|{msg_id}"
        if key in self.opened:
            self._say_again(self.opened[key])
            return
        negotiation_id = self.opened[key] = self.world.mint(self, key)
        if sent_before:
            self.gate.repeated(negotiation_id)
        acceptance = PROFILES[policy]
        call = Call(negotiation_id, initiator, msg_id, eligible, acceptance, now + 3.0, now)
        self.shard.post(now, negotiation_id, call, None)
        self.work()

    def _say_again(self, negotiation_id: str) -> None:
        state = self.table.state(negotiation_id)
        if state is not None and negotiation_id in self.outcomes:
            self.world.tell_outcome(self, state.terms.call, self.outcomes[negotiation_id])

    def hear_offer(self, negotiation_id: str, offer: OfferReceived) -> None:
        """Take an offer of an agent that is here, or bring it to the owner."""
        owner = self.known.get(negotiation_id) or gateway_of(negotiation_id)
        if self._has(negotiation_id) or owner not in self.membership.members:
            self.take(negotiation_id, offer)
        else:
            self.world.tell_peer(self, owner, lambda other: other.take(negotiation_id, offer))

    def take(self, negotiation_id: str, event: Event) -> None:
        """Take an act for what is owned here, or was."""
        if self._has(negotiation_id):
            self.shard.post(self.world.now(), negotiation_id, event, None)
            self.work()
        else:
            self._pass_on(negotiation_id, event)

    def _has(self, negotiation_id: str) -> bool:
        is_own = gateway_of(negotiation_id) == self.gateway_id
        return is_own or self.table.knows(negotiation_id)

    def _pass_on(self, negotiation_id: str, event: Event) -> None:
        owner = self.known.get(negotiation_id)
        if owner is not None:
            self.world.tell_peer(self, owner, lambda other: other.take(negotiation_id, event))

    def work(self) -> None:
        """Let the shard do what is due, and wake up for its next deadline."""
        shard, now = self.shard, self.world.now()
        due = self.table.next_deadline()
        while (shard.queued or (due is not None and due <= now)) and shard.may_decide():
            shard.fire_timers(shard._queue[0][0] if shard.queued else now)
            shard._apply_slice()
            due = self.table.next_deadline()
        if due is not None and now < due < self._wakes_at:
            self._wakes_at = due
            self.world.after(due - now, lambda: self.do(self._wake))

    def _wake(self) -> None:
        self._wakes_at = FOREVER
        self.work()

    def _step(
        self,
        shard: Shard[Any],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Any,
    ) -> None:
        if any(type(effect) is Finish for effect in effects or ()):
            self.world.decides(self, negotiation_id)
        if not self.gate.takes(shard, negotiation_id, event, effects, cause):
            self.perform(shard, negotiation_id, event, effects, cause)

    def perform(
        self,
        shard: Shard[Any],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Any,
    ) -> None:
        """Carry out what a protocol asked for."""
        state = self.table.state(negotiation_id)
        if effects is None or state is None:
            assert event is not None and not isinstance(event, Call), "an act for nothing here"
            self._pass_on(negotiation_id, event)
            return
        call = state.terms.call
        if isinstance(event, Call):
            for contractor in call.eligible:
                self.world.call_out(self, contractor, negotiation_id)
        for effect in effects:  # what is told is checked before it is told
            if type(effect) is Finish:
                self.world.carries_out(self, negotiation_id, effect.outcome)
                self.table.close_record(negotiation_id)
        outcome: Any = next(
            (one.body["outcome"] for one in effects if type(one) is Tell and "outcome" in one.body),
            None,
        )
        if outcome is not None:
            self.outcomes[negotiation_id] = outcome
            self.world.tell_outcome(self, call, outcome)
        for effect in effects:
            if type(effect) is Tell and effect.act == "accept":
                assert outcome is not None, "who wins is told when all is over"
                self.world.tell_award(self, effect.recipient, str(outcome["negotiation_id"]))

    def is_bound(self) -> bool:
        return self.word.binds(self.world.now())

    def _propose(
        self, key: str, entry: Entry, heard: Callable[[Entry], None], is_repeated: bool
    ) -> None:
        def answered(done: Committed | None) -> None:
            if done is None:
                self.world.after(RETRY_SECONDS, lambda: self.do(ask))
            else:
                heard(award_that_stands(entry, done))
                self.work()

        def ask() -> None:
            if is_repeated and self.is_bound():
                answered(None)
                return
            asked = proposal(AWARDS + key, entry, 0)
            self.world.ask(self, lambda store: store.commit(asked), answered)

        ask()

    # What it hands over.

    def hand_over(self) -> None:
        """Give what is open to its heirs, as `gateway.inheritance` does."""
        living = self.membership.members.keys()
        for terms in list(self.table.open_terms()):
            negotiation_id = terms.call.negotiation_id
            heir = heir_of(negotiation_id, living)
            if heir is None or negotiation_id in self.gate:
                continue
            record = self.shard.give_up(negotiation_id)
            assert record is not None, "nothing is judged anywhere else here"
            again = self.gate.is_repeated(negotiation_id)
            if self.world.tell_peer(self, heir, self._handing(record, again)):
                self.known[negotiation_id] = heir
            else:
                self._take_up(record)

    def _handing(self, record: Record, sent_before: bool) -> Callable[[Side], None]:
        return lambda heir: heir.inherit(record, sent_before)

    def inherit(self, record: Record, sent_before: bool) -> None:
        """Go on with a negotiation of another gateway, and tell everybody."""
        self._take_up(record)
        if sent_before:
            self.gate.repeated(record.call.negotiation_id)
        negotiation_id = record.call.negotiation_id
        self.known.pop(negotiation_id, None)
        for other in self.membership.members:
            self.world.tell_peer(self, other, self._notice(negotiation_id))
        self.work()

    def _notice(self, negotiation_id: str) -> Callable[[Side], None]:
        own = self.gateway_id
        return lambda other: other.learn(negotiation_id, own)

    def learn(self, negotiation_id: str, owner: str) -> None:
        self.known[negotiation_id] = owner

    def _take_up(self, record: Record) -> None:
        call = record.call
        self.opened[f"{call.initiator}|{call.msg_id}"] = call.negotiation_id
        self.table.open(call, record.opened_at)
        for at, event in record.events:
            self.table.apply(call.negotiation_id, event, at)
