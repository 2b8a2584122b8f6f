from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Error(_message.Message):
    __slots__ = ("reason", "message", "provider_code", "failure_kind")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Error.Reason]
        CUSTOMER_NOT_FOUND: _ClassVar[Error.Reason]
        CONSENT_NOT_FOUND: _ClassVar[Error.Reason]
        CONNECTION_NOT_FOUND: _ClassVar[Error.Reason]
        ACCOUNT_NOT_FOUND: _ClassVar[Error.Reason]
        SHIPMENT_NOT_FOUND: _ClassVar[Error.Reason]
        PARTNER_BANK_NOT_FOUND: _ClassVar[Error.Reason]
        PROVIDER_NOT_FOUND: _ClassVar[Error.Reason]
        ROUTE_NOT_FOUND: _ClassVar[Error.Reason]
        DELETION_RECEIPT_NOT_FOUND: _ClassVar[Error.Reason]
        PROVIDER_USER_NOT_FOUND: _ClassVar[Error.Reason]
        METHOD_NOT_FOUND: _ClassVar[Error.Reason]
        CONSENT_NOT_AUTHORIZED: _ClassVar[Error.Reason]
        CONSENT_REVOKED: _ClassVar[Error.Reason]
        CONSENT_EXPIRED: _ClassVar[Error.Reason]
        LINK_EXPIRED: _ClassVar[Error.Reason]
        CONSENT_FLOW_ALREADY_OPEN: _ClassVar[Error.Reason]
        DATA_NOT_READY: _ClassVar[Error.Reason]
        REAUTHORIZATION_REQUIRED: _ClassVar[Error.Reason]
        RESUME_TOKEN_EXPIRED: _ClassVar[Error.Reason]
        CONSENT_EXISTS: _ClassVar[Error.Reason]
        NOT_COVERED_BY_CONSENT: _ClassVar[Error.Reason]
        TRANSACTIONS_NOT_ATTRIBUTABLE: _ClassVar[Error.Reason]
        PAGE_TOKEN_EXPIRED: _ClassVar[Error.Reason]
        PROVIDER_USER_IN_USE: _ClassVar[Error.Reason]
        INVALID_FIELD: _ClassVar[Error.Reason]
        PSU_IP_REQUIRED: _ClassVar[Error.Reason]
        REDIRECT_URI_NOT_ALLOWED: _ClassVar[Error.Reason]
        IDEMPOTENCY_KEY_REUSED: _ClassVar[Error.Reason]
        CUSTOMER_REFERENCE_TAKEN: _ClassVar[Error.Reason]
        ETAG_MISMATCH: _ClassVar[Error.Reason]
        UNAUTHENTICATED: _ClassVar[Error.Reason]
        SCOPE_MISSING: _ClassVar[Error.Reason]
        CAPABILITY_NOT_ENABLED: _ClassVar[Error.Reason]
        CAPABILITY_UNSUPPORTED: _ClassVar[Error.Reason]
        GATEWAY_RATE_LIMITED: _ClassVar[Error.Reason]
        GATEWAY_STOPPING: _ClassVar[Error.Reason]
        STORE_UNAVAILABLE: _ClassVar[Error.Reason]
        INTERNAL: _ClassVar[Error.Reason]
        DEADLINE_EXCEEDED: _ClassVar[Error.Reason]
        CANCELLED: _ClassVar[Error.Reason]
        TOO_LARGE: _ClassVar[Error.Reason]
        PROVIDER_RATE_LIMITED: _ClassVar[Error.Reason]
        PROVIDER_UNAVAILABLE: _ClassVar[Error.Reason]
        PROVIDER_RESPONSE_INVALID: _ClassVar[Error.Reason]
        PROVIDER_CREDENTIALS_INVALID: _ClassVar[Error.Reason]
        PROVIDER_REJECTED: _ClassVar[Error.Reason]
        OUTCOME_UNKNOWN: _ClassVar[Error.Reason]
        AUTHORIZATION_FAILED: _ClassVar[Error.Reason]
    REASON_UNSPECIFIED: Error.Reason
    CUSTOMER_NOT_FOUND: Error.Reason
    CONSENT_NOT_FOUND: Error.Reason
    CONNECTION_NOT_FOUND: Error.Reason
    ACCOUNT_NOT_FOUND: Error.Reason
    SHIPMENT_NOT_FOUND: Error.Reason
    PARTNER_BANK_NOT_FOUND: Error.Reason
    PROVIDER_NOT_FOUND: Error.Reason
    ROUTE_NOT_FOUND: Error.Reason
    DELETION_RECEIPT_NOT_FOUND: Error.Reason
    PROVIDER_USER_NOT_FOUND: Error.Reason
    METHOD_NOT_FOUND: Error.Reason
    CONSENT_NOT_AUTHORIZED: Error.Reason
    CONSENT_REVOKED: Error.Reason
    CONSENT_EXPIRED: Error.Reason
    LINK_EXPIRED: Error.Reason
    CONSENT_FLOW_ALREADY_OPEN: Error.Reason
    DATA_NOT_READY: Error.Reason
    REAUTHORIZATION_REQUIRED: Error.Reason
    RESUME_TOKEN_EXPIRED: Error.Reason
    CONSENT_EXISTS: Error.Reason
    NOT_COVERED_BY_CONSENT: Error.Reason
    TRANSACTIONS_NOT_ATTRIBUTABLE: Error.Reason
    PAGE_TOKEN_EXPIRED: Error.Reason
    PROVIDER_USER_IN_USE: Error.Reason
    INVALID_FIELD: Error.Reason
    PSU_IP_REQUIRED: Error.Reason
    REDIRECT_URI_NOT_ALLOWED: Error.Reason
    IDEMPOTENCY_KEY_REUSED: Error.Reason
    CUSTOMER_REFERENCE_TAKEN: Error.Reason
    ETAG_MISMATCH: Error.Reason
    UNAUTHENTICATED: Error.Reason
    SCOPE_MISSING: Error.Reason
    CAPABILITY_NOT_ENABLED: Error.Reason
    CAPABILITY_UNSUPPORTED: Error.Reason
    GATEWAY_RATE_LIMITED: Error.Reason
    GATEWAY_STOPPING: Error.Reason
    STORE_UNAVAILABLE: Error.Reason
    INTERNAL: Error.Reason
    DEADLINE_EXCEEDED: Error.Reason
    CANCELLED: Error.Reason
    TOO_LARGE: Error.Reason
    PROVIDER_RATE_LIMITED: Error.Reason
    PROVIDER_UNAVAILABLE: Error.Reason
    PROVIDER_RESPONSE_INVALID: Error.Reason
    PROVIDER_CREDENTIALS_INVALID: Error.Reason
    PROVIDER_REJECTED: Error.Reason
    OUTCOME_UNKNOWN: Error.Reason
    AUTHORIZATION_FAILED: Error.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_CODE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_KIND_FIELD_NUMBER: _ClassVar[int]
    reason: Error.Reason
    message: str
    provider_code: str
    failure_kind: FailureKind.Value
    def __init__(self, reason: _Optional[_Union[Error.Reason, str]] = ..., message: _Optional[str] = ..., provider_code: _Optional[str] = ..., failure_kind: _Optional[_Union[FailureKind.Value, str]] = ...) -> None: ...

class FailureKind(_message.Message):
    __slots__ = ()
    class Value(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VALUE_UNSPECIFIED: _ClassVar[FailureKind.Value]
        CUSTOMER_DENIED: _ClassVar[FailureKind.Value]
        TIMED_OUT: _ClassVar[FailureKind.Value]
        BANK_UNAVAILABLE: _ClassVar[FailureKind.Value]
        NO_ACCOUNTS: _ClassVar[FailureKind.Value]
        OTHER: _ClassVar[FailureKind.Value]
    VALUE_UNSPECIFIED: FailureKind.Value
    CUSTOMER_DENIED: FailureKind.Value
    TIMED_OUT: FailureKind.Value
    BANK_UNAVAILABLE: FailureKind.Value
    NO_ACCOUNTS: FailureKind.Value
    OTHER: FailureKind.Value
    def __init__(self) -> None: ...
