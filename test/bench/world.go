package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/bench/stub"
	"kontor.dev/kontor/test/worldtest"
)

// bench is the processes that are measured.
type bench struct {
	options

	dir                               string
	stub, proxy, naive, streams, load *process
	kontors                           []*kontor
	shared                            *kontor // the one that most rows are about; nil before the first
	accounts                          *rounds // of ListAccounts; nil before they are measured
}

// begin starts all but Kontor.
func (b *bench) begin() (err error) {
	if worldtest.Resident(os.Getpid()) == 0 {
		return errors.New("this system does not tell what a process uses; Linux does")
	}
	if b.stub, err = start("stub", "-page", fmt.Sprint(b.Page), "-large", fmt.Sprint(b.Large)); err != nil {
		return err
	}
	at := "http://" + b.stub.HTTP
	if b.proxy, err = start("proxy", at); err != nil {
		return err
	}
	if b.naive, err = start("naive", at); err != nil {
		return err
	}
	if b.streams, err = start("streams", fmt.Sprint(b.Large)); err != nil {
		return err
	}
	b.load, err = start("load")
	return err
}

// end ends all.
func (b *bench) end() error {
	var errs []error
	for _, k := range b.kontors {
		errs = append(errs, k.stop())
	}
	for _, p := range []*process{b.load, b.streams, b.naive, b.proxy, b.stub} {
		if p != nil {
			errs = append(errs, p.end())
		}
	}
	return errors.Join(errs...)
}

// counts are those of the stub.
func (b *bench) counts(ctx context.Context) (c stub.Counts, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.stub.HTTP+stub.CountsPath, http.NoBody)
	if err != nil {
		return c, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	return c, json.NewDecoder(resp.Body).Decode(&c)
}

// profiled is where a gateway that was built for it writes its CPU profile as it ends.
const profiled = "KONTOR_BENCH_PROFILE"

// edits change the gateway for this build alone: with a profile to write. The gateway that users get has no such thing.
func (b *bench) edits() map[string]worldtest.Edit {
	if b.profile == "" {
		return nil
	}
	return map[string]worldtest.Edit{"cmd/gateway/main.go": func(source string) (string, error) {
		const before = "\tos.Exit(command(os.Args[1:], os.Stdout, os.Stderr))\n"
		if !strings.Contains(source, before) {
			return "", errors.New("where a profile would begin is not found")
		}
		source = strings.Replace(source, before, `	profile, err := os.Create(os.Getenv("`+profiled+`"))
	if err == nil {
		err = pprof.StartCPUProfile(profile)
	}
	if err != nil {
		panic(err)
	}
	code := command(os.Args[1:], os.Stdout, os.Stderr)
	pprof.StopCPUProfile()
	os.Exit(code)
`, 1)
		return strings.Replace(source, "\t\"os/signal\"\n", "\t\"os/signal\"\n\t\"runtime/pprof\"\n", 1), nil
	}}
}

// kontor is a gateway with a store of its own.
type kontor struct {
	*worldtest.Gateway

	bench *bench
	dir   string
	env   []string
	key   string
	stubs *worldtest.Stubs
	// consents can be read, by what they have.
	consents map[stub.Kind][]string
	// customer is whose the last of them is.
	customer string
}

const tenant, client = "default", "bench"

// kontor makes a gateway's folder. More are further lines of its kontor.yaml.
func (b *bench) kontor(more string) (*kontor, error) {
	k := &kontor{
		bench: b, dir: filepath.Join(b.dir, uuid.NewString()), key: worldtest.KeyOf("bench", client),
		consents: map[stub.Kind][]string{},
	}
	if err := os.Mkdir(k.dir, 0o700); err != nil {
		return nil, err
	}
	played := &sandboxes.Played{
		Dialect: sandbox.Dialect{ID: provider, Secrets: []string{"password"}}, URL: "http://" + b.stub.HTTP,
		Player: player{base: "http://" + b.stub.HTTP},
	}
	cfg := worldtest.Config{
		PublicURL: "http://127.0.0.1:1",
		Tenants: []worldtest.Tenant{{
			ID: tenant, Redirects: "https://app.example.com/*", Providers: []worldtest.Block{{Played: played}},
		}},
		Clients: []worldtest.Client{{ID: client, Tenant: tenant, Key: k.key, Scopes: worldtest.Everything}},
		More: "limits: {requests_per_second: 1000000, burst: 1000000, max_connections_per_address: 10000}\n" +
			more,
	}
	var err error
	k.env, err = cfg.Write(k.dir)
	b.kontors = append(b.kontors, k)
	return k, err
}

