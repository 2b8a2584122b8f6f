package assembly_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/assembly/assemblytest"
	"kontor.dev/kontor/internal/kerr"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/store"
)

// An attempt dies here at each of its steps, in a process that lives on. Whoever asks again with the key gets a final
// answer, at once and from the same process.

// ill is how a step goes wrong.
type ill string

const (
	panicsBefore ill = "panics before"
	panicsWithin ill = "panics within the transaction"
	panicsAfter  ill = "panics when it is durable"
	failsBefore  ill = "fails"
	failsAfter   ill = "fails although it is durable"
	// failsOn: the disk is full until the next call.
	failsOn ill = "fails, and all that follow"
)

// trap is what goes wrong, and when: at the nth step that is counted.
type trap struct {
	how   ill
	at    int32
	steps atomic.Int32
}

// springs counts a step, and tells whether it is the one that goes wrong.
func (t *trap) springs() bool {
	step := t.steps.Add(1)
	return step == t.at || t.how == failsOn && t.at != 0 && step > t.at
}

var errDisk = errors.New("the disk is full")

// failing is a database one of whose transactions goes wrong.
type failing struct {
	store.Database

	trap *trap
}

func (f failing) View(ctx context.Context, tenant string, fn func(store.Reader) error) error {
	if f.trap.how == panicsBefore && f.trap.springs() {
		panic(f.trap.how)
	}
	return f.Database.View(ctx, tenant, fn)
}

func (f failing) Consent(ctx context.Context, tenant, id string) (*store.Consent, error) {
	if f.trap.how == panicsBefore && f.trap.springs() {
		panic(f.trap.how)
	}
	return f.Database.Consent(ctx, tenant, id)
}

func (f failing) Update(ctx context.Context, tenant string, fn func(store.Tx) error) error {
	if !f.trap.springs() {
		return f.Database.Update(ctx, tenant, fn)
	}
	switch f.trap.how {
	case panicsBefore:
		panic(f.trap.how)
	case failsBefore, failsOn:
		return errDisk
	}
	err := f.Database.Update(ctx, tenant, func(tx store.Tx) error {
		err := fn(tx)
		if f.trap.how == panicsWithin {
			panic(f.trap.how)
		}
		return err
	})
	if err == nil && f.trap.how == panicsAfter {
		panic(f.trap.how)
	}
	return errors.Join(err, errDisk)
}

// counted is a provider whose writes are counted, and one of which panics, before or after it took effect.
type counted struct {
	mu      sync.Mutex
	effects map[string]bool // by the key of idempotency where the provider knows one
	trap    *trap
}

func (c *counted) effect(key string) {
	if c.trap.how == panicsBefore && c.trap.springs() {
		panic(c.trap.how)
	}
	c.mu.Lock()
	c.effects[key] = true
	c.mu.Unlock()
	if c.trap.how == panicsAfter && c.trap.springs() {
		panic(c.trap.how)
	}
}

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.effects)
}

type countedConsents struct {
	providers.Consents
	*counted
}

func (c countedConsents) CreateConsent(
	ctx context.Context, asked providers.NewConsent,
) (*providers.CreatedConsent, error) {
	c.effect(asked.IdempotencyKey)
	return c.Consents.CreateConsent(ctx, asked)
}

type countedShipments struct {
	providers.Shipments
	*counted
}

func (c countedShipments) SendShipment(context.Context, providers.Shipment) error {
	c.effect(fmt.Sprint("shipment ", c.count()))
	return nil
}

type countedBanks struct {
	providers.PartnerBanks
	*counted
}

func (c countedBanks) CreatePartnerBank(context.Context, providers.PartnerBank) (*providers.PartnerBank, error) {
	c.effect(fmt.Sprint("bank ", c.count()))
	return &providers.PartnerBank{ID: "bank", DisplayName: "Lübecker Bank"}, nil
}

// creations are creating requests, by what is asked for.
var creations = map[string]struct {
	// effects is what one of them does at the provider.
	effects int
	call    func(*assemblytest.Gateway) (proto.Message, error)
}{
	"customer": {0, func(p *assemblytest.Gateway) (proto.Message, error) {
		return p.Servers.Customer.CreateCustomer(p.Ctx, &customerv1.CreateCustomerRequest{
			Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON}, RequestId: "key-1",
		})
	}},
	"consent": {1, func(p *assemblytest.Gateway) (proto.Message, error) {
		return p.Servers.Consent.CreateConsent(p.Ctx, consentRequest("key-1", ""))
	}},
	"shipment": {1, func(p *assemblytest.Gateway) (proto.Message, error) {
		return p.Servers.Documents.CreateShipment(p.Ctx, faxRequest("key-1"))
	}},
	"partner bank": {1, func(p *assemblytest.Gateway) (proto.Message, error) {
		return p.Servers.Consent.CreatePartnerBank(p.Ctx, &consentv1.CreatePartnerBankRequest{
			RequestId: "key-1", PartnerBank: &consentv1.PartnerBank{DisplayName: "Lübecker Bank"},
		})
	}},
}

