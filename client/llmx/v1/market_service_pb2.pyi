from llmx.v1 import market_pb2 as _market_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ShowMarketRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShowMarketResponse(_message.Message):
    __slots__ = ("market",)
    MARKET_FIELD_NUMBER: _ClassVar[int]
    market: _market_pb2.Market
    def __init__(self, market: _Optional[_Union[_market_pb2.Market, _Mapping]] = ...) -> None: ...

class RateAgentRequest(_message.Message):
    __slots__ = ("agent_id", "claimed", "realised", "key")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    REALISED_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    claimed: float
    realised: float
    key: str
    def __init__(self, agent_id: _Optional[str] = ..., claimed: _Optional[float] = ..., realised: _Optional[float] = ..., key: _Optional[str] = ...) -> None: ...

class RateAgentResponse(_message.Message):
    __slots__ = ("standing",)
    STANDING_FIELD_NUMBER: _ClassVar[int]
    standing: _market_pb2.Standing
    def __init__(self, standing: _Optional[_Union[_market_pb2.Standing, _Mapping]] = ...) -> None: ...

class GetStandingRequest(_message.Message):
    __slots__ = ("agent_id",)
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    def __init__(self, agent_id: _Optional[str] = ...) -> None: ...

class GetStandingResponse(_message.Message):
    __slots__ = ("standing",)
    STANDING_FIELD_NUMBER: _ClassVar[int]
    standing: _market_pb2.Standing
    def __init__(self, standing: _Optional[_Union[_market_pb2.Standing, _Mapping]] = ...) -> None: ...
