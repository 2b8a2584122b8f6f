package banking_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// bank synchronizes, or gives a link, and counts.
type bank struct {
	providers.Connections

	asked   atomic.Int32
	deleted atomic.Int32
	link    *providers.Link
	err     error
}

func (b *bank) DeleteConnection(context.Context, providers.ConsentRef, string) error {
	b.deleted.Add(1)
	time.Sleep(200 * time.Millisecond)
	return b.err
}

func (b *bank) SyncConnection(
	context.Context, providers.ConsentRef, string, providers.Flow,
) (*providers.Link, error) {
	b.asked.Add(1)
	time.Sleep(200 * time.Millisecond)
	return b.link, b.err
}

// Synchronizations of a connection within a second are one at the provider, with equal answers, and each is on the
// record.
func TestSyncsWithinASecondAreOne(t *testing.T) {
	for name, link := range map[string]*providers.Link{
		"done": nil, "the customer is needed": {URI: "https://bank.example.com/sca", TTL: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := &bank{link: link}
				p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
					p.Connections = at
					p.Capabilities["SyncConnection"] = providers.Support{Level: providers.Native}
				})
				row := p.Create(t)
				p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
					{ID: "bank", Active: true},
				}}, nil)
				assemblytest.Pass(time.Minute)
				fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
				if err != nil {
					t.Fatal(err)
				}
				request := &bankingv1.SyncConnectionRequest{
					Name: fresh.Resource.GetConnections()[0].GetName(),
				}
				call := func(ctx context.Context) (*bankingv1.SyncConnectionResponse, error) {
					return p.Servers.Banking.SyncConnection(ctx, request)
				}
				first, err := call(p.Ctx)
				if err != nil || (first.GetLink() == nil) != (link == nil) {
					t.Fatalf("%v, %v", first, err)
				}
				var callers sync.WaitGroup
				for i := range 3 {
					callers.Go(func() {
						time.Sleep(time.Duration(i) * 300 * time.Millisecond)
						if again, err := call(p.Ctx); err != nil || !proto.Equal(again, first) || again == first {
							t.Errorf("a later one gets %v, %v; want %v", again, err, first)
						}
					})
				}
				callers.Wait()
				if asked := at.asked.Load(); asked != 1 {
					t.Errorf("the provider was asked %d times", asked)
				}
				if noted := audited(t, p, "SyncConnection"); noted != 4 {
					t.Errorf("%d of 4 calls are on the record", noted)
				}
				// Another end user's address makes it another call, and so does time.
				other := providers.WithCall(p.Ctx, providers.Call{PSUIP: "192.0.2.7"})
				if _, err := call(other); err != nil || at.asked.Load() != 2 {
					t.Errorf("for another end user: %v, %d calls", err, at.asked.Load())
				}
				assemblytest.Pass(2 * time.Second)
				if _, err := call(p.Ctx); err != nil || at.asked.Load() != 3 {
					t.Errorf("later: %v, %d calls", err, at.asked.Load())
				}
				// News make the answer old.
				p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
					{ID: "bank", Active: true}, {ID: "another", Active: true},
				}}, nil)
				if _, err := p.Follower.Refresh(p.Ctx, fresh); err != nil {
					t.Fatal(err)
				}
				if _, err := call(p.Ctx); err != nil || at.asked.Load() != 4 {
					t.Errorf("after news: %v, %d calls", err, at.asked.Load())
				}
				// A failure is nobody else's.
				assemblytest.Pass(2 * time.Second)
				at.err = &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"}
				if _, err := call(p.Ctx); err == nil {
					t.Error("a failure is no answer")
				}
				at.err = nil
				if _, err := call(p.Ctx); err != nil || at.asked.Load() != 6 {
					t.Errorf("after a failure: %v, %d calls", err, at.asked.Load())
				}
				assemblytest.Pass(time.Minute)
			})
		})
	}
}

