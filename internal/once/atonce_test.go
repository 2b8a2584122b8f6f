package once

import (
	"context"
	"errors"
	"testing"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/store"
)

// counted counts the transactions of a store that write.
type counted struct {
	store.Store

	updates int
	// meanwhile happens before the next of them, once.
	meanwhile func()
}

func (c *counted) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	c.updates++
	if do := c.meanwhile; do != nil {
		c.meanwhile = nil
		do()
	}
	return c.Store.Update(ctx, tenant, fn)
}

// atOnce has calls of a process counted.
func atOnce(p *process) *counted {
	c := &counted{Store: p.Store.Store}
	p.Store = &service.Store{Store: c, Log: p.Log}
	return c
}

// intend makes a creating request whose work claims its key with its intent. before is what the work finds before that,
// asks what the provider is asked.
func (p *process) intend(reference string, before error, asks func(*Attempt)) (*customerv1.Customer, error) {
	request := &customerv1.CreateCustomerRequest{
		Customer: &customerv1.Customer{Reference: optional.Of(reference)}, RequestId: testKey,
	}
	return DoAtOnce(p.ctx, p.Runner, "CreateCustomer", request,
		func(ctx context.Context, a *Attempt) (*customerv1.Customer, error) {
			if before != nil {
				return nil, before
			}
			if err := a.Intend(ctx, provider, "create_consent", "consents/1", nil); err != nil {
				return nil, err
			}
			asks(a)
			answer := &customerv1.Customer{Name: service.CustomerName(a.NewID())}
			return answer, a.Update(ctx, func(tx store.Tx) error {
				return errors.Join(a.Own(tx), a.Done(tx, answer))
			})
		})
}

// TestClaimedWithTheIntent: a new request takes two transactions; its repetition gets the answer, whatever the work
// would find by now, and another request is refused. The provider is asked once.
func TestClaimedWithTheIntent(t *testing.T) {
	t.Parallel()
	p := live(t)(noon)
	c := atOnce(p)
	asked := 0
	asks := func(*Attempt) { asked++ }
	first, err := p.intend("a", nil, asks)
	if err != nil || c.updates != 2 {
		t.Fatalf("it took %d transactions, %v", c.updates, err)
	}
	for _, finds := range []error{nil, kerr.New(errorv1.Error_CONSENT_EXISTS, "by now")} {
		again, err := p.intend("a", finds, asks)
		if err != nil || again.GetName() != first.GetName() {
			t.Errorf("a repetition whose work finds %v gave %v, %v", finds, again, err)
		}
	}
	if _, err := p.intend("b", nil, asks); kerr.Reason(err) != errorv1.Error_IDEMPOTENCY_KEY_REUSED {
		t.Errorf("another request with the key: %v", err)
	}
	if asked != 1 {
		t.Errorf("the provider was asked %d times", asked)
	}
}

// TestFailureBeforeTheClaim: what fails before the intent fails with that, and leaves the key free for another request.
func TestFailureBeforeTheClaim(t *testing.T) {
	t.Parallel()
	p := live(t)(noon)
	finds := kerr.New(errorv1.Error_CUSTOMER_NOT_FOUND, "no such customer")
	if _, err := p.intend("a", finds, nil); kerr.Reason(err) != errorv1.Error_CUSTOMER_NOT_FOUND {
		t.Errorf("the failure is %v", err)
	}
	if _, err := p.intend("b", nil, func(*Attempt) {}); err != nil {
		t.Errorf("another request with the key: %v", err)
	}
}

// TestClaimedByAnotherProcess: of two processes with one request, one asks the provider, and both give its answer.
func TestClaimedByAnotherProcess(t *testing.T) {
	t.Parallel()
	begin := live(t)
	here, there := begin(noon), begin(noon)
	c := atOnce(here)
	asked := 0
	asks := func(*Attempt) { asked++ }
	var first *customerv1.Customer
	c.meanwhile = func() { // The work here has begun, and not claimed the key.
		var err error
		if first, err = there.intend("a", nil, asks); err != nil {
			t.Error(err)
		}
	}
	second, err := here.intend("a", nil, asks)
	if err != nil || second.GetName() != first.GetName() || asked != 1 {
		t.Errorf("the answers are %v and %v, %v; the provider was asked %d times", first, second, err, asked)
	}
}

