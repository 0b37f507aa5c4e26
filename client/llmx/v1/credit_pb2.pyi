import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Account(_message.Message):
    __slots__ = ("agent_id", "available_micros", "held_micros")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MICROS_FIELD_NUMBER: _ClassVar[int]
    HELD_MICROS_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    available_micros: int
    held_micros: int
    def __init__(self, agent_id: _Optional[str] = ..., available_micros: _Optional[int] = ..., held_micros: _Optional[int] = ...) -> None: ...

class StatementLine(_message.Message):
    __slots__ = ("at", "key", "available_micros", "held_micros", "balance", "spent")
    AT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MICROS_FIELD_NUMBER: _ClassVar[int]
    HELD_MICROS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    at: _timestamp_pb2.Timestamp
    key: str
    available_micros: int
    held_micros: int
    balance: Account
    spent: _containers.RepeatedCompositeFieldContainer[Spending]
    def __init__(self, at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., key: _Optional[str] = ..., available_micros: _Optional[int] = ..., held_micros: _Optional[int] = ..., balance: _Optional[_Union[Account, _Mapping]] = ..., spent: _Optional[_Iterable[_Union[Spending, _Mapping]]] = ...) -> None: ...

class Spending(_message.Message):
    __slots__ = ("hold_id", "micros", "negotiation_id", "resource", "project")
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    MICROS_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    hold_id: str
    micros: int
    negotiation_id: str
    resource: str
    project: str
    def __init__(self, hold_id: _Optional[str] = ..., micros: _Optional[int] = ..., negotiation_id: _Optional[str] = ..., resource: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class Cost(_message.Message):
    __slots__ = ("agent_id", "resource", "negotiation_id", "project", "micros")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    MICROS_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    resource: str
    negotiation_id: str
    project: str
    micros: int
    def __init__(self, agent_id: _Optional[str] = ..., resource: _Optional[str] = ..., negotiation_id: _Optional[str] = ..., project: _Optional[str] = ..., micros: _Optional[int] = ...) -> None: ...

class LedgerTotals(_message.Message):
    __slots__ = ("minted_micros", "available_micros", "held_micros", "paid_micros", "burned_micros")
    MINTED_MICROS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MICROS_FIELD_NUMBER: _ClassVar[int]
    HELD_MICROS_FIELD_NUMBER: _ClassVar[int]
    PAID_MICROS_FIELD_NUMBER: _ClassVar[int]
    BURNED_MICROS_FIELD_NUMBER: _ClassVar[int]
    minted_micros: int
    available_micros: int
    held_micros: int
    paid_micros: int
    burned_micros: int
    def __init__(self, minted_micros: _Optional[int] = ..., available_micros: _Optional[int] = ..., held_micros: _Optional[int] = ..., paid_micros: _Optional[int] = ..., burned_micros: _Optional[int] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("name", "micros", "window", "used_micros", "resets_at")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MICROS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    USED_MICROS_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    micros: int
    window: _duration_pb2.Duration
    used_micros: int
    resets_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., micros: _Optional[int] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., used_micros: _Optional[int] = ..., resets_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
