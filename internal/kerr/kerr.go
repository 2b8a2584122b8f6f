// Package kerr builds the errors that callers see: a gRPC status whose ErrorInfo has the domain `kontor.dev` and a
// reason of kontor.error.v1. Each reason has one status code, in one table.
//
// What failed at a provider, and what is logged about it, does not live here: services translate before they call New.
package kerr

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
)

// Domain is the domain of every ErrorInfo that Kontor makes.
const Domain = "kontor.dev"

// Metadata keys of ErrorInfo.
const (
	KeyProvider          = "provider"
	KeyOperation         = "operation"
	KeyProviderCode      = "providerCode"
	KeyProviderRequestID = "providerRequestId"
	KeyRequestID         = "requestId"
	KeyScope             = "scope"
	KeyCustomer          = "customer"
)

// statusCodes is the one table of reasons and status codes, as the comments of kontor.error.v1.Error.Reason have it.
var statusCodes = map[errorv1.Error_Reason]codes.Code{
	errorv1.Error_REASON_UNSPECIFIED: codes.Internal, // never set on purpose

	errorv1.Error_CUSTOMER_NOT_FOUND:         codes.NotFound,
	errorv1.Error_CONSENT_NOT_FOUND:          codes.NotFound,
	errorv1.Error_CONNECTION_NOT_FOUND:       codes.NotFound,
	errorv1.Error_ACCOUNT_NOT_FOUND:          codes.NotFound,
	errorv1.Error_SHIPMENT_NOT_FOUND:         codes.NotFound,
	errorv1.Error_PARTNER_BANK_NOT_FOUND:     codes.NotFound,
	errorv1.Error_PROVIDER_NOT_FOUND:         codes.NotFound,
	errorv1.Error_ROUTE_NOT_FOUND:            codes.NotFound,
	errorv1.Error_METHOD_NOT_FOUND:           codes.Unimplemented,
	errorv1.Error_DELETION_RECEIPT_NOT_FOUND: codes.NotFound,
	errorv1.Error_PROVIDER_USER_NOT_FOUND:    codes.NotFound,

	errorv1.Error_CONSENT_NOT_AUTHORIZED:        codes.FailedPrecondition,
	errorv1.Error_CONSENT_REVOKED:               codes.FailedPrecondition,
	errorv1.Error_CONSENT_EXPIRED:               codes.FailedPrecondition,
	errorv1.Error_LINK_EXPIRED:                  codes.FailedPrecondition,
	errorv1.Error_CONSENT_FLOW_ALREADY_OPEN:     codes.FailedPrecondition,
	errorv1.Error_DATA_NOT_READY:                codes.FailedPrecondition,
	errorv1.Error_REAUTHORIZATION_REQUIRED:      codes.FailedPrecondition,
	errorv1.Error_RESUME_TOKEN_EXPIRED:          codes.FailedPrecondition,
	errorv1.Error_CONSENT_EXISTS:                codes.FailedPrecondition,
	errorv1.Error_NOT_COVERED_BY_CONSENT:        codes.FailedPrecondition,
	errorv1.Error_TRANSACTIONS_NOT_ATTRIBUTABLE: codes.FailedPrecondition,
	errorv1.Error_PROVIDER_USER_IN_USE:          codes.FailedPrecondition,
	errorv1.Error_PAGE_TOKEN_EXPIRED:            codes.FailedPrecondition,

	errorv1.Error_INVALID_FIELD:            codes.InvalidArgument,
	errorv1.Error_PSU_IP_REQUIRED:          codes.InvalidArgument,
	errorv1.Error_REDIRECT_URI_NOT_ALLOWED: codes.InvalidArgument,

	errorv1.Error_IDEMPOTENCY_KEY_REUSED:   codes.AlreadyExists,
	errorv1.Error_CUSTOMER_REFERENCE_TAKEN: codes.AlreadyExists,
	errorv1.Error_ETAG_MISMATCH:            codes.Aborted,

	errorv1.Error_UNAUTHENTICATED:        codes.Unauthenticated,
	errorv1.Error_SCOPE_MISSING:          codes.PermissionDenied,
	errorv1.Error_CAPABILITY_NOT_ENABLED: codes.PermissionDenied,
	errorv1.Error_CAPABILITY_UNSUPPORTED: codes.Unimplemented,

	errorv1.Error_GATEWAY_RATE_LIMITED: codes.ResourceExhausted,
	errorv1.Error_GATEWAY_STOPPING:     codes.Unavailable,
	errorv1.Error_STORE_UNAVAILABLE:    codes.Unavailable,
	errorv1.Error_INTERNAL:             codes.Internal,
	errorv1.Error_DEADLINE_EXCEEDED:    codes.DeadlineExceeded,
	errorv1.Error_CANCELLED:            codes.Canceled,
	errorv1.Error_TOO_LARGE:            codes.ResourceExhausted,

	errorv1.Error_PROVIDER_RATE_LIMITED:        codes.Unavailable,
	errorv1.Error_PROVIDER_UNAVAILABLE:         codes.Unavailable,
	errorv1.Error_PROVIDER_RESPONSE_INVALID:    codes.Unavailable,
	errorv1.Error_PROVIDER_CREDENTIALS_INVALID: codes.FailedPrecondition,
	errorv1.Error_PROVIDER_REJECTED:            codes.FailedPrecondition,
	errorv1.Error_OUTCOME_UNKNOWN:              codes.Aborted,

	errorv1.Error_AUTHORIZATION_FAILED: codes.FailedPrecondition, // part of histories; no RPC ends with it
}

