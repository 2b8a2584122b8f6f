from kontor.insights.v1 import insights_pb2 as _insights_pb2
from kontor.type.v1 import link_pb2 as _link_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetInsightsRequest(_message.Message):
    __slots__ = ("name", "reference_id", "view")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    name: str
    reference_id: str
    view: InsightsView.Value
    def __init__(self, name: _Optional[str] = ..., reference_id: _Optional[str] = ..., view: _Optional[_Union[InsightsView.Value, str]] = ...) -> None: ...

class CreateVisualizationLinkRequest(_message.Message):
    __slots__ = ("name", "reference_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    reference_id: str
    def __init__(self, name: _Optional[str] = ..., reference_id: _Optional[str] = ...) -> None: ...

class GetPaymentPartnerAnalysisRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SearchCompanyLogosRequest(_message.Message):
    __slots__ = ("queries", "exact_match", "fuzziness", "provider")
    class Query(_message.Message):
        __slots__ = ("query_id", "name", "domain", "iban", "bic", "bank_code", "creditor_id")
        QUERY_ID_FIELD_NUMBER: _ClassVar[int]
        NAME_FIELD_NUMBER: _ClassVar[int]
        DOMAIN_FIELD_NUMBER: _ClassVar[int]
        IBAN_FIELD_NUMBER: _ClassVar[int]
        BIC_FIELD_NUMBER: _ClassVar[int]
        BANK_CODE_FIELD_NUMBER: _ClassVar[int]
        CREDITOR_ID_FIELD_NUMBER: _ClassVar[int]
        query_id: str
        name: str
        domain: str
        iban: str
        bic: str
        bank_code: str
        creditor_id: str
        def __init__(self, query_id: _Optional[str] = ..., name: _Optional[str] = ..., domain: _Optional[str] = ..., iban: _Optional[str] = ..., bic: _Optional[str] = ..., bank_code: _Optional[str] = ..., creditor_id: _Optional[str] = ...) -> None: ...
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    EXACT_MATCH_FIELD_NUMBER: _ClassVar[int]
    FUZZINESS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[SearchCompanyLogosRequest.Query]
    exact_match: bool
    fuzziness: str
    provider: str
    def __init__(self, queries: _Optional[_Iterable[_Union[SearchCompanyLogosRequest.Query, _Mapping]]] = ..., exact_match: _Optional[bool] = ..., fuzziness: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class SearchCompanyLogosResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_insights_pb2.CompanyLogo]
    def __init__(self, results: _Optional[_Iterable[_Union[_insights_pb2.CompanyLogo, _Mapping]]] = ...) -> None: ...

class InsightsView(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[InsightsView.Value]
        SUMMARY: _ClassVar[InsightsView.Value]
        FULL: _ClassVar[InsightsView.Value]
    VALUE_UNSPECIFIED: InsightsView.Value
    SUMMARY: InsightsView.Value
    FULL: InsightsView.Value
    def __init__(self) -> None: ...
