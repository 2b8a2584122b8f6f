package conformance

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/providers/finoos"
	"kontor.dev/kontor/internal/providers/providertest"
	playedfinoos "kontor.dev/kontor/internal/sandbox/finoos"
	"kontor.dev/kontor/internal/secret"
)

func TestFinoOS(t *testing.T) {
	t.Parallel()
	t.Run("Person", func(t *testing.T) { t.Parallel(); runFinoOS(t, false) })
	t.Run("Company", func(t *testing.T) { t.Parallel(); runFinoOS(t, true) })
}

func runFinoOS(t *testing.T, company bool) {
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		played := play(t, playedfinoos.Dialect(playedfinoos.Config{}))
		player, settings := played.Player.(*playedfinoos.Server), played.Player.Settings()
		p, err := finoos.Kind.With(finoos.Config{
			BaseURL: providers.BaseURL(settings["base_url"]), Name: settings["name"],
			Secret: secret.New(settings["secret"]),
		}).Open(t.Context(), providers.Deps{Policy: noRetries})
		if err != nil {
			t.Fatal(err)
		}
		reports := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}))
		t.Cleanup(reports.Close)
		return controls(played.Core, providertest.Harness{
			Provider: p, Market: "DE", Company: company, CallbackURL: reports.URL,
			Approve: func(t *testing.T, ref providers.ConsentRef) {
				t.Helper()
				if _, err := player.CompleteLogin(ref.ID); err != nil {
					t.Fatal(err)
				}
			},
			Expire: func(t *testing.T, ref providers.ConsentRef) {
				t.Helper()
				player.ExpireLogins(ref.ID)
			},
		})
	})
}
