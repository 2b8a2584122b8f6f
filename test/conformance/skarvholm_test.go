package conformance

import (
	"net/url"
	"testing"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/test/example/played"
	example "kontor.dev/kontor/test/example/provider"
)

func TestExample(t *testing.T) {
	t.Parallel()
	providertest.Run(t, openExample)
}

// The least that a new adapter's harness must have is enough for the basic suite.
func TestExampleBasics(t *testing.T) {
	t.Parallel()
	providertest.Basic(t, func(t *testing.T) providertest.Harness {
		h := openExample(t)
		return providertest.Harness{Settings: h.Settings, Market: h.Market, Approve: h.Approve}
	})
}

func openExample(t *testing.T) providertest.Harness {
	clock := &sandbox.AheadClock{}
	player, core, address := play(t, clock, func(core *sandbox.Core) *played.Server {
		return played.New(core, played.Config{})
	})
	must := func(t testing.TB, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	return withFaults(core, providertest.Harness{
		Settings: example.Kind.With(example.Config{
			BaseURL: providers.BaseURL(address + played.BasePath), ClientID: played.ClientID,
			ClientSecret: secret.New(played.ClientSecret), SigningKey: secret.New(played.SigningKey),
		}),
		Market: "NO",
		Approve: func(t testing.TB, ref providers.ConsentRef) url.Values {
			t.Helper()
			location, err := player.Approve(ref.ID)
			must(t, err)
			return played.QueryOf(location)
		},
		Clock: clock.Now,
		Has: &providertest.Has{
			Login: []string{"login"}, ReadConsent: []string{"get_consent"}, ReadAccounts: []string{"list_accounts"},
			ReadTransactions: []string{"list_accounts", "list_transactions"},
			Accounts:         3, Transactions: 100, Pending: true, Collects: true,
		},
		Withdraw: map[string]func(testing.TB, providers.ConsentRef) func(){
			"by the customer": func(t testing.TB, ref providers.ConsentRef) func() {
				must(t, player.Withdraw(ref.ID))
				return func() {}
			},
			"by the bank": func(t testing.TB, ref providers.ConsentRef) func() {
				must(t, player.Terminate(ref.ID))
				return func() {}
			},
		},
		Lapse: func(testing.TB, providers.ConsentRef) { clock.Advance(100 * 24 * time.Hour) },
		End:   func(t testing.TB, ref providers.ConsentRef) { must(t, player.Terminate(ref.ID)) },
		Exceed: func(t testing.TB, ref providers.ConsentRef) func() {
			must(t, player.SetExceeded(ref.ID, true))
			return func() { must(t, player.SetExceeded(ref.ID, false)) }
		},
		Age: func(testing.TB, providers.ConsentRef) { clock.Advance(played.TokenTTL) },
		Except: map[string]string{
			"Reauthentication": "Skarvholm does not tell that a bank wants the customer again: the consent ends",
		},
	})
}
