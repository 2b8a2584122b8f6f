package kerr_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// TestEveryReasonHasACode holds the table against the enum: a reason that the API gains has no code until somebody
// gives it one.
func TestEveryReasonHasACode(t *testing.T) {
	values := errorv1.Error_REASON_UNSPECIFIED.Descriptor().Values()
	listed := kerr.Reasons()
	for i := range values.Len() {
		reason := errorv1.Error_Reason(values.Get(i).Number())
		if _, ok := listed[reason]; !ok {
			t.Errorf("%s has no status code", reason)
		}
	}
	if len(listed) != values.Len() {
		t.Errorf("%d reasons have a code, the enum has %d", len(listed), values.Len())
	}
}

// TestCodesMatchTheContract repeats the table of the design, so that neither side changes alone.
func TestCodesMatchTheContract(t *testing.T) {
	for code, reasons := range map[codes.Code]string{
		codes.NotFound: "CUSTOMER_NOT_FOUND CONSENT_NOT_FOUND CONNECTION_NOT_FOUND ACCOUNT_NOT_FOUND SHIPMENT_NOT_FOUND " +
			"PARTNER_BANK_NOT_FOUND PROVIDER_NOT_FOUND ROUTE_NOT_FOUND DELETION_RECEIPT_NOT_FOUND PROVIDER_USER_NOT_FOUND",
		codes.FailedPrecondition: "CONSENT_NOT_AUTHORIZED CONSENT_REVOKED CONSENT_EXPIRED LINK_EXPIRED CONSENT_FLOW_ALREADY_OPEN " +
			"DATA_NOT_READY REAUTHORIZATION_REQUIRED RESUME_TOKEN_EXPIRED PROVIDER_CREDENTIALS_INVALID PROVIDER_REJECTED " +
			"CONSENT_EXISTS NOT_COVERED_BY_CONSENT TRANSACTIONS_NOT_ATTRIBUTABLE PAGE_TOKEN_EXPIRED",
		codes.InvalidArgument:   "INVALID_FIELD PSU_IP_REQUIRED REDIRECT_URI_NOT_ALLOWED",
		codes.AlreadyExists:     "IDEMPOTENCY_KEY_REUSED CUSTOMER_REFERENCE_TAKEN",
		codes.Unauthenticated:   "UNAUTHENTICATED",
		codes.PermissionDenied:  "SCOPE_MISSING CAPABILITY_NOT_ENABLED",
		codes.Unimplemented:     "CAPABILITY_UNSUPPORTED METHOD_NOT_FOUND",
		codes.ResourceExhausted: "GATEWAY_RATE_LIMITED TOO_LARGE",
		codes.Unavailable: "PROVIDER_RATE_LIMITED PROVIDER_UNAVAILABLE PROVIDER_RESPONSE_INVALID GATEWAY_STOPPING " +
			"STORE_UNAVAILABLE",
		codes.Aborted:          "OUTCOME_UNKNOWN ETAG_MISMATCH",
		codes.Internal:         "INTERNAL",
		codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
		codes.Canceled:         "CANCELLED",
	} {
		for name := range strings.FieldsSeq(reasons) {
			number, ok := errorv1.Error_Reason_value[name]
			if !ok {
				t.Errorf("there is no reason %s", name)
			}
			if got := kerr.Code(errorv1.Error_Reason(number)); got != code {
				t.Errorf("%s is %s, must be %s", name, got, code)
			}
		}
	}
	if got := kerr.Code(errorv1.Error_Reason(9999)); got != codes.Internal {
		t.Errorf("an unknown reason is %s", got)
	}
}

func TestNew(t *testing.T) {
	err := kerr.New(errorv1.Error_PROVIDER_RATE_LIMITED, "later",
		kerr.WithMetadata(kerr.KeyProvider, "fimento"), kerr.WithMetadata(kerr.KeyOperation, ""),
		kerr.WithField("a.b", "is bad"), kerr.WithField("c", "is worse"), kerr.WithRetry(1500*time.Millisecond))
	st := status.Convert(err)
	if st.Code() != codes.Unavailable || st.Message() != "later" {
		t.Errorf("got %s: %s", st.Code(), st.Message())
	}
	if len(st.Details()) != 3 {
		t.Fatalf("%d details", len(st.Details()))
	}
	info := st.Details()[0].(*errdetails.ErrorInfo)
	if info.Domain != "kontor.dev" || info.Reason != "PROVIDER_RATE_LIMITED" || len(info.Metadata) != 1 ||
		info.Metadata["provider"] != "fimento" {
		t.Errorf("info is %v", info)
	}
	bad := st.Details()[1].(*errdetails.BadRequest).FieldViolations
	if len(bad) != 2 || bad[0].Field != "a.b" || bad[0].Description != "is bad" || bad[1].Field != "c" {
		t.Errorf("violations are %v", bad)
	}
	if wait := st.Details()[2].(*errdetails.RetryInfo).RetryDelay.AsDuration(); wait != 1500*time.Millisecond {
		t.Errorf("retry after %s", wait)
	}
	if kerr.Reason(err) != errorv1.Error_PROVIDER_RATE_LIMITED || kerr.Metadata(err)["provider"] != "fimento" {
		t.Error("the reason does not come back")
	}
}

