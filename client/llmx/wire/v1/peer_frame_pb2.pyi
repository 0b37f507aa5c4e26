from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PeerContent(_message.Message):
    __slots__ = ("hello", "frame", "relayed", "heartbeat")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    RELAYED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    hello: bytes
    frame: PeerFrameBytes
    relayed: RelayedFrameBytes
    heartbeat: bytes
    def __init__(self, hello: _Optional[bytes] = ..., frame: _Optional[_Union[PeerFrameBytes, _Mapping]] = ..., relayed: _Optional[_Union[RelayedFrameBytes, _Mapping]] = ..., heartbeat: _Optional[bytes] = ...) -> None: ...

class PeerFrameBytes(_message.Message):
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
    messages: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, number: _Optional[int] = ..., confirmed_number: _Optional[int] = ..., epoch: _Optional[int] = ..., receiver_epoch: _Optional[int] = ..., messages: _Optional[_Iterable[bytes]] = ...) -> None: ...

class RelayedFrameBytes(_message.Message):
    __slots__ = ("origin", "destination", "hops", "frame")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    origin: str
    destination: str
    hops: _containers.RepeatedScalarFieldContainer[str]
    frame: bytes
    def __init__(self, origin: _Optional[str] = ..., destination: _Optional[str] = ..., hops: _Optional[_Iterable[str]] = ..., frame: _Optional[bytes] = ...) -> None: ...
