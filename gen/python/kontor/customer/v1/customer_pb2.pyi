import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Customer(_message.Message):
    __slots__ = ("name", "type", "reference", "products", "create_time", "update_time", "etag")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Customer.Type]
        PERSON: _ClassVar[Customer.Type]
        COMPANY: _ClassVar[Customer.Type]
    TYPE_UNSPECIFIED: Customer.Type
    PERSON: Customer.Type
    COMPANY: Customer.Type
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: Customer.Type
    reference: str
    products: _containers.RepeatedScalarFieldContainer[Product.Value]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[Customer.Type, str]] = ..., reference: _Optional[str] = ..., products: _Optional[_Iterable[_Union[Product.Value, str]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class Product(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Product.Value]
        BANKING: _ClassVar[Product.Value]
        IMPORT: _ClassVar[Product.Value]
        PAYMENT_PARTNER_ANALYSIS: _ClassVar[Product.Value]
        DOCUMENT_SHIPMENT: _ClassVar[Product.Value]
        COMPANIES: _ClassVar[Product.Value]
        COMPANY_LOGOS: _ClassVar[Product.Value]
        CONTRACTS: _ClassVar[Product.Value]
    VALUE_UNSPECIFIED: Product.Value
    BANKING: Product.Value
    IMPORT: Product.Value
    PAYMENT_PARTNER_ANALYSIS: Product.Value
    DOCUMENT_SHIPMENT: Product.Value
    COMPANIES: Product.Value
    COMPANY_LOGOS: Product.Value
    CONTRACTS: Product.Value
    def __init__(self) -> None: ...

class DeletionReceipt(_message.Message):
    __slots__ = ("name", "customer", "entries", "complete_time")
    class Entry(_message.Message):
        __slots__ = ("place", "kind", "count", "delete_time")
        PLACE_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
        place: str
        kind: str
        count: int
        delete_time: _timestamp_pb2.Timestamp
        def __init__(self, place: _Optional[str] = ..., kind: _Optional[str] = ..., count: _Optional[int] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    customer: str
    entries: _containers.RepeatedCompositeFieldContainer[DeletionReceipt.Entry]
    complete_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., customer: _Optional[str] = ..., entries: _Optional[_Iterable[_Union[DeletionReceipt.Entry, _Mapping]]] = ..., complete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
