package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// readsOf are the reads of a provider that decode a body, by RPC.
func (w *world) readsOf(provider, consent string) map[string]func(context.Context) error {
	reads := map[string]func(context.Context) error{
		"GetConsent": func(ctx context.Context) error {
			_, err := w.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: consent, Refresh: true})
			return err
		},
		"ListAccounts": func(ctx context.Context) error {
			_, err := w.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: consent})
			return err
		},
		"ListTransactions": func(ctx context.Context) error {
			_, err := w.Banking.ListTransactions(ctx, &bankingv1.ListTransactionsRequest{
				Parent: consent + "/accounts/-", PageSize: 1000,
			})
			return err
		},
		"StreamTransactions": func(ctx context.Context) error {
			stream, err := w.Banking.StreamTransactions(ctx, &bankingv1.StreamTransactionsRequest{Parent: consent})
			for err == nil {
				_, err = stream.Recv()
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		},
		"GetInsights": func(ctx context.Context) error {
			_, err := w.Insights.GetInsights(ctx, &insightsv1.GetInsightsRequest{Name: consent + "/insights"})
			return err
		},
	}
	if further := providers.Of(provider).reads; further != nil {
		maps.Copy(reads, further(w, consent))
	}
	return reads
}

// TestBrokenBodies sends bodies that are not what the provider documents. None may become an answer, nor be stored by
// half, nor take much memory.
func TestBrokenBodies(t *testing.T) {
	const (
		bomb     = 1 << 30
		mostMore = 64 << 20
	)
	w := newWorld(t, options{})
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, provider, 1)[0]
		reads := w.readsOf(provider, consent)
		for name, read := range reads {
			if err := read(worldtest.AsPSU(t.Context())); err != nil {
				t.Fatalf("%s, %s, without a fault: %v", provider, name, err)
			}
		}
		before, memory := w.stored(t, consent), w.metric(t, "go_memstats_sys_bytes")
		for fault, f := range map[string]sandbox.Fault{
			"malformed": {Malformed: true}, "cut off": {Truncate: true}, "gzip bomb": {GzipBomb: bomb},
			"another type": {Status: 200, Body: `"surprise"`},
			"deep":         {Status: 200, Body: strings.Repeat(`[`, 100_000)},
			"trailing":     {Status: 200, Body: `{} {}`}, "HTML": {Status: 200, Body: `<html>`},
		} {
			id := w.core(provider).Faults.Add(f)
			for name, read := range reads {
				if reason := reasonOf(read(worldtest.AsPSU(t.Context()))); reason != "PROVIDER_RESPONSE_INVALID" {
					t.Errorf("%s, %s, %s: reason %q, want PROVIDER_RESPONSE_INVALID", provider, fault, name, reason)
				}
			}
			w.core(provider).Faults.Remove(id)
		}
		if after := w.stored(t, consent); !proto.Equal(before, after) {
			t.Errorf("%s: broken bodies changed what is stored:\nbefore %v\nafter  %v", provider, before, after)
		}
		more := w.metric(t, "go_memstats_sys_bytes") - memory
		t.Logf("%s: %.0f MiB more", provider, more/(1<<20))
		if more > mostMore {
			t.Errorf("%s: broken bodies took %.0f MiB, the bar is %d", provider, more/(1<<20), mostMore>>20)
		}
	}
}

// stored is a consent's history.
func (w *world) stored(t *testing.T, consent string) *consentv1.ListConsentEventsResponse {
	t.Helper()
	events, err := w.Consents.ListConsentEvents(t.Context(), &consentv1.ListConsentEventsRequest{
		Parent: consent, PageSize: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// findAgain lets the gateway see that the provider knows a consent again, which it did not.
func (w *world) findAgain(t *testing.T, consent string) {
	t.Helper()
	eventually(t, "the consent to be read", func() bool {
		_, err := w.Consents.GetConsent(t.Context(), &consentv1.GetConsentRequest{Name: consent, Refresh: true})
		return err == nil
	})
}

// TestStatuses answers every read, and the writes that begin something, with every status. No word of the body may
// reach the caller.
func TestStatuses(t *testing.T) {
	const canary = "canary-5b1f of a provider"
	ofRead := map[int]string{
		400: "PROVIDER_REJECTED", 401: "PROVIDER_CREDENTIALS_INVALID", 403: "CAPABILITY_NOT_ENABLED",
		404: "PROVIDER_REJECTED",
		409: "PROVIDER_REJECTED", 429: "PROVIDER_RATE_LIMITED", 500: "PROVIDER_UNAVAILABLE",
		502: "PROVIDER_UNAVAILABLE",
		503: "PROVIDER_UNAVAILABLE", 504: "PROVIDER_UNAVAILABLE",
	}
	w := newWorld(t, options{})
	for _, provider := range worldtest.Providers() {
		consent := w.authorized(t, provider, 1)[0]
		calls := w.readsOf(provider, consent)
		calls["CreateConsent"] = func(ctx context.Context) error {
			_, err := w.Consents.CreateConsent(ctx, newConsent(provider))
			return err
		}
		for name, call := range calls {
			for code, want := range ofRead {
				if becomes := providers.Of(provider).becomes; becomes != nil {
					if reason, differs := becomes(name, code); differs {
						want = reason
					}
				}
				fault := sandbox.Fault{Status: code, Body: fmt.Sprintf(
					`{"message":%q,"error":%[1]q,"type":%[1]q}`, canary,
				)}
				for _, operation := range providers.Of(provider).operations {
					fault.Operation = operation
					w.core(provider).Faults.Add(fault)
				}
				err := call(worldtest.AsPSU(t.Context()))
				w.core(provider).Faults.Clear()
				if code == http.StatusNotFound {
					w.findAgain(t, consent)
				}
				if reason := reasonOf(err); reason != want {
					t.Errorf("%s, %s, %d: reason %s, want %s", provider, name, code, reason, want)
				}
				if err != nil && strings.Contains(fmt.Sprint(err), "canary") {
					t.Errorf("%s, %s, %d: the provider's words reach the caller", provider, name, code)
				}
			}
		}
	}
}
