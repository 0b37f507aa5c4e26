import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from llmx.v1 import token_pb2 as _token_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListLimitsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLimitsResponse(_message.Message):
    __slots__ = ("limits",)
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[_token_pb2.TokenLimit]
    def __init__(self, limits: _Optional[_Iterable[_Union[_token_pb2.TokenLimit, _Mapping]]] = ...) -> None: ...

class BidForTokensRequest(_message.Message):
    __slots__ = ("limit", "tokens", "price_micros")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    limit: str
    tokens: int
    price_micros: int
    def __init__(self, limit: _Optional[str] = ..., tokens: _Optional[int] = ..., price_micros: _Optional[int] = ...) -> None: ...

class BidForTokensResponse(_message.Message):
    __slots__ = ("sale",)
    SALE_FIELD_NUMBER: _ClassVar[int]
    sale: _token_pb2.TokenSale
    def __init__(self, sale: _Optional[_Union[_token_pb2.TokenSale, _Mapping]] = ...) -> None: ...

class SpendTokensRequest(_message.Message):
    __slots__ = ("limit", "tokens")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    limit: str
    tokens: int
    def __init__(self, limit: _Optional[str] = ..., tokens: _Optional[int] = ...) -> None: ...

class SpendTokensResponse(_message.Message):
    __slots__ = ("held",)
    HELD_FIELD_NUMBER: _ClassVar[int]
    held: int
    def __init__(self, held: _Optional[int] = ...) -> None: ...

class OfferTokensRequest(_message.Message):
    __slots__ = ("limit", "tokens", "price_micros", "taker", "valid_for")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_MICROS_FIELD_NUMBER: _ClassVar[int]
    TAKER_FIELD_NUMBER: _ClassVar[int]
    VALID_FOR_FIELD_NUMBER: _ClassVar[int]
    limit: str
    tokens: int
    price_micros: int
    taker: str
    valid_for: _duration_pb2.Duration
    def __init__(self, limit: _Optional[str] = ..., tokens: _Optional[int] = ..., price_micros: _Optional[int] = ..., taker: _Optional[str] = ..., valid_for: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class OfferTokensResponse(_message.Message):
    __slots__ = ("offer",)
    OFFER_FIELD_NUMBER: _ClassVar[int]
    offer: _token_pb2.TokenOffer
    def __init__(self, offer: _Optional[_Union[_token_pb2.TokenOffer, _Mapping]] = ...) -> None: ...

class TakeTokensRequest(_message.Message):
    __slots__ = ("limit", "offer_id")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    limit: str
    offer_id: str
    def __init__(self, limit: _Optional[str] = ..., offer_id: _Optional[str] = ...) -> None: ...

class TakeTokensResponse(_message.Message):
    __slots__ = ("offer", "held")
    OFFER_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    offer: _token_pb2.TokenOffer
    held: int
    def __init__(self, offer: _Optional[_Union[_token_pb2.TokenOffer, _Mapping]] = ..., held: _Optional[int] = ...) -> None: ...

class ListTokenOffersRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: str
    def __init__(self, limit: _Optional[str] = ...) -> None: ...

class ListTokenOffersResponse(_message.Message):
    __slots__ = ("offers",)
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedCompositeFieldContainer[_token_pb2.TokenOffer]
    def __init__(self, offers: _Optional[_Iterable[_Union[_token_pb2.TokenOffer, _Mapping]]] = ...) -> None: ...
