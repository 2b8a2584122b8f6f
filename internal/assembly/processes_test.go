package assembly_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/broadcast"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// Two processes share one database and one provider here: each has all services, with a store and a life of its own.

// slow takes its time to make a consent.
type slow struct {
	providers.Consents

	takes time.Duration
	// hold keeps the first call until it is closed, when it is not nil.
	hold  chan struct{}
	calls *atomic.Int32
	keys  *sync.Map // the idempotency keys that came
}

func (s slow) CreateConsent(ctx context.Context, asked providers.NewConsent) (*providers.CreatedConsent, error) {
	s.keys.Store(asked.IdempotencyKey, true)
	if s.calls.Add(1) == 1 && s.hold != nil {
		<-s.hold
	}
	time.Sleep(s.takes)
	return s.Consents.CreateConsent(ctx, asked)
}

// slowly makes a provider slow.
func slowly(s *slow) func(*assembly.Options, *providers.Provider) {
	return func(_ *assembly.Options, p *providers.Provider) {
		s.Consents, s.calls, s.keys = p.Consents, &atomic.Int32{}, &sync.Map{}
		p.Consents = s
	}
}

// begun waits until a provider is asked.
func begun(calls *atomic.Int32) {
	for calls.Load() == 0 {
		assemblytest.Pass(time.Millisecond)
	}
}

func consentRequest(key, customer string) *consentv1.CreateConsentRequest {
	return &consentv1.CreateConsentRequest{
		RequestId: key,
		Consent: &consentv1.Consent{
			Provider: "providers/fimento", Market: "SE", Customer: customer,
			RedirectUris: &consentv1.Consent_RedirectUris{Success: optional.Of("https://app.example.com/done")},
		},
		Psu: &consentv1.Psu{NationalId: "199503096316"},
	}
}

func TestOneKeyAtTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{takes: time.Second}
		p := assemblytest.New(t, slowly(provider))
		both := []*assemblytest.Gateway{p, p.Beside(t)}
		answers := make([]*consentv1.Consent, 20)
		var callers sync.WaitGroup
		for n := range answers {
			callers.Go(func() {
				at := both[n%2]
				answer, err := at.Servers.Consent.CreateConsent(at.Ctx, consentRequest("key-1", ""))
				if err != nil {
					t.Errorf("caller %d: %v", n, err)
				}
				answers[n] = answer
			})
		}
		callers.Wait()
		if calls := provider.calls.Load(); calls != 1 {
			t.Errorf("the provider was asked %d times, want once", calls)
		}
		for n, answer := range answers {
			if !proto.Equal(answer, answers[0]) {
				t.Errorf("caller %d got %v, the first %v", n, answer, answers[0])
			}
		}
	})
}

// A caller who cannot wait until the other process is done learns that it may come again.
func TestImpatientCallerAtTheOtherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{takes: 5 * time.Second}
		p := assemblytest.New(t, slowly(provider))
		other := p.Beside(t)
		var first sync.WaitGroup
		first.Go(func() {
			if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", "")); err != nil {
				t.Error(err)
			}
		})
		begun(provider.calls)
		ctx, cancel := context.WithTimeout(other.Ctx, 2*time.Second)
		defer cancel()
		_, err := other.Servers.Consent.CreateConsent(ctx, consentRequest("key-1", ""))
		if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || kerr.Retry(err) == 0 || ctx.Err() != nil {
			t.Errorf("it ended with %v, the deadline being over: %v", err, ctx.Err())
		}
		first.Wait()
	})
}

// users makes users, slowly.
type users struct {
	providers.Users

	made *atomic.Int32
}

func (u users) CreateUser(context.Context, providers.NewUser) (string, error) {
	time.Sleep(time.Second)
	return fmt.Sprint("user-", u.made.Add(1)), nil
}

func TestOneUserAtTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = users{made: &made} })
		both := []*assemblytest.Gateway{p, p.Beside(t)}
		customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		})
		if err != nil {
			t.Fatal(err)
		}
		const callers = 10
		var group sync.WaitGroup
		for n := range callers {
			group.Go(func() {
				at := both[n%2]
				_, err := at.Servers.Consent.CreateConsent(at.Ctx,
					consentRequest(fmt.Sprint("key-", n), customer.GetName()))
				if err != nil {
					t.Errorf("caller %d: %v", n, err)
				}
			})
		}
		group.Wait()
		if made.Load() != 1 || p.Made() != callers {
			t.Errorf("%d users and %d consents were made, want 1 and %d", made.Load(), p.Made(), callers)
		}
		row, err := p.Load.Customer(p.Ctx, customer.GetName())
		if err != nil || row.Users["fimento"] != "user-1" {
			t.Errorf("the customer's users are %v, %v", row.Users, err)
		}
	})
}

// A process that stands still while it makes a user keeps others from making one for as long as its lease lasts.
func TestUserOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int32
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Users = users{made: &made} })
		customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		})
		if err != nil {
			t.Fatal(err)
		}
		row, err := p.Load.Customer(p.Ctx, customer.GetName())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Store.Update(p.Ctx, row.Tenant, func(tx store.Tx) error {
			return tx.ClaimUser(row.ID, "fimento", time.Now(),
				store.Lease{Owner: "dead/1", Until: time.Now().Add(10 * time.Second)})
		}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", customer.GetName())); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); made.Load() != 1 || took < 10*time.Second || took > 15*time.Second {
			t.Errorf("%d users were made, after %s", made.Load(), took)
		}
	})
}

// wantApart sees that a consent was never read twice within the shortest interval.
func wantApart(t *testing.T, times []time.Time) {
	t.Helper()
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap < 5*time.Second {
			t.Errorf("two reads within %s", gap)
		}
	}
}

func TestDueConsentsAtTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		other := p.Beside(t)
		var rows []*store.Consent
		for n := range 12 {
			rows = append(rows, []*assemblytest.Gateway{p, other}[n%2].Create(t))
		}
		assemblytest.Pass(2 * time.Hour)
		for _, row := range rows {
			times := p.Times(row)
			if len(times) < 24 || len(times) > 32 { // as with one process
				t.Errorf("a consent was read %d times in two hours", len(times))
			}
			wantApart(t, times)
		}
		// One that stops gives back what it has, and the other goes on.
		p.Stop()
		before := len(p.Times(rows[0]))
		assemblytest.Pass(time.Hour)
		if more := len(p.Times(rows[0])) - before; more < 8 || more > 14 {
			t.Errorf("the process that is left read a consent %d times in an hour", more)
		}
	})
}

// Hints are given to both processes, and a consent is read no more often than with one.
func TestHintsAtTwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		both := []*assemblytest.Gateway{p, p.Beside(t)}
		row := p.Create(t)
		assemblytest.Pass(30 * time.Minute)
		before := len(p.Times(row))
		for n := range 600 { // one minute
			both[n%2].HintAt(t, row)
			assemblytest.Pass(100 * time.Millisecond)
		}
		times := p.Times(row)[before:]
		if len(times) > 13 || len(times) < 6 {
			t.Errorf("hints for a minute led to %d reads", len(times))
		}
		wantApart(t, times)
	})
}

// A process dies with consents that it has claimed: they are read when its claims have run out.
func TestClaimsOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		dead := p.Dying(t)
		row := p.Create(t)
		assemblytest.Pass(time.Second)
		const lease = 75 * time.Second
		claimed, err := dead.Database().System().ClaimDue(t.Context(), time.Now().Add(10*time.Second), "dead", lease,
			[]store.Share{{Tenant: "default", Provider: "fimento", Limit: 9}})
		if err != nil || len(claimed) != 1 {
			t.Fatalf("%d are claimed, %v", len(claimed), err)
		}
		assemblytest.Pass(lease)
		if asked := len(p.Times(row)); asked != 0 {
			t.Errorf("a consent that is claimed was read %d times", asked)
		}
		assemblytest.Pass(15 * time.Second)
		if asked := len(p.Times(row)); asked == 0 {
			t.Error("a consent whose claim ran out is not read")
		}
	})
}

// banks makes partner banks; the first call does not come back before hold is closed.
type banks struct {
	providers.PartnerBanks

	hold  chan struct{}
	calls atomic.Int32
}

