//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/keys"
	"kontor.dev/kontor/internal/server/guard/guardtest"
)

// patience bounds how long a test waits for what must come.
const patience = 30 * time.Second

// process is a running `gateway serve`.
type process struct {
	dir, grpc, http, admin string

	cmd *exec.Cmd
	log *syncBuffer
}

// syncBuffer is written to by the process and read by the test.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startProcess starts a gateway with the kontor.yaml of a folder.
func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{dir: dir, log: &syncBuffer{}}
	ready := filepath.Join(dir, "ready.json")
	p.cmd = exec.Command(os.Args[0], "serve", "--config", filepath.Join(dir, "kontor.yaml"), "--ready-file", ready)
	p.cmd.Env = append(os.Environ(), "KONTOR_TEST_GATEWAY=1")
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the gateway ended with %v\n%s", err, p.log)
		}
	})
	eventually(t, "the gateway to listen", func() bool {
		text, err := os.ReadFile(ready)
		var at struct{ GRPC, HTTP, Admin string }
		if err != nil || json.Unmarshal(text, &at) != nil {
			return false
		}
		p.grpc, p.http, p.admin = at.GRPC, at.HTTP, at.Admin
		return true
	})
	return p
}

// hangUp sends SIGHUP and waits until the log says something once more.
func (p *process) hangUp(t *testing.T, until string) {
	t.Helper()
	before := strings.Count(p.log.String(), until)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, until, func() bool { return strings.Count(p.log.String(), until) > before })
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// bank is a finoOS that notes with which secrets it is logged in to, and answers lists of users when it may.
type bank struct {
	*httptest.Server

	asked, answer chan struct{} // of a list of users

	mu      sync.Mutex
	secrets []string
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{asked: make(chan struct{}, 10), answer: make(chan struct{}, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth", func(w http.ResponseWriter, r *http.Request) {
		var sent struct{ Secret string }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		b.mu.Lock()
		b.secrets = append(b.secrets, sent.Secret)
		b.mu.Unlock()
		_, _ = io.WriteString(w, `{"accessToken": "token", "expiresIn": 0}`) // good for one call
	})
	mux.HandleFunc("GET /users", func(w http.ResponseWriter, r *http.Request) {
		b.asked <- struct{}{}
		select {
		case <-b.answer:
			_, _ = io.WriteString(w, `{"users": []}`)
		case <-r.Context().Done():
		}
	})
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

func (b *bank) last() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.secrets) == 0 {
		return ""
	}
	return b.secrets[len(b.secrets)-1]
}

// listed is a client of the configuration with its key.
type listed struct{ id, key, hash, more string }

func newListed(id, more string) listed {
	key, hash := newKey()
	return listed{id, key, hash, more}
}

func (l listed) as(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+l.key)
}

// configure writes kontor.yaml with clients.
func configure(t *testing.T, dir, base string, clients ...listed) {
	t.Helper()
	text := `listen: {grpc: "127.0.0.1:0", http: "127.0.0.1:0", admin: "127.0.0.1:0"}
public_url: https://kontor.example.com
store: "sqlite:` + dir + `/kontor.db"
store_key: "${file:store.key}"
heartbeat: 100ms
tenants:
  default:
    redirect_uris: ["https://app.example.com/*"]
    providers:
      finoos: {base_url: "` + base + `", name: lender, secret: "${file:finoos.secret}"}
clients:
`
	for _, c := range clients {
		text += fmt.Sprintf("  - {id: %s, tenant: default, key_sha256: %s, scopes: [%q]%s}\n",
			c.id, c.hash, "*", c.more)
	}
	write(t, dir, "kontor.yaml", text)
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// watching is a stream that is read until it ends.
type watching struct {
	beats chan struct{} // one for each message, as far as anybody waits
	ended chan error
}

func watch(t *testing.T, conn *grpc.ClientConn, as listed) *watching {
	t.Helper()
	stream, err := consentv1.NewConsentServiceClient(conn).WatchConsents(as.as(t.Context()),
		&consentv1.WatchConsentsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{beats: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				w.ended <- err
				return
			}
			select {
			case w.beats <- struct{}{}:
			default:
			}
		}
	}()
	w.goesOn(t)
	return w
}