// Code gives the status code that belongs to a reason.
func Code(reason errorv1.Error_Reason) codes.Code {
	if code, ok := statusCodes[reason]; ok {
		return code
	}
	return codes.Internal
}

// Reasons gives a copy of the table of reasons and status codes.
func Reasons() map[errorv1.Error_Reason]codes.Code { return maps.Clone(statusCodes) }

// Option adds to an error.
type Option func(*details)

type details struct {
	code       codes.Code
	metadata   map[string]string
	violations []*errdetails.BadRequest_FieldViolation
	retry      time.Duration
}

// WithMetadata adds an entry to the ErrorInfo. An empty value adds nothing.
func WithMetadata(key, value string) Option {
	return func(d *details) {
		if value != "" {
			d.metadata[key] = value
		}
	}
}

// WithField adds a BadRequest field violation. Path is in JSON names, such as `consent.redirectUris.error`; description
// must never contain the field's value.
func WithField(path, description string) Option {
	return func(d *details) {
		d.violations = append(d.violations,
			&errdetails.BadRequest_FieldViolation{Field: path, Description: description})
	}
}

// WithRetry adds RetryInfo. A wait of zero or less adds nothing.
func WithRetry(wait time.Duration) Option {
	return func(d *details) { d.retry = wait }
}

// New builds an error. Message is one sentence for people, in Kontor's words; it must hold no value of a field, secret
// or provider text.
func New(reason errorv1.Error_Reason, message string, opts ...Option) error {
	d := details{code: Code(reason), metadata: map[string]string{}}
	for _, opt := range opts {
		opt(&d)
	}
	attached := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: reason.String(), Domain: Domain, Metadata: d.metadata},
	}
	if len(d.violations) > 0 {
		attached = append(attached, &errdetails.BadRequest{FieldViolations: d.violations})
	}
	if d.retry > 0 {
		attached = append(attached, &errdetails.RetryInfo{RetryDelay: durationpb.New(d.retry)})
	}
	st, err := status.New(d.code, message).WithDetails(attached...)
	if err != nil {
		return status.Error(codes.Internal, "internal error") // a detail that is not valid UTF-8
	}
	return st.Err()
}

