package bankdata_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// recorder is a database that holds back the answer to Updates that append entries of one method, or fails them.
type recorder struct {
	store.Database

	mu      sync.Mutex
	method  string
	failure error
	gate    chan struct{}
	begun   int
}

// hold has entries of a method wait until the gate that it gives is closed, or fail at once.
func (r *recorder) hold(method string, failure error) (gate chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.method, r.failure, r.gate, r.begun = method, failure, make(chan struct{}), 0
	return r.gate
}

type noting struct {
	store.Tx

	methods []string
}

func (n *noting) AppendAudit(entries ...*store.Audit) error {
	for _, e := range entries {
		n.methods = append(n.methods, e.Method)
	}
	return n.Tx.AppendAudit(entries...)
}

func (r *recorder) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	r.mu.Lock()
	method, failure, gate := r.method, r.failure, r.gate
	r.mu.Unlock()
	found := false
	err := r.Database.Update(ctx, tenant, func(tx store.Tx) error {
		n := &noting{Tx: tx}
		if err := fn(n); err != nil {
			return err
		}
		if found = slices.Contains(n.methods, method); found {
			return failure
		}
		return nil
	})
	if found {
		r.mu.Lock()
		r.begun++
		r.mu.Unlock()
		if failure == nil {
			<-gate
		}
	}
	return err
}

// bank is a provider with all that can be read. It notes that it is asked, and whether its caller left.
type bank struct {
	mu    sync.Mutex
	asked int
	left  int
	// hangs has it answer nothing, empty has it have no transactions.
	hangs, empty bool
}

func (b *bank) ask(ctx context.Context) error {
	b.mu.Lock()
	b.asked++
	hangs := b.hangs
	b.mu.Unlock()
	if !hangs {
		return nil
	}
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left++
	return &providers.Error{Kind: providers.KindCanceled, Provider: "fimento", Err: ctx.Err()}
}

func (b *bank) counts() (asked, left int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked, b.left
}

func (b *bank) ListAccounts(ctx context.Context, _ providers.ConsentRef) ([]providers.Account, error) {
	accounts := make([]providers.Account, 3)
	for i := range accounts {
		accounts[i] = providers.Account{ID: fmt.Sprint("a", i), Account: &bankingv1.Account{}}
	}
	return accounts, b.ask(ctx)
}

func (b *bank) Transactions(
	ctx context.Context, _ providers.ConsentRef, _ providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		if err := b.ask(ctx); err != nil {
			yield(providers.Transaction{}, err)
			return
		}
		for i := range 3 {
			if b.empty {
				return
			}
			if !yield(providers.Transaction{
				ID: fmt.Sprint(i), AccountID: "a0", Transaction: &bankingv1.Transaction{},
			}, nil) {
				return
			}
		}
	}
}

func (b *bank) ListStandingOrders(ctx context.Context, _ providers.ConsentRef) ([]providers.StandingOrder, error) {
	return []providers.StandingOrder{{ID: "s", AccountID: "a0", StandingOrder: &bankingv1.StandingOrder{}}}, b.ask(ctx)
}

func (b *bank) ListSecurities(ctx context.Context, _ providers.ConsentRef) ([]providers.Security, error) {
	return []providers.Security{{ID: "d", AccountID: "a0", Security: &bankingv1.Security{}}}, b.ask(ctx)
}

func (b *bank) GetInsights(
	ctx context.Context, _ providers.ConsentRef, _ string,
) (*insightsv1.Insights, []providers.Account, error) {
	return &insightsv1.Insights{}, nil, b.ask(ctx)
}

func (b *bank) PaymentPartnerAnalysis(
	ctx context.Context, _ providers.ConsentRef,
) (*insightsv1.PaymentPartnerAnalysis, error) {
	return &insightsv1.PaymentPartnerAnalysis{}, b.ask(ctx)
}

func (b *bank) VisualizationLink(ctx context.Context, _ providers.ConsentRef, _ string) (string, error) {
	return "https://bank.example.com/view", b.ask(ctx)
}

// read is a gateway with a consent whose data can be read.
type read struct {
	*assemblytest.Gateway

	db   *recorder
	bank *bank
	row  *store.Consent
}

