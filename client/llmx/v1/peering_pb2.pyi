import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from llmx.v1 import consent_pb2 as _consent_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PeerHello(_message.Message):
    __slots__ = ("cluster", "gateway_id", "epoch", "protocol_version", "region", "received_epoch", "received_number")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_VERSION_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    gateway_id: str
    epoch: int
    protocol_version: int
    region: str
    received_epoch: int
    received_number: int
    def __init__(self, cluster: _Optional[str] = ..., gateway_id: _Optional[str] = ..., epoch: _Optional[int] = ..., protocol_version: _Optional[int] = ..., region: _Optional[str] = ..., received_epoch: _Optional[int] = ..., received_number: _Optional[int] = ...) -> None: ...

class PeerFrame(_message.Message):
    __slots__ = ("number", "confirmed_number", "epoch", "receiver_epoch", "messages")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_EPOCH_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    number: int
    confirmed_number: int
    epoch: int
    receiver_epoch: int
    messages: _containers.RepeatedCompositeFieldContainer[PeerMessage]
    def __init__(self, number: _Optional[int] = ..., confirmed_number: _Optional[int] = ..., epoch: _Optional[int] = ..., receiver_epoch: _Optional[int] = ..., messages: _Optional[_Iterable[_Union[PeerMessage, _Mapping]]] = ...) -> None: ...

class RelayedFrame(_message.Message):
    __slots__ = ("origin", "destination", "hops", "frame")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    origin: str
    destination: str
    hops: _containers.RepeatedScalarFieldContainer[str]
    frame: PeerFrame
    def __init__(self, origin: _Optional[str] = ..., destination: _Optional[str] = ..., hops: _Optional[_Iterable[str]] = ..., frame: _Optional[_Union[PeerFrame, _Mapping]] = ...) -> None: ...

class PeerHeartbeat(_message.Message):
    __slots__ = ("sent", "echo", "echo_age", "connected", "sees_discovery")
    SENT_FIELD_NUMBER: _ClassVar[int]
    ECHO_FIELD_NUMBER: _ClassVar[int]
    ECHO_AGE_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    SEES_DISCOVERY_FIELD_NUMBER: _ClassVar[int]
    sent: int
    echo: int
    echo_age: int
    connected: _containers.RepeatedScalarFieldContainer[str]
    sees_discovery: bool
    def __init__(self, sent: _Optional[int] = ..., echo: _Optional[int] = ..., echo_age: _Optional[int] = ..., connected: _Optional[_Iterable[str]] = ..., sees_discovery: _Optional[bool] = ...) -> None: ...

class PeerMessage(_message.Message):
    __slots__ = ("delivery", "report", "act", "answer", "directory", "summons", "handover", "negotiation", "call")
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    SUMMONS_FIELD_NUMBER: _ClassVar[int]
    HANDOVER_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    delivery: Delivery
    report: DeliveryReport
    act: ForwardedAct
    answer: AgentAnswer
    directory: DirectoryUpdate
    summons: AgentSummons
    handover: AgentHandover
    negotiation: NegotiationHandover
    call: OwnedCall
    def __init__(self, delivery: _Optional[_Union[Delivery, _Mapping]] = ..., report: _Optional[_Union[DeliveryReport, _Mapping]] = ..., act: _Optional[_Union[ForwardedAct, _Mapping]] = ..., answer: _Optional[_Union[AgentAnswer, _Mapping]] = ..., directory: _Optional[_Union[DirectoryUpdate, _Mapping]] = ..., summons: _Optional[_Union[AgentSummons, _Mapping]] = ..., handover: _Optional[_Union[AgentHandover, _Mapping]] = ..., negotiation: _Optional[_Union[NegotiationHandover, _Mapping]] = ..., call: _Optional[_Union[OwnedCall, _Mapping]] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("tenant", "envelope", "msg_id", "sender", "negotiation_id", "time_to_live", "repeats", "is_call", "recipients")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    REPEATS_FIELD_NUMBER: _ClassVar[int]
    IS_CALL_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    envelope: bytes
    msg_id: str
    sender: str
    negotiation_id: str
    time_to_live: _duration_pb2.Duration
    repeats: bool
    is_call: bool
    recipients: _containers.RepeatedCompositeFieldContainer[DeliveryRecipient]
    def __init__(self, tenant: _Optional[str] = ..., envelope: _Optional[bytes] = ..., msg_id: _Optional[str] = ..., sender: _Optional[str] = ..., negotiation_id: _Optional[str] = ..., time_to_live: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., repeats: _Optional[bool] = ..., is_call: _Optional[bool] = ..., recipients: _Optional[_Iterable[_Union[DeliveryRecipient, _Mapping]]] = ...) -> None: ...

class DeliveryRecipient(_message.Message):
    __slots__ = ("agent_id", "topic", "needs_consent")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    NEEDS_CONSENT_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    topic: str
    needs_consent: bool
    def __init__(self, agent_id: _Optional[str] = ..., topic: _Optional[str] = ..., needs_consent: _Optional[bool] = ...) -> None: ...

class DeliveryReport(_message.Message):
    __slots__ = ("tenant", "agent_id", "msg_ids", "reason")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    MSG_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    msg_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., msg_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ForwardedAct(_message.Message):
    __slots__ = ("tenant", "agent_id", "envelope", "time_to_live", "sensitive", "is_malformed", "is_system")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_LIVE_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    IS_MALFORMED_FIELD_NUMBER: _ClassVar[int]
    IS_SYSTEM_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    envelope: bytes
    time_to_live: _duration_pb2.Duration
    sensitive: _containers.RepeatedScalarFieldContainer[str]
    is_malformed: bool
    is_system: bool
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., envelope: _Optional[bytes] = ..., time_to_live: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sensitive: _Optional[_Iterable[str]] = ..., is_malformed: _Optional[bool] = ..., is_system: _Optional[bool] = ...) -> None: ...

