package server_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
)

// TestIdempotencyKeysFollowOneRule sends keys in the header and in the field, over both transports: what one of the
// four takes all take, and they mean the same key.
func TestIdempotencyKeysFollowOneRule(t *testing.T) {
	h := start(t)
	var field string
	h.consents.create = func(_ context.Context, r *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		field = r.GetRequestId()
		return &consentv1.Consent{Name: "consents/1"}, nil
	}
	request := func(key string) *consentv1.CreateConsentRequest {
		return &consentv1.CreateConsentRequest{Consent: &consentv1.Consent{Market: "SE"}, RequestId: key}
	}
	body := func(key string) string {
		text, err := json.Marshal(map[string]any{"consent": map[string]any{"market": "SE"}, "requestId": key})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	ways := map[string]func(key string) (taken string, err error){
		"gRPC metadata": func(key string) (string, error) {
			_, err := h.client.CreateConsent(as(t.Context(), allKey, "idempotency-key", key), request(""))
			if err != nil {
				return "", err
			}
			return h.consents.last(t).idempotencyKey, nil
		},
		"HTTP header": func(key string) (string, error) {
			r := h.do(t, "POST", "/v1/consents", allKey, body(""), "Idempotency-Key", key)
			if r.status != 200 {
				return "", r.err(t)
			}
			return h.consents.last(t).idempotencyKey, nil
		},
		"field over gRPC": func(key string) (string, error) {
			_, err := h.client.CreateConsent(as(t.Context(), allKey), request(key))
			return field, err
		},
		"field over REST": func(key string) (string, error) {
			r := h.do(t, "POST", "/v1/consents", allKey, body(key))
			if r.status != 200 {
				return "", r.err(t)
			}
			return field, nil
		},
	}
	all := strings.Builder{}
	for c := '!'; c <= '~'; c++ {
		all.WriteRune(c)
	}
	for name, way := range ways {
		path := "requestId"
		if !strings.HasPrefix(name, "field") {
			path = "idempotency-key"
		}
		for _, key := range []string{
			"k", "key-1", "Auftrag 7 of 2026", "a  b", all.String(), "a" + strings.Repeat(" ", 253) + "b",
			strings.Repeat("~", 255),
		} {
			if taken, err := way(key); err != nil || taken != key {
				t.Errorf("%s: %q became %q, %v", name, key, taken, err)
			}
		}
		refused := []string{strings.Repeat("k", 256)}
		if path == "requestId" { // Clients send no such headers: TestHeadersAreNotDropped does.
			refused = append(refused, canary+"\u00fc", canary+"\u0080", canary+"\x7f", canary+"\t1")
		}
		for _, key := range refused {
			_, err := way(key)
			invalid(t, name, err, path)
		}
		// HTTP drops the blanks around a value. So they are no part of a key, and a field may not have any.
		taken, err := way("  a b ")
		if path == "requestId" {
			invalid(t, name, err, path)
		} else if err != nil || taken != "a b" {
			t.Errorf("%s: with blanks around it, it became %q, %v", name, taken, err)
		}
		_, err = way("   ")
		invalid(t, name+": blanks alone", err, path)
	}
}

// TestUnknownOutcomesNameTheResource has methods fail of which nobody knows whether they took effect.
func TestUnknownOutcomesNameTheResource(t *testing.T) {
	h := start(t)
	unknown := kerr.New(errorv1.Error_OUTCOME_UNKNOWN, "it may have happened")
	h.consents.get = func(context.Context, *consentv1.GetConsentRequest) (*consentv1.Consent, error) {
		return nil, unknown
	}
	h.consents.update = func(context.Context, *consentv1.UpdatePartnerBankRequest) (*consentv1.PartnerBank, error) {
		return nil, unknown
	}
	h.consents.create = func(context.Context, *consentv1.CreateConsentRequest) (*consentv1.Consent, error) {
		return nil, kerr.With(unknown, "customer", "customers/1")
	}
	_, byName := h.client.GetConsent(as(t.Context(), allKey), &consentv1.GetConsentRequest{Name: "consents/1"})
	_, within := h.client.UpdatePartnerBank(as(t.Context(), allKey), &consentv1.UpdatePartnerBankRequest{
		PartnerBank: &consentv1.PartnerBank{Name: "partnerBanks/7", DisplayName: "Bank"},
	})
	_, none := h.client.CreateConsent(as(t.Context(), allKey), &consentv1.CreateConsentRequest{
		Consent: &consentv1.Consent{Market: "SE"},
	})
	for _, test := range []struct {
		err       error
		key, want string
	}{
		{byName, "consent", "consents/1"},
		{h.do(t, "GET", "/v1/consents/1", allKey, "").err(t), "consent", "consents/1"},
		{within, "partnerBank", "partnerBanks/7"},
		{none, "customer", "customers/1"},
	} {
		if got := kerr.Metadata(test.err)[test.key]; got != test.want {
			t.Errorf("%v: %s is %q, want %q", test.err, test.key, got, test.want)
		}
	}
}
