import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Evenness(_message.Message):
    __slots__ = ("of", "index", "agents", "nothing")
    OF_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    NOTHING_FIELD_NUMBER: _ClassVar[int]
    of: str
    index: float
    agents: int
    nothing: bool
    def __init__(self, of: _Optional[str] = ..., index: _Optional[float] = ..., agents: _Optional[int] = ..., nothing: _Optional[bool] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("agent_id", "awards", "utility", "rating", "tasks", "multiplier")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    AWARDS_FIELD_NUMBER: _ClassVar[int]
    UTILITY_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    awards: int
    utility: float
    rating: float
    tasks: int
    multiplier: float
    def __init__(self, agent_id: _Optional[str] = ..., awards: _Optional[int] = ..., utility: _Optional[float] = ..., rating: _Optional[float] = ..., tasks: _Optional[int] = ..., multiplier: _Optional[float] = ...) -> None: ...

class Ring(_message.Message):
    __slots__ = ("market", "agent_ids")
    MARKET_FIELD_NUMBER: _ClassVar[int]
    AGENT_IDS_FIELD_NUMBER: _ClassVar[int]
    market: str
    agent_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, market: _Optional[str] = ..., agent_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class Market(_message.Message):
    __slots__ = ("window", "evenness", "standings", "rings", "probes")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    EVENNESS_FIELD_NUMBER: _ClassVar[int]
    STANDINGS_FIELD_NUMBER: _ClassVar[int]
    RINGS_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    window: _duration_pb2.Duration
    evenness: _containers.RepeatedCompositeFieldContainer[Evenness]
    standings: _containers.RepeatedCompositeFieldContainer[Standing]
    rings: _containers.RepeatedCompositeFieldContainer[Ring]
    probes: int
    def __init__(self, window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., evenness: _Optional[_Iterable[_Union[Evenness, _Mapping]]] = ..., standings: _Optional[_Iterable[_Union[Standing, _Mapping]]] = ..., rings: _Optional[_Iterable[_Union[Ring, _Mapping]]] = ..., probes: _Optional[int] = ...) -> None: ...