class AgentAnswer(_message.Message):
    __slots__ = ("tenant", "agent_id", "refusal", "opened", "receipt")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    refusal: bytes
    opened: bytes
    receipt: bytes
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., refusal: _Optional[bytes] = ..., opened: _Optional[bytes] = ..., receipt: _Optional[bytes] = ...) -> None: ...

class DirectoryUpdate(_message.Message):
    __slots__ = ("number", "begins_snapshot", "ends_snapshot", "put", "removed", "digest", "wants_snapshot", "groups", "schemas")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    BEGINS_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    ENDS_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    PUT_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    WANTS_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    SCHEMAS_FIELD_NUMBER: _ClassVar[int]
    number: int
    begins_snapshot: bool
    ends_snapshot: bool
    put: _containers.RepeatedCompositeFieldContainer[AgentEntry]
    removed: _containers.RepeatedCompositeFieldContainer[AgentKey]
    digest: int
    wants_snapshot: bool
    groups: _containers.RepeatedCompositeFieldContainer[GroupEntry]
    schemas: _containers.RepeatedCompositeFieldContainer[SchemaEntry]
    def __init__(self, number: _Optional[int] = ..., begins_snapshot: _Optional[bool] = ..., ends_snapshot: _Optional[bool] = ..., put: _Optional[_Iterable[_Union[AgentEntry, _Mapping]]] = ..., removed: _Optional[_Iterable[_Union[AgentKey, _Mapping]]] = ..., digest: _Optional[int] = ..., wants_snapshot: _Optional[bool] = ..., groups: _Optional[_Iterable[_Union[GroupEntry, _Mapping]]] = ..., schemas: _Optional[_Iterable[_Union[SchemaEntry, _Mapping]]] = ...) -> None: ...

class AgentKey(_message.Message):
    __slots__ = ("tenant", "agent_id")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ...) -> None: ...

class AgentEntry(_message.Message):
    __slots__ = ("tenant", "agent_id", "generation", "capabilities", "topics", "consents", "is_away")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    IS_AWAY_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    generation: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    topics: _containers.RepeatedScalarFieldContainer[str]
    consents: _containers.RepeatedCompositeFieldContainer[_consent_pb2.Consent]
    is_away: bool
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., generation: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., topics: _Optional[_Iterable[str]] = ..., consents: _Optional[_Iterable[_Union[_consent_pb2.Consent, _Mapping]]] = ..., is_away: _Optional[bool] = ...) -> None: ...

class GroupEntry(_message.Message):
    __slots__ = ("tenant", "group_id", "owner", "members", "put_at")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    PUT_AT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    group_id: str
    owner: str
    members: _containers.RepeatedScalarFieldContainer[str]
    put_at: int
    def __init__(self, tenant: _Optional[str] = ..., group_id: _Optional[str] = ..., owner: _Optional[str] = ..., members: _Optional[_Iterable[str]] = ..., put_at: _Optional[int] = ...) -> None: ...

class SchemaEntry(_message.Message):
    __slots__ = ("tenant", "schema")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    schema: bytes
    def __init__(self, tenant: _Optional[str] = ..., schema: _Optional[bytes] = ...) -> None: ...

class AgentSummons(_message.Message):
    __slots__ = ("tenant", "agent_id", "generation", "resume_token", "received_number")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    generation: int
    resume_token: str
    received_number: int
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., generation: _Optional[int] = ..., resume_token: _Optional[str] = ..., received_number: _Optional[int] = ...) -> None: ...

class AgentHandover(_message.Message):
    __slots__ = ("tenant", "agent_id", "generation", "resumed", "handled_number", "refusals", "opened", "receipts", "traces")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    HANDLED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    TRACES_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    generation: int
    resumed: bool
    handled_number: int
    refusals: _containers.RepeatedScalarFieldContainer[bytes]
    opened: _containers.RepeatedScalarFieldContainer[bytes]
    receipts: _containers.RepeatedScalarFieldContainer[bytes]
    traces: _containers.RepeatedCompositeFieldContainer[NegotiationTrace]
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., generation: _Optional[int] = ..., resumed: _Optional[bool] = ..., handled_number: _Optional[int] = ..., refusals: _Optional[_Iterable[bytes]] = ..., opened: _Optional[_Iterable[bytes]] = ..., receipts: _Optional[_Iterable[bytes]] = ..., traces: _Optional[_Iterable[_Union[NegotiationTrace, _Mapping]]] = ...) -> None: ...

class NegotiationTrace(_message.Message):
    __slots__ = ("negotiation_id", "traceparent")
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    negotiation_id: str
    traceparent: str
    def __init__(self, negotiation_id: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class NegotiationHandover(_message.Message):
    __slots__ = ("negotiation_id", "record", "sent_before", "traceparent")
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    SENT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    negotiation_id: str
    record: bytes
    sent_before: bool
    traceparent: str
    def __init__(self, negotiation_id: _Optional[str] = ..., record: _Optional[bytes] = ..., sent_before: _Optional[bool] = ..., traceparent: _Optional[str] = ...) -> None: ...

class OwnedCall(_message.Message):
    __slots__ = ("tenant", "agent_id", "msg_id", "negotiation_id", "durable", "is_over")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    IS_OVER_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent_id: str
    msg_id: str
    negotiation_id: str
    durable: bool
    is_over: bool
    def __init__(self, tenant: _Optional[str] = ..., agent_id: _Optional[str] = ..., msg_id: _Optional[str] = ..., negotiation_id: _Optional[str] = ..., durable: _Optional[bool] = ..., is_over: _Optional[bool] = ...) -> None: ...
