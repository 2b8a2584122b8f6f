import datetime

from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kontor.banking.v1 import banking_pb2 as _banking_pb2
from kontor.type.v1 import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Insights(_message.Message):
    __slots__ = ("name", "origin", "accounts", "start_time", "end_time", "total_balances", "movements", "categories", "total_balance", "categorisation", "computation_automation", "fetch_interval", "connections", "complete")
    class Interval(_message.Message):
        __slots__ = ("start_time", "end_time")
        START_TIME_FIELD_NUMBER: _ClassVar[int]
        END_TIME_FIELD_NUMBER: _ClassVar[int]
        start_time: _timestamp_pb2.Timestamp
        end_time: _timestamp_pb2.Timestamp
        def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class Coverage(_message.Message):
        __slots__ = ("connection", "bank_name", "complete")
        CONNECTION_FIELD_NUMBER: _ClassVar[int]
        BANK_NAME_FIELD_NUMBER: _ClassVar[int]
        COMPLETE_FIELD_NUMBER: _ClassVar[int]
        connection: str
        bank_name: str
        complete: bool
        def __init__(self, connection: _Optional[str] = ..., bank_name: _Optional[str] = ..., complete: _Optional[bool] = ...) -> None: ...
    class CategorySum(_message.Message):
        __slots__ = ("category", "provider_category", "income", "expense", "transaction_count")
        CATEGORY_FIELD_NUMBER: _ClassVar[int]
        PROVIDER_CATEGORY_FIELD_NUMBER: _ClassVar[int]
        INCOME_FIELD_NUMBER: _ClassVar[int]
        EXPENSE_FIELD_NUMBER: _ClassVar[int]
        TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
        category: _banking_pb2.Category.Value
        provider_category: str
        income: _money_pb2.Money
        expense: _money_pb2.Money
        transaction_count: int
        def __init__(self, category: _Optional[_Union[_banking_pb2.Category.Value, str]] = ..., provider_category: _Optional[str] = ..., income: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., expense: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., transaction_count: _Optional[int] = ...) -> None: ...
    class Entry(_message.Message):
        __slots__ = ("remittance_information", "amount", "category", "provider_category")
        REMITTANCE_INFORMATION_FIELD_NUMBER: _ClassVar[int]
        AMOUNT_FIELD_NUMBER: _ClassVar[int]
        CATEGORY_FIELD_NUMBER: _ClassVar[int]
        PROVIDER_CATEGORY_FIELD_NUMBER: _ClassVar[int]
        remittance_information: str
        amount: _money_pb2.Money
        category: _banking_pb2.Category.Value
        provider_category: str
        def __init__(self, remittance_information: _Optional[str] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., category: _Optional[_Union[_banking_pb2.Category.Value, str]] = ..., provider_category: _Optional[str] = ...) -> None: ...
    class Movement(_message.Message):
        __slots__ = ("date", "balance", "income", "expense", "entries")
        DATE_FIELD_NUMBER: _ClassVar[int]
        BALANCE_FIELD_NUMBER: _ClassVar[int]
        INCOME_FIELD_NUMBER: _ClassVar[int]
        EXPENSE_FIELD_NUMBER: _ClassVar[int]
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        date: str
        balance: _money_pb2.Money
        income: _money_pb2.Money
        expense: _money_pb2.Money
        entries: _containers.RepeatedCompositeFieldContainer[Insights.Entry]
        def __init__(self, date: _Optional[str] = ..., balance: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., income: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., expense: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[Insights.Entry, _Mapping]]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BALANCES_FIELD_NUMBER: _ClassVar[int]
    MOVEMENTS_FIELD_NUMBER: _ClassVar[int]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BALANCE_FIELD_NUMBER: _ClassVar[int]
    CATEGORISATION_FIELD_NUMBER: _ClassVar[int]
    COMPUTATION_AUTOMATION_FIELD_NUMBER: _ClassVar[int]
    FETCH_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    name: str
    origin: InsightsOrigin.Value
    accounts: _containers.RepeatedCompositeFieldContainer[_banking_pb2.Account]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    total_balances: _containers.RepeatedCompositeFieldContainer[_money_pb2.Money]
    movements: _containers.RepeatedCompositeFieldContainer[Insights.Movement]
    categories: _containers.RepeatedCompositeFieldContainer[Insights.CategorySum]
    total_balance: _struct_pb2.Struct
    categorisation: _struct_pb2.Struct
    computation_automation: _struct_pb2.Struct
    fetch_interval: Insights.Interval
    connections: _containers.RepeatedCompositeFieldContainer[Insights.Coverage]
    complete: bool
    def __init__(self, name: _Optional[str] = ..., origin: _Optional[_Union[InsightsOrigin.Value, str]] = ..., accounts: _Optional[_Iterable[_Union[_banking_pb2.Account, _Mapping]]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., total_balances: _Optional[_Iterable[_Union[_money_pb2.Money, _Mapping]]] = ..., movements: _Optional[_Iterable[_Union[Insights.Movement, _Mapping]]] = ..., categories: _Optional[_Iterable[_Union[Insights.CategorySum, _Mapping]]] = ..., total_balance: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., categorisation: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., computation_automation: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., fetch_interval: _Optional[_Union[Insights.Interval, _Mapping]] = ..., connections: _Optional[_Iterable[_Union[Insights.Coverage, _Mapping]]] = ..., complete: _Optional[bool] = ...) -> None: ...

class PaymentPartnerAnalysis(_message.Message):
    __slots__ = ("name", "accounts")
    class Partners(_message.Message):
        __slots__ = ("all", "last_month", "previous_month", "quarter", "year")
        ALL_FIELD_NUMBER: _ClassVar[int]
        LAST_MONTH_FIELD_NUMBER: _ClassVar[int]
        PREVIOUS_MONTH_FIELD_NUMBER: _ClassVar[int]
        QUARTER_FIELD_NUMBER: _ClassVar[int]
        YEAR_FIELD_NUMBER: _ClassVar[int]
        all: _containers.RepeatedCompositeFieldContainer[PaymentPartner]
        last_month: _containers.RepeatedCompositeFieldContainer[PaymentPartner]
        previous_month: _containers.RepeatedCompositeFieldContainer[PaymentPartner]
        quarter: _containers.RepeatedCompositeFieldContainer[PaymentPartner]
        year: _containers.RepeatedCompositeFieldContainer[PaymentPartner]
        def __init__(self, all: _Optional[_Iterable[_Union[PaymentPartner, _Mapping]]] = ..., last_month: _Optional[_Iterable[_Union[PaymentPartner, _Mapping]]] = ..., previous_month: _Optional[_Iterable[_Union[PaymentPartner, _Mapping]]] = ..., quarter: _Optional[_Iterable[_Union[PaymentPartner, _Mapping]]] = ..., year: _Optional[_Iterable[_Union[PaymentPartner, _Mapping]]] = ...) -> None: ...
    class AccountAnalysis(_message.Message):
        __slots__ = ("account", "display_name", "customers", "suppliers")
        ACCOUNT_FIELD_NUMBER: _ClassVar[int]
        DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
        CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
        SUPPLIERS_FIELD_NUMBER: _ClassVar[int]
        account: str
        display_name: str
        customers: PaymentPartnerAnalysis.Partners
        suppliers: PaymentPartnerAnalysis.Partners
        def __init__(self, account: _Optional[str] = ..., display_name: _Optional[str] = ..., customers: _Optional[_Union[PaymentPartnerAnalysis.Partners, _Mapping]] = ..., suppliers: _Optional[_Union[PaymentPartnerAnalysis.Partners, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    accounts: _containers.RepeatedCompositeFieldContainer[PaymentPartnerAnalysis.AccountAnalysis]
    def __init__(self, name: _Optional[str] = ..., accounts: _Optional[_Iterable[_Union[PaymentPartnerAnalysis.AccountAnalysis, _Mapping]]] = ...) -> None: ...

class PaymentPartner(_message.Message):
    __slots__ = ("name", "iban", "creditor_id", "abroad", "tags", "first_transaction_date", "last_transaction_date", "activity_span", "percentage_of_overall_activity_span", "transaction_count", "total_amount", "median_amount", "overall_amount_rank", "overall_transaction_count_rank", "average_of_ranks", "percentage_of_overall_amount", "percentage_of_overall_transaction_count", "days_between_transactions", "days_between_transactions_average", "days_between_transactions_deviation", "days_between_transactions_variance", "transaction_amount_slope", "total_amount_monthly_slope", "percentage_of_overall_amount_monthly_slope", "average_amounts_monthly", "average_amounts_quarterly", "average_amounts_yearly", "total_amount_monthly", "total_amount_quarterly", "total_amount_yearly", "percentage_of_overall_amount_monthly", "percentage_of_overall_amount_quarterly", "percentage_of_overall_amount_yearly")
    class Average(_message.Message):
        __slots__ = ("year", "quarter", "month", "average")
        YEAR_FIELD_NUMBER: _ClassVar[int]
        QUARTER_FIELD_NUMBER: _ClassVar[int]
        MONTH_FIELD_NUMBER: _ClassVar[int]
        AVERAGE_FIELD_NUMBER: _ClassVar[int]
        year: str
        quarter: str
        month: str
        average: _money_pb2.Money
        def __init__(self, year: _Optional[str] = ..., quarter: _Optional[str] = ..., month: _Optional[str] = ..., average: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...
    class Percentage(_message.Message):
        __slots__ = ("year", "quarter", "month", "percentage")
        YEAR_FIELD_NUMBER: _ClassVar[int]
        QUARTER_FIELD_NUMBER: _ClassVar[int]
        MONTH_FIELD_NUMBER: _ClassVar[int]
        PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
        year: str
        quarter: str
        month: str
        percentage: str
        def __init__(self, year: _Optional[str] = ..., quarter: _Optional[str] = ..., month: _Optional[str] = ..., percentage: _Optional[str] = ...) -> None: ...
    class Total(_message.Message):
        __slots__ = ("year", "quarter", "month", "total_amount", "transaction_count")
        YEAR_FIELD_NUMBER: _ClassVar[int]
        QUARTER_FIELD_NUMBER: _ClassVar[int]
        MONTH_FIELD_NUMBER: _ClassVar[int]
        TOTAL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
        TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
        year: str
        quarter: str
        month: str
        total_amount: _money_pb2.Money
        transaction_count: int
        def __init__(self, year: _Optional[str] = ..., quarter: _Optional[str] = ..., month: _Optional[str] = ..., total_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., transaction_count: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    IBAN_FIELD_NUMBER: _ClassVar[int]
    CREDITOR_ID_FIELD_NUMBER: _ClassVar[int]
    ABROAD_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    FIRST_TRANSACTION_DATE_FIELD_NUMBER: _ClassVar[int]
    LAST_TRANSACTION_DATE_FIELD_NUMBER: _ClassVar[int]
    ACTIVITY_SPAN_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_ACTIVITY_SPAN_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    OVERALL_AMOUNT_RANK_FIELD_NUMBER: _ClassVar[int]
    OVERALL_TRANSACTION_COUNT_RANK_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_OF_RANKS_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_TRANSACTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    DAYS_BETWEEN_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    DAYS_BETWEEN_TRANSACTIONS_AVERAGE_FIELD_NUMBER: _ClassVar[int]
    DAYS_BETWEEN_TRANSACTIONS_DEVIATION_FIELD_NUMBER: _ClassVar[int]
    DAYS_BETWEEN_TRANSACTIONS_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_AMOUNT_SLOPE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AMOUNT_MONTHLY_SLOPE_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_AMOUNT_MONTHLY_SLOPE_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_AMOUNTS_MONTHLY_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_AMOUNTS_QUARTERLY_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_AMOUNTS_YEARLY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AMOUNT_MONTHLY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AMOUNT_QUARTERLY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_AMOUNT_YEARLY_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_AMOUNT_MONTHLY_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_AMOUNT_QUARTERLY_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_OF_OVERALL_AMOUNT_YEARLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    iban: str
    creditor_id: str
    abroad: bool
    tags: _containers.RepeatedCompositeFieldContainer[_banking_pb2.Transaction.Tag]
    first_transaction_date: str
    last_transaction_date: str
    activity_span: str
    percentage_of_overall_activity_span: str
    transaction_count: int
    total_amount: _money_pb2.Money
    median_amount: _money_pb2.Money
    overall_amount_rank: str
    overall_transaction_count_rank: str
    average_of_ranks: str
    percentage_of_overall_amount: str
    percentage_of_overall_transaction_count: str
    days_between_transactions: _containers.RepeatedScalarFieldContainer[str]
    days_between_transactions_average: str
    days_between_transactions_deviation: str
    days_between_transactions_variance: str
    transaction_amount_slope: str
    total_amount_monthly_slope: str
    percentage_of_overall_amount_monthly_slope: str
    average_amounts_monthly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Average]
    average_amounts_quarterly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Average]
    average_amounts_yearly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Average]
    total_amount_monthly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Total]
    total_amount_quarterly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Total]
    total_amount_yearly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Total]
    percentage_of_overall_amount_monthly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Percentage]
    percentage_of_overall_amount_quarterly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Percentage]
    percentage_of_overall_amount_yearly: _containers.RepeatedCompositeFieldContainer[PaymentPartner.Percentage]
    def __init__(self, name: _Optional[str] = ..., iban: _Optional[str] = ..., creditor_id: _Optional[str] = ..., abroad: _Optional[bool] = ..., tags: _Optional[_Iterable[_Union[_banking_pb2.Transaction.Tag, _Mapping]]] = ..., first_transaction_date: _Optional[str] = ..., last_transaction_date: _Optional[str] = ..., activity_span: _Optional[str] = ..., percentage_of_overall_activity_span: _Optional[str] = ..., transaction_count: _Optional[int] = ..., total_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., median_amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., overall_amount_rank: _Optional[str] = ..., overall_transaction_count_rank: _Optional[str] = ..., average_of_ranks: _Optional[str] = ..., percentage_of_overall_amount: _Optional[str] = ..., percentage_of_overall_transaction_count: _Optional[str] = ..., days_between_transactions: _Optional[_Iterable[str]] = ..., days_between_transactions_average: _Optional[str] = ..., days_between_transactions_deviation: _Optional[str] = ..., days_between_transactions_variance: _Optional[str] = ..., transaction_amount_slope: _Optional[str] = ..., total_amount_monthly_slope: _Optional[str] = ..., percentage_of_overall_amount_monthly_slope: _Optional[str] = ..., average_amounts_monthly: _Optional[_Iterable[_Union[PaymentPartner.Average, _Mapping]]] = ..., average_amounts_quarterly: _Optional[_Iterable[_Union[PaymentPartner.Average, _Mapping]]] = ..., average_amounts_yearly: _Optional[_Iterable[_Union[PaymentPartner.Average, _Mapping]]] = ..., total_amount_monthly: _Optional[_Iterable[_Union[PaymentPartner.Total, _Mapping]]] = ..., total_amount_quarterly: _Optional[_Iterable[_Union[PaymentPartner.Total, _Mapping]]] = ..., total_amount_yearly: _Optional[_Iterable[_Union[PaymentPartner.Total, _Mapping]]] = ..., percentage_of_overall_amount_monthly: _Optional[_Iterable[_Union[PaymentPartner.Percentage, _Mapping]]] = ..., percentage_of_overall_amount_quarterly: _Optional[_Iterable[_Union[PaymentPartner.Percentage, _Mapping]]] = ..., percentage_of_overall_amount_yearly: _Optional[_Iterable[_Union[PaymentPartner.Percentage, _Mapping]]] = ...) -> None: ...

