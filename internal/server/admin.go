package server

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kontor.dev/kontor/internal/telemetry"
)

// checkTimeout bounds one readiness check.
const checkTimeout = 2 * time.Second

// readiness is whether the gateway can do its work.
type readiness struct {
	checks   map[string]func(context.Context) error
	degraded func() map[string]string
	draining *atomic.Bool
}

// failing runs all checks at once and gives the names of those that fail, in order. Why is in the log of whoever
// failed: an error may hold more than a probe should see.
func (r readiness) failing(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	names := slices.Sorted(maps.Keys(r.checks))
	failed := make([]bool, len(names))
	var running sync.WaitGroup
	for i, name := range names {
		running.Go(func() { failed[i] = r.checks[name](ctx) != nil })
	}
	running.Wait()
	var failing []string
	for i, name := range names {
		if failed[i] {
			failing = append(failing, name)
		}
	}
	if r.draining.Load() {
		failing = append(failing, "stopping")
	}
	return failing
}

// admin serves metrics and probes.
func admin(t *telemetry.Telemetry, ready readiness) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if failing := ready.failing(r.Context()); len(failing) > 0 {
			answer(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "failing": failing})
			return
		}
		if ready.degraded != nil {
			if degraded := ready.degraded(); len(degraded) > 0 {
				answer(w, http.StatusOK, map[string]any{"status": "degraded", "degraded": degraded})
				return
			}
		}
		answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	return mux
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // strings and lists of them; who probes has gone away
}
