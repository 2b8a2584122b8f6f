package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"kontor.dev/kontor"
	"kontor.dev/kontor/internal/assembly"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/server"
	"kontor.dev/kontor/internal/server/guard"
	"kontor.dev/kontor/internal/store"
	"kontor.dev/kontor/internal/telemetry"
)

// runServe serves until it is told to stop.
func runServe(ctx context.Context, args []string, out, errOut io.Writer) error {
	flags := newFlags("serve",
		"Serves until it is told to stop. SIGHUP has it read clients, issuers of tokens, certificates "+
			"and secrets anew.",
		"gateway serve --config kontor.yaml")
	path := flags.String("config", "kontor.yaml", "the configuration")
	ready := flags.String("ready-file", "", "write the addresses to this file, as JSON, once the gateway listens")
	if err := flags.parse(args, out, errOut); err != nil {
		return err
	}
	// From here on SIGHUP ends nobody: one that comes before the gateway listens is heeded then.
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	cfg, err := config.Load(*path, served)
	if err != nil {
		return err
	}
	outliveReaders()
	g, err := start(ctx, cfg, openStore, errOut)
	if err != nil {
		return err
	}
	if err := writeReady(*ready, g.addresses()); err != nil {
		return errors.Join(err, g.stop())
	}
	stopped := make(chan struct{})
	defer close(stopped)
	go g.reloadOn(hangUp, *path, stopped)
	select {
	case <-ctx.Done():
		g.telemetry.Logger.Info("stopping")
		return g.stop()
	case err := <-g.failed:
		return errors.Join(err, g.stop())
	case err := <-g.server.Failed():
		return errors.Join(err, g.stop())
	}
}

// gateway is everything that runs.
type gateway struct {
	cfg       *config.Config
	keys      *guard.Keys
	issuers   *guard.OIDC
	store     store.Database
	admin     *server.Admin
	server    *server.Server
	telemetry *telemetry.Telemetry
	failed    chan error
	// stopServices ends what the services do in the background; servicesDone is closed when they have.
	stopServices context.CancelFunc
	servicesDone chan struct{}
	// hurry has nothing that is under way wait any longer for a store that is away.
	hurry func()
}

// start assembles the gateway and makes it listen. It is stopped with stop, and not by the context.
//
// Probes are answered first: opening a large store takes a while, and who is asked whether it lives must not be silent
// meanwhile.
func start(
	ctx context.Context, cfg *config.Config, open func(context.Context, *config.Config) (store.Database, error),
	logTo io.Writer,
) (g *gateway, err error) {
	ctx = context.WithoutCancel(ctx)
	g = &gateway{cfg: cfg, failed: make(chan error, 1), servicesDone: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.stop())
		}
	}()
	g.telemetry, err = telemetry.New(ctx, telemetry.Options{
		Log: logTo, Level: cfg.Log.Level, Format: cfg.Log.Format, OTLPEndpoint: cfg.Telemetry.OTLPEndpoint,
		Version: version(),
	})
	if err != nil {
		return g, err
	}
	log := g.telemetry.Logger
	warn(cfg, log)
	useMemory(log)
	if g.admin, err = server.StartAdmin(cfg.Listen.Admin, cfg.TLS, g.telemetry); err != nil {
		return g, err
	}
	if g.store, err = open(ctx, cfg); err != nil {
		return g, err
	}
	g.telemetry.WatchStore(g.store.Stats, g.store.System().Backlog)
	refs := assembly.NewRefs(g.store, log)
	wired, err := wire(ctx, cfg, wiring{
		observer: func(tenant string) providers.Observer {
			return audit.Observed{Observer: g.telemetry.Observer(tenant)}
		},
		log: log, callers: cfg.CallersPerProvider(), state: refs.Keeper,
	})
	if err != nil {
		return g, err
	}
	for tenant, t := range wired.tenants {
		for _, p := range t.Providers {
			g.telemetry.ExpectProvider(tenant, p.ID, p.OperationNames())
		}
	}
	stopping := make(chan struct{})
	ending := make(chan struct{})
	g.hurry = sync.OnceFunc(func() { close(ending) })
	services, err := assembly.New(assembly.Options{
		Store: g.store, Tenants: wired.tenants, Refs: refs, PublicURL: cfg.PublicURL, Logger: log,
		Stopping:  stopping,
		Ending:    ending,
		Heartbeat: cfg.Heartbeat, Hold: cfg.Reads.Hold, HoldBytes: int64(cfg.Reads.HoldBytes),
		Polling: follow.Polling{
			MinInterval: cfg.Polling.MinInterval, MaxInterval: cfg.Polling.MaxInterval,
			IdleInterval: cfg.Polling.IdleInterval,
		},
		Webhooks: cfg.Webhooks, AuditRetention: cfg.Audit.Retention, CallersPerProvider: cfg.CallersPerProvider(),
		LogRetention: cfg.Watch.Retention, ShipmentRetention: cfg.Shipments.Retention,
		AuditGap:    g.telemetry.AuditGap,
		AuditBroken: g.telemetry.AuditBroken,
	})
	if err != nil {
		return g, err
	}
	if err := services.Once.Repair(ctx); err != nil {
		return g, fmt.Errorf("settle what the last run left open: %w", err)
	}
	g.keys, g.issuers = guard.NewKeys(cfg.Clients), issuers(cfg, log)
	g.telemetry.WatchKeys(func() map[string]time.Time { return g.keys.Expiring(math.MaxInt64) })
	srv, err := server.New(server.Options{
		Listen: cfg.Listen, Limits: cfg.Limits, Shutdown: cfg.Shutdown, TLS: cfg.TLS, CORS: cfg.CORS,
		Reflection: cfg.Reflection, Proxies: cfg.TrustedProxies, Admin: g.admin,
		Services: services.Servers.Register, Callbacks: services.Callbacks,
		Authenticator: authenticator(g.keys, g.issuers, services.Tickets),
		Audit:         services.Audit.Failure, Quotas: g.store.Quotas(),
		Telemetry: g.telemetry, OpenAPI: kontor.OpenAPI,
		Sandbox: cfg.Sandbox, Stopping: stopping,
		Ready: map[string]func(context.Context) error{"store": g.store.Ping}, Degraded: services.Tenants.Down,
	})
	if err != nil {
		return g, err
	}
	if err := srv.Start(); err != nil {
		return g, err
	}
	g.server = srv
	g.run(ctx, services)
	a := g.addresses()
	log.Info("listening", "grpc", a.GRPC, "http", a.HTTP, "admin", a.Admin)
	return g, nil
}