func (b *banks) CreatePartnerBank(context.Context, providers.PartnerBank) (*providers.PartnerBank, error) {
	if b.calls.Add(1) == 1 {
		<-b.hold
	}
	return &providers.PartnerBank{ID: "bank", DisplayName: "Lübecker Bank"}, nil
}

// A process dies while a provider is asked for what must not be repeated. That its outcome is unknown is what a caller
// gets at another process, as soon as the lease has run out; and if nobody calls, it is on record all the same.
func TestWriteOfADeadProcess(t *testing.T) {
	for _, asks := range []bool{true, false} {
		t.Run(fmt.Sprintf("somebody asks %t", asks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &banks{hold: make(chan struct{})}
				p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
					p.PartnerBanks = provider
					p.Capabilities["CreatePartnerBank"] = providers.Support{Level: providers.Native}
				})
				dead := p.Dying(t)
				request := &consentv1.CreatePartnerBankRequest{
					RequestId: "key-1", PartnerBank: &consentv1.PartnerBank{DisplayName: "Lübecker Bank"},
				}
				var dying sync.WaitGroup
				dying.Go(func() { _, _ = dead.Servers.Consent.CreatePartnerBank(dead.Ctx, request) })
				begun(&provider.calls)
				began := time.Now()
				if !asks {
					assemblytest.Pass(30 * time.Second)
				}
				ask := func(at *assemblytest.Gateway) {
					t.Helper()
					_, err := at.Servers.Consent.CreatePartnerBank(at.Ctx, request)
					if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
						t.Errorf("the repetition ended with %v", err)
					}
				}
				unknown := func() (n int) {
					entries, err := p.Database().System().AuditTrail(t.Context(), 0, 100)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range entries {
						if e.Actor == "kontor" && e.Outcome == errorv1.Error_OUTCOME_UNKNOWN.String() {
							n++
						}
					}
					return n
				}
				if !asks && unknown() != 1 {
					t.Error("nothing is on record before somebody asks")
				}
				ask(p)
				if took := time.Since(began); asks && (took < 15*time.Second || took > 17*time.Second) {
					t.Errorf("the answer came after %s, want it when the lease has run out", took)
				}
				// It was only standing still, and wakes up. The answer stays what it is.
				close(provider.hold)
				dying.Wait()
				ask(p)
				ask(dead)
				if calls := provider.calls.Load(); calls != 1 || unknown() != 1 {
					t.Errorf("the provider was asked %d times, and %d entries say that the outcome is unknown", calls,
						unknown())
				}
			})
		})
	}
}

// A process dies while a provider is asked for what the provider recognises. The repetition goes on at another one,
// with the same key there; and what the first one still does, should it only have stood still, changes nothing.
func TestRepeatableWriteOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{hold: make(chan struct{})}
		p := assemblytest.New(t, slowly(provider), func(_ *assembly.Options, p *providers.Provider) {
			p.RepeatsConsents = true
		})
		dead := p.Dying(t)
		var late error
		var dying sync.WaitGroup
		dying.Go(func() { _, late = dead.Servers.Consent.CreateConsent(dead.Ctx, consentRequest("key-1", "")) })
		begun(provider.calls)
		answer, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", ""))
		if err != nil {
			t.Fatal(err)
		}
		close(provider.hold)
		dying.Wait()
		if late == nil {
			t.Error("the process that stood still acknowledged, too")
		}
		keys := 0
		provider.keys.Range(func(any, any) bool { keys++; return true })
		if calls := provider.calls.Load(); calls != 2 || keys != 1 {
			t.Errorf("the provider was asked %d times with %d keys, want twice with one", calls, keys)
		}
		all, err := p.Servers.Consent.ListConsents(p.Ctx, &consentv1.ListConsentsRequest{})
		if err != nil || len(all.GetConsents()) != 1 || all.GetConsents()[0].GetName() != answer.GetName() {
			t.Errorf("there are %d consents, %v", len(all.GetConsents()), err)
		}
	})
}

