package follow_test

import (
	"context"
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

// hanging answers nothing while it hangs, and counts who waits.
type hanging struct {
	providers.Consents

	hangs         atomic.Bool
	waiting, most atomic.Int64
}

func (h *hanging) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	if !h.hangs.Load() {
		return h.Consents.GetConsent(ctx, ref)
	}
	defer h.waiting.Add(-1)
	h.most.Store(max(h.most.Load(), h.waiting.Add(1)))
	<-ctx.Done()
	return nil, &providers.Error{Kind: providers.KindUnavailable, Provider: "fimento", Err: ctx.Err()}
}

// Consents of a provider that hangs wait for each other, and for nobody else: another provider's are read on time.
func TestHangingProvidersHoldBackNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &hanging{}
		p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
			assemblytest.Second(o, p)
			provider.Consents = p.Consents
			p.Consents = provider
		})
		provider.hangs.Store(true)
		for range 100 {
			p.Create(t)
		}
		assemblytest.Pass(20 * time.Second) // They have what places they get.
		if most := provider.most.Load(); most != 16 {
			t.Errorf("%d consents of one account were read at once, want 16", most)
		}
		began := time.Now()
		var rows []*store.Consent
		for range 20 {
			rows = append(rows, p.CreateAt(t, "finoos"))
		}
		assemblytest.Pass(10 * time.Minute)
		if most := provider.most.Load(); most != 16 {
			t.Errorf("%d consents of one account were read at once, want 16", most)
		}
		for _, row := range rows {
			last, want := began, 5*time.Second
			times := p.Times(row)
			if len(times) < 6 {
				t.Fatalf("a consent at the other provider was read %d times in ten minutes", len(times))
			}
			for i, at := range times {
				if wait := at.Sub(last); wait < want || wait > want+want/5+time.Second {
					t.Fatalf("read %d came after %s, want %s to %s", i, wait, want, want+want/5+time.Second)
				}
				last, want = at, min(2*want, 5*time.Minute)
			}
		}
		provider.hangs.Store(false)
		assemblytest.Pass(time.Minute) // until nothing is under way any more
	})
}

// Callers who wait for a provider that hangs leave room for those of another. Who shares a call counts, too.
func TestHangingProvidersLeaveRoomForCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &hanging{}
		p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
			o.CallersPerProvider = 5
			assemblytest.Second(o, p)
			provider.Consents = p.Consents
			p.Consents = provider
		})
		row, other := p.Create(t), p.CreateAt(t, "finoos")
		provider.hangs.Store(true)
		read := func(ctx context.Context, row *store.Consent) error {
			_, err := p.Servers.Consent.GetConsent(ctx, &consentv1.GetConsentRequest{
				Name: row.Resource.GetName(), Refresh: true,
			})
			return err
		}
		ctx, leave := context.WithCancel(p.Ctx)
		for range 5 {
			go func() { _ = read(ctx, row) }()
		}
		synctest.Wait()
		err := read(p.Ctx, row)
		if kerr.Reason(err) != errorv1.Error_PROVIDER_UNAVAILABLE || kerr.Retry(err) != time.Second {
			t.Errorf("one caller more gets %v", err)
		}
		if err := read(p.Ctx, other); err != nil {
			t.Errorf("a caller of the other provider gets %v", err)
		}
		leave()
		provider.hangs.Store(false)
		assemblytest.Pass(time.Minute)
		if err := read(p.Ctx, row); err != nil {
			t.Errorf("when they have left, a caller gets %v", err)
		}
	})
}

// counted is a database that counts updates.
type counted struct {
	store.Database

	updates *atomic.Int64
}

func (c counted) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	c.updates.Add(1)
	return c.Database.Update(ctx, tenant, fn)
}

// A flood of hints costs the store one update: a consent that is about to be read needs no further hint.
func TestHintsDoNotFloodTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		row := p.Create(t)
		assemblytest.Pass(time.Hour)
		rested(p, row)
		p.HintAt(t, row)
		synctest.Wait() // It is read now, and can be read again in five seconds.
		var updates atomic.Int64
		p.Store.Store = counted{Database: p.Database(), updates: &updates}
		before := len(p.Times(row))
		for range 1000 {
			p.HintAt(t, row)
		}
		synctest.Wait()
		if made, reads := updates.Load(), len(p.Times(row))-before; made != 1 || reads != 0 {
			t.Errorf("1000 hints made %d updates and %d reads, want one update", made, reads)
		}
		assemblytest.Pass(10 * time.Second)
		if reads := len(p.Times(row)) - before; reads != 1 {
			t.Errorf("then it was read %d times", reads)
		}
	})
}

// A short wait that the provider asks for holds back all background reads of the account from that moment on. A caller
// does not wait for them.
func TestShortWaitsHoldBackTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) { assemblytest.Second(o, p) })
		var rows []*store.Consent
		for range 5 {
			rows = append(rows, p.Create(t))
		}
		other := p.CreateAt(t, "finoos")
		assemblytest.Pass(time.Hour)
		rested(p, rows[0])
		const wait = 20 * time.Second
		p.Report(providers.ConsentState{}, &providers.Error{
			Kind: providers.KindRateLimited, Provider: "fimento", RetryAfter: wait,
		})
		p.HintAt(t, rows[0])
		synctest.Wait()
		p.Report(providers.ConsentState{}, nil)
		told := time.Now()
		for time.Since(told) < wait-time.Second {
			for _, row := range append(rows, other) {
				p.HintAt(t, row)
			}
			assemblytest.Pass(time.Second)
		}
		since := func(row *store.Consent) (n int) {
			for _, at := range p.Times(row) {
				if at.After(told) {
					n++
				}
			}
			return n
		}
		for i, row := range rows {
			if reads := since(row); reads > 0 {
				t.Errorf("consent %d was read %d times meanwhile", i, reads)
			}
		}
		if reads := since(other); reads < 3 {
			t.Errorf("the other account's consent was read %d times meanwhile", reads)
		}
		if _, err := p.Follower.Refresh(p.Ctx, rows[1]); err != nil || since(rows[1]) != 1 {
			t.Errorf("a caller's read: %v", err)
		}
		assemblytest.Pass(10 * time.Second)
		for i, row := range rows {
			if since(row) == 0 {
				t.Errorf("consent %d was not read when the time was over", i)
			}
		}
	})
}

// impatient fails with a wait in the background alone, after some time.
type impatient struct {
	providers.Consents

	takes      time.Duration
	background atomic.Int32
}

func (i *impatient) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	state, err := i.Consents.GetConsent(ctx, ref)
	time.Sleep(i.takes)
	if providers.CallOf(ctx).Background {
		i.background.Add(1)
		return nil, &providers.Error{
			Kind: providers.KindRateLimited, Provider: "fimento", RetryAfter: time.Second,
		}
	}
	return state, err
}

// A caller who shares a read that was begun in the background, and gave up, is answered by one that waits.
func TestCallersDoNotGiveUpAsTheBackgroundDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &impatient{takes: 10 * time.Second}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			provider.Consents = p.Consents
			p.Consents = provider
		})
		row := p.Create(t)
		go func() { _, _ = p.Follower.Refresh(p.Ctx, row) }() // under way when the background wants to read
		assemblytest.Pass(7 * time.Second)
		p.HintAt(t, row)
		assemblytest.Pass(2 * time.Second)
		if _, err := p.Follower.Refresh(p.Ctx, row); err != nil {
			t.Errorf("a caller gets %v", err)
		}
		if provider.background.Load() == 0 {
			t.Error("nothing was read in the background")
		}
		assemblytest.Pass(time.Minute)
	})
}