func newRead(t *testing.T) *read {
	t.Helper()
	r := &read{db: &recorder{}, bank: &bank{}}
	native := providers.Support{Level: providers.Native}
	r.Gateway = assemblytest.New(t, func(o *assembly.Options, p *providers.Provider) {
		r.db.Database, o.Store = o.Store, r.db
		p.Accounts, p.Holdings, p.Insights, p.PaymentPartners, p.Visualizations = r.bank, r.bank, r.bank, r.bank, r.bank
		for _, method := range reads {
			p.Capabilities[providers.Capability(method.name)] = native
		}
	})
	r.row = r.Create(t)
	r.Report(providers.ConsentState{Observations: []providers.Observation{
		{Key: "a", Type: consentv1.ConsentEvent_APPROVED}, {Key: "c", Type: consentv1.ConsentEvent_COMPLETED},
	}}, nil)
	assemblytest.Pass(10 * time.Second)
	return r
}

// entries lists the outcomes of a method's entries.
func (r *read) entries(t *testing.T, method string) (outcomes []string) {
	t.Helper()
	err := r.db.View(t.Context(), "default", func(reader store.Reader) error {
		entries, err := reader.AuditTrail(0, 1000)
		for _, e := range entries {
			if e.Method == method {
				outcomes = append(outcomes, e.Outcome)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return outcomes
}

// stream counts what leaves.
type stream struct {
	grpc.ServerStream

	ctx  context.Context //nolint:containedctx // of the stream
	mu   sync.Mutex
	sent int
}

func (s *stream) Context() context.Context { return s.ctx }

func (s *stream) Send(*bankingv1.StreamTransactionsResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	return nil
}

func (s *stream) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// reads are all methods that read bank data under a consent: each gives what left, by the end.
var reads = []struct {
	name string
	// asksLater says that the provider is asked only once the entry is durable.
	asksLater bool
	call      func(r *read, ctx context.Context, s *stream) (proto.Message, error)
}{
	{name: "ListAccounts", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		return r.Servers.Banking.ListAccounts(ctx, &bankingv1.ListAccountsRequest{Parent: r.row.Resource.GetName()})
	}},
	{name: "GetAccount", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		name := r.Reads.Names.Account(r.row.Tenant, r.row.ID, "a0")
		return r.Servers.Banking.GetAccount(ctx, &bankingv1.GetAccountRequest{Name: name})
	}},
	{name: "ListTransactions", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		return r.Servers.Banking.ListTransactions(ctx, &bankingv1.ListTransactionsRequest{Parent: r.all()})
	}},
	{name: "StreamTransactions", call: func(r *read, ctx context.Context, s *stream) (proto.Message, error) {
		s.ctx = ctx
		return nil, r.Servers.Banking.StreamTransactions(&bankingv1.StreamTransactionsRequest{Parent: r.all()}, s)
	}},
	{name: "ListStandingOrders", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		return r.Servers.Banking.ListStandingOrders(ctx, &bankingv1.ListStandingOrdersRequest{Parent: r.all()})
	}},
	{name: "ListSecurities", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		return r.Servers.Banking.ListSecurities(ctx, &bankingv1.ListSecuritiesRequest{Parent: r.all()})
	}},
	{name: "GetInsights", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		name := r.row.Resource.GetName() + "/insights"
		return r.Servers.Insights.GetInsights(ctx, &insightsv1.GetInsightsRequest{Name: name})
	}},
	{name: "GetPaymentPartnerAnalysis", call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
		name := r.row.Resource.GetName() + "/paymentPartnerAnalysis"
		return r.Servers.Insights.GetPaymentPartnerAnalysis(ctx,
			&insightsv1.GetPaymentPartnerAnalysisRequest{Name: name})
	}},
	{
		name: "CreateVisualizationLink", asksLater: true,
		call: func(r *read, ctx context.Context, _ *stream) (proto.Message, error) {
			name := r.row.Resource.GetName() + "/insights"
			return r.Servers.Insights.CreateVisualizationLink(ctx,
				&insightsv1.CreateVisualizationLinkRequest{Name: name})
		},
	},
}

func (r *read) all() string { return r.row.Resource.GetName() + "/accounts/-" }

// TestNothingLeavesBeforeItsEntry has the store be slow with the entry of each method: the provider is asked meanwhile,
// and nothing leaves, not even a heartbeat, before the entry is durable.
func TestNothingLeavesBeforeItsEntry(t *testing.T) {
	for _, method := range reads {
		t.Run(method.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s := newRead(t), &stream{}
				gate := r.db.hold(method.name, nil)
				ended := make(chan error, 1)
				go func() {
					_, err := method.call(r, r.Ctx, s)
					ended <- err
				}()
				assemblytest.Pass(time.Minute / 2)
				asked, _ := r.bank.counts()
				if (asked == 0) != method.asksLater {
					t.Errorf("the provider was asked %d times while the entry was written", asked)
				}
				if len(ended) > 0 || s.count() > 0 {
					t.Error("data left before its entry was durable")
				}
				close(gate)
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if got := r.entries(t, method.name); !slices.Equal(got, []string{"OK"}) {
					t.Errorf("the audit has %v", got)
				}
			})
		})
	}
}

