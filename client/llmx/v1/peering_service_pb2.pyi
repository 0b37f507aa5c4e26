from llmx.v1 import peering_pb2 as _peering_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PeerRequest(_message.Message):
    __slots__ = ("hello", "frame", "relayed", "heartbeat")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    RELAYED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    hello: _peering_pb2.PeerHello
    frame: _peering_pb2.PeerFrame
    relayed: _peering_pb2.RelayedFrame
    heartbeat: _peering_pb2.PeerHeartbeat
    def __init__(self, hello: _Optional[_Union[_peering_pb2.PeerHello, _Mapping]] = ..., frame: _Optional[_Union[_peering_pb2.PeerFrame, _Mapping]] = ..., relayed: _Optional[_Union[_peering_pb2.RelayedFrame, _Mapping]] = ..., heartbeat: _Optional[_Union[_peering_pb2.PeerHeartbeat, _Mapping]] = ...) -> None: ...

class PeerResponse(_message.Message):
    __slots__ = ("hello", "frame", "relayed", "heartbeat")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    RELAYED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    hello: _peering_pb2.PeerHello
    frame: _peering_pb2.PeerFrame
    relayed: _peering_pb2.RelayedFrame
    heartbeat: _peering_pb2.PeerHeartbeat
    def __init__(self, hello: _Optional[_Union[_peering_pb2.PeerHello, _Mapping]] = ..., frame: _Optional[_Union[_peering_pb2.PeerFrame, _Mapping]] = ..., relayed: _Optional[_Union[_peering_pb2.RelayedFrame, _Mapping]] = ..., heartbeat: _Optional[_Union[_peering_pb2.PeerHeartbeat, _Mapping]] = ...) -> None: ...
