import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from llmx.v1 import consent_pb2 as _consent_pb2
from llmx.v1 import envelope_pb2 as _envelope_pb2
from llmx.v1 import negotiation_pb2 as _negotiation_pb2
from llmx.v1 import receipt_pb2 as _receipt_pb2
from llmx.v1 import refusal_pb2 as _refusal_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExchangeRequest(_message.Message):
    __slots__ = ("number", "confirmed_number", "hello", "batch", "renew_token")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RENEW_TOKEN_FIELD_NUMBER: _ClassVar[int]
    number: int
    confirmed_number: int
    hello: Hello
    batch: RequestBatch
    renew_token: RenewToken
    def __init__(self, number: _Optional[int] = ..., confirmed_number: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., batch: _Optional[_Union[RequestBatch, _Mapping]] = ..., renew_token: _Optional[_Union[RenewToken, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("agent_id", "capabilities", "topics", "consents", "user_agent", "resume_token", "window_messages", "instance", "stream_count")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    TOPICS_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    STREAM_COUNT_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    topics: _containers.RepeatedScalarFieldContainer[str]
    consents: _containers.RepeatedCompositeFieldContainer[_consent_pb2.Consent]
    user_agent: str
    resume_token: str
    window_messages: int
    instance: str
    stream_count: int
    def __init__(self, agent_id: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., topics: _Optional[_Iterable[str]] = ..., consents: _Optional[_Iterable[_Union[_consent_pb2.Consent, _Mapping]]] = ..., user_agent: _Optional[str] = ..., resume_token: _Optional[str] = ..., window_messages: _Optional[int] = ..., instance: _Optional[str] = ..., stream_count: _Optional[int] = ...) -> None: ...

class RequestBatch(_message.Message):
    __slots__ = ("envelopes", "acked_msg_ids")
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    ACKED_MSG_IDS_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedCompositeFieldContainer[_envelope_pb2.Envelope]
    acked_msg_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, envelopes: _Optional[_Iterable[_Union[_envelope_pb2.Envelope, _Mapping]]] = ..., acked_msg_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class RenewToken(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class ExchangeResponse(_message.Message):
    __slots__ = ("number", "confirmed_number", "welcome", "batch", "token_renewed", "goodbye", "slow_consumer")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    TOKEN_RENEWED_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    SLOW_CONSUMER_FIELD_NUMBER: _ClassVar[int]
    number: int
    confirmed_number: int
    welcome: Welcome
    batch: ResponseBatch
    token_renewed: TokenRenewed
    goodbye: Goodbye
    slow_consumer: SlowConsumer
    def __init__(self, number: _Optional[int] = ..., confirmed_number: _Optional[int] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., batch: _Optional[_Union[ResponseBatch, _Mapping]] = ..., token_renewed: _Optional[_Union[TokenRenewed, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., slow_consumer: _Optional[_Union[SlowConsumer, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("gateway_id", "agent_id", "tenant", "token_expires_at", "frame_bytes_max", "payload_bytes_max", "now", "resume_token", "resumed", "resume_grace", "window_messages", "heartbeat")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    RESUME_GRACE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    agent_id: str
    tenant: str
    token_expires_at: _timestamp_pb2.Timestamp
    frame_bytes_max: int
    payload_bytes_max: int
    now: _timestamp_pb2.Timestamp
    resume_token: str
    resumed: bool
    resume_grace: _duration_pb2.Duration
    window_messages: int
    heartbeat: _duration_pb2.Duration
    def __init__(self, gateway_id: _Optional[str] = ..., agent_id: _Optional[str] = ..., tenant: _Optional[str] = ..., token_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., frame_bytes_max: _Optional[int] = ..., payload_bytes_max: _Optional[int] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resume_token: _Optional[str] = ..., resumed: _Optional[bool] = ..., resume_grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., window_messages: _Optional[int] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ResponseBatch(_message.Message):
    __slots__ = ("envelopes", "refusals", "opened", "receipts")
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedCompositeFieldContainer[_envelope_pb2.Envelope]
    refusals: _containers.RepeatedCompositeFieldContainer[_refusal_pb2.Refusal]
    opened: _containers.RepeatedCompositeFieldContainer[_negotiation_pb2.NegotiationOpened]
    receipts: _containers.RepeatedCompositeFieldContainer[_receipt_pb2.Receipt]
    def __init__(self, envelopes: _Optional[_Iterable[_Union[_envelope_pb2.Envelope, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[_refusal_pb2.Refusal, _Mapping]]] = ..., opened: _Optional[_Iterable[_Union[_negotiation_pb2.NegotiationOpened, _Mapping]]] = ..., receipts: _Optional[_Iterable[_Union[_receipt_pb2.Receipt, _Mapping]]] = ...) -> None: ...

class TokenRenewed(_message.Message):
    __slots__ = ("token_expires_at",)
    TOKEN_EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    token_expires_at: _timestamp_pb2.Timestamp
    def __init__(self, token_expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "detail", "reconnect_after", "move_to", "resume_token")
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_AFTER_FIELD_NUMBER: _ClassVar[int]
    MOVE_TO_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reason: str
    detail: str
    reconnect_after: _duration_pb2.Duration
    move_to: _containers.RepeatedScalarFieldContainer[str]
    resume_token: str
    def __init__(self, reason: _Optional[str] = ..., detail: _Optional[str] = ..., reconnect_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., move_to: _Optional[_Iterable[str]] = ..., resume_token: _Optional[str] = ...) -> None: ...

class SlowConsumer(_message.Message):
    __slots__ = ("waiting_messages", "waiting_messages_max")
    WAITING_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    WAITING_MESSAGES_MAX_FIELD_NUMBER: _ClassVar[int]
    waiting_messages: int
    waiting_messages_max: int
    def __init__(self, waiting_messages: _Optional[int] = ..., waiting_messages_max: _Optional[int] = ...) -> None: ...
