"""Negotiations that change their owner because it leaves.

Its heir is the living gateway that ranks highest for the id, so everybody finds it. The heir gets
the call and its events with their times, plays them into a table of its own, and tells
everybody that the negotiation is with it now. What arrives at the old owner meanwhile goes on
to the heir. Nobody hears any of it twice: what the events asked for was told when they came.

A durable negotiation stays on the disk it was written to, and goes on when its gateway does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog

from federation.placement import gateway_of, heir_of
from gateway.answers import UNKNOWN_NEGOTIATION
from gateway.causes import Cause
from gateway.clock import Clock
from gateway.journal import Opening, Story, decoded, encoded
from gateway.members import TAG_LENGTH, Members, Recipient
from gateway.negotiations import Negotiations
from gateway.outbox import Parcel
from gateway.peers import Peers
from gateway.refusals import Fault
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.peering_pb2 import ForwardedAct, NegotiationHandover, PeerMessage

KNOWN_MAX = 100_000
"""Negotiations of which is remembered that they are not with the gateway in their id."""
HANDED_AT_ONCE_MAX = 200

OWNER_CROWDED = Fault(
    "OVERLOADED",
    "the gateway that owns the negotiation is behind with what it is told",
    "send it again in a moment",
    retry_after=1.0,
)

log = structlog.get_logger("llmx.inheritance")

_encode = msgspec.msgpack.Encoder().encode


class _Written(msgspec.Struct, frozen=True, array_like=True):
    opening: Opening
    events: tuple[bytes, ...]


_decode = msgspec.msgpack.Decoder(_Written).decode


class Inheritance:
    """Who owns which negotiation, seen from one gateway."""

    def __init__(
        self,
        members: Members,
        peers: Peers,
        negotiations: Negotiations,
        living: Callable[[], Collection[str]],
        now: Clock,
    ) -> None:
        """Serve one gateway; `living` are the other members of the cluster."""
        self.heirs: Callable[[], Collection[str]] = living
        """Those of them that do not leave themselves."""
        self._members = members
        self._peers = peers
        self._negotiations = negotiations
        self._living = living
        self._now = now
        self._known: dict[str, str] = {}
        self._acts: dict[str, list[bytes]] = {}
        self.stays: Callable[[str], bool] = lambda negotiation_id: False
        """Tells which negotiations are not handed over: durable ones, and while an award waits."""
        self.is_repeated: Callable[[str], bool] = lambda negotiation_id: False
        """Tells of which negotiations the call may have an award that was told elsewhere."""
        self.on_repeated: Callable[[str], None] = lambda negotiation_id: None
        """Hears that of a negotiation that is decided here from now on."""
        self.on_inherited: Callable[[str], None] = lambda negotiation_id: None
        """Hears of negotiations that are decided here from now on."""
        self.trace_of: Callable[[str], str] = lambda negotiation_id: ""
        """Tells of what trace a negotiation is a part, for its heir; empty where none are made."""
        peers.heard["negotiation"] = self._hear
        peers.on_foreign_act = self._pass_on
        negotiations.moved = self._moved

    def send(
        self,
        member: Recipient,
        parcel: Parcel,
        sensitive: tuple[str, ...],
        is_malformed: bool,
    ) -> Fault | None:
        """Send an act to the owner of its negotiation; returns why that cannot be."""
        owner = self._owner(parcel.negotiation_id)
        if owner is None:
            return UNKNOWN_NEGOTIATION
        if self._peers.forward(
            owner, member, parcel, sensitive=sensitive, is_malformed=is_malformed
        ):
            return None
        return OWNER_CROWDED

    def _owner(self, negotiation_id: str) -> str | None:
        owner = self._known.get(negotiation_id) or gateway_of(negotiation_id)
        return owner if owner in self._living() else None

    # ------------------------------------------------------------------ acts on their way

    def ended(self, gateway_id: str, unconfirmed: Sequence[bytes]) -> None:
        """Keep the acts that a gateway had not confirmed for its next life."""
        acts = self._acts.setdefault(gateway_id, [])
        acts += [raw for raw in unconfirmed if PeerMessage.FromString(raw).HasField("act")]
        self.look()

    def begun(self, gateway_id: str) -> None:
        """Send the acts that its last life had not confirmed to a gateway that is back."""
        for raw in self._acts.pop(gateway_id, ()):
            self._peers.send(gateway_id, raw)

    def look(self) -> None:
        """Refuse the acts of those that are no members any more: their negotiations are gone."""
        for gateway_id in self._acts.keys() - set(self._living()):
            for raw in self._acts.pop(gateway_id):
                act = PeerMessage.FromString(raw).act
                envelope = Envelope.FromString(act.envelope)
                member = self._members.tenant(act.tenant).everyone.get(act.agent_id)
                if member is not None:
                    self._peers.refuse(member, envelope, UNKNOWN_NEGOTIATION)

    # ------------------------------------------------------------------ giving

    def hand_over(self) -> int:
        """Give some of the open negotiations to their heirs; returns how many."""
        heirs, given = self.heirs(), 0
        for shard in self._negotiations.shards if heirs else ():
            for terms in list(shard.table.open_terms()):
                given += self._give(terms.call.negotiation_id, heirs)
                if given >= HANDED_AT_ONCE_MAX:
                    return given
        return given

    def _give(self, negotiation_id: str, heirs: Collection[str]) -> bool:
        tenant = self._members.tenant_by_tag.get(negotiation_id[-TAG_LENGTH:])
        heir = heir_of(negotiation_id, heirs)
        if tenant is None or heir is None or self.stays(negotiation_id):
            return False
        story = self._negotiations.give_up(negotiation_id, tenant)
        if story is None:
            return False
        written = _Written(story.opening, tuple(encoded(at, event) for at, event in story.events))
        told = NegotiationHandover(
            negotiation_id=negotiation_id,
            record=_encode(written),
            sent_before=self.is_repeated(negotiation_id),
            traceparent=self.trace_of(negotiation_id),
        )
        if not self._peers.send(heir, PeerMessage(negotiation=told).SerializeToString()):
            initiator = tenant.everyone.get(story.opening.call.initiator)
            if initiator is not None:
                self._negotiations.adopt(story, initiator, self._now())
            return False
        self._know(negotiation_id, heir)
        log.debug("negotiation given", negotiation_id=negotiation_id, heir=heir)
        return True

    def _moved(self, negotiation_id: str, cause: Cause) -> bool:
        """Pass on what waited here when its negotiation was handed over."""
        owner = self._known.get(negotiation_id)
        if owner is None or not cause.parcel.msg_id:
            return False
        return self._peers.forward(owner, cause.sender, cause.parcel, sensitive=cause.sensitive)

    def _pass_on(self, act: ForwardedAct, negotiation_id: str) -> bool:
        """Pass on what another gateway sent here, because it does not know yet."""
        owner = self._known.get(negotiation_id)
        if owner is None:
            return False
        return self._peers.send(owner, PeerMessage(act=act).SerializeToString())

    # ------------------------------------------------------------------ taking

    def _hear(self, gateway_id: str, told: NegotiationHandover) -> None:
        if not told.record:
            self._know(told.negotiation_id, gateway_id)
            return
        written = _decode(told.record)
        story = Story(written.opening, [decoded(event) for event in written.events])
        call = story.opening.call
        initiator = self._members.tenant(story.opening.tenant).everyone.get(call.initiator)
        if initiator is None or not self._negotiations.adopt(story, initiator, self._now()):
            log.warning("a negotiation cannot go on here", negotiation_id=call.negotiation_id)
            return
        self._known.pop(call.negotiation_id, None)
        if told.sent_before:
            self.on_repeated(call.negotiation_id)
        notice = NegotiationHandover(negotiation_id=call.negotiation_id)
        raw = PeerMessage(negotiation=notice).SerializeToString()
        for other in self._living():
            self._peers.send(other, raw)
        self.on_inherited(call.negotiation_id)
        log.debug("negotiation inherited", negotiation_id=call.negotiation_id, owner=gateway_id)

    def _know(self, negotiation_id: str, owner: str) -> None:
        self._known[negotiation_id] = owner
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
