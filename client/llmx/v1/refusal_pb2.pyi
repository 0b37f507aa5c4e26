import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RefusalCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_CODE_UNSPECIFIED: _ClassVar[RefusalCode]
    REFUSAL_CODE_MALFORMED_ENVELOPE: _ClassVar[RefusalCode]
    REFUSAL_CODE_SENDER_MISMATCH: _ClassVar[RefusalCode]
    REFUSAL_CODE_TOO_LARGE: _ClassVar[RefusalCode]
    REFUSAL_CODE_RATE_EXCEEDED: _ClassVar[RefusalCode]
    REFUSAL_CODE_DUPLICATE: _ClassVar[RefusalCode]
    REFUSAL_CODE_INVALID_JSON: _ClassVar[RefusalCode]
    REFUSAL_CODE_UNKNOWN_SCHEMA: _ClassVar[RefusalCode]
    REFUSAL_CODE_SCHEMA_VIOLATION: _ClassVar[RefusalCode]
    REFUSAL_CODE_VALIDATION_TIMEOUT: _ClassVar[RefusalCode]
    REFUSAL_CODE_UNKNOWN_ACT: _ClassVar[RefusalCode]
    REFUSAL_CODE_ACT_NOT_ALLOWED: _ClassVar[RefusalCode]
    REFUSAL_CODE_TTL_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_CLOCK_SKEW: _ClassVar[RefusalCode]
    REFUSAL_CODE_INVALID_ADDRESS: _ClassVar[RefusalCode]
    REFUSAL_CODE_AGENT_ABSENT: _ClassVar[RefusalCode]
    REFUSAL_CODE_NO_RECIPIENTS: _ClassVar[RefusalCode]
    REFUSAL_CODE_CONSENT_MISSING: _ClassVar[RefusalCode]
    REFUSAL_CODE_CAPABILITY_MISSING: _ClassVar[RefusalCode]
    REFUSAL_CODE_RECIPIENT_OVERLOADED: _ClassVar[RefusalCode]
    REFUSAL_CODE_UNKNOWN_NEGOTIATION: _ClassVar[RefusalCode]
    REFUSAL_CODE_NOT_A_PARTY: _ClassVar[RefusalCode]
    REFUSAL_CODE_WRONG_STATE: _ClassVar[RefusalCode]
    REFUSAL_CODE_ALREADY_ANSWERED: _ClassVar[RefusalCode]
    REFUSAL_CODE_LATE: _ClassVar[RefusalCode]
    REFUSAL_CODE_UNKNOWN_OFFER: _ClassVar[RefusalCode]
    REFUSAL_CODE_OFFER_EXPIRED: _ClassVar[RefusalCode]
    REFUSAL_CODE_OFFER_BINDING: _ClassVar[RefusalCode]
    REFUSAL_CODE_DEADLINE_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_POLICY_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_UTILITY_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_UNKNOWN_PROTOCOL: _ClassVar[RefusalCode]
    REFUSAL_CODE_OVERLOADED: _ClassVar[RefusalCode]
    REFUSAL_CODE_MALFORMED_FRAME: _ClassVar[RefusalCode]
    REFUSAL_CODE_TOKEN_REJECTED: _ClassVar[RefusalCode]
    REFUSAL_CODE_STOPPING: _ClassVar[RefusalCode]
    REFUSAL_CODE_SCHEMA_REJECTED: _ClassVar[RefusalCode]
    REFUSAL_CODE_QUOTA_EXCEEDED: _ClassVar[RefusalCode]
    REFUSAL_CODE_STORE_UNAVAILABLE: _ClassVar[RefusalCode]
    REFUSAL_CODE_OPTIONS_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_NOT_YOUR_TURN: _ClassVar[RefusalCode]
    REFUSAL_CODE_STALE_OFFER: _ClassVar[RefusalCode]
    REFUSAL_CODE_TERMS_INVALID: _ClassVar[RefusalCode]
    REFUSAL_CODE_MUST_CONCEDE: _ClassVar[RefusalCode]
    REFUSAL_CODE_FAIRNESS_RULE: _ClassVar[RefusalCode]
    REFUSAL_CODE_RESOURCE_GONE: _ClassVar[RefusalCode]
    REFUSAL_CODE_BUDGET_EXHAUSTED: _ClassVar[RefusalCode]
    REFUSAL_CODE_NEGOTIATION_LOST: _ClassVar[RefusalCode]
    REFUSAL_CODE_FENCED: _ClassVar[RefusalCode]
