package server

import (
	"net/http"
	"slices"
	"strings"
)

// What web pages may send and read, beyond what browsers allow anyway.
const (
	corsMethods = "GET, POST, PATCH, DELETE"
	corsHeaders = "authorization, content-type, idempotency-key, if-match, last-event-id, psu-ip-address, " +
		"traceparent, x-request-id"
	corsExposed = "x-request-id, retry-after"
	corsMaxAge  = "600" // seconds
)

// cors lets pages of some origins call the API from a browser. Browsers send no cookies along, since none is ever
// asked for: a page needs a key or token like anybody else. Everything but the API, callbacks above all, stays closed
// to pages.
func cors(next http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if !slices.Contains(origins, origin) || !strings.HasPrefix(r.URL.Path, "/v1/") {
			next.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			header.Set("Access-Control-Expose-Headers", corsExposed)
			next.ServeHTTP(w, r)
			return
		}
		header.Set("Access-Control-Allow-Methods", corsMethods)
		header.Set("Access-Control-Allow-Headers", corsHeaders)
		header.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}
