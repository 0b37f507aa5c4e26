"""The negotiations that this gateway owns: opening them, feeding them, carrying out effects.

An id reads `<gateway>.<shard>.<unique><tenant tag>`. The shard is where its acts go, the tag
keeps tenants apart without a table: an agent of another tenant hears that there is no such
negotiation.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from gateway.answers import UNKNOWN_NEGOTIATION, fault_of, opened
from gateway.causes import Cause, extended, nobody, redacted
from gateway.clock import Clock, iso_text
from gateway.codec import Teller
from gateway.journal import Opening, Story
from gateway.members import TAG_LENGTH, Members, Recipient, Tenant
from gateway.metrics import Metrics
from gateway.open_calls import OpenCalls
from gateway.outbox import Parcel, Pushed
from gateway.records import Recorder
from gateway.refusals import Fault, refusal_of
from gateway.router import QUEUED, Outlet, Router
from gateway.staked_calls import StakedCalls
from gateway.turns import ASKING, Bearer, Turns, relayed
from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.events import AgentGone, Event, MalformedReceived, ThinkingReceived
from policy.protocols import PROTOCOLS, Protocol
from policy.shard import Shard
from policy.states import net_of
from policy.table import Table

NOBODY: frozenset[str] = frozenset()
RANDOM_BYTES = 8
ADOPTED_MAX = 10_000
"""Negotiations of other gateways; of more, those that are forgotten are looked for."""
UNIQUE_LENGTH = 2 * RANDOM_BYTES + TAG_LENGTH
"""What follows the shard in an id: hexadecimal digits and the tenant's tag."""
HEAD, TAG = slice(-UNIQUE_LENGTH), slice(-TAG_LENGTH, None)


Gate = Callable[[Shard[Cause], str, Event | Call | None, list[Effect] | None, Cause | None], bool]
"""Takes a step to have it carried out later; False when it is to be carried out now."""


