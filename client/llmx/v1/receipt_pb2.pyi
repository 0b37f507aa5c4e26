from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReceiptStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECEIPT_STAGE_UNSPECIFIED: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_ADMITTED: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_DELIVERED: _ClassVar[ReceiptStage]
RECEIPT_STAGE_UNSPECIFIED: ReceiptStage
RECEIPT_STAGE_ADMITTED: ReceiptStage
RECEIPT_STAGE_DELIVERED: ReceiptStage

class Receipt(_message.Message):
    __slots__ = ("msg_id", "stage", "recipient")
    MSG_ID_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    msg_id: str
    stage: ReceiptStage
    recipient: str
    def __init__(self, msg_id: _Optional[str] = ..., stage: _Optional[_Union[ReceiptStage, str]] = ..., recipient: _Optional[str] = ...) -> None: ...