// run starts what the services do in the background.
func (g *gateway) run(ctx context.Context, services *assembly.Services) {
	ctx, g.stopServices = context.WithCancel(ctx)
	go func() {
		defer close(g.servicesDone)
		if err := services.Run(ctx); err != nil {
			g.failed <- err
		}
	}()
	go warnOfKeys(ctx, g.keys, g.telemetry.Logger)
	go g.telemetry.WarnOfHeldEvents(ctx, g.store.Stats)
}

// stop ends everything in order: callers first, then the work in the background, then the store.
func (g *gateway) stop() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.Shutdown.Delay+g.cfg.Shutdown.Timeout+5*time.Second)
	defer cancel()
	if g.hurry != nil {
		defer time.AfterFunc(g.cfg.Shutdown.Delay+g.cfg.Shutdown.Timeout, g.hurry).Stop()
	}
	if g.server != nil {
		errs = append(errs, g.server.Stop(ctx))
	}
	if g.admin != nil {
		defer func() { _ = g.admin.Close() }()
	}
	if g.stopServices != nil {
		g.stopServices()
		<-g.servicesDone
	}
	if g.store != nil {
		errs = append(errs, g.store.Close())
	}
	if g.telemetry != nil {
		errs = append(errs, g.telemetry.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// addresses are where a running gateway is reached, and what else the ready file has.
type addresses struct {
	GRPC, HTTP, Admin string
	// Key is the sandbox's client key; "" for none.
	Key string
	// Played are where the sandbox plays providers, by their ids, which are keys of their own in the ready file.
	Played map[string]string
}

// MarshalJSON writes the ready file.
func (a addresses) MarshalJSON() ([]byte, error) {
	all := map[string]string{"grpc": a.GRPC, "http": a.HTTP, "admin": a.Admin}
	if a.Key != "" {
		all["key"] = a.Key
	}
	maps.Copy(all, a.Played)
	return json.Marshal(all)
}

func (g *gateway) addresses() addresses {
	listening := g.server.Addresses()
	scheme := "http://"
	if g.cfg.TLS != nil {
		scheme = "https://"
	}
	admin := "http://"
	if g.cfg.TLS != nil && g.cfg.TLS.Admin {
		admin = "https://"
	}
	return addresses{GRPC: listening.GRPC, HTTP: scheme + listening.HTTP, Admin: admin + listening.Admin}
}

// writeReady writes a file at once, so that who waits for it never reads half of it. It may hold a key.
func writeReady(path string, a addresses) error {
	if path == "" {
		return nil
	}
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", append(body, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
