package follow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

func consentError(kind providers.ErrorKind) *providers.Error {
	return &providers.Error{
		Kind:      kind,
		Provider:  "fimento",
		Operation: "insights",
		Status:    401,
		Code:      "CONSENT_INVALID",
	}
}

func with(more ...providers.Observation) providers.ConsentState {
	return providers.ConsentState{
		Observations: append(append([]providers.Observation(nil), ready.Observations...), more...),
	}
}

// accounts reads accounts under a consent.
func accounts(p *assemblytest.Gateway, row *store.Consent) error {
	_, err := p.Servers.Banking.ListAccounts(p.Ctx, &bankingv1.ListAccountsRequest{Parent: row.Resource.GetName()})
	return err
}

// When a provider says in the midst of a read that the consent is over, the caller is told what holds: the consent is
// read at once.
func TestReadsOfAnEndedConsentTellWhatHolds(t *testing.T) {
	for name, c := range map[string]struct {
		report providers.ConsentState
		err    error
		want   errorv1.Error_Reason
		status consentv1.Consent_Status
	}{
		"withdrawn": {
			with(providers.Observation{Key: "r", Type: consentv1.ConsentEvent_REVOKED}), nil,
			errorv1.Error_CONSENT_REVOKED, consentv1.Consent_REVOKED,
		},
		"a new authentication needed": {
			with(providers.Observation{
				Key: "again", Type: consentv1.ConsentEvent_REAUTHORIZATION_REQUIRED, ConnectionID: "bank",
				Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			}), nil, errorv1.Error_REAUTHORIZATION_REQUIRED, consentv1.Consent_AWAITING_REAUTHORIZATION,
		},
		"over, as its own read says": {
			providers.ConsentState{}, consentError(providers.KindConsentEnded),
			errorv1.Error_CONSENT_EXPIRED, consentv1.Consent_EXPIRED,
		},
		"nothing new": {ready, nil, errorv1.Error_CONSENT_EXPIRED, consentv1.Consent_AUTHORIZED},
		"nobody answers": {
			providers.ConsentState{}, consentError(providers.KindUnavailable),
			errorv1.Error_CONSENT_EXPIRED, consentv1.Consent_AUTHORIZED,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := assemblytest.New(t)
				row := p.Create(t)
				p.Report(ready, nil)
				assemblytest.Pass(10 * time.Second)
				p.Accounts = func(context.Context) ([]providers.Account, error) {
					return nil, consentError(providers.KindConsentEnded)
				}
				p.Report(c.report, c.err)
				before := len(p.Times(row))
				if got := kerr.Reason(accounts(p, row)); got != c.want {
					t.Errorf("the caller gets %s, want %s", got, c.want)
				}
				if reads := len(p.Times(row)) - before; reads != 1 {
					t.Errorf("the consent was read %d times", reads)
				}
				fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
				if err != nil || fresh.Resource.GetStatus() != c.status {
					t.Errorf("then it is %s, %v; want %s", fresh.Resource.GetStatus(), err, c.status)
				}
			})
		})
	}
}

// A consent that nobody approved does not end by such an answer: it can still be approved.
func TestWhatNobodyApprovedDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		p.Report(providers.ConsentState{}, consentError(providers.KindConsentEnded))
		assemblytest.Pass(time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_AWAITING_AUTHORIZATION {
			t.Errorf("it is %s", got)
		}
		p.Report(ready, nil)
		assemblytest.Pass(5 * time.Minute)
		if got := statusOf(t, p, row); got != consentv1.Consent_AUTHORIZED {
			t.Errorf("approved it is %s", got)
		}
	})
}

func TestTooManyReadsSayWhenToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		p.Report(ready, nil)
		assemblytest.Pass(10 * time.Second)
		p.Accounts = func(context.Context) ([]providers.Account, error) {
			failure := consentError(providers.KindAccessExceeded)
			failure.RetryAfter = time.Hour
			return nil, failure
		}
		err := accounts(p, row)
		if kerr.Reason(err) != errorv1.Error_PROVIDER_RATE_LIMITED || kerr.Retry(err) != time.Hour {
			t.Errorf("the caller gets %v", err)
		}
	})
}
