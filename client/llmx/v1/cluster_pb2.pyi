import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from llmx.v1 import agent_pb2 as _agent_pb2
from llmx.v1 import negotiation_pb2 as _negotiation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DiscoveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCOVERY_STATE_UNSPECIFIED: _ClassVar[DiscoveryState]
    DISCOVERY_STATE_ALONE: _ClassVar[DiscoveryState]
    DISCOVERY_STATE_STATIC: _ClassVar[DiscoveryState]
    DISCOVERY_STATE_REACHED: _ClassVar[DiscoveryState]
    DISCOVERY_STATE_LOST: _ClassVar[DiscoveryState]

class Reach(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REACH_UNSPECIFIED: _ClassVar[Reach]
    REACH_SELF: _ClassVar[Reach]
    REACH_LINKED: _ClassVar[Reach]
    REACH_RELAYED: _ClassVar[Reach]
    REACH_NONE: _ClassVar[Reach]

class LinkCondition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINK_CONDITION_UNSPECIFIED: _ClassVar[LinkCondition]
    LINK_CONDITION_OPEN: _ClassVar[LinkCondition]
    LINK_CONDITION_RELAYED: _ClassVar[LinkCondition]
    LINK_CONDITION_DOWN: _ClassVar[LinkCondition]

class PartyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTY_STATE_UNSPECIFIED: _ClassVar[PartyState]
    PARTY_STATE_CALLED: _ClassVar[PartyState]
    PARTY_STATE_THINKING: _ClassVar[PartyState]
    PARTY_STATE_OFFERED: _ClassVar[PartyState]
    PARTY_STATE_DECLINED: _ClassVar[PartyState]
    PARTY_STATE_WITHDRAWN: _ClassVar[PartyState]
    PARTY_STATE_LATE: _ClassVar[PartyState]
    PARTY_STATE_GONE: _ClassVar[PartyState]
    PARTY_STATE_CONFIRMING: _ClassVar[PartyState]
    PARTY_STATE_WON: _ClassVar[PartyState]
    PARTY_STATE_LOST: _ClassVar[PartyState]
    PARTY_STATE_TO_MOVE: _ClassVar[PartyState]
    PARTY_STATE_WAITS: _ClassVar[PartyState]
    PARTY_STATE_DISMISSED: _ClassVar[PartyState]
    PARTY_STATE_COMMITTED: _ClassVar[PartyState]
    PARTY_STATE_REVEALED: _ClassVar[PartyState]

class DrainState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DRAIN_STATE_UNSPECIFIED: _ClassVar[DrainState]
    DRAIN_STATE_MOVING: _ClassVar[DrainState]
    DRAIN_STATE_DRAINED: _ClassVar[DrainState]
    DRAIN_STATE_ABORTED: _ClassVar[DrainState]
    DRAIN_STATE_EXPIRED: _ClassVar[DrainState]
DISCOVERY_STATE_UNSPECIFIED: DiscoveryState
DISCOVERY_STATE_ALONE: DiscoveryState
DISCOVERY_STATE_STATIC: DiscoveryState
DISCOVERY_STATE_REACHED: DiscoveryState
DISCOVERY_STATE_LOST: DiscoveryState
REACH_UNSPECIFIED: Reach
REACH_SELF: Reach
REACH_LINKED: Reach
REACH_RELAYED: Reach
REACH_NONE: Reach
LINK_CONDITION_UNSPECIFIED: LinkCondition
LINK_CONDITION_OPEN: LinkCondition
LINK_CONDITION_RELAYED: LinkCondition
LINK_CONDITION_DOWN: LinkCondition
PARTY_STATE_UNSPECIFIED: PartyState
PARTY_STATE_CALLED: PartyState
PARTY_STATE_THINKING: PartyState
PARTY_STATE_OFFERED: PartyState
PARTY_STATE_DECLINED: PartyState
PARTY_STATE_WITHDRAWN: PartyState
PARTY_STATE_LATE: PartyState
PARTY_STATE_GONE: PartyState
PARTY_STATE_CONFIRMING: PartyState
PARTY_STATE_WON: PartyState
PARTY_STATE_LOST: PartyState
PARTY_STATE_TO_MOVE: PartyState
PARTY_STATE_WAITS: PartyState
PARTY_STATE_DISMISSED: PartyState
PARTY_STATE_COMMITTED: PartyState
PARTY_STATE_REVEALED: PartyState
DRAIN_STATE_UNSPECIFIED: DrainState
DRAIN_STATE_MOVING: DrainState
DRAIN_STATE_DRAINED: DrainState
DRAIN_STATE_ABORTED: DrainState
DRAIN_STATE_EXPIRED: DrainState

class Cluster(_message.Message):
    __slots__ = ("name", "gateway_id", "discovery", "since", "endpoint")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    DISCOVERY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    name: str
    gateway_id: str
    discovery: DiscoveryState
    since: _timestamp_pb2.Timestamp
    endpoint: str
    def __init__(self, name: _Optional[str] = ..., gateway_id: _Optional[str] = ..., discovery: _Optional[_Union[DiscoveryState, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., endpoint: _Optional[str] = ...) -> None: ...

class ClusterMember(_message.Message):
    __slots__ = ("gateway_id", "region", "agents_address", "peer_address", "epoch", "version", "protocol_version", "started_at", "reach", "load", "leaving")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    AGENTS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PEER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    REACH_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    region: str
    agents_address: str
    peer_address: str
    epoch: int
    version: str
    protocol_version: int
    started_at: _timestamp_pb2.Timestamp
    reach: Reach
    load: float
    leaving: bool
    def __init__(self, gateway_id: _Optional[str] = ..., region: _Optional[str] = ..., agents_address: _Optional[str] = ..., peer_address: _Optional[str] = ..., epoch: _Optional[int] = ..., version: _Optional[str] = ..., protocol_version: _Optional[int] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reach: _Optional[_Union[Reach, str]] = ..., load: _Optional[float] = ..., leaving: _Optional[bool] = ...) -> None: ...

class ClusterLink(_message.Message):
    __slots__ = ("gateway_id", "peer_id", "peer_region", "condition", "relay", "since", "round_trip", "queued", "unconfirmed", "sent", "received", "resumed")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    PEER_REGION_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    RELAY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    UNCONFIRMED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    peer_id: str
    peer_region: str
    condition: LinkCondition
    relay: str
    since: _timestamp_pb2.Timestamp
    round_trip: _duration_pb2.Duration
    queued: int
    unconfirmed: int
    sent: int
    received: int
    resumed: int
    def __init__(self, gateway_id: _Optional[str] = ..., peer_id: _Optional[str] = ..., peer_region: _Optional[str] = ..., condition: _Optional[_Union[LinkCondition, str]] = ..., relay: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., round_trip: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queued: _Optional[int] = ..., unconfirmed: _Optional[int] = ..., sent: _Optional[int] = ..., received: _Optional[int] = ..., resumed: _Optional[int] = ...) -> None: ...

class LocatedAgent(_message.Message):
    __slots__ = ("agent", "gateway_id", "region")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    agent: _agent_pb2.Agent
    gateway_id: str
    region: str
    def __init__(self, agent: _Optional[_Union[_agent_pb2.Agent, _Mapping]] = ..., gateway_id: _Optional[str] = ..., region: _Optional[str] = ...) -> None: ...

class NegotiationSummary(_message.Message):
    __slots__ = ("negotiation_id", "gateway_id", "initiator", "state", "policy", "eligible", "answered", "offers", "opened_at", "due_at", "durable", "protocol", "round")
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    INITIATOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    OPENED_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    negotiation_id: str
    gateway_id: str
    initiator: str
    state: _negotiation_pb2.NegotiationState
    policy: str
    eligible: int
    answered: int
    offers: int
    opened_at: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    durable: bool
    protocol: str
    round: int
    def __init__(self, negotiation_id: _Optional[str] = ..., gateway_id: _Optional[str] = ..., initiator: _Optional[str] = ..., state: _Optional[_Union[_negotiation_pb2.NegotiationState, str]] = ..., policy: _Optional[str] = ..., eligible: _Optional[int] = ..., answered: _Optional[int] = ..., offers: _Optional[int] = ..., opened_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., durable: _Optional[bool] = ..., protocol: _Optional[str] = ..., round: _Optional[int] = ...) -> None: ...

class NegotiationParty(_message.Message):
    __slots__ = ("agent_id", "state", "gateway_id", "word", "value")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    WORD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    state: PartyState
    gateway_id: str
    word: str
    value: float
    def __init__(self, agent_id: _Optional[str] = ..., state: _Optional[_Union[PartyState, str]] = ..., gateway_id: _Optional[str] = ..., word: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class NegotiationEvent(_message.Message):
    __slots__ = ("at", "kind", "agent_id")
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    kind: str
    agent_id: str
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[str] = ..., agent_id: _Optional[str] = ...) -> None: ...

class NegotiationDetail(_message.Message):
    __slots__ = ("summary", "parties", "events", "closed_by", "reason")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CLOSED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    summary: NegotiationSummary
    parties: _containers.RepeatedCompositeFieldContainer[NegotiationParty]
    events: _containers.RepeatedCompositeFieldContainer[NegotiationEvent]
    closed_by: str
    reason: str
    def __init__(self, summary: _Optional[_Union[NegotiationSummary, _Mapping]] = ..., parties: _Optional[_Iterable[_Union[NegotiationParty, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[NegotiationEvent, _Mapping]]] = ..., closed_by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("gateway_id", "state", "agents_moved", "agents_left", "negotiations_left", "agents_per_second", "began_at", "ends_at")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AGENTS_MOVED_FIELD_NUMBER: _ClassVar[int]
    AGENTS_LEFT_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATIONS_LEFT_FIELD_NUMBER: _ClassVar[int]
    AGENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    state: DrainState
    agents_moved: int
    agents_left: int
    negotiations_left: int
    agents_per_second: float
    began_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    def __init__(self, gateway_id: _Optional[str] = ..., state: _Optional[_Union[DrainState, str]] = ..., agents_moved: _Optional[int] = ..., agents_left: _Optional[int] = ..., negotiations_left: _Optional[int] = ..., agents_per_second: _Optional[float] = ..., began_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
