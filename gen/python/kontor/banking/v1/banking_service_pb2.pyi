import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kontor.banking.v1 import banking_pb2 as _banking_pb2
from kontor.consent.v1 import consent_pb2 as _consent_pb2
from kontor.type.v1 import link_pb2 as _link_pb2
from kontor.type.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListConnectionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListConnectionsResponse(_message.Message):
    __slots__ = ("connections", "next_page_token")
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    connections: _containers.RepeatedCompositeFieldContainer[_consent_pb2.Connection]
    next_page_token: str
    def __init__(self, connections: _Optional[_Iterable[_Union[_consent_pb2.Connection, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetConnectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SyncConnectionRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SyncConnectionResponse(_message.Message):
    __slots__ = ("connection", "link")
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    connection: _consent_pb2.Connection
    link: _link_pb2.Link
    def __init__(self, connection: _Optional[_Union[_consent_pb2.Connection, _Mapping]] = ..., link: _Optional[_Union[_link_pb2.Link, _Mapping]] = ...) -> None: ...

class DeleteConnectionRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateManagementSessionRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ImportedConnection(_message.Message):
    __slots__ = ("id", "bank", "accounts")
    ID_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    bank: _consent_pb2.Connection.Bank
    accounts: _containers.RepeatedCompositeFieldContainer[ImportedAccount]
    def __init__(self, id: _Optional[str] = ..., bank: _Optional[_Union[_consent_pb2.Connection.Bank, _Mapping]] = ..., accounts: _Optional[_Iterable[_Union[ImportedAccount, _Mapping]]] = ...) -> None: ...

class ImportedAccount(_message.Message):
    __slots__ = ("id", "iban", "account_number", "display_name", "owner_name", "type", "provider_type", "balance", "credit_line", "monthly_spending_limit", "transactions", "standing_orders", "securities")
    ID_FIELD_NUMBER: _ClassVar[int]
    IBAN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_LINE_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_SPENDING_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    STANDING_ORDERS_FIELD_NUMBER: _ClassVar[int]
    SECURITIES_FIELD_NUMBER: _ClassVar[int]
    id: str
    iban: str
    account_number: str
    display_name: str
    owner_name: str
    type: _banking_pb2.Account.Type
    provider_type: str
    balance: _money_pb2.Money
    credit_line: _money_pb2.Money
    monthly_spending_limit: _money_pb2.Money
    transactions: _containers.RepeatedCompositeFieldContainer[ImportedTransaction]
    standing_orders: _containers.RepeatedCompositeFieldContainer[_banking_pb2.StandingOrder]
    securities: _containers.RepeatedCompositeFieldContainer[_banking_pb2.Security]
    def __init__(self, id: _Optional[str] = ..., iban: _Optional[str] = ..., account_number: _Optional[str] = ..., display_name: _Optional[str] = ..., owner_name: _Optional[str] = ..., type: _Optional[_Union[_banking_pb2.Account.Type, str]] = ..., provider_type: _Optional[str] = ..., balance: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., credit_line: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., monthly_spending_limit: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., transactions: _Optional[_Iterable[_Union[ImportedTransaction, _Mapping]]] = ..., standing_orders: _Optional[_Iterable[_Union[_banking_pb2.StandingOrder, _Mapping]]] = ..., securities: _Optional[_Iterable[_Union[_banking_pb2.Security, _Mapping]]] = ...) -> None: ...

class ImportedTransaction(_message.Message):
    __slots__ = ("id", "transaction")
    ID_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    id: str
    transaction: _banking_pb2.Transaction
    def __init__(self, id: _Optional[str] = ..., transaction: _Optional[_Union[_banking_pb2.Transaction, _Mapping]] = ...) -> None: ...

class ImportConnectionsRequest(_message.Message):
    __slots__ = ("name", "connections", "mode", "request_id", "provider")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[ImportConnectionsRequest.Mode]
        REPLACE: _ClassVar[ImportConnectionsRequest.Mode]
        MERGE: _ClassVar[ImportConnectionsRequest.Mode]
    MODE_UNSPECIFIED: ImportConnectionsRequest.Mode
    REPLACE: ImportConnectionsRequest.Mode
    MERGE: ImportConnectionsRequest.Mode
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    connections: _containers.RepeatedCompositeFieldContainer[ImportedConnection]
    mode: ImportConnectionsRequest.Mode
    request_id: str
    provider: str
    def __init__(self, name: _Optional[str] = ..., connections: _Optional[_Iterable[_Union[ImportedConnection, _Mapping]]] = ..., mode: _Optional[_Union[ImportConnectionsRequest.Mode, str]] = ..., request_id: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class ImportConnectionsResponse(_message.Message):
    __slots__ = ("consent",)
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    consent: _consent_pb2.Consent
    def __init__(self, consent: _Optional[_Union[_consent_pb2.Consent, _Mapping]] = ...) -> None: ...

class ListAccountsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAccountsResponse(_message.Message):
    __slots__ = ("accounts", "next_page_token", "complete", "read_time")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[_banking_pb2.Account]
    next_page_token: str
    complete: bool
    read_time: _timestamp_pb2.Timestamp
    def __init__(self, accounts: _Optional[_Iterable[_Union[_banking_pb2.Account, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., complete: _Optional[bool] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListTransactionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "date_from", "date_to", "status")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DATE_FROM_FIELD_NUMBER: _ClassVar[int]
    DATE_TO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    date_from: str
    date_to: str
    status: _banking_pb2.Transaction.Status
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., date_from: _Optional[str] = ..., date_to: _Optional[str] = ..., status: _Optional[_Union[_banking_pb2.Transaction.Status, str]] = ...) -> None: ...

class ListTransactionsResponse(_message.Message):
    __slots__ = ("transactions", "next_page_token", "complete", "read_time")
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    transactions: _containers.RepeatedCompositeFieldContainer[_banking_pb2.Transaction]
    next_page_token: str
    complete: bool
    read_time: _timestamp_pb2.Timestamp
    def __init__(self, transactions: _Optional[_Iterable[_Union[_banking_pb2.Transaction, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., complete: _Optional[bool] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StreamTransactionsRequest(_message.Message):
    __slots__ = ("parent", "date_from", "date_to", "status")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    DATE_FROM_FIELD_NUMBER: _ClassVar[int]
    DATE_TO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    date_from: str
    date_to: str
    status: _banking_pb2.Transaction.Status
    def __init__(self, parent: _Optional[str] = ..., date_from: _Optional[str] = ..., date_to: _Optional[str] = ..., status: _Optional[_Union[_banking_pb2.Transaction.Status, str]] = ...) -> None: ...

class StreamTransactionsResponse(_message.Message):
    __slots__ = ("kind", "transaction", "count", "complete", "read_time")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[StreamTransactionsResponse.Kind]
        TRANSACTION: _ClassVar[StreamTransactionsResponse.Kind]
        HEARTBEAT: _ClassVar[StreamTransactionsResponse.Kind]
        END: _ClassVar[StreamTransactionsResponse.Kind]
    KIND_UNSPECIFIED: StreamTransactionsResponse.Kind
    TRANSACTION: StreamTransactionsResponse.Kind
    HEARTBEAT: StreamTransactionsResponse.Kind
    END: StreamTransactionsResponse.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    kind: StreamTransactionsResponse.Kind
    transaction: _banking_pb2.Transaction
    count: int
    complete: bool
    read_time: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[_Union[StreamTransactionsResponse.Kind, str]] = ..., transaction: _Optional[_Union[_banking_pb2.Transaction, _Mapping]] = ..., count: _Optional[int] = ..., complete: _Optional[bool] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListStandingOrdersRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStandingOrdersResponse(_message.Message):
    __slots__ = ("standing_orders", "next_page_token", "complete", "read_time")
    STANDING_ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    standing_orders: _containers.RepeatedCompositeFieldContainer[_banking_pb2.StandingOrder]
    next_page_token: str
    complete: bool
    read_time: _timestamp_pb2.Timestamp
    def __init__(self, standing_orders: _Optional[_Iterable[_Union[_banking_pb2.StandingOrder, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., complete: _Optional[bool] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListSecuritiesRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSecuritiesResponse(_message.Message):
    __slots__ = ("securities", "next_page_token", "complete", "read_time")
    SECURITIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    securities: _containers.RepeatedCompositeFieldContainer[_banking_pb2.Security]
    next_page_token: str
    complete: bool
    read_time: _timestamp_pb2.Timestamp
    def __init__(self, securities: _Optional[_Iterable[_Union[_banking_pb2.Security, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., complete: _Optional[bool] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
