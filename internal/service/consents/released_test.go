package consents_test

import (
	"context"
	"errors"
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

// losing is a database that fails from some moment on.
type losing struct {
	store.Database

	lost *atomic.Bool
}

var errLost = errors.New("the store is lost")

func (l losing) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if l.lost.Load() {
		return errLost
	}
	return l.Database.Update(ctx, tenant, fn)
}

// refusing loses the store while it is asked, and refuses.
type refusing struct {
	flows

	lost    *atomic.Bool
	refuses bool
}

func (r *refusing) AddBank(
	ctx context.Context, ref providers.ConsentRef, flow providers.Flow,
) (*providers.Issued, error) {
	if r.refuses {
		r.lost.Store(true)
		return nil, &providers.Error{Kind: providers.KindUnavailable, Err: errors.New("not now")}
	}
	return r.flows.AddBank(ctx, ref, flow)
}

// TestAddBankAfterALostStore: a call that could not give back its right to open a flow keeps nobody from opening one
// once it is over. One that is at work does.
func TestAddBankAfterALostStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost atomic.Bool
		banks := &refusing{lost: &lost, refuses: true}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Banks = banks
			p.ConsentOrigin = consentv1.ConsentOrigin_SYNTHESISED // where flows do not exclude each other
			p.Capabilities["AddBank"] = providers.Support{Level: providers.Native}
		})
		p.Store.Store = losing{Database: p.Database(), lost: &lost}
		row := p.Create(t)
		p.Report(approvedBy(nil), nil)
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Fatal(err)
		}
		add := func() error {
			_, err := p.Servers.Consent.AddBank(p.Ctx, &consentv1.AddBankRequest{Name: row.Resource.GetName()})
			return err
		}
		if err := add(); err == nil {
			t.Fatal("it was not refused")
		}
		lost.Store(false)
		banks.refuses = false
		began := time.Now()
		if err := add(); err != nil || banks.opened != 1 || time.Since(began) > time.Second {
			t.Errorf("once the store is back: %v, %d flows are open, after %s", err, banks.opened, time.Since(began))
		}
		err := p.Store.Update(p.Ctx, row.Tenant, func(tx store.Tx) error {
			return tx.ClaimFlow(row.ID, time.Now(), store.Lease{Owner: "another/1", Until: time.Now().Add(time.Minute)})
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := add(); kerr.Reason(err) != errorv1.Error_CONSENT_FLOW_ALREADY_OPEN {
			t.Errorf("while another process opens one: %v", err)
		}
	})
}
