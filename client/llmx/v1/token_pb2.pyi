import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TokenLimit(_message.Message):
    __slots__ = ("name", "rate", "burst", "reserve", "purse_max", "gateway_id", "pool", "held", "price_micros", "multiplier", "sale_seconds", "address", "spent")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    PURSE_MAX_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    SALE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    rate: float
    burst: float
    reserve: float
    purse_max: float
    gateway_id: str
    pool: float
    held: float
    price_micros: int
    multiplier: float
    sale_seconds: float
    address: str
    spent: int
    def __init__(self, name: _Optional[str] = ..., rate: _Optional[float] = ..., burst: _Optional[float] = ..., reserve: _Optional[float] = ..., purse_max: _Optional[float] = ..., gateway_id: _Optional[str] = ..., pool: _Optional[float] = ..., held: _Optional[float] = ..., price_micros: _Optional[int] = ..., multiplier: _Optional[float] = ..., sale_seconds: _Optional[float] = ..., address: _Optional[str] = ..., spent: _Optional[int] = ...) -> None: ...

class TokenSale(_message.Message):
    __slots__ = ("tokens", "price_micros", "held")
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    tokens: int
    price_micros: int
    held: int
    def __init__(self, tokens: _Optional[int] = ..., price_micros: _Optional[int] = ..., held: _Optional[int] = ...) -> None: ...

class TokenOffer(_message.Message):
    __slots__ = ("offer_id", "limit", "giver", "tokens", "price_micros", "taker", "expires_at")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    GIVER_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    TAKER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    limit: str
    giver: str
    tokens: int
    price_micros: int
    taker: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, offer_id: _Optional[str] = ..., limit: _Optional[str] = ..., giver: _Optional[str] = ..., tokens: _Optional[int] = ..., price_micros: _Optional[int] = ..., taker: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