class CompanyLogo(_message.Message):
    __slots__ = ("query_id", "company", "logo_uri", "status", "provider_code")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[CompanyLogo.Status]
        OK: _ClassVar[CompanyLogo.Status]
        NOT_FOUND: _ClassVar[CompanyLogo.Status]
        OTHER: _ClassVar[CompanyLogo.Status]
    STATUS_UNSPECIFIED: CompanyLogo.Status
    OK: CompanyLogo.Status
    NOT_FOUND: CompanyLogo.Status
    OTHER: CompanyLogo.Status
    QUERY_ID_FIELD_NUMBER: _ClassVar[int]
    COMPANY_FIELD_NUMBER: _ClassVar[int]
    LOGO_URI_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CODE_FIELD_NUMBER: _ClassVar[int]
    query_id: str
    company: str
    logo_uri: str
    status: CompanyLogo.Status
    provider_code: str
    def __init__(self, query_id: _Optional[str] = ..., company: _Optional[str] = ..., logo_uri: _Optional[str] = ..., status: _Optional[_Union[CompanyLogo.Status, str]] = ..., provider_code: _Optional[str] = ...) -> None: ...

class InsightsOrigin(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[InsightsOrigin.Value]
        NATIVE: _ClassVar[InsightsOrigin.Value]
        DERIVED: _ClassVar[InsightsOrigin.Value]
    VALUE_UNSPECIFIED: InsightsOrigin.Value
    NATIVE: InsightsOrigin.Value
    DERIVED: InsightsOrigin.Value
    def __init__(self) -> None: ...
