package chaos

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	errorv1 "kontor.dev/kontor/gen/go/kontor/error/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/test/worldtest"
)

// stampede lets 1,000 callers read at once, spread over consents so that reads are not shared; the first one leaves
// early, before its answer where all wait for a login. It gives how the others fared.
func (w *world) stampede(t *testing.T, consents []string, login bool) *tally {
	t.Helper()
	result := &tally{}
	var callers sync.WaitGroup
	first, leave := context.WithCancel(t.Context())
	callers.Go(func() {
		if w.listAccounts(first, 0, consents[0]) == nil && login {
			t.Error("the first caller did not leave before its answer")
		}
	})
	for i := range 1000 {
		callers.Go(func() {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := w.listAccounts(ctx, i, consents[i%len(consents)])
			result.add(time.Since(began), err)
		})
	}
	time.AfterFunc(100*time.Millisecond, leave)
	callers.Wait()
	return result
}

func TestLoginStampede(t *testing.T) {
	for _, provider := range worldtest.Providers() {
		t.Run(provider, func(t *testing.T) {
			w := newWorld(t, options{usual: true}) // With the limits that users get one client may bring so many.
			consents := w.authorized(t, provider, 10)
			w.core(provider).Faults.Add(sandbox.Fault{
				Operation: worldtest.Of(provider).Login, Delay: 300 * time.Millisecond,
			})

			t.Log("at start")
			w.stop(t)
			w.start(t)
			before, want := w.logins(provider), 1
			if providers.Of(provider).ownTokens {
				want = 0
			}
			if all := w.stampede(t, consents, want > 0); all.ok != all.calls() || w.logins(provider) != before+want {
				t.Errorf("%s; %d logins, want all to succeed after %d", all, w.logins(provider)-before, want)
			}

			t.Log("after the provider revoked the token")
			before = w.logins(provider)
			w.core(provider).ExpireTokens()
			if all := w.stampede(t, consents, true); all.ok != all.calls() || w.logins(provider) != before+1 {
				t.Errorf("%s; %d logins, want all to succeed after one", all, w.logins(provider)-before)
			}
		})
	}
}

func TestLoginDown(t *testing.T) {
	t.Parallel() // it waits for the pause between logins
	w := newWorld(t, options{})
	sick, healthy := one(), another()
	ill, well := w.authorized(t, sick, 1)[0], w.authorized(t, healthy, 1)[0]
	w.stop(t)
	w.core(sick).Faults.Add(sandbox.Fault{Operation: worldtest.Of(sick).Login, Status: http.StatusServiceUnavailable})
	w.start(t)
	before, began := w.logins(sick), time.Now()
	down := &tally{}
	for i := range 200 {
		down.add(0, w.listAccounts(t.Context(), i, ill))
		if err := w.listAccounts(t.Context(), i, well); err != nil {
			t.Fatalf("the other provider: %v", err)
		}
	}
	if down.failures["PROVIDER_UNAVAILABLE"] != down.calls() {
		t.Errorf("login down: %s; want PROVIDER_UNAVAILABLE alone", down)
	}
	if logins, most := w.logins(sick)-before, 1+int(time.Since(began)/(5*time.Second)); logins < 1 || logins > most {
		t.Errorf("%d logins in %s, want 1 to %d", logins, time.Since(began), most)
	}
	if at := w.degraded(t); len(at) != 1 || at["default/"+sick] != "PROVIDER_UNAVAILABLE" {
		t.Errorf("/readyz names %v, want default/%s with PROVIDER_UNAVAILABLE", at, sick)
	}
	if got := w.health(t, sick); got.GetState() != providerv1.Provider_Health_UNAVAILABLE ||
		got.GetLastErrorReason() != errorv1.Error_PROVIDER_UNAVAILABLE ||
		got.GetSince() == nil || got.GetLastErrorTime() == nil {
		t.Errorf("ListProviders shows %v", got)
	}
	if got := w.health(t, healthy); got.GetState() != providerv1.Provider_Health_HEALTHY {
		t.Errorf("ListProviders shows of the other provider %v", got)
	}

	// It comes back by itself once logging in works again.
	w.core(sick).Faults.Clear()
	eventually(t, "reads to succeed", func() bool { return w.listAccounts(t.Context(), 0, ill) == nil })
	if since := time.Since(began); since > 15*time.Second {
		t.Errorf("it took %s to come back", since)
	}
	if logins := w.logins(sick) - before; logins > 4 {
		t.Errorf("%d logins until it came back", logins)
	}
	eventually(t, "readiness to be restored", func() bool {
		_ = w.listAccounts(t.Context(), 0, ill)
		return len(w.degraded(t)) == 0
	})
}

func TestRefusedCredentials(t *testing.T) {
	w := newWorld(t, options{})
	sick := another()
	consent := w.authorized(t, sick, 1)[0]
	w.stop(t)
	w.core(sick).Faults.Add(sandbox.Fault{Operation: worldtest.Of(sick).Login, Status: http.StatusUnauthorized})
	w.start(t)
	if reason := reasonOf(w.listAccounts(t.Context(), 0, consent)); reason != "PROVIDER_CREDENTIALS_INVALID" {
		t.Errorf("reason %s, want PROVIDER_CREDENTIALS_INVALID", reason)
	}
	if at := w.degraded(t); at["default/"+sick] != "PROVIDER_CREDENTIALS_INVALID" {
		t.Errorf("/readyz names %v, want default/%s with PROVIDER_CREDENTIALS_INVALID", at, sick)
	}
}

// health is what ListProviders shows of a provider.
func (w *world) health(t *testing.T, provider string) *providerv1.Provider_Health {
	t.Helper()
	all, err := w.Providers.ListProviders(t.Context(), &providerv1.ListProvidersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all.GetProviders() {
		if p.GetName() == "providers/"+provider {
			return p.GetHealth()
		}
	}
	t.Fatalf("%s is not listed", provider)
	return nil
}