// TestNothingLeavesWithoutItsEntry has the store fail with the entry of each method, while the provider answers, or
// does not: the caller is told of the store at once, and the provider's call ends.
func TestNothingLeavesWithoutItsEntry(t *testing.T) {
	for _, method := range reads {
		for _, hangs := range []bool{false, true} {
			t.Run(fmt.Sprint(method.name, "/hangs=", hangs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r, s := newRead(t), &stream{}
					r.bank.hangs = hangs
					r.db.hold(method.name, errors.New("disk full"))
					began := time.Now()
					answer, err := method.call(r, r.Ctx, s)
					if kerr.Reason(err) != errorv1.Error_STORE_UNAVAILABLE || time.Since(began) > 0 {
						t.Errorf("after %s the caller is told %v", time.Since(began), err)
					}
					if answer != nil && !answerIsNil(answer) || s.count() > 0 {
						t.Errorf("left without an entry: %v and %d messages", answer, s.count())
					}
					synctest.Wait()
					asked, left := r.bank.counts()
					if method.asksLater && asked > 0 || hangs && left != asked {
						t.Errorf("the provider was asked %d times, and left %d times", asked, left)
					}
				})
			})
		}
	}
}

func answerIsNil(m proto.Message) bool { return !m.ProtoReflect().IsValid() }

// TestEmptyStreamsHaveEntries streams nothing: that there is nothing is data, too.
func TestEmptyStreamsHaveEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRead(t)
		r.bank.empty = true
		s := &stream{ctx: r.Ctx}
		gate := r.db.hold("StreamTransactions", nil)
		ended := make(chan error, 1)
		go func() {
			request := &bankingv1.StreamTransactionsRequest{Parent: r.all()}
			ended <- r.Servers.Banking.StreamTransactions(request, s)
		}()
		synctest.Wait()
		if s.count() > 0 {
			t.Error("the end left before the entry was durable")
		}
		close(gate)
		if err := <-ended; err != nil || s.count() != 1 {
			t.Errorf("%d messages left: %v", s.count(), err)
		}
	})
}

// TestHeldPagesHaveEntries reads a listing's further page, for which no provider is asked.
func TestHeldPagesHaveEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRead(t)
		request := &bankingv1.ListTransactionsRequest{Parent: r.all(), PageSize: 2}
		page, err := r.Servers.Banking.ListTransactions(r.Ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		asked, _ := r.bank.counts()
		request.PageToken = page.GetNextPageToken()
		gate := r.db.hold("ListTransactions", nil)
		ended := make(chan error, 1)
		go func() {
			_, err := r.Servers.Banking.ListTransactions(r.Ctx, request)
			ended <- err
		}()
		synctest.Wait()
		if len(ended) > 0 {
			t.Error("a page left before its entry was durable")
		}
		close(gate)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		r.db.hold("ListTransactions", errors.New("disk full"))
		if _, err := r.Servers.Banking.ListTransactions(r.Ctx, request); kerr.Reason(err) !=
			errorv1.Error_STORE_UNAVAILABLE {
			t.Errorf("a page without an entry: %v", err)
		}
		if again, _ := r.bank.counts(); again != asked {
			t.Errorf("the provider was asked %d times for further pages", again-asked)
		}
	})
}

// TestConcurrentReadsShareCommits has 64 callers read while the store is at work on the entry of one: all others'
// entries are one transaction, and the one that came alone waited for none.
func TestConcurrentReadsShareCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRead(t)
		gate := r.db.hold("GetAccount", nil)
		var callers sync.WaitGroup
		for i := range 64 {
			callers.Go(func() {
				if _, err := reads[1].call(r, r.Ctx, nil); err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				synctest.Wait()
				if r.db.begun != 1 {
					t.Fatal("an entry that came alone waits for others")
				}
			}
		}
		synctest.Wait()
		close(gate)
		callers.Wait()
		if r.db.begun != 2 {
			t.Errorf("64 reads took %d transactions, want 2", r.db.begun)
		}
		if got := r.entries(t, "GetAccount"); len(got) != 64 {
			t.Errorf("64 reads have %d entries", len(got))
		}
	})
}
