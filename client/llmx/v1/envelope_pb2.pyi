import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from llmx.v1 import turn_pb2 as _turn_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Act(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACT_UNSPECIFIED: _ClassVar[Act]
    ACT_MESSAGE: _ClassVar[Act]
    ACT_CFP: _ClassVar[Act]
    ACT_OFFER: _ClassVar[Act]
    ACT_COUNTER: _ClassVar[Act]
    ACT_ACCEPT: _ClassVar[Act]
    ACT_REJECT: _ClassVar[Act]
    ACT_CONFIRM: _ClassVar[Act]
    ACT_REFUSE: _ClassVar[Act]
    ACT_NOT_UNDERSTOOD: _ClassVar[Act]
    ACT_CANCEL: _ClassVar[Act]
    ACT_INFORM: _ClassVar[Act]
    ACT_FAILURE: _ClassVar[Act]
    ACT_THINKING: _ClassVar[Act]

class QualityOfService(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUALITY_OF_SERVICE_UNSPECIFIED: _ClassVar[QualityOfService]
    QUALITY_OF_SERVICE_AT_MOST_ONCE: _ClassVar[QualityOfService]
    QUALITY_OF_SERVICE_AT_LEAST_ONCE: _ClassVar[QualityOfService]
    QUALITY_OF_SERVICE_ONCE: _ClassVar[QualityOfService]

class ReceiptRequest(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECEIPT_REQUEST_UNSPECIFIED: _ClassVar[ReceiptRequest]
    RECEIPT_REQUEST_ADMITTED: _ClassVar[ReceiptRequest]
    RECEIPT_REQUEST_DELIVERED: _ClassVar[ReceiptRequest]
ACT_UNSPECIFIED: Act
ACT_MESSAGE: Act
ACT_CFP: Act
ACT_OFFER: Act
ACT_COUNTER: Act
ACT_ACCEPT: Act
ACT_REJECT: Act
ACT_CONFIRM: Act
ACT_REFUSE: Act
ACT_NOT_UNDERSTOOD: Act
ACT_CANCEL: Act
ACT_INFORM: Act
ACT_FAILURE: Act
ACT_THINKING: Act
QUALITY_OF_SERVICE_UNSPECIFIED: QualityOfService
QUALITY_OF_SERVICE_AT_MOST_ONCE: QualityOfService
QUALITY_OF_SERVICE_AT_LEAST_ONCE: QualityOfService
QUALITY_OF_SERVICE_ONCE: QualityOfService
RECEIPT_REQUEST_UNSPECIFIED: ReceiptRequest
RECEIPT_REQUEST_ADMITTED: ReceiptRequest
RECEIPT_REQUEST_DELIVERED: ReceiptRequest

class Scope(_message.Message):
    __slots__ = ("consent", "ttl")
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    consent: str
    ttl: _duration_pb2.Duration
    def __init__(self, consent: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("msg_id", "ts", "sender", "recipients", "capabilities", "scope", "act", "negotiation_id", "in_reply_to", "payload", "quality_of_service", "durable", "receipt", "turn", "sent_before", "traceparent", "tracestate")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    QUALITY_OF_SERVICE_FIELD_NUMBER: _ClassVar[int]
    DURABLE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    SENT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    TRACESTATE_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    ts: str
    sender: str
    recipients: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    scope: Scope
    act: Act
    negotiation_id: str
    in_reply_to: str
    payload: bytes
    quality_of_service: QualityOfService
    durable: bool
    receipt: ReceiptRequest
    turn: _turn_pb2.Turn
    sent_before: bool
    traceparent: str
    tracestate: str
    def __init__(self, msg_id: _Optional[str] = ..., ts: _Optional[str] = ..., sender: _Optional[str] = ..., recipients: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[str]] = ..., scope: _Optional[_Union[Scope, _Mapping]] = ..., act: _Optional[_Union[Act, str]] = ..., negotiation_id: _Optional[str] = ..., in_reply_to: _Optional[str] = ..., payload: _Optional[bytes] = ..., quality_of_service: _Optional[_Union[QualityOfService, str]] = ..., durable: _Optional[bool] = ..., receipt: _Optional[_Union[ReceiptRequest, str]] = ..., turn: _Optional[_Union[_turn_pb2.Turn, _Mapping]] = ..., sent_before: _Optional[bool] = ..., traceparent: _Optional[str] = ..., tracestate: _Optional[str] = ...) -> None: ...
