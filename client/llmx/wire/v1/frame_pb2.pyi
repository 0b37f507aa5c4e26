from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RequestFrame(_message.Message):
    __slots__ = ("number", "confirmed_number", "hello", "batch", "renew_token")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_NUMBER_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RENEW_TOKEN_FIELD_NUMBER: _ClassVar[int]
    number: int
    confirmed_number: int
    hello: bytes
    batch: RequestBatchBytes
    renew_token: bytes
    def __init__(self, number: _Optional[int] = ..., confirmed_number: _Optional[int] = ..., hello: _Optional[bytes] = ..., batch: _Optional[_Union[RequestBatchBytes, _Mapping]] = ..., renew_token: _Optional[bytes] = ...) -> None: ...

class RequestBatchBytes(_message.Message):
    __slots__ = ("envelopes", "acked_msg_ids")
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    ACKED_MSG_IDS_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    acked_msg_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, envelopes: _Optional[_Iterable[bytes]] = ..., acked_msg_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ResponseFrame(_message.Message):
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
    welcome: bytes
    batch: ResponseBatchBytes
    token_renewed: bytes
    goodbye: bytes
    slow_consumer: bytes
    def __init__(self, number: _Optional[int] = ..., confirmed_number: _Optional[int] = ..., welcome: _Optional[bytes] = ..., batch: _Optional[_Union[ResponseBatchBytes, _Mapping]] = ..., token_renewed: _Optional[bytes] = ..., goodbye: _Optional[bytes] = ..., slow_consumer: _Optional[bytes] = ...) -> None: ...

class ResponseBatchBytes(_message.Message):
    __slots__ = ("envelopes", "refusals", "opened", "receipts")
    ENVELOPES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    envelopes: _containers.RepeatedScalarFieldContainer[bytes]
    refusals: _containers.RepeatedScalarFieldContainer[bytes]
    opened: _containers.RepeatedScalarFieldContainer[bytes]
    receipts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, envelopes: _Optional[_Iterable[bytes]] = ..., refusals: _Optional[_Iterable[bytes]] = ..., opened: _Optional[_Iterable[bytes]] = ..., receipts: _Optional[_Iterable[bytes]] = ...) -> None: ...
