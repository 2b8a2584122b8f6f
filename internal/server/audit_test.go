package server_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/server"
)

// TestAuditRefusesFailures has an audit that takes no failures: callers are told what the audit says, with the
// request's id, by every front, for calls and for streams.
func TestAuditRefusesFailures(t *testing.T) {
	var mu sync.Mutex
	noted := map[string]int{}
	h := start(t, func(o *server.Options) {
		o.Audit = func(_ context.Context, method, _ string, failure error) error {
			mu.Lock()
			defer mu.Unlock()
			noted[method+" "+kerr.Reason(failure).String()]++
			return kerr.New(errorv1.Error_STORE_UNAVAILABLE, "the gateway's store did not answer")
		}
	})
	h.consents.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		return nil, kerr.New(errorv1.Error_PROVIDER_REJECTED, "no")
	}
	refused := func(what string, err error, id string) {
		t.Helper()
		if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || status.Code(err) != codes.Unavailable ||
			kerr.Metadata(err)[kerr.KeyRequestID] != id {
			t.Errorf("%s: %v with %v", what, err, kerr.Metadata(err))
		}
	}
	create := &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{Market: "SE"}}
	_, err := h.client.CreateConsent(as(t.Context(), allKey, "x-request-id", "one"), create)
	refused("grpc", err, "one")
	_, err = h.client.CreateConsent(as(t.Context(), readerKey, "x-request-id", "two"), create)
	refused("grpc without the scope", err, "two")
	r := h.do(t, "POST", "/v1/consents", allKey, `{"consent":{"market":"SE"}}`, "X-Request-Id", "three")
	refused("rest", r.err(t), "three")
	if r.status != http.StatusServiceUnavailable {
		t.Errorf("rest: %d", r.status)
	}
	r = h.do(t, "GET", "/v1/consents/1/transactions:stream", readerKey, "", "X-Request-Id", "four")
	refused("rest stream without the scope", r.err(t), "four")
	for _, line := range h.log.lines(t, "call") {
		if line["reason"] != "STORE_UNAVAILABLE" {
			t.Errorf("the access log has %v", line)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if noted["CreateConsent PROVIDER_REJECTED"] != 2 || noted["CreateConsent SCOPE_MISSING"] != 1 ||
		noted["StreamTransactions SCOPE_MISSING"] != 1 {
		t.Errorf("to be noted were %v", noted)
	}
}
