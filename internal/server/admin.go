package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"kontor.dev/kontor/internal/config"
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

// failing runs all checks at once and gives those that fail, each with a word that says why where there is one. All of
// it is in the log of whoever failed: an error may hold more than a probe should see.
func (r readiness) failing(ctx context.Context) (names []string, reasons map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	all := slices.Sorted(maps.Keys(r.checks))
	failures := make([]error, len(all))
	var running sync.WaitGroup
	for i, name := range all {
		running.Go(func() { failures[i] = r.checks[name](ctx) })
	}
	running.Wait()
	reasons = map[string]string{}
	for i, name := range all {
		if failures[i] == nil {
			continue
		}
		names = append(names, name)
		if told, ok := errors.AsType[interface {
			error
			Reason() string
		}](failures[i]); ok {
			reasons[name] = told.Reason()
		}
	}
	if r.draining.Load() {
		names = append(names, "stopping")
	}
	return names, reasons
}

// Admin serves metrics and probes on a listener of its own, from before the rest starts until after it ended.
type Admin struct {
	server   *http.Server
	listener net.Listener
	ended    chan struct{} // closed when it serves no more, err says why
	err      error
	// ready is nil while the gateway starts.
	ready atomic.Pointer[readiness]
}

// StartAdmin listens at an address, with TLS where the files are for the admin port, too. Until a Server takes it over,
// it is not ready but starting.
func StartAdmin(address string, files *config.TLS, t *telemetry.Telemetry) (*Admin, error) {
	var secured *certificates
	if files != nil && files.Admin {
		var err error
		if secured, err = newCertificates(*files, t.Logger, time.Now); err != nil {
			return nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("server: listen.admin: %w", err)
	}
	listener = connections{max: maxAdminConnections}.listener(listener)
	a := &Admin{listener: listener, ended: make(chan struct{})}
	a.server = newHTTPServer(a.handler(t))
	a.server.WriteTimeout = writeTimeout
	go func() {
		defer close(a.ended)
		if secured == nil {
			a.err = a.server.Serve(listener)
			return
		}
		a.server.TLSConfig = secured.forAdmin()
		a.err = a.server.ServeTLS(listener, "", "")
	}()
	return a, nil
}

// Address is where it listens.
func (a *Admin) Address() string { return a.listener.Addr().String() }

// Close ends it at once.
func (a *Admin) Close() error { return a.server.Close() }

// wait gives why it serves no more, once it does not.
func (a *Admin) wait() error {
	<-a.ended
	return a.err
}

func (a *Admin) handler(t *telemetry.Telemetry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ready := a.ready.Load()
		if ready == nil {
			answer(w, http.StatusServiceUnavailable, map[string]any{
				"status": "not ready", "failing": []string{"starting"},
			})
			return
		}
		if failing, reasons := ready.failing(r.Context()); len(failing) > 0 {
			body := map[string]any{"status": "not ready", "failing": failing}
			if len(reasons) > 0 {
				body["reasons"] = reasons
			}
			answer(w, http.StatusServiceUnavailable, body)
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
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // strings, lists and maps; who probes has gone away
}