// TestClaimedByWhoDied: what a process left that ended after its claim is taken over, as that of an earlier attempt; a
// write that may have happened is its answer.
func TestClaimedByWhoDied(t *testing.T) {
	t.Parallel()
	for _, repeatable := range []bool{true, false} {
		p := live(t)(noon)
		var id string
		if _, err := p.intend("a", nil, func(a *Attempt) {
			id = a.NewID()
			if repeatable {
				if err := p.Store.Update(p.ctx, "t", func(tx store.Tx) error {
					return a.Settle(tx, store.IntentUnknown)
				}); err != nil {
					t.Error(err)
				}
			}
			panic(killed{})
		}); kerr.Reason(err) != errorv1.Error_INTERNAL {
			t.Fatal(err)
		}
		resumed := false
		answer, err := p.intend("a", nil, func(a *Attempt) { resumed = a.Resumed })
		if repeatable && (err != nil || !resumed || answer.GetName() != service.CustomerName(id)) {
			t.Errorf("the repetition gave %v, %v, resumed %t, want %s", answer, err, resumed, id)
		}
		if !repeatable && kerr.Reason(err) != errorv1.Error_OUTCOME_UNKNOWN {
			t.Errorf("the repetition of what may have happened: %v", err)
		}
	}
}

// TestFailureAfterTheClaim: what the provider refuses frees the key.
func TestFailureAfterTheClaim(t *testing.T) {
	t.Parallel()
	p := live(t)(noon)
	request := &customerv1.CreateCustomerRequest{RequestId: testKey}
	_, err := DoAtOnce(p.ctx, p.Runner, "CreateCustomer", request,
		func(ctx context.Context, a *Attempt) (*customerv1.Customer, error) {
			if err := a.Intend(ctx, provider, "create_consent", "consents/1", nil); err != nil {
				return nil, err
			}
			return nil, a.Abandon(ctx, &providers.Error{Kind: providers.KindRejected}, nil)
		})
	if err == nil || kerr.Reason(err) == errorv1.Error_OUTCOME_UNKNOWN {
		t.Errorf("the failure is %v", err)
	}
	if _, err := p.intend("another", nil, func(*Attempt) {}); err != nil {
		t.Errorf("another request with the key: %v", err)
	}
}

// refusing is a store whose first transaction that writes fails with err, after it was committed or instead.
type refusing struct {
	store.Store

	err       error
	committed bool
	updates   int
}

func (r *refusing) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if r.updates++; r.updates > 1 {
		return r.Store.Update(ctx, tenant, fn)
	}
	if r.committed {
		return errors.Join(r.Store.Update(ctx, tenant, fn), r.err)
	}
	return r.err
}

// TestClaimInDoubt: a claim that may be durable, though its commit failed, is given back: the provider was not asked,
// so the repetition asks it.
func TestClaimInDoubt(t *testing.T) {
	t.Parallel()
	p := live(t)(noon)
	doubt := &refusing{Store: p.Store.Store, err: errors.New("in doubt"), committed: true}
	p.Store = &service.Store{Store: doubt, Log: p.Log}
	asked := 0
	if _, err := p.intend("a", nil, func(*Attempt) { asked++ }); err == nil || asked != 0 {
		t.Errorf("the failure is %v, the provider was asked %d times", err, asked)
	}
	if _, err := p.intend("a", nil, func(*Attempt) { asked++ }); err != nil || asked != 1 {
		t.Errorf("the repetition gave %v, the provider was asked %d times", err, asked)
	}
}

// TestClaimRefused: who is refused, since too many wait for the store, waits for no other transaction.
func TestClaimRefused(t *testing.T) {
	t.Parallel()
	p := live(t)(noon)
	r := &refusing{Store: p.Store.Store, err: store.ErrBusy}
	p.Store = &service.Store{Store: r, Log: p.Log}
	_, err := p.intend("a", nil, func(*Attempt) { t.Error("the provider was asked") })
	if kerr.Reason(err) != errorv1.Error_GATEWAY_RATE_LIMITED || r.updates != 1 {
		t.Errorf("%v, after %d transactions", err, r.updates)
	}
}
