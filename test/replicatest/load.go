package replicatest

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/test/worldtest"
)

// Load is callers at work.
type Load struct {
	stop    context.CancelFunc
	callers sync.WaitGroup
}

// LoadOptions describe it. The zero value is 8 callers who ask for everything, one thing after the other.
type LoadOptions struct {
	// Callers is how many there are; 8 when zero.
	Callers int
	// Pause is how long each rests after a consent's life.
	Pause time.Duration
	// Links is how many links each consent gets beyond the first, at most; 3 when zero.
	Links int
	// Keep says that nothing is deleted, so that all that ever happened can be compared.
	Keep bool
	// End says that each consent is revoked or deleted in the end, so that gateways have few to poll.
	End bool
	// Deaf says that no customer approves: providers have no news then.
	Deaf bool
}

// Load has callers make consents, renew their links, revoke and delete them, let customers approve, send documents and
// make customers, at whatever gateway, until Stop.
func (w *World) Load(o LoadOptions) *Load {
	if o.Callers == 0 {
		o.Callers = 8
	}
	if o.Links == 0 {
		o.Links = 3
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{stop: stop}
	for range o.Callers {
		random := rand.New(rand.NewPCG(uint64(w.Intn(1<<30)), 1)) //nolint:gosec // repeatable on purpose
		l.callers.Go(func() {
			for ctx.Err() == nil {
				w.live(ctx, random, o)
				w.rest(ctx, o.Pause)
			}
		})
	}
	return l
}

// Stop has the callers end, each after the call that it is at, and waits for them.
func (l *Load) Stop() {
	l.stop()
	l.callers.Wait()
}

// live is the life of one consent, and what a caller does beside.
func (w *World) live(ctx context.Context, random *rand.Rand, o LoadOptions) {
	ids := worldtest.Providers()
	id := ids[random.IntN(len(ids))]
	kinds := append([]*Kind{createCustomer}, providers.Of(id).kinds...)
	if random.IntN(2) == 0 {
		w.Do(ctx, &Entry{Kind: kinds[random.IntN(len(kinds))], Provider: id})
	}
	made := &Entry{Kind: createConsent, Provider: id}
	if ctx.Err() != nil || !w.Do(ctx, made) {
		return
	}
	name := named(made.Answer)
	for range random.IntN(o.Links + 1) {
		if ctx.Err() != nil {
			return
		}
		w.Do(ctx, &Entry{Kind: renewLink, About: name})
	}
	now := w.look(ctx, made)
	if now != nil && !o.Deaf && random.IntN(2) == 0 {
		// What is lost on the way is the customer's: they, or polling, get there.
		_ = w.Approve(ctx, now)
	}
	if ctx.Err() != nil {
		return
	}
	ends := random.IntN(6)
	if o.End {
		ends %= 3
	}
	switch ends {
	case 0, 1:
		w.Do(ctx, &Entry{Kind: revoke, About: name})
	case 2:
		if !o.Keep {
			w.Do(ctx, &Entry{Kind: deleteConsent, About: name})
		}
	}
}

// look reads an acknowledged consent at whatever gateway: it must be there, and not older than acknowledged.
func (w *World) look(ctx context.Context, e *Entry) *consentv1.Consent {
	was, _ := e.Answer.(*consentv1.Consent)
	got, err := w.attempt(ctx, "GetConsent", func(ctx context.Context, c *worldtest.Stubs) (proto.Message, error) {
		return answer(c.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: was.GetName()}))
	})
	if err != nil {
		return nil // counted: NOT_FOUND is a failure that nobody may see
	}
	now, _ := got.(*consentv1.Consent)
	if now.GetEventCount() < was.GetEventCount() {
		w.t.Errorf("%s was acknowledged with %d events, and another gateway shows %d",
			was.GetName(), was.GetEventCount(), now.GetEventCount())
	}
	return now
}

// Approve lets the customer of a consent approve it, as their browser would. The gateways are reached by PublicURL.
func (w *World) Approve(ctx context.Context, consent *consentv1.Consent) error {
	id := strings.TrimPrefix(consent.GetProvider(), "providers/")
	stubs := w.Any().Stubs()
	if stubs == nil {
		return errDown
	}
	ctx, cancel := context.WithTimeout(worldtest.AsPSU(context.WithoutCancel(ctx)), callLimit)
	defer cancel()
	return worldtest.Of(id).Approve(ctx, worldtest.Scene{
		Played: w.Played[id], Stubs: stubs, Visit: func(address string) error {
			response, err := worldtest.NoRedirects.Get(address) //nolint:noctx // the front has a limit
			if err != nil {
				return err
			}
			return response.Body.Close()
		},
	}, consent)
}