// TestNoKeyIsStuck has each step of each creation go wrong in each way, in the store and at the provider.
func TestNoKeyIsStuck(t *testing.T) {
	for name, creation := range creations {
		for _, where := range []string{"store", "provider"} {
			for _, how := range []ill{panicsBefore, panicsWithin, panicsAfter, failsBefore, failsAfter, failsOn} {
				if where == "provider" && how != panicsBefore && how != panicsAfter {
					continue // An error of a provider is an answer.
				}
				t.Run(fmt.Sprint(name, "/", where, " ", how), func(t *testing.T) {
					steps := int32(1)
					for ; wentWrong(t, where, how, steps, creation.effects, creation.call); steps++ {
					}
					if where == "store" && steps < 2 {
						t.Error("no step went wrong")
					}
				})
			}
		}
	}
}

// wentWrong has one step of a creation go wrong, asks again, and tells whether there was such a step.
func wentWrong(
	t *testing.T, where string, how ill, step int32, effects int,
	call func(*assemblytest.Gateway) (proto.Message, error),
) (sprung bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inStore, atProvider := &trap{how: how}, &trap{how: how}
		provider := &counted{effects: map[string]bool{}, trap: atProvider}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Consents = countedConsents{p.Consents, provider}
			p.Shipments = countedShipments{nil, provider}
			p.PartnerBanks = countedBanks{nil, provider}
			for _, name := range []providers.Capability{"CreateShipment", "ListShipments", "CreatePartnerBank"} {
				p.Capabilities[name] = providers.Support{Level: providers.Native}
			}
		})
		if where == "store" {
			inStore.at = step
			p.Store.Store = failing{p.Database(), inStore}
		} else {
			atProvider.at = step
		}
		client := p.Ctx
		ask := func() (answer proto.Message, err error) {
			ctx, cancel := context.WithTimeout(client, time.Minute) // a key that is stuck must not hold the test up
			defer cancel()
			p.Ctx = ctx
			defer func() {
				if recover() != nil { // as the server does
					err = kerr.New(errorv1.Error_INTERNAL, "panic")
				}
			}()
			return call(p)
		}
		first, firstErr := ask()
		sprung = max(inStore.steps.Load(), atProvider.steps.Load()) >= step
		synctest.Wait()
		p.Store.Store = p.Database()
		inStore.at, atProvider.at = 0, 0
		began := time.Now()
		second, secondErr := ask()
		if took := time.Since(began); took > 0 {
			t.Errorf("step %d: the second answer took %s", step, took)
		}
		third, thirdErr := ask()
		switch {
		case secondErr != nil && kerr.Reason(secondErr) != errorv1.Error_OUTCOME_UNKNOWN:
			t.Errorf("step %d: after %v the second answer is %v", step, firstErr, secondErr)
		case kerr.Reason(secondErr) != kerr.Reason(thirdErr) || !proto.Equal(second, third):
			t.Errorf("step %d: the second answer is %v, %v, the third %v, %v", step, second, secondErr, third, thirdErr)
		case firstErr == nil && !proto.Equal(first, second):
			t.Errorf("step %d: acknowledged was %v, then the answer is %v, %v", step, first, second, secondErr)
		case secondErr == nil && provider.count() != effects, provider.count() > effects:
			t.Errorf("step %d: the provider did it %d times, and the answer is %v", step, provider.count(), secondErr)
		}
	})
	return sprung
}

// TestPollingOutlivesAPanic: a read that panics in the background ends neither the process nor the following of its
// consent.
func TestPollingOutlivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := &atomic.Int32{}
		p := assemblytest.New(t, func(_ *assembly.Options, p *providers.Provider) {
			p.Consents = panicky{p.Consents, reads}
		})
		p.Create(t)
		assemblytest.Pass(time.Hour)
		if n := reads.Load(); n < 3 {
			t.Errorf("the consent was read %d times in an hour, although only the first panicked", n)
		}
	})
}

// panicky panics when a consent is read for the first time.
type panicky struct {
	providers.Consents

	reads *atomic.Int32
}

func (p panicky) GetConsent(ctx context.Context, ref providers.ConsentRef) (*providers.ConsentState, error) {
	if p.reads.Add(1) == 1 {
		panic("once")
	}
	return p.Consents.GetConsent(ctx, ref)
}
