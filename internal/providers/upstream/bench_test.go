package upstream

import (
	"io"
	"log/slog"
	"net/http"
	"testing"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// BenchmarkDo measures what the client adds to a read: without a network, and with one beside net/http alone.
func BenchmarkDo(b *testing.B) {
	body := `{"ok":1.50}`
	configure := func(cfg *Config) {
		cfg.RequestIDHeader = "X-Request-ID"
		cfg.Header = http.Header{"api-version": {"2020-06-16"}}
		cfg.Authorize = func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	ctx := providers.WithCall(b.Context(), providers.Call{RequestID: "ours"})
	run := func(b *testing.B, c *Client) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			request := get("11a01f4b-3e2c-4e41-9a3a-b1ef4ac7a0fe")
			request.Token = secret.New("token")
			var out struct {
				OK float64 `json:"ok"`
			}
			if _, err := c.Do(ctx, request, &out); err != nil || out.OK != 1.5 {
				b.Fatal(err, out)
			}
		}
	}
	b.Run("without a network", func(b *testing.B) {
		run(b, newTestClient(b, "https://provider.example.com/api", func(cfg *Config) {
			configure(cfg)
			cfg.Transport = transport(func(*http.Request) (*http.Response, error) { return reply(200, body), nil })
		}))
	})
	s := serve(b, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
	b.Run("with one", func(b *testing.B) { run(b, newTestClient(b, s.URL, configure)) })
	b.Run("by net http alone", func(b *testing.B) {
		alone := &http.Transport{}
		defer alone.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL+"/things/1", nil)
			if err != nil {
				b.Fatal(err)
			}
			answer, err := alone.RoundTrip(request)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadAll(answer.Body); err != nil {
				b.Fatal(err)
			}
			answer.Body.Close()
		}
	})
}
