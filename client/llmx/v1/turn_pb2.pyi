import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Turn(_message.Message):
    __slots__ = ("round", "rounds_left", "answer_in", "deadline_in", "standing_offer", "own_last_msg_id", "answer_by", "deadline_at")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_LEFT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_IN_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_IN_FIELD_NUMBER: _ClassVar[int]
    STANDING_OFFER_FIELD_NUMBER: _ClassVar[int]
    OWN_LAST_MSG_ID_FIELD_NUMBER: _ClassVar[int]
    ANSWER_BY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_FIELD_NUMBER: _ClassVar[int]
    round: int
    rounds_left: int
    answer_in: _duration_pb2.Duration
    deadline_in: _duration_pb2.Duration
    standing_offer: StandingOffer
    own_last_msg_id: str
    answer_by: _timestamp_pb2.Timestamp
    deadline_at: _timestamp_pb2.Timestamp
    def __init__(self, round: _Optional[int] = ..., rounds_left: _Optional[int] = ..., answer_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., deadline_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., standing_offer: _Optional[_Union[StandingOffer, _Mapping]] = ..., own_last_msg_id: _Optional[str] = ..., answer_by: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deadline_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StandingOffer(_message.Message):
    __slots__ = ("offer_id", "sender", "value")
    OFFER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    offer_id: str
    sender: str
    value: float
    def __init__(self, offer_id: _Optional[str] = ..., sender: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