// A bank is removed once: whoever removes it again, with or without a key, is told that it is gone, and neither the
// provider nor the history hears of it. Nobody asks it for newer data.
func TestABankIsRemovedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &bank{}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Connections = at
			for _, c := range []providers.Capability{"SyncConnection", "DeleteConnection"} {
				p.Capabilities[c] = providers.Support{Level: providers.Native}
			}
		})
		row := p.Create(t)
		p.Report(providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "bank", Active: true}, {ID: "other", Active: true},
		}}, nil)
		assemblytest.Pass(time.Minute)
		now := func() *consentv1.Consent {
			fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
			if err != nil {
				t.Fatal(err)
			}
			return fresh.Resource
		}
		name := now().GetConnections()[0].GetName()
		remove := func(key string) {
			request := &bankingv1.DeleteConnectionRequest{Name: name, RequestId: key}
			if _, err := p.Servers.Banking.DeleteConnection(p.Ctx, request); err != nil {
				t.Error(err)
			}
		}
		before := now().GetEventCount()
		var callers sync.WaitGroup
		for range 2 { // both find it there
			callers.Go(func() { remove("") })
		}
		callers.Wait()
		asked := at.deleted.Load()
		if after := now(); after.GetEventCount() != before+1 ||
			after.GetConnections()[0].GetStatus() != consentv1.Connection_DISCONNECTED {
			t.Errorf("two at a time: %d events more, %v", after.GetEventCount()-before, after.GetConnections())
		}
		remove("")
		remove("a")
		remove("a")
		if now().GetEventCount() != before+1 || at.deleted.Load() != asked {
			t.Errorf("again: %d events, %d calls more", now().GetEventCount()-before-1, at.deleted.Load()-asked)
		}
		if noted := audited(t, p, "DeleteConnection"); noted != 4 { // a repeated key is answered from memory
			t.Errorf("%d of 4 calls are on the record", noted)
		}
		_, err := p.Servers.Banking.SyncConnection(p.Ctx, &bankingv1.SyncConnectionRequest{Name: name})
		if kerr.Reason(err) != errorv1.Error_CONNECTION_NOT_FOUND || at.asked.Load() != 0 {
			t.Errorf("newer data of a removed bank: %v, %d calls", err, at.asked.Load())
		}
	})
}

// audited counts the entries of a method.
func audited(t *testing.T, p *assemblytest.Gateway, method string) (n int) {
	t.Helper()
	err := p.Store.View(p.Ctx, "default", func(r store.Reader) error {
		entries, err := r.AuditTrail(0, 1000)
		for _, e := range entries {
			if e.Method == method {
				n++
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSyncThatCannotBeReadBack: a synchronization that the provider made is answered as made, from what is stored, when
// the provider does not tell at once how the consent stands. It is read soon.
func TestSyncThatCannotBeReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := &bank{}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Connections = at
			p.Capabilities["SyncConnection"] = providers.Support{Level: providers.Native}
		})
		row := p.Create(t)
		standing := providers.ConsentState{Stateful: true, Connections: []providers.ConnectionState{
			{ID: "bank", Active: true},
		}}
		p.Report(standing, nil)
		assemblytest.Pass(time.Minute)
		fresh, _, err := p.Load.Consent(p.Ctx, row.Resource.GetName())
		if err != nil {
			t.Fatal(err)
		}
		bank := fresh.Resource.GetConnections()[0]
		p.Report(standing, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento"})
		answer, err := p.Servers.Banking.SyncConnection(p.Ctx, &bankingv1.SyncConnectionRequest{
			Name: bank.GetName(), RequestId: "key-1",
		})
		if err != nil || answer.GetConnection().GetName() != bank.GetName() || at.asked.Load() != 1 {
			t.Errorf("it answers %v, %v, after %d calls", answer, err, at.asked.Load())
		}
		again, err := p.Servers.Banking.SyncConnection(p.Ctx, &bankingv1.SyncConnectionRequest{
			Name: bank.GetName(), RequestId: "key-1",
		})
		if err != nil || !proto.Equal(again, answer) || at.asked.Load() != 1 {
			t.Errorf("with its key it answers %v, %v, after %d calls", again, err, at.asked.Load())
		}
		p.Report(standing, nil)
		before := len(p.Times(row))
		assemblytest.Pass(10 * time.Second)
		if got := len(p.Times(row)) - before; got == 0 {
			t.Error("the consent was not read soon")
		}
	})
}
