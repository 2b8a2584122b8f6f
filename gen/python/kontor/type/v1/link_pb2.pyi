import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Link(_message.Message):
    __slots__ = ("uri", "status", "create_time", "expire_time")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Link.Status]
        PENDING: _ClassVar[Link.Status]
        OPENED: _ClassVar[Link.Status]
        COMPLETED: _ClassVar[Link.Status]
        EXITED: _ClassVar[Link.Status]
        ERRORED: _ClassVar[Link.Status]
        EXPIRED: _ClassVar[Link.Status]
    STATUS_UNSPECIFIED: Link.Status
    PENDING: Link.Status
    OPENED: Link.Status
    COMPLETED: Link.Status
    EXITED: Link.Status
    ERRORED: Link.Status
    EXPIRED: Link.Status
    URI_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    uri: str
    status: Link.Status
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, uri: _Optional[str] = ..., status: _Optional[_Union[Link.Status, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
