import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Shipment(_message.Message):
    __slots__ = ("name", "customer", "channel", "recipient", "address", "subject", "pdf", "status", "create_time", "update_time", "complete_time", "provider")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Shipment.Status]
        SUBMITTED: _ClassVar[Shipment.Status]
        DELIVERED: _ClassVar[Shipment.Status]
        FAILED: _ClassVar[Shipment.Status]
        OUTCOME_UNKNOWN: _ClassVar[Shipment.Status]
    STATUS_UNSPECIFIED: Shipment.Status
    SUBMITTED: Shipment.Status
    DELIVERED: Shipment.Status
    FAILED: Shipment.Status
    OUTCOME_UNKNOWN: Shipment.Status
    class Address(_message.Message):
        __slots__ = ("street", "house_number", "postcode", "city", "country_code", "street_additional_info")
        STREET_FIELD_NUMBER: _ClassVar[int]
        HOUSE_NUMBER_FIELD_NUMBER: _ClassVar[int]
        POSTCODE_FIELD_NUMBER: _ClassVar[int]
        CITY_FIELD_NUMBER: _ClassVar[int]
        COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
        STREET_ADDITIONAL_INFO_FIELD_NUMBER: _ClassVar[int]
        street: str
        house_number: str
        postcode: str
        city: str
        country_code: str
        street_additional_info: str
        def __init__(self, street: _Optional[str] = ..., house_number: _Optional[str] = ..., postcode: _Optional[str] = ..., city: _Optional[str] = ..., country_code: _Optional[str] = ..., street_additional_info: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PDF_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    customer: str
    channel: Channel.Value
    recipient: str
    address: Shipment.Address
    subject: str
    pdf: bytes
    status: Shipment.Status
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    complete_time: _timestamp_pb2.Timestamp
    provider: str
    def __init__(self, name: _Optional[str] = ..., customer: _Optional[str] = ..., channel: _Optional[_Union[Channel.Value, str]] = ..., recipient: _Optional[str] = ..., address: _Optional[_Union[Shipment.Address, _Mapping]] = ..., subject: _Optional[str] = ..., pdf: _Optional[bytes] = ..., status: _Optional[_Union[Shipment.Status, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., complete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., provider: _Optional[str] = ...) -> None: ...

class Channel(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Channel.Value]
        FAX: _ClassVar[Channel.Value]
        LETTER: _ClassVar[Channel.Value]
    VALUE_UNSPECIFIED: Channel.Value
    FAX: Channel.Value
    LETTER: Channel.Value
    def __init__(self) -> None: ...
