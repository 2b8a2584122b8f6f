import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kontor.documents.v1 import shipment_pb2 as _shipment_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateShipmentRequest(_message.Message):
    __slots__ = ("shipment", "request_id")
    SHIPMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    shipment: _shipment_pb2.Shipment
    request_id: str
    def __init__(self, shipment: _Optional[_Union[_shipment_pb2.Shipment, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetShipmentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListShipmentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "customer", "status")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    customer: str
    status: _shipment_pb2.Shipment.Status
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer: _Optional[str] = ..., status: _Optional[_Union[_shipment_pb2.Shipment.Status, str]] = ...) -> None: ...

class ListShipmentsResponse(_message.Message):
    __slots__ = ("shipments", "next_page_token")
    SHIPMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    shipments: _containers.RepeatedCompositeFieldContainer[_shipment_pb2.Shipment]
    next_page_token: str
    def __init__(self, shipments: _Optional[_Iterable[_Union[_shipment_pb2.Shipment, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchShipmentsRequest(_message.Message):
    __slots__ = ("shipment", "resume_token")
    SHIPMENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    shipment: str
    resume_token: str
    def __init__(self, shipment: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class WatchShipmentsResponse(_message.Message):
    __slots__ = ("kind", "shipment", "resume_token", "send_time")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[WatchShipmentsResponse.Kind]
        STATE: _ClassVar[WatchShipmentsResponse.Kind]
        EVENT: _ClassVar[WatchShipmentsResponse.Kind]
        HEARTBEAT: _ClassVar[WatchShipmentsResponse.Kind]
    KIND_UNSPECIFIED: WatchShipmentsResponse.Kind
    STATE: WatchShipmentsResponse.Kind
    EVENT: WatchShipmentsResponse.Kind
    HEARTBEAT: WatchShipmentsResponse.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHIPMENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    kind: WatchShipmentsResponse.Kind
    shipment: _shipment_pb2.Shipment
    resume_token: str
    send_time: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[_Union[WatchShipmentsResponse.Kind, str]] = ..., shipment: _Optional[_Union[_shipment_pb2.Shipment, _Mapping]] = ..., resume_token: _Optional[str] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
