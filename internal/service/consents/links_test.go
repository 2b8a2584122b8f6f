package consents_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// pages opens flows, slowly, and counts them.
type pages struct {
	opened atomic.Int32
	fail   atomic.Bool
}

func (p *pages) AddBank(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	time.Sleep(time.Second)
	if p.fail.Load() {
		return nil, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"}
	}
	p.opened.Add(1)
	return &providers.Issued{Link: providers.Link{URI: "https://bank.example.com/add", TTL: time.Hour}}, nil
}

func (p *pages) RenewLink(context.Context, providers.ConsentRef, providers.Flow) (*providers.Issued, error) {
	p.opened.Add(1)
	return &providers.Issued{Link: providers.Link{URI: "https://bank.example.com/renew", TTL: time.Hour}}, nil
}

// approvedTo makes a gateway with a consent that stands, to which banks can be added.
func approvedTo(t *testing.T, at *pages) (p *assemblytest.Gateway, row *store.Consent) {
	t.Helper()
	p = assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
		p.Banks, p.Links = at, at
		p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
	})
	row = p.Create(t)
	p.Report(approval(), nil)
	assemblytest.Pass(time.Minute)
	return p, row
}

func approval(more ...providers.Observation) providers.ConsentState {
	return providers.ConsentState{Observations: append([]providers.Observation{
		{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
	}, more...)}
}

func addBank(p *assemblytest.Gateway, row *store.Consent) error {
	_, err := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: row.Resource.GetName()})
	return err
}

// Of several calls that add a bank at one time, in two processes, one opens a flow.
func TestBanksAddedAtOnceOpenOneFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &pages{}
		p, row := approvedTo(t, at)
		other := p.Beside(t)
		var done, refused atomic.Int32
		var callers sync.WaitGroup
		for i, process := range []*assemblytest.Gateway{p, other, p, other, p, other} {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond) // the first takes a second
				switch err := addBank(process, row); {
				case err == nil:
					done.Add(1)
				case kerr.Reason(err) == errorv1.Error_CONSENT_FLOW_ALREADY_OPEN:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		callers.Wait()
		if at.opened.Load() != 1 || done.Load() != 1 || refused.Load() != 5 {
			t.Errorf("%d flows were opened; %d calls succeeded, %d were refused", at.opened.Load(), done.Load(),
				refused.Load())
		}
		// A later one knows of the first.
		if err := addBank(other, row); err != nil || at.opened.Load() != 2 {
			t.Errorf("later: %v", err)
		}
	})
}

// A call that read the consent before another one opened a flow does not open a second.
func TestBanksAddedInTurnOpenOneFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &pages{}
		p, row := approvedTo(t, at)
		late := p.Dying(t)
		late.Store.Store = slowly{Database: late.Database()}
		var err error
		var calling sync.WaitGroup
		calling.Go(func() { err = addBank(late, row) })
		synctest.Wait() // It has read the consent.
		if err := addBank(p, row); err != nil {
			t.Fatal(err)
		}
		calling.Wait()
		if kerr.Reason(err) != errorv1.Error_CONSENT_FLOW_ALREADY_OPEN || at.opened.Load() != 1 {
			t.Errorf("the late one got %v; %d flows were opened", err, at.opened.Load())
		}
	})
}

// slowly is a database whose updates take their time.
type slowly struct{ store.Database }

func (s slowly) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	time.Sleep(10 * time.Second)
	return s.Database.Update(ctx, tenant, fn)
}

// A call that failed leaves the way free.
func TestFailedCallsFreeTheFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &pages{}
		p, row := approvedTo(t, at)
		at.fail.Store(true)
		if err := addBank(p, row); kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE {
			t.Errorf("the first gets %v", err)
		}
		at.fail.Store(false)
		p.Report(providers.ConsentState{}, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"})
		if err := addBank(p, row); kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE {
			t.Errorf("while the consent cannot be read: %v", err)
		}
		p.Report(approval(), nil)
		if err := addBank(p, row); err != nil || at.opened.Load() != 1 {
			t.Errorf("then: %v", err)
		}
	})
}

// Before a flow is opened the provider is asked how the consent stands: the customer may have withdrawn.
func TestFlowsAreOpenedOnWhatHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &pages{}
		p, row := approvedTo(t, at)
		before := len(p.Times(row))
		p.Report(approval(providers.Observation{Key: "r", Type: consentv1.ConsentEvent_REVOKED}), nil)
		_, err := p.Servers.Consent.RenewConsentLink(p.Ctx, &consentv1.RenewConsentLinkRequest{
			Name: row.Resource.GetName(),
		})
		if kerr.Reason(err) != errorv1.Error_CONSENT_REVOKED || at.opened.Load() != 0 || len(p.Times(row)) != before+1 {
			t.Errorf("a new link: %v after %d reads", err, len(p.Times(row))-before)
		}
		// To add a bank is to ask the customer again.
		if err := addBank(p, row); err != nil || len(p.Times(row)) != before+2 {
			t.Errorf("a further bank: %v after %d reads", err, len(p.Times(row))-before)
		}
	})
}

// A provider that lets the consent rest is not in the way of a customer who is about.
func TestRestingConsentsCanHaveFlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &pages{}
		p, row := approvedTo(t, at)
		p.Report(providers.ConsentState{}, &providers.Error{
			Kind: providers.KindAccessExceeded, Provider: "fimento", RetryAfter: time.Hour,
		})
		if err := addBank(p, row); err != nil || at.opened.Load() != 1 {
			t.Error(err)
		}
	})
}
