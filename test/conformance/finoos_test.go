package conformance

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/finoos"
	"kontor.dev/kontor/internal/providers/providertest"
	"kontor.dev/kontor/internal/sandbox"
	played "kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/secret"
)

func TestFinoOS(t *testing.T) {
	t.Parallel()
	t.Run("Person", func(t *testing.T) { t.Parallel(); runFinoOS(t, false) })
	t.Run("Company", func(t *testing.T) { t.Parallel(); runFinoOS(t, true) })
}

func runFinoOS(t *testing.T, company bool) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		player, core, address := play(t, nil, func(core *sandbox.Core) *played.Server {
			return played.New(core, played.Config{})
		})
		reports := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}))
		t.Cleanup(reports.Close)
		return withFaults(core, providertest.Harness{
			Settings: finoos.Kind.With(finoos.Config{
				BaseURL: providers.BaseURL(address + played.BasePath), Name: played.DemoName,
				Secret: secret.New(played.DemoSecret),
			}),
			Market: "DE", Company: company, CallbackURL: reports.URL,
			Has: &providertest.Has{
				Login: []string{"authenticate"}, ReadConsent: []string{"get_logins", "synchronization_status"},
				ReadAccounts: []string{"get_logins"}, ReadTransactions: []string{"get_logins"},
				Accounts: 3, Transactions: 100, Pending: true,
				Addresses: []providers.Capability{
					"AddBank", "SyncConnection", "CreateManagementSession", "RevokeConsent",
				},
			},
			Approve: func(t testing.TB, ref providers.ConsentRef) url.Values {
				t.Helper()
				location, err := player.CompleteLogin(ref.ID)
				if err != nil {
					t.Fatal(err)
				}
				back, err := url.Parse(location)
				if err != nil {
					t.Fatal(err)
				}
				return back.Query()
			},
			Withdraw: map[string]func(testing.TB, providers.ConsentRef) func(){
				"no login is left": func(testing.TB, providers.ConsentRef) func() {
					none := sandbox.Fault{Operation: "get_logins", Status: http.StatusOK, Body: `{"logins": []}`}
					return inject(core, none)
				},
			},
			Reauthenticate: func(_ testing.TB, ref providers.ConsentRef) { player.ExpireLogins(ref.ID) },
			Except: map[string]string{
				"Withdrawal":     "finoOS tells of none: who has no login left may connect again in the same consent",
				"Expiry":         "finoOS tells no end of a consent",
				"ConsentEnded":   "finoOS has no answer that is about one consent alone",
				"AccessExceeded": "finoOS does not limit the reads of one consent",
				"StateRenewed":   "the adapter remembers nothing of a consent",
			},
		})
	})
}