class Negotiations:
    """All shards of one gateway."""

    def __init__(
        self,
        gateway_id: str,
        now: Clock,
        members: Members,
        router: Router,
        metrics: Metrics,
        recorder: Recorder,
        shards: int,
        queue_max: int,
        open_max: int,
        finished_max: int,
        ttl_default: float,
        open_max_tenant: int,
        open_max_agent: int,
        protocols: Mapping[str, Protocol] = PROTOCOLS,
    ) -> None:
        """Make the shards; the caller runs each of them as a task."""
        self.protocols = protocols
        self._gateway_id = gateway_id
        self._address = f"gateway://{gateway_id}"
        self._now = now
        self._router: Outlet = router
        self._metrics = metrics
        self._recorder = recorder
        self._ttl = ttl_default
        self._turns = Turns(now)
        self._open_calls = OpenCalls(open_max_tenant, open_max_agent)
        self.want_of_room = self._open_calls.want_of_room
        self.open_of = self._open_calls.of
        self._minted = 0
        self._members = members
        self.shards: list[Shard[Cause]] = [
            Shard(
                number,
                Table(
                    max(1, open_max // shards),
                    max(1, finished_max // shards),
                    keep_records=True,
                    protocols=protocols,
                ),
                now,
                self._step,
                queue_max,
            )
            for number in range(shards)
        ]
        self._adopted: dict[str, Shard[Cause]] = {}
        self._shard_by_head = {f"{gateway_id}.{shard.number}.": shard for shard in self.shards}
        self.moved: Callable[[str, Cause], bool] = lambda negotiation_id, cause: False
        """Sends what caused a step of a negotiation that was handed over after it."""
        self.gate: Gate | None = None
        """Asked before each step is carried out, where awards are written before they are told."""
        self.staked: StakedCalls | None = None
        """Settles awards, where there is a ledger; elsewhere no call that needs one is admitted."""
        self.govern: Callable[[Call, Cause], tuple[Call, Cause]] = lambda call, cause: (call, cause)
        """Says who may answer a call that is about to be opened, by its rules of fairness."""
        self.on_finish: Callable[[str, Recipient], None] = lambda negotiation_id, initiator: None
        """Hears that the outcome of a negotiation is known, and who its initiator is."""
        router.on_undelivered = self._undelivered
        router.is_open = self._open_calls.__contains__
        self._retract = router.retract

    def __len__(self) -> int:
        """Return how many negotiations are open or remembered."""
        return sum(len(shard.table) for shard in self.shards)

    def is_known(self, negotiation_id: str) -> bool:
        """Tell whether a negotiation is open or remembered."""
        return any(shard.table.knows(negotiation_id) for shard in self.shards)

    def mint(self, tenant: Tenant) -> str:
        """Return a fresh id for a negotiation of `tenant`, in the next shard."""
        self._minted += 1  # for the shard only: an id tells nobody how much others negotiate
        number = self._minted % len(self.shards)
        return f"{self._gateway_id}.{number}.{secrets.token_hex(RANDOM_BYTES)}{tenant.tag}"

    def shard_of(self, negotiation_id: str, tenant: Tenant) -> Shard[Cause] | None:
        """Return the shard that owns an id, or None when it cannot be one of `tenant`'s."""
        if negotiation_id.endswith(tenant.tag):
            head = negotiation_id[HEAD]
            return self._shard_by_head.get(head) or self._adopted.get(negotiation_id)
        return None

    def open(self, call: Call, cause: Cause) -> Shard[Cause] | None:
        """Post a call; returns the shard to wait for when its queue is full."""
        call, cause = self.govern(call, cause)
        shard = self.shards[int(call.negotiation_id.rsplit(".", 2)[1])]
        return None if shard.post(call.opened_at, call.negotiation_id, call, cause) else shard

    def take_up(self, shard: Shard[Cause], story: Story, initiator: Recipient, now: float) -> bool:
        """Go on with a negotiation of an earlier life, or of another gateway; nobody is told.

        False when it cannot be opened.
        """
        opening, table = story.opening, shard.table
        call = opening.call
        remember = self._members.duplicates.remember
        remember(f"{opening.tenant}|{call.initiator}|{call.msg_id}", call.negotiation_id, now)
        table.open(call, opening.opened_at)
        if not table.knows(call.negotiation_id):
            return False
        self._open_calls.add(call, opening.topics, initiator)
        self._turns.opened(call)
        steps: list[tuple[Event, list[Effect]]] = []
        for at, event in story.events:
            effects = table.apply(call.negotiation_id, event, at) or []
            state = table.state(call.negotiation_id)
            net = None if state is None else net_of(state)
            if net is not None and call.negotiation_id in self._turns.deciding:
                self._turns.relayed(net, event, effects)
            if event.msg_id:
                remember(f"{opening.tenant}|{event.sender}|{event.msg_id}", "", now)
            steps.append((event, effects))
            if any(isinstance(effect, Finish) for effect in effects):
                self._open_calls.remove(call.negotiation_id)
                self._turns.forget(call.negotiation_id)
                table.close_record(call.negotiation_id)
        if self.staked is not None and call.stakes is not None:
            self.staked.recall(shard, story, steps)
        return True

    def adopt(self, story: Story, initiator: Recipient, now: float) -> bool:
        """Decide a negotiation from now on that another gateway has opened."""
        negotiation_id = story.opening.call.negotiation_id
        shard = self.shards[hash(negotiation_id) % len(self.shards)]
        if not self.take_up(shard, story, initiator, now):
            return False
        self._adopted[negotiation_id] = shard
        if len(self._adopted) > ADOPTED_MAX:
            self._adopted = {one: of for one, of in self._adopted.items() if of.table.knows(one)}
        shard.wake()
        return True

    def give_up(self, negotiation_id: str, tenant: Tenant) -> Story | None:
        """Decide an open negotiation no more; returns what its next owner goes on with.

        None when it is not open here, or something of it is still being judged or written.
        """
        shard = self.shard_of(negotiation_id, tenant)
        record = None if shard is None else shard.give_up(negotiation_id)
        if record is None:
            return None
        _, direct = self._open_calls[negotiation_id]
        self._open_calls.remove(negotiation_id)
        self._turns.forget(negotiation_id)
        self._adopted.pop(negotiation_id, None)
        if self.staked is not None:
            self.staked.settlement.forget(negotiation_id)
        topics = tuple(None if agent in direct else "" for agent in record.call.eligible)
        opening = Opening(tenant.name, record.call, record.opened_at, topics)
        return Story(opening, list(record.events))

    def malformed(self, negotiation_id: str, cause: Cause) -> None:
        """Tell a negotiation that a party sent something that broke its schema."""
        shard = self.shard_of(negotiation_id, cause.sender.tenant)
        if shard is not None:
            event = MalformedReceived(cause.sender.agent_id, cause.parcel.msg_id)
            shard.post(self._now(), negotiation_id, event, cause)

    def leave(self, gone: Collection[Recipient]) -> None:
        """Tell the open negotiations of members that are gone, all in one look through them."""
        by_tag: dict[str, dict[str, Recipient]] = {}
        for member in gone:
            by_tag.setdefault(member.tenant.tag, {})[member.agent_id] = member
        names = {tag: frozenset(members) for tag, members in by_tag.items()}
        for shard in self.shards:
            for terms in list(shard.table.open_terms()):
                negotiation_id = terms.call.negotiation_id
                tag = negotiation_id[TAG]
                left = names.get(tag, NOBODY)
                if not left.isdisjoint(terms.eligible):
                    for agent_id in left & terms.eligible:
                        self._gone(shard, negotiation_id, by_tag[tag][agent_id])

    def revoked(self, member: Recipient) -> None:
        """Take a member out of what it was called to directly and consents to no more."""
        now, tenant = self._now(), member.tenant
        for negotiation_id, (initiator, direct) in self._open_calls.items():
            if (
                member.agent_id in direct
                and initiator.tenant is tenant
                and not member.allows(initiator.agent_id, None, now)
            ):
                shard = self.shard_of(negotiation_id, tenant)
                assert shard is not None, "only what this gateway has opened is kept here"
                self._gone(shard, negotiation_id, member)

    def _gone(self, shard: Shard[Cause], negotiation_id: str, member: Recipient) -> None:
        shard.post(self._now(), negotiation_id, AgentGone(member.agent_id), nobody(member))

    def opened_again(self, negotiation_id: str, msg_id: str, tenant: Tenant) -> bytes | None:
        """Return the answer that a call got when it came first, if it is still remembered."""
        shard = self.shard_of(negotiation_id, tenant)
        state = None if shard is None else shard.table.state(negotiation_id)
        return None if state is None else opened(state.terms.call, msg_id)

    def _undelivered(self, member: Recipient, parcel: Parcel) -> None:
        """Hear that the router gave up on a message."""
        if not parcel.negotiation_id:
            return
        shard = self.shard_of(parcel.negotiation_id, member.tenant)
        state = None if shard is None else shard.table.state(parcel.negotiation_id)
        if shard is None or state is None or state.terms.initiator == member.agent_id:
            return  # an initiator that misses an offer still decides, or hears the outcome
        self._gone(shard, parcel.negotiation_id, member)

    def _step(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> None:
        """Carry out a step, unless it has to wait."""
        if self.gate is None or not self.gate(shard, negotiation_id, event, effects, cause):
            self.perform(shard, negotiation_id, event, effects, cause)
        if cause is not None and cause.author is not None:
            cause.author.judged()

    def perform(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> None:
        """Carry out what a protocol asked for."""
        if effects is None:
            if cause is not None and self.moved(negotiation_id, cause):
                return
            # What was malformed has been refused for that already.
            msg_id = "" if cause is None else cause.parcel.msg_id
            if cause is not None and msg_id and type(event) is not MalformedReceived:
                self._refuse(cause.sender, msg_id, negotiation_id, UNKNOWN_NEGOTIATION)
            return
        if type(event) is Call and cause is not None:
            self._answer_call(event, effects, cause)
        elif cause is not None and (
            type(event) is ThinkingReceived or negotiation_id in self._turns.deciding
        ):
            cause = self._with_turn(shard, negotiation_id, event, effects, cause)
        tenant = self._members.tenant_by_tag.get(negotiation_id[TAG])
        members = {} if tenant is None else tenant.everyone
        teller: Teller | None = None
        bearer: Bearer | None = None
        for effect in effects:
            if type(effect) is Relay:
                assert cause is not None, "only a message can be relayed"
                if effect.turn is None:
                    self._relay(members.get(effect.recipient), cause.parcel, cause)
                elif type(event) is not Call:
                    bearer = bearer or Bearer(self._turns, relayed(cause, event))
                    own = bearer.to(effect.turn)
                    self._relay(members.get(effect.recipient), own.parcel, own)
            elif type(effect) is Tell:
                member = members.get(effect.recipient)
                if member is None:
                    continue  # it left; the engine hears of that as AgentGone
                if teller is None:
                    now = self._now()
                    teller = Teller(self._address, negotiation_id, iso_text(now))
                    expires_at = now + self._ttl
                told = teller.told(effect)
                if effect.turn is not None:
                    told += self._turns.told(effect.turn)
                elif effect.act in ASKING:
                    told += self._turns.asked(shard.table.state(negotiation_id), effect)
                parcel = Parcel(effect.msg_id, told, expires_at, "", negotiation_id, True)
                pushed = self._router.deliver(member, parcel)
                if pushed is not QUEUED and pushed is Pushed.FULL:
                    self._router.undelivered(member, [parcel], "recipient_overloaded")
            elif type(effect) is Refuse:
                member = members.get(effect.recipient)
                if member is not None and effect.msg_id:
                    self._refuse(member, effect.msg_id, negotiation_id, fault_of(effect))
            elif type(effect) is Finish:
                self._finish(shard, negotiation_id, effect.outcome)
            elif self.staked is not None:
                self._router.then(self.staked.carried_out(shard, negotiation_id, effect))

    def _answer_call(self, call: Call, effects: list[Effect], cause: Cause) -> None:
        """Tell the initiator that its call is open, and everybody eligible of the call."""
        if effects and type(effects[0]) is Refuse:
            key = cause.sender.key + cause.parcel.msg_id
            self._members.duplicates.forget(key)
            self._members.once.forget(key)
            return
        self._metrics.calls += 1
        self._router.answer_opened(cause.sender, opened(call, call.msg_id))
        self._open_calls.add(call, cause.topics, cause.sender)
        members = cause.sender.tenant.everyone
        for agent_id, own in self._turns.called(call, effects, cause):
            self._relay(members.get(agent_id), own.parcel, own)

    def _with_turn(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect],
        cause: Cause,
    ) -> Cause:
        """Return the cause as its message is relayed to the initiator, if it is."""
        state = shard.table.state(negotiation_id)
        net = None if state is None else net_of(state)
        if state is None or net is None or event is None or isinstance(event, Call):
            return cause
        left = getattr(state, "rounds_left", 0)
        return extended(cause, self._turns.relayed(net, event, effects, left))

    def _relay(self, member: Recipient | None, parcel: Parcel, cause: Cause) -> None:
        if member is None:
            return  # it left; the engine hears of that as AgentGone
        if cause.sensitive:
            envelope = redacted(cause, member, parcel.heard_on or None, self._now())
            parcel = msgspec.structs.replace(parcel, envelope=envelope)
        pushed = self._router.deliver(member, parcel)
        if pushed is QUEUED:
            return
        if pushed is Pushed.FULL:
            self._router.undelivered(member, [parcel], "recipient_overloaded")
        elif pushed is Pushed.ID_TAKEN:
            self._router.undelivered(member, [parcel], "msg_id_taken")

    def _refuse(self, member: Recipient, msg_id: str, negotiation_id: str, fault: Fault) -> None:
        self._metrics.refused[fault.code] += 1
        refusal = refusal_of(fault, msg_id, negotiation_id)
        self._router.answer_refused(member, refusal.SerializeToString())

    def _finish(self, shard: Shard[Cause], negotiation_id: str, outcome: Mapping[str, Any]) -> None:
        initiator, _ = self._open_calls[negotiation_id]
        self._open_calls.remove(negotiation_id)
        self._router.then(lambda: self.on_finish(negotiation_id, initiator))
        self._turns.forget(negotiation_id)
        self._metrics.finished[outcome["state"]] += 1
        self._metrics.decided(outcome["decided_at"] - outcome["opened_at"])
        record = shard.table.close_record(negotiation_id)
        self._router.then(lambda: self._recorder.finished(record, outcome))
        state = shard.table.state(negotiation_id)
        if state is not None and not outcome.get("complete", True):
            call = state.terms.call
            tenant = self._members.tenant_by_tag.get(negotiation_id[TAG])
            self._router.then(lambda: self._retract(tenant, call))
