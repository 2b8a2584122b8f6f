package server_test

import (
	"testing"

	"kontor.dev/kontor/internal/server"
)

// TestCORS: pages of the origins that are set may call the API, and nobody else's page, and no page anything else.
func TestCORS(t *testing.T) {
	const app = "https://app.example.com"
	h := start(t, func(o *server.Options) { o.CORS.AllowedOrigins = []string{app, "http://localhost:3000"} })
	preflight := func(path, origin string) reply {
		return h.do(t, "OPTIONS", path, "", "", "Origin", origin, "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization")
	}
	for _, origin := range []string{app, "http://localhost:3000"} {
		r := preflight("/v1/consents", origin)
		if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != origin ||
			r.header.Get("Access-Control-Allow-Methods") == "" ||
			r.header.Get("Access-Control-Allow-Headers") == "" || r.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", origin, r.status, r.header)
		}
	}
	for _, key := range []string{allKey, nobodyKey} {
		r := h.do(t, "GET", "/v1/consents/1", key, "", "Origin", app)
		if r.header.Get("Access-Control-Allow-Origin") != app || r.header.Get("Access-Control-Expose-Headers") == "" {
			t.Errorf("the answer to %s: %d %v", key, r.status, r.header)
		}
		if r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("cookies are asked for")
		}
	}
	for _, origin := range []string{"https://evil.example", "null", "*", app + ".evil.example",
		"http://app.example.com", app + "/", "HTTPS://APP.EXAMPLE.COM"} {
		for _, r := range []reply{preflight("/v1/consents", origin),
			h.do(t, "GET", "/v1/consents/1", allKey, "", "Origin", origin)} {
			if r.header.Get("Access-Control-Allow-Origin") != "" ||
				r.header.Get("Access-Control-Allow-Methods") != "" || r.header.Get("Vary") != "Origin" {
				t.Errorf("%s: %d %v", origin, r.status, r.header)
			}
		}
	}
	for _, path := range []string{"/callbacks/shipments/t", "/docs", "/v2/consents"} {
		if r := preflight(path, app); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is open to pages: %v", path, r.header)
		}
	}
}
