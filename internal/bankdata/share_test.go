package bankdata_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

func TestConcurrentReadsShareOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		p.Report(providers.ConsentState{Observations: []providers.Observation{
			{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
		}}, nil)
		assemblytest.Pass(10 * time.Second)
		calls := 0
		var mu sync.Mutex
		p.Accounts = func(ctx context.Context) ([]providers.Account, error) {
			mu.Lock()
			calls++
			call := calls
			mu.Unlock()
			select {
			case <-time.After(time.Second):
				return []providers.Account{
					{
						ID:      "account",
						Account: &bankingv1.Account{DisplayName: optional.Of(fmt.Sprint("of call ", call))},
					},
				}, nil
			case <-ctx.Done():
				return nil, &providers.Error{Kind: providers.KindCanceled, Provider: "fimento", Err: ctx.Err()}
			}
		}
		read := func(ctx context.Context) (*bankingv1.Account, error) {
			resp, err := p.Servers.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{
				Parent: row.Resource.GetName(),
			})
			if err != nil {
				return nil, err
			}
			return resp.GetAccounts()[0], nil
		}
		var callers sync.WaitGroup
		first, leave := context.WithCancel(p.Ctx)
		callers.Go(func() {
			if _, err := read(first); err == nil {
				t.Error("the caller who left got an answer")
			}
		})
		synctest.Wait()
		for range 100 {
			callers.Go(func() {
				account, err := read(p.Ctx)
				if err != nil || account.GetDisplayName() != "of call 1" {
					t.Errorf("got %v, %v", account, err)
					return
				}
				account.DisplayName = optional.Of("changed by a caller") // its own copy; the race detector tells otherwise
			})
		}
		synctest.Wait()
		leave()
		callers.Wait()
		if calls != 1 {
			t.Errorf("101 identical reads made %d provider calls", calls)
		}
		if account, err := read(p.Ctx); err != nil || account.GetDisplayName() != "of call 2" {
			t.Errorf("a later read got %v, %v: nothing may outlive its call", account, err)
		}

		// Who changed something does not get the answer to a question that was asked before.
		calls = 0
		callers.Go(func() { _, _ = read(p.Ctx) })
		synctest.Wait()
		p.Reads.Changed()
		if account, err := read(p.Ctx); err != nil || account.GetDisplayName() != "of call 2" {
			t.Errorf("a read after a write got %v, %v", account, err)
		}
		callers.Wait()
	})
}

// Callers who share a call that hangs count one by one: those of another provider find room.
func TestSharedCallsLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
			o.CallersPerProvider = 5
			assemblytest.Second(o, p)
		})
		rows := []*store.Consent{p.Create(t), p.CreateAt(t, "finoos")}
		p.Report(providers.ConsentState{Observations: []providers.Observation{
			{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
		}}, nil)
		assemblytest.Pass(time.Minute)
		hangs := true
		p.Accounts = func(ctx context.Context) ([]providers.Account, error) {
			if hangs {
				<-ctx.Done()
			}
			return nil, ctx.Err()
		}
		read := func(ctx context.Context, row *store.Consent) error {
			_, err := p.Servers.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{
				Parent: row.Resource.GetName(),
			})
			return err
		}
		var callers sync.WaitGroup
		ctx, leave := context.WithCancel(p.Ctx)
		for range 5 {
			callers.Go(func() { _ = read(ctx, rows[0]) })
		}
		synctest.Wait()
		hangs = false
		if err := read(p.Ctx, rows[0]); kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE ||
			kerr.Retry(err) == 0 {
			t.Errorf("one caller more gets %v", err)
		}
		if err := read(p.Ctx, rows[1]); err != nil {
			t.Errorf("a caller of the other provider gets %v", err)
		}
		leave()
		callers.Wait()
		synctest.Wait() // who comes before the call has noticed that all have left shares it, and hangs
		if err := read(p.Ctx, rows[0]); err != nil {
			t.Errorf("when they have left, a caller gets %v", err)
		}
	})
}