// Where the provider would make a second consent, it is not asked for one with the same key of the caller's.
func TestUnrecognisedConsentOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{hold: make(chan struct{})}
		p := assemblytest.New(t, slowly(provider), func(_ *assembly.Options, p *providers.Provider) {
			p.RepeatsConsents = false
		})
		dead := p.Dying(t)
		var dying sync.WaitGroup
		dying.Go(func() { _, _ = dead.Servers.Consent.CreateConsent(dead.Ctx, consentRequest("key-1", "")) })
		begun(provider.calls) // It may have waited for the other one's writing.
		for range 2 {
			_, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", ""))
			if kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
				t.Errorf("the repetition ended with %v", err)
			}
		}
		close(provider.hold)
		dying.Wait()
		if calls := provider.calls.Load(); calls != 1 {
			t.Errorf("the provider was asked %d times", calls)
		}
	})
}

// An attempt that lasts longer than a lease keeps it.
func TestLeasesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &slow{takes: 80 * time.Second}
		p := assemblytest.New(t, slowly(provider))
		other := p.Beside(t)
		var first sync.WaitGroup
		first.Go(func() {
			if _, err := p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", "")); err != nil {
				t.Error(err)
			}
		})
		begun(provider.calls)
		for range 2 { // each waits as long as a lease could last
			_, err := other.Servers.Consent.CreateConsent(other.Ctx, consentRequest("key-1", ""))
			if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE {
				t.Errorf("while the first is at work: %v", err)
			}
		}
		first.Wait()
		if _, err := other.Servers.Consent.CreateConsent(other.Ctx, consentRequest("key-1", "")); err != nil {
			t.Error(err)
		}
		if calls := provider.calls.Load(); calls != 1 {
			t.Errorf("the provider was asked %d times, want once", calls)
		}
	})
}

// received is a stream of a caller's.
type received struct {
	grpc.ServerStream

	ctx      context.Context //nolint:containedctx // of the call
	messages chan *consentv1.WatchConsentsResponse
}

func (r *received) Context() context.Context { return r.ctx }

// SendMsg implements grpc.ServerStream. What many streams send comes so.
func (r *received) SendMsg(m any) error {
	return r.Send(m.(*broadcast.Message).Proto().(*consentv1.WatchConsentsResponse)) //nolint:forcetypeassert // news
}

