from kontor.type.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Account(_message.Message):
    __slots__ = ("name", "connection", "display_name", "owner_name", "iban", "account_number", "type", "provider_type", "currency_code", "balance", "credit_line", "monthly_spending_limit", "bank_name", "fingerprint", "import_id")
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
    BANK_NAME_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    IMPORT_ID_FIELD_NUMBER: _ClassVar[int]
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
    bank_name: str
    fingerprint: str
    import_id: str
    def __init__(self, name: _Optional[str] = ..., connection: _Optional[str] = ..., display_name: _Optional[str] = ..., owner_name: _Optional[str] = ..., iban: _Optional[str] = ..., account_number: _Optional[str] = ..., type: _Optional[_Union[Account.Type, str]] = ..., provider_type: _Optional[str] = ..., currency_code: _Optional[str] = ..., balance: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., credit_line: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., monthly_spending_limit: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., bank_name: _Optional[str] = ..., fingerprint: _Optional[str] = ..., import_id: _Optional[str] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("name", "account", "status", "amount", "booking_date", "value_date", "remittance_information", "counterparty", "mandate_id", "end_to_end_id", "bank_transaction_codes", "category", "provider_category", "tags", "subcategory", "import_id")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Transaction.Status]
        BOOKED: _ClassVar[Transaction.Status]
        PENDING: _ClassVar[Transaction.Status]
    STATUS_UNSPECIFIED: Transaction.Status
    BOOKED: Transaction.Status
    PENDING: Transaction.Status
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
    class Tag(_message.Message):
        __slots__ = ("name", "source")
        NAME_FIELD_NUMBER: _ClassVar[int]
        SOURCE_FIELD_NUMBER: _ClassVar[int]
        name: str
        source: str
        def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...
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
    SUBCATEGORY_FIELD_NUMBER: _ClassVar[int]
    IMPORT_ID_FIELD_NUMBER: _ClassVar[int]
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
    category: Category.Value
    provider_category: str
    tags: _containers.RepeatedCompositeFieldContainer[Transaction.Tag]
    subcategory: Subcategory.Value
    import_id: str
    def __init__(self, name: _Optional[str] = ..., account: _Optional[str] = ..., status: _Optional[_Union[Transaction.Status, str]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., booking_date: _Optional[str] = ..., value_date: _Optional[str] = ..., remittance_information: _Optional[str] = ..., counterparty: _Optional[_Union[Transaction.Counterparty, _Mapping]] = ..., mandate_id: _Optional[str] = ..., end_to_end_id: _Optional[str] = ..., bank_transaction_codes: _Optional[_Iterable[_Union[Transaction.BankTransactionCode, _Mapping]]] = ..., category: _Optional[_Union[Category.Value, str]] = ..., provider_category: _Optional[str] = ..., tags: _Optional[_Iterable[_Union[Transaction.Tag, _Mapping]]] = ..., subcategory: _Optional[_Union[Subcategory.Value, str]] = ..., import_id: _Optional[str] = ...) -> None: ...

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

class Category(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Category.Value]
        INCOME: _ClassVar[Category.Value]
        HOUSING: _ClassVar[Category.Value]
        GROCERIES: _ClassVar[Category.Value]
        DINING: _ClassVar[Category.Value]
        TRANSPORT: _ClassVar[Category.Value]
        SHOPPING: _ClassVar[Category.Value]
        SUBSCRIPTIONS: _ClassVar[Category.Value]
        INSURANCE: _ClassVar[Category.Value]
        HEALTH: _ClassVar[Category.Value]
        LEISURE: _ClassVar[Category.Value]
        EDUCATION: _ClassVar[Category.Value]
        SAVINGS: _ClassVar[Category.Value]
        LOANS: _ClassVar[Category.Value]
        DEBT_COLLECTION: _ClassVar[Category.Value]
        GAMBLING: _ClassVar[Category.Value]
        TAXES: _ClassVar[Category.Value]
        BANK_FEES: _ClassVar[Category.Value]
        CASH: _ClassVar[Category.Value]
        TRANSFERS: _ClassVar[Category.Value]
        BUSINESS: _ClassVar[Category.Value]
        OTHER: _ClassVar[Category.Value]
    VALUE_UNSPECIFIED: Category.Value
    INCOME: Category.Value
    HOUSING: Category.Value
    GROCERIES: Category.Value
    DINING: Category.Value
    TRANSPORT: Category.Value
    SHOPPING: Category.Value
    SUBSCRIPTIONS: Category.Value
    INSURANCE: Category.Value
    HEALTH: Category.Value
    LEISURE: Category.Value
    EDUCATION: Category.Value
    SAVINGS: Category.Value
    LOANS: Category.Value
    DEBT_COLLECTION: Category.Value
    GAMBLING: Category.Value
    TAXES: Category.Value
    BANK_FEES: Category.Value
    CASH: Category.Value
    TRANSFERS: Category.Value
    BUSINESS: Category.Value
    OTHER: Category.Value
    def __init__(self) -> None: ...

class Subcategory(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[Subcategory.Value]
        WAGE: _ClassVar[Subcategory.Value]
        BENEFIT: _ClassVar[Subcategory.Value]
        PENSION: _ClassVar[Subcategory.Value]
        CAPITAL_INCOME: _ClassVar[Subcategory.Value]
        OWN_TRANSFER: _ClassVar[Subcategory.Value]
        PRIVATE_PERSON: _ClassVar[Subcategory.Value]
    VALUE_UNSPECIFIED: Subcategory.Value
    WAGE: Subcategory.Value
    BENEFIT: Subcategory.Value
    PENSION: Subcategory.Value
    CAPITAL_INCOME: Subcategory.Value
    OWN_TRANSFER: Subcategory.Value
    PRIVATE_PERSON: Subcategory.Value
    def __init__(self) -> None: ...
