from kontor.type.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Account(_message.Message):
    __slots__ = ("name", "connection", "display_name", "owner_name", "iban", "account_number", "type", "provider_type", "currency_code", "balance", "credit_line", "monthly_spending_limit")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Account.Type]
        CURRENT: _ClassVar[Account.Type]
        SAVINGS: _ClassVar[Account.Type]
        CARD: _ClassVar[Account.Type]
        LOAN: _ClassVar[Account.Type]
        SECURITIES: _ClassVar[Account.Type]
        OTHER: _ClassVar[Account.Type]
    TYPE_UNSPECIFIED: Account.Type
    CURRENT: Account.Type
    SAVINGS: Account.Type
    CARD: Account.Type
    LOAN: Account.Type
    SECURITIES: Account.Type
    OTHER: Account.Type
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_NAME_FIELD_NUMBER: _ClassVar[int]
    IBAN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_TYPE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_LINE_FIELD_NUMBER: _ClassVar[int]
    MONTHLY_SPENDING_LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    connection: str
    display_name: str
    owner_name: str
    iban: str
    account_number: str
    type: Account.Type
    provider_type: str
    currency_code: str
    balance: _money_pb2.Money
    credit_line: _money_pb2.Money
    monthly_spending_limit: _money_pb2.Money
    def __init__(self, name: _Optional[str] = ..., connection: _Optional[str] = ..., display_name: _Optional[str] = ..., owner_name: _Optional[str] = ..., iban: _Optional[str] = ..., account_number: _Optional[str] = ..., type: _Optional[_Union[Account.Type, str]] = ..., provider_type: _Optional[str] = ..., currency_code: _Optional[str] = ..., balance: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., credit_line: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., monthly_spending_limit: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("name", "account", "status", "amount", "booking_date", "value_date", "remittance_information", "counterparty", "mandate_id", "end_to_end_id", "bank_transaction_codes", "category", "provider_category", "tags")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Transaction.Status]
        BOOKED: _ClassVar[Transaction.Status]
        PENDING: _ClassVar[Transaction.Status]
    STATUS_UNSPECIFIED: Transaction.Status
    BOOKED: Transaction.Status
    PENDING: Transaction.Status
    class Category(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CATEGORY_UNSPECIFIED: _ClassVar[Transaction.Category]
        INCOME: _ClassVar[Transaction.Category]
        HOUSING: _ClassVar[Transaction.Category]
        GROCERIES: _ClassVar[Transaction.Category]
        DINING: _ClassVar[Transaction.Category]
        TRANSPORT: _ClassVar[Transaction.Category]
        SHOPPING: _ClassVar[Transaction.Category]
        SUBSCRIPTIONS: _ClassVar[Transaction.Category]
        INSURANCE: _ClassVar[Transaction.Category]
        HEALTH: _ClassVar[Transaction.Category]
        LEISURE: _ClassVar[Transaction.Category]
        EDUCATION: _ClassVar[Transaction.Category]
        SAVINGS: _ClassVar[Transaction.Category]
        LOANS: _ClassVar[Transaction.Category]
        DEBT_COLLECTION: _ClassVar[Transaction.Category]
        GAMBLING: _ClassVar[Transaction.Category]
        TAXES: _ClassVar[Transaction.Category]
        BANK_FEES: _ClassVar[Transaction.Category]
        CASH: _ClassVar[Transaction.Category]
        TRANSFERS: _ClassVar[Transaction.Category]
        BUSINESS: _ClassVar[Transaction.Category]
        OTHER: _ClassVar[Transaction.Category]
    CATEGORY_UNSPECIFIED: Transaction.Category
    INCOME: Transaction.Category
    HOUSING: Transaction.Category
    GROCERIES: Transaction.Category
    DINING: Transaction.Category
    TRANSPORT: Transaction.Category
    SHOPPING: Transaction.Category
    SUBSCRIPTIONS: Transaction.Category
    INSURANCE: Transaction.Category
    HEALTH: Transaction.Category
    LEISURE: Transaction.Category
    EDUCATION: Transaction.Category
    SAVINGS: Transaction.Category
    LOANS: Transaction.Category
    DEBT_COLLECTION: Transaction.Category
    GAMBLING: Transaction.Category
    TAXES: Transaction.Category
    BANK_FEES: Transaction.Category
    CASH: Transaction.Category
    TRANSFERS: Transaction.Category
    BUSINESS: Transaction.Category
    OTHER: Transaction.Category
    class Counterparty(_message.Message):
        __slots__ = ("name", "iban", "bic", "creditor_id")
        NAME_FIELD_NUMBER: _ClassVar[int]
        IBAN_FIELD_NUMBER: _ClassVar[int]
        BIC_FIELD_NUMBER: _ClassVar[int]
        CREDITOR_ID_FIELD_NUMBER: _ClassVar[int]
        name: str
        iban: str
        bic: str
        creditor_id: str
        def __init__(self, name: _Optional[str] = ..., iban: _Optional[str] = ..., bic: _Optional[str] = ..., creditor_id: _Optional[str] = ...) -> None: ...
    class BankTransactionCode(_message.Message):
        __slots__ = ("type", "value")
        TYPE_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        type: str
        value: str
        def __init__(self, type: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BOOKING_DATE_FIELD_NUMBER: _ClassVar[int]
    VALUE_DATE_FIELD_NUMBER: _ClassVar[int]
    REMITTANCE_INFORMATION_FIELD_NUMBER: _ClassVar[int]
    COUNTERPARTY_FIELD_NUMBER: _ClassVar[int]
    MANDATE_ID_FIELD_NUMBER: _ClassVar[int]
    END_TO_END_ID_FIELD_NUMBER: _ClassVar[int]
    BANK_TRANSACTION_CODES_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    account: str
    status: Transaction.Status
    amount: _money_pb2.Money
    booking_date: str
    value_date: str
    remittance_information: str
    counterparty: Transaction.Counterparty
    mandate_id: str
    end_to_end_id: str
    bank_transaction_codes: _containers.RepeatedCompositeFieldContainer[Transaction.BankTransactionCode]
    category: Transaction.Category
    provider_category: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., account: _Optional[str] = ..., status: _Optional[_Union[Transaction.Status, str]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., booking_date: _Optional[str] = ..., value_date: _Optional[str] = ..., remittance_information: _Optional[str] = ..., counterparty: _Optional[_Union[Transaction.Counterparty, _Mapping]] = ..., mandate_id: _Optional[str] = ..., end_to_end_id: _Optional[str] = ..., bank_transaction_codes: _Optional[_Iterable[_Union[Transaction.BankTransactionCode, _Mapping]]] = ..., category: _Optional[_Union[Transaction.Category, str]] = ..., provider_category: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class StandingOrder(_message.Message):
    __slots__ = ("name", "account", "amount", "interval", "execution_day", "creation_date", "first_execution_date", "last_execution_date", "remittance_information")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_DAY_FIELD_NUMBER: _ClassVar[int]
    CREATION_DATE_FIELD_NUMBER: _ClassVar[int]
    FIRST_EXECUTION_DATE_FIELD_NUMBER: _ClassVar[int]
    LAST_EXECUTION_DATE_FIELD_NUMBER: _ClassVar[int]
    REMITTANCE_INFORMATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    account: str
    amount: _money_pb2.Money
    interval: str
    execution_day: int
    creation_date: str
    first_execution_date: str
    last_execution_date: str
    remittance_information: str
    def __init__(self, name: _Optional[str] = ..., account: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., interval: _Optional[str] = ..., execution_day: _Optional[int] = ..., creation_date: _Optional[str] = ..., first_execution_date: _Optional[str] = ..., last_execution_date: _Optional[str] = ..., remittance_information: _Optional[str] = ...) -> None: ...

class Security(_message.Message):
    __slots__ = ("name", "account", "display_name", "isin", "market", "quantity", "amount", "price", "purchase_price", "exchange_rate")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ISIN_FIELD_NUMBER: _ClassVar[int]
    MARKET_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    PURCHASE_PRICE_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_RATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    account: str
    display_name: str
    isin: str
    market: str
    quantity: str
    amount: _money_pb2.Money
    price: _money_pb2.Money
    purchase_price: _money_pb2.Money
    exchange_rate: str
    def __init__(self, name: _Optional[str] = ..., account: _Optional[str] = ..., display_name: _Optional[str] = ..., isin: _Optional[str] = ..., market: _Optional[str] = ..., quantity: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., purchase_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., exchange_rate: _Optional[str] = ...) -> None: ...
