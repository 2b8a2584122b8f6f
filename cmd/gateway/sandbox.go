package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"text/template"
	"time"

	"kontor.dev/kontor/internal/config"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/internal/secret"
	"kontor.dev/kontor/internal/store/sqlite"
	"kontor.dev/kontor/internal/telemetry"
)

// sandboxFlags are the flags of `gateway sandbox`.
type sandboxFlags struct {
	grpc, http, admin      string
	played                 map[string]string // where providers listen, by id
	data, ready            string
	seed                   int64
	step                   time.Duration
	providersOnly, verbose bool
}

// parseSandboxFlags reads the flags. Each provider of the list has one, called as its id.
func parseSandboxFlags(args []string, list []sandbox.Dialect, out, errOut io.Writer) (sandboxFlags, error) {
	f := sandboxFlags{played: map[string]string{}}
	flags := newFlags("sandbox", "Plays all providers on this machine, with a gateway in front of them and a "+
		"walk-through; needs no account.", "gateway sandbox --seed 7")
	flags.StringVar(&f.grpc, "grpc", "127.0.0.1:9090", "where the gateway serves gRPC")
	flags.StringVar(&f.http, "http", "127.0.0.1:8080", "where the gateway serves REST")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:8081", "where the gateway serves metrics and probes")
	played := map[string]*string{}
	for _, d := range list {
		played[d.ID] = flags.String(d.ID, d.Addr, "where the played "+d.Name+" listens")
	}
	flags.StringVar(&f.data, "data", "data", "folder for the gateway's database, which begins empty each time")
	flags.StringVar(&f.ready, "ready-file", "",
		"write addresses and key to this file, as JSON, once everything listens")
	flags.Int64Var(&f.seed, "seed", 1, "decides people, accounts and ids")
	flags.DurationVar(&f.step, "step", time.Second, "time between statuses that come by themselves")
	flags.BoolVar(&f.providersOnly, "providers-only", false, "play the providers, without a gateway")
	flags.BoolVar(&f.verbose, "verbose", false, "log every call")
	err := flags.parse(args, out, errOut)
	for id, address := range played {
		f.played[id] = *address
	}
	return f, err
}

// runSandbox plays all providers on this machine, with a gateway in front of them unless told otherwise.
func runSandbox(ctx context.Context, args []string, out, errOut io.Writer) error {
	f, err := parseSandboxFlags(args, dialects, out, errOut)
	if err != nil {
		return err
	}
	outliveReaders()
	level := slog.LevelWarn
	if f.verbose {
		level = slog.LevelDebug
	}
	log := telemetry.NewLogger(errOut, level, "text")
	played, err := sandboxes.Start(ctx, sandboxes.Options{
		Options:  sandbox.Options{Seed: f.seed, Step: f.step, Logger: log},
		Dialects: dialects, Addr: f.played,
	})
	if err != nil {
		return taken(err)
	}
	defer played.Close()
	if f.providersOnly {
		if err := printPlayed(out, played.InOrder()); err != nil {
			return err
		}
		if err := writeReady(f.ready, addresses{Played: urlsOf(played)}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	}
	return runPlayedGateway(ctx, f, played, level, out, errOut)
}

// urlsOf gives where providers are played, by id.
func urlsOf(played *sandboxes.Running) map[string]string {
	urls := map[string]string{}
	for id, p := range played.Played {
		urls[id] = p.URL
	}
	return urls
}

// printPlayed says where the providers are, and how to log in there.
func printPlayed(out io.Writer, played []*sandboxes.Played) error {
	all := allProviders(len(played))
	fmt.Fprintf(out, "%s are played on this machine. Stop with Ctrl-C.\n\n", strings.ToUpper(all[:1])+all[1:])
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range played {
		settings := p.Player.Settings()
		var account strings.Builder
		if err := template.Must(template.New(p.ID).Parse(p.Account)).Execute(&account, settings); err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.Name, settings["base_url"], &account)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nFaults, calls and the clock are at /_sandbox/ of each, for example what was asked:\n"+
		"  curl -s %s/_sandbox/calls\n", played[0].URL)
	return nil
}

