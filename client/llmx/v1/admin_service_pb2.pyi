import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from llmx.v1 import cluster_pb2 as _cluster_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListMembersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("cluster", "members", "next_page_token", "drain")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    cluster: _cluster_pb2.Cluster
    members: _containers.RepeatedCompositeFieldContainer[_cluster_pb2.ClusterMember]
    next_page_token: str
    drain: _cluster_pb2.Drain
    def __init__(self, cluster: _Optional[_Union[_cluster_pb2.Cluster, _Mapping]] = ..., members: _Optional[_Iterable[_Union[_cluster_pb2.ClusterMember, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., drain: _Optional[_Union[_cluster_pb2.Drain, _Mapping]] = ...) -> None: ...

class ListLinksRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLinksResponse(_message.Message):
    __slots__ = ("links", "next_page_token")
    LINKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    links: _containers.RepeatedCompositeFieldContainer[_cluster_pb2.ClusterLink]
    next_page_token: str
    def __init__(self, links: _Optional[_Iterable[_Union[_cluster_pb2.ClusterLink, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LocateAgentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "gateway_id")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    gateway_id: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., gateway_id: _Optional[str] = ...) -> None: ...

class LocateAgentsResponse(_message.Message):
    __slots__ = ("agents", "next_page_token")
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedCompositeFieldContainer[_cluster_pb2.LocatedAgent]
    next_page_token: str
    def __init__(self, agents: _Optional[_Iterable[_Union[_cluster_pb2.LocatedAgent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListNegotiationsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListNegotiationsResponse(_message.Message):
    __slots__ = ("negotiations", "next_page_token")
    NEGOTIATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    negotiations: _containers.RepeatedCompositeFieldContainer[_cluster_pb2.NegotiationSummary]
    next_page_token: str
    def __init__(self, negotiations: _Optional[_Iterable[_Union[_cluster_pb2.NegotiationSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ShowNegotiationRequest(_message.Message):
    __slots__ = ("negotiation_id",)
    NEGOTIATION_ID_FIELD_NUMBER: _ClassVar[int]
    negotiation_id: str
    def __init__(self, negotiation_id: _Optional[str] = ...) -> None: ...

class ShowNegotiationResponse(_message.Message):
    __slots__ = ("negotiation",)
    NEGOTIATION_FIELD_NUMBER: _ClassVar[int]
    negotiation: _cluster_pb2.NegotiationDetail
    def __init__(self, negotiation: _Optional[_Union[_cluster_pb2.NegotiationDetail, _Mapping]] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("gateway_id", "agents_per_second", "deadline")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    AGENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    agents_per_second: float
    deadline: _duration_pb2.Duration
    def __init__(self, gateway_id: _Optional[str] = ..., agents_per_second: _Optional[float] = ..., deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("drain",)
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    drain: _cluster_pb2.Drain
    def __init__(self, drain: _Optional[_Union[_cluster_pb2.Drain, _Mapping]] = ...) -> None: ...

class AbortDrainRequest(_message.Message):
    __slots__ = ("gateway_id",)
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    def __init__(self, gateway_id: _Optional[str] = ...) -> None: ...

class AbortDrainResponse(_message.Message):
    __slots__ = ("drain",)
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    drain: _cluster_pb2.Drain
    def __init__(self, drain: _Optional[_Union[_cluster_pb2.Drain, _Mapping]] = ...) -> None: ...
