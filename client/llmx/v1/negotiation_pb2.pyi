import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NegotiationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NEGOTIATION_STATE_UNSPECIFIED: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_OPEN: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_CLOSED: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_DECIDED: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_CONFIRMING: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_COMMITTED: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_DONE: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_FAILED: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_CANCELLED: _ClassVar[NegotiationState]
    NEGOTIATION_STATE_NO_AWARD: _ClassVar[NegotiationState]
NEGOTIATION_STATE_UNSPECIFIED: NegotiationState
NEGOTIATION_STATE_OPEN: NegotiationState
NEGOTIATION_STATE_CLOSED: NegotiationState
NEGOTIATION_STATE_DECIDED: NegotiationState
NEGOTIATION_STATE_CONFIRMING: NegotiationState
NEGOTIATION_STATE_COMMITTED: NegotiationState
NEGOTIATION_STATE_DONE: NegotiationState
NEGOTIATION_STATE_FAILED: NegotiationState
NEGOTIATION_STATE_CANCELLED: NegotiationState
NEGOTIATION_STATE_NO_AWARD: NegotiationState

class NegotiationOpened(_message.Message):
    __slots__ = ("msg_id", "negotiation_id", "eligible", "closes_at", "policy")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    CLOSES_AT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    negotiation_id: str
    eligible: _containers.RepeatedScalarFieldContainer[str]
    closes_at: _timestamp_pb2.Timestamp
    policy: str
    def __init__(self, msg_id: _Optional[str] = ..., negotiation_id: _Optional[str] = ..., eligible: _Optional[_Iterable[str]] = ..., closes_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., policy: _Optional[str] = ...) -> None: ...