func (r *received) Send(m *consentv1.WatchConsentsResponse) error {
	select {
	case r.messages <- m:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// watchAt begins a stream, which ends with the test.
func watchAt(t *testing.T, at *assemblytest.Gateway, consent, token string) *received {
	t.Helper()
	ctx, cancel := context.WithCancel(at.Ctx)
	stream := &received{ctx: ctx, messages: make(chan *consentv1.WatchConsentsResponse)}
	var running sync.WaitGroup
	running.Go(func() {
		request := &consentv1.WatchConsentsRequest{Consent: consent, ResumeToken: token}
		if err := at.Servers.Consent.WatchConsents(request, stream); !errors.Is(err, context.Canceled) {
			t.Errorf("a stream ended with %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return stream
}

// next gives a stream's next message that is no heartbeat.
func (r *received) next() *consentv1.WatchConsentsResponse {
	for m := range r.messages {
		if m.GetKind() != consentv1.WatchConsentsResponse_HEARTBEAT {
			return m
		}
	}
	return nil
}

func TestWatchAtTheOtherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t)
		other := p.Beside(t)
		all := watchAt(t, p, "", "")
		empty := <-all.messages
		if empty.GetResumeToken() == "" || empty.GetKind() != consentv1.WatchConsentsResponse_HEARTBEAT {
			t.Errorf("the state of nothing is %v", empty)
		}
		began := time.Now()
		row := other.Create(t)
		var names []string
		var tokens []string
		for range row.Resource.GetEventCount() {
			m := all.next()
			names, tokens = append(names, m.GetEvent().GetName()), append(tokens, m.GetResumeToken())
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("what the other process wrote came after %s", took)
		}
		var want []string
		for n := range row.Resource.GetEventCount() {
			want = append(want, fmt.Sprintf("%s/events/%d", row.Resource.GetName(), n+1))
		}
		if !slices.Equal(names, want) {
			t.Errorf("seen were %v, want %v", names, want)
		}
		// Resumed at the other process, nothing is missed and nothing repeated.
		for i, token := range append([]string{empty.GetResumeToken()}, tokens[:len(tokens)-1]...) {
			if m := watchAt(t, other, "", token).next(); m.GetEvent().GetName() != want[i] {
				t.Errorf("resumed behind %d events, the next is %v", i, m.GetEvent().GetName())
			}
		}
	})
}

// mortal is a database that dies with its process after a number of Updates.
type mortal struct {
	store.Database

	left *atomic.Int32
}

func (m mortal) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if m.left.Add(-1) < 0 {
		return errors.New("the process is dead")
	}
	return m.Database.Update(ctx, tenant, fn)
}

// A process dies in the middle of a customer's deletion. The customer is there with what is left, and deleting again,
// at the other process, finishes it.
func TestDeletionOfADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) { p.Consents = gone{p.Consents} })
		customer, err := p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
		})
		if err != nil {
			t.Fatal(err)
		}
		const consents = 120
		for n := range consents {
			request := consentRequest(fmt.Sprint("key-", n), customer.GetName())
			if _, err := p.Servers.Consent.CreateConsent(p.Ctx, request); err != nil {
				t.Fatal(err)
			}
		}
		all := watchAt(t, p, "", "")
		for range consents {
			<-all.messages
		}
		list := func() int {
			resp, err := p.Servers.Consent.ListConsents(p.Ctx, &consentv1.ListConsentsRequest{
				Customer: customer.GetName(), PageSize: 1000,
			})
			if err != nil {
				t.Fatal(err)
			}
			return len(resp.GetConsents())
		}

		dead := p.Dying(t)
		left := &atomic.Int32{}
		left.Store(2) // One finds what is not gone at the provider yet, the next deletes the first part.
		dead.Store.Store = mortal{Database: dead.Database(), left: left}
		deletion := &customerv1.DeleteCustomerRequest{Name: customer.GetName()}
		if _, err := dead.Servers.Customer.DeleteCustomer(dead.Ctx, deletion); err == nil {
			t.Fatal("a deletion was acknowledged by a process that died")
		}
		between := list()
		if between == 0 || between == consents {
			t.Fatalf("%d consents are left when the process has died, want some of %d", between, consents)
		}
		if _, err := p.Servers.Customer.GetCustomer(p.Ctx,
			&customerv1.GetCustomerRequest{Name: customer.GetName()}); err != nil {
			t.Errorf("the customer in between: %v", err)
		}
		receipt, err := p.Servers.Customer.DeleteCustomer(p.Ctx, deletion)
		if err != nil {
			t.Fatal(err)
		}
		if n := list(); n != 0 {
			t.Errorf("%d consents are left", n)
		}
		counted := map[string]int32{}
		for _, e := range receipt.GetEntries() {
			counted[e.GetPlace()+" "+e.GetKind()] = e.GetCount()
		}
		if counted["kontor consent"] != consents || counted["providers/fimento consent"] != consents ||
			counted["kontor customer"] != 1 {
			t.Errorf("the receipt has %v", counted)
		}
		deleted := map[string]bool{}
		for len(deleted) < consents {
			if m := all.next(); m.GetEvent().GetType() == consentv1.ConsentEvent_DELETED {
				deleted[m.GetConsent().GetName()] = true
			}
		}
	})
}

// gone are consents that can be revoked.
type gone struct{ providers.Consents }

func (gone) RevokeConsent(context.Context, providers.ConsentRef) error { return nil }

// registry takes its time to register an address; the first call never comes back when hangs is set.
type registry struct {
	hangs bool
	calls atomic.Int32
}

func (r *registry) RegisterWebhook(ctx context.Context, _ string) error {
	if r.calls.Add(1) == 1 && r.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(time.Second)
	return nil
}

// However many processes start at one time, a provider is told one address: it calls all that it was ever told. When
// the process that tells it dies, another one does.
func TestOneWebhookForAllProcesses(t *testing.T) {
	for _, dies := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			hook := &registry{hangs: dies}
			p := assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
				o.Webhooks, p.Webhooks = true, hook
			})
			for range 3 {
				p.Beside(t)
			}
			assemblytest.Pass(time.Second / 2)
			want := int32(1)
			if dies {
				p.Stop()
				want = 2
			}
			assemblytest.Pass(3 * time.Minute)
			if calls := hook.calls.Load(); calls != want {
				t.Errorf("four processes, of which one dies %t, told %d addresses", dies, calls)
			}
		})
	}
}