// start starts the gateway.
func (k *kontor) start() (err error) {
	env := k.env
	if k.bench.profile != "" {
		env = append(env, profiled+"="+k.bench.profile)
	}
	if k.Gateway, err = worldtest.StartGateway(k.bench.binary, k.dir, env...); err != nil {
		return err
	}
	k.stubs, err = worldtest.Dial(k.GRPC, k.key)
	return err
}

// stop ends the gateway, if it runs.
func (k *kontor) stop() error {
	if k.stubs != nil {
		k.stubs.Close()
		k.stubs = nil
	}
	if k.Gateway == nil {
		return nil
	}
	err := k.Stop()
	k.Gateway = nil
	return err
}

// gone removes what a measurement left, so that a long run does not fill the disk.
func (k *kontor) gone() error {
	return errors.Join(k.stop(), os.RemoveAll(k.dir))
}

// rest is where it serves HTTP, without the scheme.
func (k *kontor) rest() string { return strings.TrimPrefix(k.HTTP, "http://") }

// running is the gateway that most rows are about.
func (b *bench) running() (*kontor, error) {
	if b.shared != nil {
		return b.shared, nil
	}
	k, err := b.kontor("")
	if err == nil {
		err = k.start()
	}
	if err == nil {
		b.shared = k
	}
	return k, err
}

// asked is a request for a consent of a new customer.
func asked(kind stub.Kind, requestID string) *consentv1.CreateConsentRequest {
	return &consentv1.CreateConsentRequest{
		RequestId: requestID,
		Consent: &consentv1.Consent{
			Provider: provider, Market: market,
			RedirectUris: &consentv1.Consent_RedirectUris{
				Success: optional.Of("https://app.example.com/success"),
				Error:   optional.Of("https://app.example.com/error"),
				Exit:    optional.Of("https://app.example.com/exit"),
			},
		},
		Psu: &consentv1.Psu{NationalId: sandbox.GoodNationalID, FirstName: "Elin", LastName: string(kind)},
	}
}

// authorized gives names of consents whose data can be read, and makes those that are missing.
func (k *kontor) authorized(ctx context.Context, kind stub.Kind, count int) ([]string, error) {
	for len(k.consents[kind]) < count {
		made, err := k.stubs.Consents.CreateConsent(ctx, asked(kind, uuid.NewString()))
		if err != nil {
			return nil, err
		}
		for deadline := time.Now().Add(worldtest.Patience); ; {
			fresh, err := k.stubs.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{
				Name: made.GetName(), Refresh: true,
			})
			if err != nil {
				return nil, err
			}
			if fresh.GetStatus() == consentv1.Consent_AUTHORIZED && fresh.GetDataStage() == consentv1.DataStage_READY {
				break
			}
			if time.Now().After(deadline) {
				return nil, fmt.Errorf("a consent is %s, and its data %s", fresh.GetStatus(), fresh.GetDataStage())
			}
		}
		k.customer = made.GetCustomer()
		k.consents[kind] = append(k.consents[kind], made.GetName())
	}
	return k.consents[kind][:count], nil
}

// commits is how often the gateway has made transactions durable.
func (k *kontor) commits() (count float64, err error) {
	text, err := k.Metrics()
	if err != nil {
		return 0, err
	}
	const name = "kontor_store_commit_duration_seconds_count "
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			_, err := fmt.Sscan(value, &count)
			return count, err
		}
	}
	return 0, errors.New("the gateway does not tell how often it commits")
}
