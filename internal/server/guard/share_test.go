package guard

import (
	"context"
	"errors"
	"fmt"
	"testing"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/identity"
	"kontor.dev/kontor/internal/slot"
)

// fill takes one by one until no more is given.
func fill(s *shares, tenant, client string) (taken int, release []func()) {
	for {
		give, ok := s.take(identity.Identity{Tenant: tenant, ClientID: client}, 1)
		if !ok {
			return taken, release
		}
		taken++
		release = append(release, give)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	s := &shares{max: 1000}
	first, release := fill(s, "one", "a")
	if first != 563 {
		t.Errorf("alone a client gets %d", first)
	}
	if second, _ := fill(s, "one", "b"); second < 100 || first+second > 750 {
		t.Errorf("its tenant's next client gets %d", second)
	}
	other, _ := fill(s, "two", "a")
	if other < 140 || int64(other) >= s.max-s.now()+int64(other) {
		t.Errorf("another tenant gets %d", other)
	}
	if third, _ := fill(s, "three", "a"); third < 30 {
		t.Errorf("a third tenant gets %d", third)
	}
	for _, give := range release {
		give()
		give()
	}
	if again, _ := fill(s, "two", "a"); again < 100 {
		t.Errorf("of what is given back another tenant gets %d", again)
	}
	if s.now() > s.max {
		t.Errorf("%d of %d are taken", s.now(), s.max)
	}
}

// TestSharesOfFew: a bound of one serves one.
func TestSharesOfFew(t *testing.T) {
	t.Parallel()
	for most := range int64(4) {
		if taken, _ := fill(&shares{max: most}, "one", "a"); int64(taken) != most {
			t.Errorf("of %d one gets %d", most, taken)
		}
	}
}

// TestSharesForget: who holds nothing leaves nothing behind.
func TestSharesForget(t *testing.T) {
	t.Parallel()
	s := &shares{max: 100}
	for i := range 1000 {
		id := identity.Identity{Tenant: fmt.Sprint("t", i%10), ClientID: fmt.Sprint("c", i)}
		for _, n := range []int64{0, 1} {
			give, ok := s.take(id, n)
			if !ok {
				t.Fatal("there is room")
			}
			give()
		}
	}
	for i := range 2 * forgetAfter { // What is left over is forgotten as others come.
		give, ok := s.take(identity.Identity{Tenant: "t", ClientID: fmt.Sprint("new", i)}, 1)
		if !ok {
			t.Fatal("there is room")
		}
		give()
	}
	tenants := 0
	s.tenants.Range(func(any, any) bool {
		tenants++
		return true
	})
	if tenants > 1 || s.now() != 0 {
		t.Errorf("%d tenants are remembered, %d taken", tenants, s.now())
	}
}

// TestPlacesAreHeldToTheEnd: a call has its place while its failure is audited, and while work that it began goes on.
func TestPlacesAreHeldToTheEnd(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	var during int64
	g.audit = func(_ context.Context, _, _ string, failure error) error {
		during = g.Usage().Calls
		return failure
	}
	a := func() *Admission {
		r := g.rules[consentv1.ConsentService_GetConsent_FullMethodName]
		c := g.begin(t.Context(), r, sender{transport: "rest", md: headersOf(head(bearerKey).Header)})
		if err := c.enter(); err != nil {
			t.Fatal(err)
		}
		c.rule.scope = "consents.write" // whose failures are audited
		return &Admission{call: c, gone: func() {}}
	}()
	_ = a.Refuse(errors.New("no"))
	a.Done()
	if during != 1 || g.Usage().Calls != 0 {
		t.Errorf("%d places while its failure is audited, %d afterwards", during, g.Usage().Calls)
	}

	g = newGuarded(t)
	var release func()
	g.consents.during = func(ctx context.Context) { release = slot.Keep(ctx) }
	admission := g.admit(t)
	if err := g.get(admission.Context()); err != nil {
		t.Fatal(err)
	}
	if admission.Done(); g.Usage().Calls != 1 {
		t.Errorf("%d places while its work goes on", g.Usage().Calls)
	}
	if release(); g.Usage().Calls != 0 {
		t.Errorf("%d places when all is over", g.Usage().Calls)
	}
}

// TestAnswersHaveTheirPlace: over REST a call has its place until the answer is written.
func TestAnswersHaveTheirPlace(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	a, err := g.Admit(t.Context(), head(bearerKey))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Hold(1000); err != nil || a.MaxBody() != smallRequest {
		t.Errorf("room for a body: %v of %d", err, a.MaxBody())
	}
	if _, err := consentv1.NewConsentServiceClient(g.channel).GetConsent(a.Context(),
		&consentv1.GetConsentRequest{Name: "consents/1"}); err != nil {
		t.Fatal(err)
	}
	if held := g.Usage(); held != (Usage{Calls: 1, Bodies: 1000}) {
		t.Errorf("before the answer is written: %+v", held)
	}
	if a.Done(); g.Usage() != (Usage{}) {
		t.Errorf("afterwards: %+v", g.Usage())
	}
	if a.Hold(1000) != nil || g.Usage() != (Usage{}) {
		t.Errorf("who comes too late keeps %+v", g.Usage())
	}
}