// InvalidField says that one field is missing, malformed or unknown. See WithField for the arguments.
func InvalidField(path, description string) error {
	return New(errorv1.Error_INVALID_FIELD, "invalid field "+path, WithField(path, description))
}

// ErrUnknownCallback says that nothing is known about a callback: its token is none, or what came with it does not
// belong to it. It never reaches a caller of the API; whoever sent the callback sees a bare 404.
var ErrUnknownCallback = errors.New("unknown callback")

// statusOf gives the status that an error is or wraps. Unlike status.FromError it takes over no text of what wraps it.
func statusOf(err error) (*status.Status, bool) {
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) {
		return nil, false
	}
	st := carrier.GRPCStatus()
	return st, st != nil
}

// TooLarge refuses a request of more bytes than its method takes. It has no RetryInfo: to repeat it is of no use.
func TooLarge(limit int64) error {
	return New(errorv1.Error_TOO_LARGE,
		fmt.Sprintf("the request is too large: this method takes at most %d bytes", limit),
		WithMetadata("limit", strconv.FormatInt(limit, 10)))
}

// info finds Kontor's ErrorInfo among the details of an error.
func info(err error) *errdetails.ErrorInfo {
	st, ok := statusOf(err)
	if !ok {
		return nil
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return info
		}
	}
	return nil
}

// Reason gives the reason of an error, REASON_UNSPECIFIED for nil and for an error that New did not build.
func Reason(err error) errorv1.Error_Reason {
	return errorv1.Error_Reason(errorv1.Error_Reason_value[info(err).GetReason()])
}

// Metadata gives a copy of the ErrorInfo's metadata, nil for an error that New did not build.
func Metadata(err error) map[string]string {
	return maps.Clone(info(err).GetMetadata())
}

// Finish makes any error fit to leave the gateway: one with a kontor.dev ErrorInfo keeps everything, the end of a
// context becomes DEADLINE_EXCEEDED or CANCELLED, an unknown method ROUTE_NOT_FOUND, anything else INTERNAL with no
// word of the cause. The request id is added to the metadata of all. The second result is the cause that was dropped,
// for the log; nil when nothing was.
func Finish(err error, requestID string) (finished, cause error) {
	if err == nil {
		return nil, nil
	}
	if info(err) == nil {
		hidden, replacement := replace(err)
		if hidden {
			cause = err
		}
		err = replacement
	}
	return withRequestID(err, requestID), cause
}

// replace gives an error with a reason for one without, and tells whether that hides something worth logging.
func replace(err error) (hidden bool, replacement error) {
	st, isStatus := statusOf(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), isStatus && st.Code() == codes.DeadlineExceeded:
		return false, New(errorv1.Error_DEADLINE_EXCEEDED, "the deadline passed before the answer was there")
	case errors.Is(err, context.Canceled), isStatus && st.Code() == codes.Canceled:
		return false, New(errorv1.Error_CANCELLED, "the caller went away")
	case isStatus && st.Code() == codes.Unimplemented:
		return true, New(errorv1.Error_METHOD_NOT_FOUND, "there is no such method")
	case isStatus && st.Code() == codes.ResourceExhausted:
		return true, New(errorv1.Error_TOO_LARGE, "the request or the answer is larger than the method allows")
	}
	return true, New(errorv1.Error_INTERNAL, "internal error")
}

func withRequestID(err error, requestID string) error {
	finished, _ := statusOf(err)
	st := finished.Proto()
	for i, packed := range st.GetDetails() {
		var found errdetails.ErrorInfo
		if !packed.MessageIs(&found) || packed.UnmarshalTo(&found) != nil || found.GetDomain() != Domain {
			continue
		}
		if found.Metadata == nil {
			found.Metadata = map[string]string{}
		}
		if requestID != "" {
			found.Metadata[KeyRequestID] = requestID
		}
		if packed.MarshalFrom(&found) == nil {
			st.Details[i] = packed
		}
	}
	return status.FromProto(st).Err()
}
