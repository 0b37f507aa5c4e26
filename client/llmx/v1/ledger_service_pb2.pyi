import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from llmx.v1 import credit_pb2 as _credit_pb2
from llmx.v1 import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatementRequest(_message.Message):
    __slots__ = ("agent_id", "lines_max")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_MAX_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    lines_max: int
    def __init__(self, agent_id: _Optional[str] = ..., lines_max: _Optional[int] = ...) -> None: ...

class GetStatementResponse(_message.Message):
    __slots__ = ("account", "lines", "has_more", "budget")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    account: _credit_pb2.Account
    lines: _containers.RepeatedCompositeFieldContainer[_credit_pb2.StatementLine]
    has_more: bool
    budget: _credit_pb2.Budget
    def __init__(self, account: _Optional[_Union[_credit_pb2.Account, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_credit_pb2.StatementLine, _Mapping]]] = ..., has_more: _Optional[bool] = ..., budget: _Optional[_Union[_credit_pb2.Budget, _Mapping]] = ...) -> None: ...

class GetLedgerRequest(_message.Message):
    __slots__ = ("since",)
    SINCE_FIELD_NUMBER: _ClassVar[int]
    since: _timestamp_pb2.Timestamp
    def __init__(self, since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetLedgerResponse(_message.Message):
    __slots__ = ("totals", "accounts", "costs")
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    totals: _credit_pb2.LedgerTotals
    accounts: _containers.RepeatedCompositeFieldContainer[_credit_pb2.Account]
    costs: _containers.RepeatedCompositeFieldContainer[_credit_pb2.Cost]
    def __init__(self, totals: _Optional[_Union[_credit_pb2.LedgerTotals, _Mapping]] = ..., accounts: _Optional[_Iterable[_Union[_credit_pb2.Account, _Mapping]]] = ..., costs: _Optional[_Iterable[_Union[_credit_pb2.Cost, _Mapping]]] = ...) -> None: ...

class GiveCreditRequest(_message.Message):
    __slots__ = ("agent_id", "micros", "key")
    AGENT_ID_FIELD_NUMBER: _ClassVar[int]
    MICROS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    agent_id: str
    micros: int
    key: str
    def __init__(self, agent_id: _Optional[str] = ..., micros: _Optional[int] = ..., key: _Optional[str] = ...) -> None: ...

class GiveCreditResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: _credit_pb2.Account
    def __init__(self, account: _Optional[_Union[_credit_pb2.Account, _Mapping]] = ...) -> None: ...

class RefundCreditRequest(_message.Message):
    __slots__ = ("hold_id", "micros", "key")
    HOLD_ID_FIELD_NUMBER: _ClassVar[int]
    MICROS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    hold_id: str
    micros: int
    key: str
    def __init__(self, hold_id: _Optional[str] = ..., micros: _Optional[int] = ..., key: _Optional[str] = ...) -> None: ...

class RefundCreditResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: _credit_pb2.Account
    def __init__(self, account: _Optional[_Union[_credit_pb2.Account, _Mapping]] = ...) -> None: ...

class SetBudgetRequest(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: _credit_pb2.Budget
    def __init__(self, budget: _Optional[_Union[_credit_pb2.Budget, _Mapping]] = ...) -> None: ...

class SetBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: _credit_pb2.Budget
    def __init__(self, budget: _Optional[_Union[_credit_pb2.Budget, _Mapping]] = ...) -> None: ...

class ListResourcesRequest(_message.Message):
    __slots__ = ("prefix",)
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    def __init__(self, prefix: _Optional[str] = ...) -> None: ...

class ListResourcesResponse(_message.Message):
    __slots__ = ("resources",)
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedCompositeFieldContainer[_resource_pb2.Resource]
    def __init__(self, resources: _Optional[_Iterable[_Union[_resource_pb2.Resource, _Mapping]]] = ...) -> None: ...

class SetResourceRequest(_message.Message):
    __slots__ = ("resource",)
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ...) -> None: ...

class SetResourceResponse(_message.Message):
    __slots__ = ("resource",)
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    resource: _resource_pb2.Resource
    def __init__(self, resource: _Optional[_Union[_resource_pb2.Resource, _Mapping]] = ...) -> None: ...
