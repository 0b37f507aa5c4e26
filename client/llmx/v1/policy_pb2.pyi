import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Quorum(_message.Message):
    __slots__ = ("count", "fraction", "all")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    count: int
    fraction: float
    all: bool
    def __init__(self, count: _Optional[int] = ..., fraction: _Optional[float] = ..., all: _Optional[bool] = ...) -> None: ...

class AcceptanceProfile(_message.Message):
    __slots__ = ("name", "revision", "quorum", "window", "settle", "counts", "select", "on_expiry", "min_offers", "final", "confirm", "late")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    ON_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    MIN_OFFERS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    quorum: Quorum
    window: _duration_pb2.Duration
    settle: _duration_pb2.Duration
    counts: str
    select: str
    on_expiry: str
    min_offers: int
    final: str
    confirm: bool
    late: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., quorum: _Optional[_Union[Quorum, _Mapping]] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., settle: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., counts: _Optional[str] = ..., select: _Optional[str] = ..., on_expiry: _Optional[str] = ..., min_offers: _Optional[int] = ..., final: _Optional[str] = ..., confirm: _Optional[bool] = ..., late: _Optional[str] = ...) -> None: ...
