import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kontor.error.v1 import error_pb2 as _error_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Provider(_message.Message):
    __slots__ = ("name", "display_name", "markets", "capabilities", "health")
    class Capability(_message.Message):
        __slots__ = ("method", "level", "reason")
        class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            LEVEL_UNSPECIFIED: _ClassVar[Provider.Capability.Level]
            NATIVE: _ClassVar[Provider.Capability.Level]
            EMULATED: _ClassVar[Provider.Capability.Level]
            UNSUPPORTED: _ClassVar[Provider.Capability.Level]
        LEVEL_UNSPECIFIED: Provider.Capability.Level
        NATIVE: Provider.Capability.Level
        EMULATED: Provider.Capability.Level
        UNSUPPORTED: Provider.Capability.Level
        METHOD_FIELD_NUMBER: _ClassVar[int]
        LEVEL_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        method: str
        level: Provider.Capability.Level
        reason: str
        def __init__(self, method: _Optional[str] = ..., level: _Optional[_Union[Provider.Capability.Level, str]] = ..., reason: _Optional[str] = ...) -> None: ...
    class Health(_message.Message):
        __slots__ = ("state", "since", "last_error_reason", "last_error_time", "breaker", "remaining_quota")
        class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            STATE_UNSPECIFIED: _ClassVar[Provider.Health.State]
            UNKNOWN: _ClassVar[Provider.Health.State]
            HEALTHY: _ClassVar[Provider.Health.State]
            DEGRADED: _ClassVar[Provider.Health.State]
            UNAVAILABLE: _ClassVar[Provider.Health.State]
        STATE_UNSPECIFIED: Provider.Health.State
        UNKNOWN: Provider.Health.State
        HEALTHY: Provider.Health.State
        DEGRADED: Provider.Health.State
        UNAVAILABLE: Provider.Health.State
        STATE_FIELD_NUMBER: _ClassVar[int]
        SINCE_FIELD_NUMBER: _ClassVar[int]
        LAST_ERROR_REASON_FIELD_NUMBER: _ClassVar[int]
        LAST_ERROR_TIME_FIELD_NUMBER: _ClassVar[int]
        BREAKER_FIELD_NUMBER: _ClassVar[int]
        REMAINING_QUOTA_FIELD_NUMBER: _ClassVar[int]
        state: Provider.Health.State
        since: _timestamp_pb2.Timestamp
        last_error_reason: _error_pb2.Error.Reason
        last_error_time: _timestamp_pb2.Timestamp
        breaker: Breaker.Value
        remaining_quota: int
        def __init__(self, state: _Optional[_Union[Provider.Health.State, str]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_error_reason: _Optional[_Union[_error_pb2.Error.Reason, str]] = ..., last_error_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., breaker: _Optional[_Union[Breaker.Value, str]] = ..., remaining_quota: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    MARKETS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    markets: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedCompositeFieldContainer[Provider.Capability]
    health: Provider.Health
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., markets: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[_Union[Provider.Capability, _Mapping]]] = ..., health: _Optional[_Union[Provider.Health, _Mapping]] = ...) -> None: ...

class Breaker(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Breaker.Value]
        CLOSED: _ClassVar[Breaker.Value]
        HALF_OPEN: _ClassVar[Breaker.Value]
        OPEN: _ClassVar[Breaker.Value]
    VALUE_UNSPECIFIED: Breaker.Value
    CLOSED: Breaker.Value
    HALF_OPEN: Breaker.Value
    OPEN: Breaker.Value
    def __init__(self) -> None: ...

class ProviderUser(_message.Message):
    __slots__ = ("name", "customer", "scopes", "deleted", "create_time", "delete_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    customer: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    deleted: bool
    create_time: _timestamp_pb2.Timestamp
    delete_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., customer: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., deleted: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., delete_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