REFUSAL_CODE_UNSPECIFIED: RefusalCode
REFUSAL_CODE_MALFORMED_ENVELOPE: RefusalCode
REFUSAL_CODE_SENDER_MISMATCH: RefusalCode
REFUSAL_CODE_TOO_LARGE: RefusalCode
REFUSAL_CODE_RATE_EXCEEDED: RefusalCode
REFUSAL_CODE_DUPLICATE: RefusalCode
REFUSAL_CODE_INVALID_JSON: RefusalCode
REFUSAL_CODE_UNKNOWN_SCHEMA: RefusalCode
REFUSAL_CODE_SCHEMA_VIOLATION: RefusalCode
REFUSAL_CODE_VALIDATION_TIMEOUT: RefusalCode
REFUSAL_CODE_UNKNOWN_ACT: RefusalCode
REFUSAL_CODE_ACT_NOT_ALLOWED: RefusalCode
REFUSAL_CODE_TTL_INVALID: RefusalCode
REFUSAL_CODE_CLOCK_SKEW: RefusalCode
REFUSAL_CODE_INVALID_ADDRESS: RefusalCode
REFUSAL_CODE_AGENT_ABSENT: RefusalCode
REFUSAL_CODE_NO_RECIPIENTS: RefusalCode
REFUSAL_CODE_CONSENT_MISSING: RefusalCode
REFUSAL_CODE_CAPABILITY_MISSING: RefusalCode
REFUSAL_CODE_RECIPIENT_OVERLOADED: RefusalCode
REFUSAL_CODE_UNKNOWN_NEGOTIATION: RefusalCode
REFUSAL_CODE_NOT_A_PARTY: RefusalCode
REFUSAL_CODE_WRONG_STATE: RefusalCode
REFUSAL_CODE_ALREADY_ANSWERED: RefusalCode
REFUSAL_CODE_LATE: RefusalCode
REFUSAL_CODE_UNKNOWN_OFFER: RefusalCode
REFUSAL_CODE_OFFER_EXPIRED: RefusalCode
REFUSAL_CODE_OFFER_BINDING: RefusalCode
REFUSAL_CODE_DEADLINE_INVALID: RefusalCode
REFUSAL_CODE_POLICY_INVALID: RefusalCode
REFUSAL_CODE_UTILITY_INVALID: RefusalCode
REFUSAL_CODE_UNKNOWN_PROTOCOL: RefusalCode
REFUSAL_CODE_OVERLOADED: RefusalCode
REFUSAL_CODE_MALFORMED_FRAME: RefusalCode
REFUSAL_CODE_TOKEN_REJECTED: RefusalCode
REFUSAL_CODE_STOPPING: RefusalCode
REFUSAL_CODE_SCHEMA_REJECTED: RefusalCode
REFUSAL_CODE_QUOTA_EXCEEDED: RefusalCode
REFUSAL_CODE_STORE_UNAVAILABLE: RefusalCode
REFUSAL_CODE_OPTIONS_INVALID: RefusalCode
REFUSAL_CODE_NOT_YOUR_TURN: RefusalCode
REFUSAL_CODE_STALE_OFFER: RefusalCode
REFUSAL_CODE_TERMS_INVALID: RefusalCode
REFUSAL_CODE_MUST_CONCEDE: RefusalCode
REFUSAL_CODE_FAIRNESS_RULE: RefusalCode
REFUSAL_CODE_RESOURCE_GONE: RefusalCode
REFUSAL_CODE_BUDGET_EXHAUSTED: RefusalCode
REFUSAL_CODE_NEGOTIATION_LOST: RefusalCode
REFUSAL_CODE_FENCED: RefusalCode

class Refusal(_message.Message):
    __slots__ = ("msg_id", "code", "pointer", "reason", "remedy", "retry_after", "negotiation_id", "example")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    POINTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    code: RefusalCode
    pointer: str
    reason: str
    remedy: str
    retry_after: _duration_pb2.Duration
    negotiation_id: str
    example: str
    def __init__(self, msg_id: _Optional[str] = ..., code: _Optional[_Union[RefusalCode, str]] = ..., pointer: _Optional[str] = ..., reason: _Optional[str] = ..., remedy: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., negotiation_id: _Optional[str] = ..., example: _Optional[str] = ...) -> None: ...
