import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kontor.error.v1 import error_pb2 as _error_pb2
from kontor.type.v1 import link_pb2 as _link_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Consent(_message.Message):
    __slots__ = ("name", "customer", "provider", "market", "access", "data_collection", "redirect_uris", "partner_bank", "broker_banks", "reference", "origin", "status", "data_stage", "decision", "link", "connections", "error", "provider_reference", "event_count", "create_time", "update_time", "etag", "identity_match")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Consent.Status]
        AWAITING_AUTHORIZATION: _ClassVar[Consent.Status]
        AUTHORIZED: _ClassVar[Consent.Status]
        AWAITING_REAUTHORIZATION: _ClassVar[Consent.Status]
        REJECTED: _ClassVar[Consent.Status]
        REVOKED: _ClassVar[Consent.Status]
        EXPIRED: _ClassVar[Consent.Status]
        FAILED: _ClassVar[Consent.Status]
    STATUS_UNSPECIFIED: Consent.Status
    AWAITING_AUTHORIZATION: Consent.Status
    AUTHORIZED: Consent.Status
    AWAITING_REAUTHORIZATION: Consent.Status
    REJECTED: Consent.Status
    REVOKED: Consent.Status
    EXPIRED: Consent.Status
    FAILED: Consent.Status
    class RedirectUris(_message.Message):
        __slots__ = ("success", "error", "exit")
        SUCCESS_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        EXIT_FIELD_NUMBER: _ClassVar[int]
        success: str
        error: str
        exit: str
        def __init__(self, success: _Optional[str] = ..., error: _Optional[str] = ..., exit: _Optional[str] = ...) -> None: ...
    class BrokerBank(_message.Message):
        __slots__ = ("name", "id", "logo_uri")
        NAME_FIELD_NUMBER: _ClassVar[int]
        ID_FIELD_NUMBER: _ClassVar[int]
        LOGO_URI_FIELD_NUMBER: _ClassVar[int]
        name: str
        id: str
        logo_uri: str
        def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., logo_uri: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MARKET_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    DATA_COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URIS_FIELD_NUMBER: _ClassVar[int]
    PARTNER_BANK_FIELD_NUMBER: _ClassVar[int]
    BROKER_BANKS_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DATA_STAGE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_MATCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    customer: str
    provider: str
    market: str
    access: Access.Value
    data_collection: DataCollection.Value
    redirect_uris: Consent.RedirectUris
    partner_bank: str
    broker_banks: _containers.RepeatedCompositeFieldContainer[Consent.BrokerBank]
    reference: str
    origin: ConsentOrigin.Value
    status: Consent.Status
    data_stage: DataStage.Value
    decision: Decision.Value
    link: _link_pb2.Link
    connections: _containers.RepeatedCompositeFieldContainer[Connection]
    error: _error_pb2.Error
    provider_reference: str
    event_count: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    identity_match: IdentityMatch.Value
    def __init__(self, name: _Optional[str] = ..., customer: _Optional[str] = ..., provider: _Optional[str] = ..., market: _Optional[str] = ..., access: _Optional[_Union[Access.Value, str]] = ..., data_collection: _Optional[_Union[DataCollection.Value, str]] = ..., redirect_uris: _Optional[_Union[Consent.RedirectUris, _Mapping]] = ..., partner_bank: _Optional[str] = ..., broker_banks: _Optional[_Iterable[_Union[Consent.BrokerBank, _Mapping]]] = ..., reference: _Optional[str] = ..., origin: _Optional[_Union[ConsentOrigin.Value, str]] = ..., status: _Optional[_Union[Consent.Status, str]] = ..., data_stage: _Optional[_Union[DataStage.Value, str]] = ..., decision: _Optional[_Union[Decision.Value, str]] = ..., link: _Optional[_Union[_link_pb2.Link, _Mapping]] = ..., connections: _Optional[_Iterable[_Union[Connection, _Mapping]]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., provider_reference: _Optional[str] = ..., event_count: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., identity_match: _Optional[_Union[IdentityMatch.Value, str]] = ...) -> None: ...

class DataStage(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[DataStage.Value]
        NOT_STARTED: _ClassVar[DataStage.Value]
        FETCHING: _ClassVar[DataStage.Value]
        CATEGORISING: _ClassVar[DataStage.Value]
        GENERATING_INSIGHTS: _ClassVar[DataStage.Value]
        READY: _ClassVar[DataStage.Value]
    VALUE_UNSPECIFIED: DataStage.Value
    NOT_STARTED: DataStage.Value
    FETCHING: DataStage.Value
    CATEGORISING: DataStage.Value
    GENERATING_INSIGHTS: DataStage.Value
    READY: DataStage.Value
    def __init__(self) -> None: ...

class Access(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Access.Value]
        ONE_OFF: _ClassVar[Access.Value]
        RECURRING: _ClassVar[Access.Value]
    VALUE_UNSPECIFIED: Access.Value
    ONE_OFF: Access.Value
    RECURRING: Access.Value
    def __init__(self) -> None: ...

class DataCollection(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[DataCollection.Value]
        TRANSACTION_CATEGORISATION: _ClassVar[DataCollection.Value]
        BANK_ACCOUNT_VERIFICATION: _ClassVar[DataCollection.Value]
    VALUE_UNSPECIFIED: DataCollection.Value
    TRANSACTION_CATEGORISATION: DataCollection.Value
    BANK_ACCOUNT_VERIFICATION: DataCollection.Value
    def __init__(self) -> None: ...

class ConsentOrigin(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[ConsentOrigin.Value]
        NATIVE: _ClassVar[ConsentOrigin.Value]
        SYNTHESISED: _ClassVar[ConsentOrigin.Value]
        IMPORTED: _ClassVar[ConsentOrigin.Value]
    VALUE_UNSPECIFIED: ConsentOrigin.Value
    NATIVE: ConsentOrigin.Value
    SYNTHESISED: ConsentOrigin.Value
    IMPORTED: ConsentOrigin.Value
    def __init__(self) -> None: ...

class IdentityMatch(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[IdentityMatch.Value]
        MATCHED: _ClassVar[IdentityMatch.Value]
        DIFFERENT: _ClassVar[IdentityMatch.Value]
        UNKNOWN: _ClassVar[IdentityMatch.Value]
    VALUE_UNSPECIFIED: IdentityMatch.Value
    MATCHED: IdentityMatch.Value
    DIFFERENT: IdentityMatch.Value
    UNKNOWN: IdentityMatch.Value
    def __init__(self) -> None: ...

class Decision(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Decision.Value]
        UNDECIDED: _ClassVar[Decision.Value]
        APPROVED: _ClassVar[Decision.Value]
        REVOKED: _ClassVar[Decision.Value]
    VALUE_UNSPECIFIED: Decision.Value
    UNDECIDED: Decision.Value
    APPROVED: Decision.Value
    REVOKED: Decision.Value
    def __init__(self) -> None: ...

class Connection(_message.Message):
    __slots__ = ("name", "bank", "status", "provider_code", "error", "authorize_time", "sync_time", "data_stage")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Connection.Status]
        PENDING_AUTHORIZATION: _ClassVar[Connection.Status]
        ACTIVE: _ClassVar[Connection.Status]
        REAUTHORIZATION_REQUIRED: _ClassVar[Connection.Status]
        DISCONNECTED: _ClassVar[Connection.Status]
        ERROR: _ClassVar[Connection.Status]
    STATUS_UNSPECIFIED: Connection.Status
    PENDING_AUTHORIZATION: Connection.Status
    ACTIVE: Connection.Status
    REAUTHORIZATION_REQUIRED: Connection.Status
    DISCONNECTED: Connection.Status
    ERROR: Connection.Status
    class Bank(_message.Message):
        __slots__ = ("display_name", "bic", "bank_code", "country_code", "logo_uri")
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        BIC_FIELD_NUMBER: _ClassVar[int]
        BANK_CODE_FIELD_NUMBER: _ClassVar[int]
        COUNTRY_CODE_FIELD_NUMBER: _ClassVar[int]
        LOGO_URI_FIELD_NUMBER: _ClassVar[int]
        display_name: str
        bic: str
        bank_code: str
        country_code: str
        logo_uri: str
        def __init__(self, display_name: _Optional[str] = ..., bic: _Optional[str] = ..., bank_code: _Optional[str] = ..., country_code: _Optional[str] = ..., logo_uri: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZE_TIME_FIELD_NUMBER: _ClassVar[int]
    SYNC_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_STAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    bank: Connection.Bank
    status: Connection.Status
    provider_code: str
    error: _error_pb2.Error
    authorize_time: _timestamp_pb2.Timestamp
    sync_time: _timestamp_pb2.Timestamp
    data_stage: DataStage.Value
    def __init__(self, name: _Optional[str] = ..., bank: _Optional[_Union[Connection.Bank, _Mapping]] = ..., status: _Optional[_Union[Connection.Status, str]] = ..., provider_code: _Optional[str] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ..., authorize_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sync_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., data_stage: _Optional[_Union[DataStage.Value, str]] = ...) -> None: ...

class ConsentEvent(_message.Message):
    __slots__ = ("name", "type", "connection", "provider_code", "description", "event_time", "receive_time", "error")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[ConsentEvent.Type]
        CREATED: _ClassVar[ConsentEvent.Type]
        LINK_ISSUED: _ClassVar[ConsentEvent.Type]
        LINK_OPENED: _ClassVar[ConsentEvent.Type]
        LINK_EXITED: _ClassVar[ConsentEvent.Type]
        LINK_EXPIRED: _ClassVar[ConsentEvent.Type]
        BANK_SELECTED: _ClassVar[ConsentEvent.Type]
        BANK_AUTHORIZED: _ClassVar[ConsentEvent.Type]
        FETCH_STARTED: _ClassVar[ConsentEvent.Type]
        FETCH_COMPLETED: _ClassVar[ConsentEvent.Type]
        APPROVED: _ClassVar[ConsentEvent.Type]
        REVOKED: _ClassVar[ConsentEvent.Type]
        CATEGORISATION_STARTED: _ClassVar[ConsentEvent.Type]
        CATEGORISATION_COMPLETED: _ClassVar[ConsentEvent.Type]
        INSIGHTS_STARTED: _ClassVar[ConsentEvent.Type]
        COMPLETED: _ClassVar[ConsentEvent.Type]
        AUTHORIZATION_FAILED: _ClassVar[ConsentEvent.Type]
        REAUTHORIZATION_REQUIRED: _ClassVar[ConsentEvent.Type]
        SYNC_COMPLETED: _ClassVar[ConsentEvent.Type]
        CONNECTION_REMOVED: _ClassVar[ConsentEvent.Type]
        DELETED: _ClassVar[ConsentEvent.Type]
        PROVIDER_STATUS: _ClassVar[ConsentEvent.Type]
        SUPERSEDED: _ClassVar[ConsentEvent.Type]
    TYPE_UNSPECIFIED: ConsentEvent.Type
    CREATED: ConsentEvent.Type
    LINK_ISSUED: ConsentEvent.Type
    LINK_OPENED: ConsentEvent.Type
    LINK_EXITED: ConsentEvent.Type
    LINK_EXPIRED: ConsentEvent.Type
    BANK_SELECTED: ConsentEvent.Type
    BANK_AUTHORIZED: ConsentEvent.Type
    FETCH_STARTED: ConsentEvent.Type
    FETCH_COMPLETED: ConsentEvent.Type
    APPROVED: ConsentEvent.Type
    REVOKED: ConsentEvent.Type
    CATEGORISATION_STARTED: ConsentEvent.Type
    CATEGORISATION_COMPLETED: ConsentEvent.Type
    INSIGHTS_STARTED: ConsentEvent.Type
    COMPLETED: ConsentEvent.Type
    AUTHORIZATION_FAILED: ConsentEvent.Type
    REAUTHORIZATION_REQUIRED: ConsentEvent.Type
    SYNC_COMPLETED: ConsentEvent.Type
    CONNECTION_REMOVED: ConsentEvent.Type
    DELETED: ConsentEvent.Type
    PROVIDER_STATUS: ConsentEvent.Type
    SUPERSEDED: ConsentEvent.Type
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CODE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: ConsentEvent.Type
    connection: str
    provider_code: str
    description: str
    event_time: _timestamp_pb2.Timestamp
    receive_time: _timestamp_pb2.Timestamp
    error: _error_pb2.Error
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[ConsentEvent.Type, str]] = ..., connection: _Optional[str] = ..., provider_code: _Optional[str] = ..., description: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., receive_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[_Union[_error_pb2.Error, _Mapping]] = ...) -> None: ...

class PartnerBank(_message.Message):
    __slots__ = ("name", "display_name", "broker", "logo_uri", "provider")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    BROKER_FIELD_NUMBER: _ClassVar[int]
    LOGO_URI_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    broker: bool
    logo_uri: str
    provider: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., broker: _Optional[bool] = ..., logo_uri: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...