// goesOn waits for two more messages: one may have been on its way.
func (w *watching) goesOn(t *testing.T) {
	t.Helper()
	for range 2 {
		select {
		case <-w.beats:
		case err := <-w.ended:
			t.Fatalf("a stream ended: %v", err)
		case <-time.After(patience):
			t.Fatal("a stream is silent")
		}
	}
}

// TestReload: SIGHUP takes over clients and secrets while calls and streams go on, and a configuration with a fault
// changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	dir, provider := t.TempDir(), newBank(t)
	storeKey, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "store.key", storeKey.Reveal())
	write(t, dir, "finoos.secret", "secret-before")
	stays, leaves, comes := newListed("stays", ""), newListed("leaves", ""), newListed("comes", "")
	configure(t, dir, provider.URL, stays, leaves)
	p := startProcess(t, dir)
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	users := func(ctx context.Context) error {
		_, err := providerv1.NewProviderServiceClient(conn).ListProviderUsers(ctx,
			&providerv1.ListProviderUsersRequest{Parent: "providers/finoos"})
		return err
	}
	staying, leaving := watch(t, conn, stays), watch(t, conn, leaves)
	underWay := make(chan error, 1)
	go func() { underWay <- users(leaves.as(t.Context())) }()
	<-provider.asked
	if got := provider.last(); got != "secret-before" {
		t.Fatalf("logged in with %q", got)
	}

	write(t, dir, "finoos.secret", "secret-after")
	configure(t, dir, provider.URL, stays, comes)
	const taken = "clients, issuers, certificates and secrets are read anew"
	p.hangUp(t, taken)
	select {
	case err := <-leaving.ended:
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("the stream of a client that is gone ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("the stream of a client that is gone goes on")
	}
	staying.goesOn(t)
	provider.answer <- struct{}{}
	if err := <-underWay; err != nil {
		t.Errorf("a call under way: %v", err)
	}
	if err := users(leaves.as(t.Context())); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a client that is gone: %v", err)
	}
	provider.answer <- struct{}{}
	if err := users(comes.as(t.Context())); err != nil {
		t.Errorf("a client that is new: %v", err)
	}
	if got := provider.last(); got != "secret-after" {
		t.Errorf("logged in with %q", got)
	}
	if log := p.log.String(); !strings.Contains(log, "tenants.default.providers.finoos.secret") {
		t.Errorf("the log does not tell which secret changed\n%s", log)
	}

	// What waits is named, and what was taken over is not.
	const waits = "changed settings wait for the next start"
	if log := p.log.String(); strings.Contains(log, waits) {
		t.Errorf("something waits\n%s", log)
	}
	path := filepath.Join(dir, "kontor.yaml")
	change := func(from, to string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("there is no %q: %v", from, err)
		}
		write(t, dir, "kontor.yaml", strings.Replace(string(text), from, to, 1))
	}
	issuer := guardtest.NewIssuer(t)
	token := issuer.Sign(t, issuer.Good(time.Now()))
	change("heartbeat: 100ms",
		"heartbeat: 200ms\noidc:\n  - {issuer: "+issuer.URL+", audience: kontor, tenant: default}")
	p.hangUp(t, waits)
	if log := p.log.String(); !strings.Contains(log, `"keys":["heartbeat"]`) {
		t.Errorf("the log does not tell what waits\n%s", log)
	}
	staying.goesOn(t)
	bearer := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	if err := users(bearer); status.Code(err) != codes.PermissionDenied { // known, without the scope
		t.Errorf("a token of an issuer that is new: %v", err)
	}

	// What serve would not start with changes nothing.
	configure(t, dir, provider.URL, leaves, newListed("canary", ", expire: canary-value"))
	const kept = "the configuration cannot be used; what was there stays"
	p.hangUp(t, kept)
	staying.goesOn(t)
	// A tenant begins with the next start, and so do its clients.
	configure(t, dir, provider.URL, leaves)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	both := strings.Replace(string(text), "tenants:\n", `tenants:
  later: {redirect_uris: ["https://app.example.com/*"], providers: {finoos: {name: n, secret: "${file:finoos.secret}"}}}
`, 1)
	write(t, dir, "kontor.yaml", strings.Replace(both, "tenant: default", "tenant: later", 1))
	p.hangUp(t, kept)
	write(t, dir, "kontor.yaml", both+"oidc:\n  - {issuer: "+issuer.URL+", audience: kontor, tenant: later}\n")
	p.hangUp(t, kept)
	staying.goesOn(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p.hangUp(t, kept)
	staying.goesOn(t)
	provider.answer <- struct{}{}
	if err := users(stays.as(t.Context())); err != nil {
		t.Errorf("a client of before: %v", err)
	}
	log := p.log.String()
	for _, want := range []string{
		`"line":13,"key":"clients[1].expire"`, "there is no such file", `"key":"clients[0].tenant"`,
		`"key":"oidc[0].tenant"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s\n%s", want, log)
		}
	}
	for _, secret := range []string{
		"canary-value", "secret-before", "secret-after", stays.key, leaves.key, stays.hash,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has a value\n%s", log)
		}
	}
}

// TestStopsWhileAFileHangs has a secret that cannot be read to its end when the gateway reads its configuration anew.
func TestStopsWhileAFileHangs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "store.key", key.Reveal())
	write(t, dir, "finoos.secret", "secret")
	configure(t, dir, newBank(t).URL, newListed("a", ""))
	p := startProcess(t, dir)
	secret := filepath.Join(dir, "finoos.secret")
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfifo", "-m", "600", secret).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	var writer *os.File
	eventually(t, "the secret to be read", func() (read bool) {
		var err error
		writer, err = os.OpenFile(secret, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails until somebody reads
		return err == nil
	})
	t.Cleanup(func() { _ = writer.Close() })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gateway to stop", func() bool { return strings.Contains(p.log.String(), "stopping") })
}

// TestExpiringKeysAreNamed: the log warns of a key before it ends, and says of one that ended why it is refused.
func TestExpiringKeysAreNamed(t *testing.T) {
	t.Parallel()
	dir, provider := t.TempDir(), newBank(t)
	storeKey, err := keys.New()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "store.key", storeKey.Reveal())
	write(t, dir, "finoos.secret", "secret")
	soon := newListed("soon", ", expire: "+time.Now().UTC().AddDate(0, 0, 7).Format(time.DateOnly))
	over := newListed("over", ", expire: "+time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
	late := newListed("late", ", expire: "+time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly))
	configure(t, dir, provider.URL, soon, over, late, newListed("none", ""))
	p := startProcess(t, dir)
	for _, c := range []struct {
		listed
		want int
	}{{soon, http.StatusOK}, {over, http.StatusUnauthorized}, {late, http.StatusOK}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.http+"/v1/providers", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.key)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(answer.Body.Close()); err != nil || answer.StatusCode != c.want {
			t.Errorf("%s: %s", c.id, answer.Status)
		}
	}
	metrics := func() string {
		answer, err := http.Get(p.admin + "/metrics") //nolint:noctx // the test's own process
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	shown := metrics()
	for client, want := range map[string]bool{"soon": true, "over": true, "late": true, "none": false} {
		metric := `kontor_client_key_expiry_timestamp_seconds{client="` + client + `"}`
		if got := strings.Contains(shown, metric); got != want {
			t.Errorf("the metrics have the end of %s: %t", client, got)
		}
	}
	eventually(t, "the reason of the refusal", func() bool {
		return strings.Contains(p.log.String(), "client over: its key has expired")
	})
	log := p.log.String()
	for line, want := range map[string]bool{
		`"a client's key ends soon","client":"soon"`: true, `"a client's key has ended","client":"over"`: true,
		`"client":"late","end"`: false,
	} {
		if got := strings.Contains(log, line); got != want {
			t.Errorf("%s: %t\n%s", line, got, log)
		}
	}
}