// runPlayedGateway serves in front of the played providers until the context ends.
func runPlayedGateway(
	ctx context.Context, f sandboxFlags, played *sandboxes.Running, level slog.Level, out, errOut io.Writer,
) error {
	key, hash := newKey()
	cfg, err := sandboxConfig(f, played, hash)
	if err != nil {
		return err
	}
	cfg.Sandbox = true
	cfg.Reflection = true // for clients: the printed key will do
	cfg.Log = config.Log{Level: level, Format: "text"}
	g, err := start(ctx, cfg, openEmptyStore, errOut)
	if err != nil {
		return taken(err)
	}
	a := g.addresses()
	a.Played, a.Key = urlsOf(played), key
	if err := writeReady(f.ready, a); err != nil {
		return errors.Join(err, g.stop())
	}
	printWalkThrough(out, a, played.InOrder())
	select {
	case <-ctx.Done():
	case err = <-g.failed:
	case err = <-g.server.Failed():
	}
	fmt.Fprintln(out, "\nstopping")
	return errors.Join(err, g.stop())
}

// sandboxConfig is the configuration of a gateway in front of the played providers.
func sandboxConfig(f sandboxFlags, played *sandboxes.Running, hash string) (*config.Config, error) {
	var err error
	if f.http, err = settlePort(f.http); err != nil { // the providers must be told before the gateway listens
		return nil, err
	}
	path := filepath.Join(f.data, "sandbox.db")
	type object = map[string]any
	blocks := object{}
	for _, p := range played.InOrder() {
		blocks[p.ID] = p.Player.Settings()
	}
	least := max(f.step, 100*time.Millisecond)
	storeKey, err := keyBeside(path)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(object{ // which is YAML
		"listen":     object{"grpc": f.grpc, "http": f.http, "admin": f.admin},
		"public_url": "http://" + f.http,
		"store":      "sqlite:" + path,
		"store_key":  storeKey.Reveal(),
		// For a person at one machine, also where a process may have few files open.
		"limits":  object{"max_connections": 1000},
		"polling": object{"min_interval": least.String(), "max_interval": max(least, 5*time.Minute).String()},
		"tenants": object{"default": object{
			"redirect_uris": []string{
				"http://" + f.http + "/*", "http://127.0.0.1/*", "http://localhost/*", "https://app.example.com/*",
			},
			"providers": blocks,
		}},
		"clients": []object{{"id": "sandbox", "tenant": "default", "key_sha256": hash, "scopes": []string{"*"}}},
	})
	if err != nil {
		return nil, err
	}
	options := known
	options.WarnExposed = true
	cfg, problems := config.Parse("sandbox", text, options)
	if len(problems) > 0 {
		return nil, problems
	}
	return cfg, nil
}

// keyBeside gives the store key that lies beside a database, and makes it when there is none.
func keyBeside(database string) (secret.String, error) {
	path := strings.TrimSuffix(database, filepath.Ext(database)) + ".key"
	text, err := os.ReadFile(path)
	if err == nil {
		key := secret.New(strings.TrimSpace(string(text)))
		if _, err := keys.Parse(key); err != nil {
			return secret.String{}, fmt.Errorf("%s: %w", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secret.String{}, err
	}
	key, err := keys.New()
	if err != nil {
		return secret.String{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return secret.String{}, err
	}
	return key, os.WriteFile(path, []byte(key.Reveal()+"\n"), 0o600)
}

// settlePort replaces port 0 by a free one.
func settlePort(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" {
		return address, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// taken says what to do about a port or folder that is in use.
func taken(err error) error {
	if errors.Is(err, sqlite.ErrLocked) {
		return fmt.Errorf("%w\nanother sandbox plays there: stop it, or choose another folder with -data", err)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "listen" {
		return fmt.Errorf(
			"%w\nchoose other ports: gateway sandbox -h lists the flags; port 0 takes any that is free", err,
		)
	}
	return err
}