func TestReasonOfOtherErrors(t *testing.T) {
	foreign, err := status.New(codes.NotFound, "x").WithDetails(&errdetails.ErrorInfo{
		Domain: "example.com", Reason: "INTERNAL",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		nil, errors.New("x"), status.Error(codes.NotFound, "x"), foreign.Err(), context.Canceled,
	} {
		if reason := kerr.Reason(err); reason != errorv1.Error_REASON_UNSPECIFIED {
			t.Errorf("%v has reason %s", err, reason)
		}
		if kerr.Metadata(err) != nil {
			t.Errorf("%v has metadata", err)
		}
	}
	wrapped := fmt.Errorf("while reading: %w", kerr.InvalidField("name", "is bad"))
	if reason := kerr.Reason(wrapped); reason != errorv1.Error_INVALID_FIELD {
		t.Errorf("a wrapped error has reason %s", reason)
	}
}

func TestInvalidUTF8IsStillAnError(t *testing.T) {
	err := kerr.New(errorv1.Error_INVALID_FIELD, "bad", kerr.WithMetadata("k", "\xff"))
	if err == nil || status.Code(err) == codes.OK {
		t.Errorf("got %v", err)
	}
}

func TestFinish(t *testing.T) {
	const canary = "hunter2-canary"
	for name, c := range map[string]struct {
		err    error
		reason errorv1.Error_Reason
		code   codes.Code
		logged bool
	}{
		"own error": {
			kerr.InvalidField("name", "is bad"), errorv1.Error_INVALID_FIELD, codes.InvalidArgument, false,
		},
		"plain":               {errors.New(canary), errorv1.Error_INTERNAL, codes.Internal, true},
		"status without info": {status.Error(codes.NotFound, canary), errorv1.Error_INTERNAL, codes.Internal, true},
		"invalid argument": {
			status.Error(codes.InvalidArgument, canary), errorv1.Error_INTERNAL, codes.Internal, true,
		},
		"wrapped own error": {
			fmt.Errorf("%s: %w", canary, kerr.InvalidField("name", "is bad")), errorv1.Error_INVALID_FIELD,
			codes.InvalidArgument, false,
		},
		"deadline": {
			context.DeadlineExceeded, errorv1.Error_DEADLINE_EXCEEDED, codes.DeadlineExceeded, false,
		},
		"wrapped deadline": {
			fmt.Errorf("%s: %w", canary, context.DeadlineExceeded), errorv1.Error_DEADLINE_EXCEEDED,
			codes.DeadlineExceeded, false,
		},
		"deadline status": {
			status.Error(codes.DeadlineExceeded, canary), errorv1.Error_DEADLINE_EXCEEDED, codes.DeadlineExceeded,
			false,
		},
		"cancelled":        {context.Canceled, errorv1.Error_CANCELLED, codes.Canceled, false},
		"cancelled status": {status.Error(codes.Canceled, canary), errorv1.Error_CANCELLED, codes.Canceled, false},
		"unimplemented": {
			status.Error(codes.Unimplemented, canary), errorv1.Error_METHOD_NOT_FOUND, codes.Unimplemented, true,
		},
		"exhausted": {
			status.Error(codes.ResourceExhausted, canary), errorv1.Error_TOO_LARGE, codes.ResourceExhausted, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			finished, cause := kerr.Finish(c.err, "request-1")
			if kerr.Reason(finished) != c.reason || status.Code(finished) != c.code {
				t.Errorf("got %v", finished)
			}
			if kerr.Metadata(finished)["requestId"] != "request-1" {
				t.Errorf("metadata %v", kerr.Metadata(finished))
			}
			if (cause != nil) != c.logged {
				t.Errorf("cause is %v", cause)
			}
			if text := status.Convert(finished).Proto().String(); regexp.MustCompile(canary).MatchString(text) {
				t.Errorf("the cause is shown: %s", text)
			}
		})
	}
	if finished, cause := kerr.Finish(nil, "r"); finished != nil || cause != nil {
		t.Error("no error became one")
	}
}

// TestFinishKeepsDetails makes sure that adding the request id loses nothing else.
func TestFinishKeepsDetails(t *testing.T) {
	err := kerr.New(errorv1.Error_PROVIDER_UNAVAILABLE, "m", kerr.WithMetadata(kerr.KeyProvider, "finoos"),
		kerr.WithField("a", "b"),
		kerr.WithRetry(time.Second))
	finished, _ := kerr.Finish(err, "r")
	st := status.Convert(finished)
	if len(st.Details()) != 3 || st.Message() != "m" {
		t.Errorf("got %v", st.Proto())
	}
	if md := kerr.Metadata(finished); md["provider"] != "finoos" || md["requestId"] != "r" {
		t.Errorf("metadata %v", md)
	}
	if kerr.Metadata(err)["requestId"] != "" {
		t.Error("the error passed in was changed")
	}
}
