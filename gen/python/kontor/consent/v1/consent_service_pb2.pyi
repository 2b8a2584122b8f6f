import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from kontor.consent.v1 import consent_pb2 as _consent_pb2
from kontor.customer.v1 import customer_pb2 as _customer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Psu(_message.Message):
    __slots__ = ("national_id", "company_id", "first_name", "last_name", "psu_type")
    NATIONAL_ID_FIELD_NUMBER: _ClassVar[int]
    COMPANY_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_NAME_FIELD_NUMBER: _ClassVar[int]
    LAST_NAME_FIELD_NUMBER: _ClassVar[int]
    PSU_TYPE_FIELD_NUMBER: _ClassVar[int]
    national_id: str
    company_id: str
    first_name: str
    last_name: str
    psu_type: str
    def __init__(self, national_id: _Optional[str] = ..., company_id: _Optional[str] = ..., first_name: _Optional[str] = ..., last_name: _Optional[str] = ..., psu_type: _Optional[str] = ...) -> None: ...

class CreateConsentRequest(_message.Message):
    __slots__ = ("consent", "psu", "request_id", "customer_type")
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    PSU_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_TYPE_FIELD_NUMBER: _ClassVar[int]
    consent: _consent_pb2.Consent
    psu: Psu
    request_id: str
    customer_type: _customer_pb2.Customer.Type
    def __init__(self, consent: _Optional[_Union[_consent_pb2.Consent, _Mapping]] = ..., psu: _Optional[_Union[Psu, _Mapping]] = ..., request_id: _Optional[str] = ..., customer_type: _Optional[_Union[_customer_pb2.Customer.Type, str]] = ...) -> None: ...

class GetConsentRequest(_message.Message):
    __slots__ = ("name", "refresh")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REFRESH_FIELD_NUMBER: _ClassVar[int]
    name: str
    refresh: bool
    def __init__(self, name: _Optional[str] = ..., refresh: _Optional[bool] = ...) -> None: ...

class ListConsentsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "customer", "statuses", "reference")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    customer: str
    statuses: _containers.RepeatedScalarFieldContainer[_consent_pb2.Consent.Status]
    reference: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer: _Optional[str] = ..., statuses: _Optional[_Iterable[_Union[_consent_pb2.Consent.Status, str]]] = ..., reference: _Optional[str] = ...) -> None: ...

class ListConsentsResponse(_message.Message):
    __slots__ = ("consents", "next_page_token")
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    consents: _containers.RepeatedCompositeFieldContainer[_consent_pb2.Consent]
    next_page_token: str
    def __init__(self, consents: _Optional[_Iterable[_Union[_consent_pb2.Consent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListConsentEventsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListConsentEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_consent_pb2.ConsentEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_consent_pb2.ConsentEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchConsentsRequest(_message.Message):
    __slots__ = ("consent", "resume_token")
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    consent: str
    resume_token: str
    def __init__(self, consent: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class WatchConsentsResponse(_message.Message):
    __slots__ = ("kind", "consent", "event", "resume_token", "send_time")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[WatchConsentsResponse.Kind]
        STATE: _ClassVar[WatchConsentsResponse.Kind]
        EVENT: _ClassVar[WatchConsentsResponse.Kind]
        HEARTBEAT: _ClassVar[WatchConsentsResponse.Kind]
        END: _ClassVar[WatchConsentsResponse.Kind]
    KIND_UNSPECIFIED: WatchConsentsResponse.Kind
    STATE: WatchConsentsResponse.Kind
    EVENT: WatchConsentsResponse.Kind
    HEARTBEAT: WatchConsentsResponse.Kind
    END: WatchConsentsResponse.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    kind: WatchConsentsResponse.Kind
    consent: _consent_pb2.Consent
    event: _consent_pb2.ConsentEvent
    resume_token: str
    send_time: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[_Union[WatchConsentsResponse.Kind, str]] = ..., consent: _Optional[_Union[_consent_pb2.Consent, _Mapping]] = ..., event: _Optional[_Union[_consent_pb2.ConsentEvent, _Mapping]] = ..., resume_token: _Optional[str] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreateWatchTicketRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class WatchTicket(_message.Message):
    __slots__ = ("ticket", "expire_time")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, ticket: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RenewConsentLinkRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class AddBankRequest(_message.Message):
    __slots__ = ("name", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RevokeConsentRequest(_message.Message):
    __slots__ = ("name", "etag", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteConsentRequest(_message.Message):
    __slots__ = ("name", "etag", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SimulateDecisionRequest(_message.Message):
    __slots__ = ("name", "decision", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    decision: _consent_pb2.Decision.Value
    request_id: str
    def __init__(self, name: _Optional[str] = ..., decision: _Optional[_Union[_consent_pb2.Decision.Value, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CreatePartnerBankRequest(_message.Message):
    __slots__ = ("partner_bank", "request_id")
    PARTNER_BANK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    partner_bank: _consent_pb2.PartnerBank
    request_id: str
    def __init__(self, partner_bank: _Optional[_Union[_consent_pb2.PartnerBank, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetPartnerBankRequest(_message.Message):
    __slots__ = ("name", "provider")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class ListPartnerBanksRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "provider")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    provider: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., provider: _Optional[str] = ...) -> None: ...

class ListPartnerBanksResponse(_message.Message):
    __slots__ = ("partner_banks", "next_page_token")
    PARTNER_BANKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    partner_banks: _containers.RepeatedCompositeFieldContainer[_consent_pb2.PartnerBank]
    next_page_token: str
    def __init__(self, partner_banks: _Optional[_Iterable[_Union[_consent_pb2.PartnerBank, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdatePartnerBankRequest(_message.Message):
    __slots__ = ("partner_bank", "update_mask", "request_id")
    PARTNER_BANK_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    partner_bank: _consent_pb2.PartnerBank
    update_mask: _field_mask_pb2.FieldMask
    request_id: str
    def __init__(self, partner_bank: _Optional[_Union[_consent_pb2.PartnerBank, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...
