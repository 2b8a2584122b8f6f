package replicatest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"kontor.dev/kontor/internal/sandbox"
	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// tenant is the only one, and clientID its only client.
const tenant, clientID = "default", "lending"

// Key is the only client's.
var Key = worldtest.KeyOf("replicas", clientID)

// Options describe a world. The zero value has three gateways.
type Options struct {
	// Binary is the gateway.
	Binary string
	// Seed decides all that is random.
	Seed int64
	// Replicas is how many gateways there are; 3 when zero.
	Replicas int
	// Database is the address of a database in which a schema is made; "" for that of the environment.
	Database string
	// Direct says that the gateways reach the database without a Line.
	Direct bool
	// Polling is what stands for `polling` in kontor.yaml; "" for one that gets news within a second.
	Polling string
	// More are further lines of kontor.yaml.
	More string
	// Played replaces providers' dialects.
	Played []sandbox.Dialect
}

// World is played providers, and gateways in front of them that share a database.
type World struct {
	*sandboxes.Running
	Ledger

	// Replicas are the gateways.
	Replicas []*Replica
	// Store is the address of the gateways' store, without a Line.
	Store string
	// PublicURL leads to any of the gateways that run, as behind a load balancer.
	PublicURL string
	// Origin is a resume token from before anything happened.
	Origin string

	t    *testing.T
	turn atomic.Int64
	// steady has watchers hang up no more.
	steady    atomic.Bool
	recorders map[string]*recorder

	intn func(n int) int
}

// New starts everything, all gateways at the same time. What it started ends with the test; a gateway that does not end
// well then fails it.
func New(t *testing.T, o Options) *World {
	t.Helper()
	running, err := worldtest.Play(context.Background(), sandbox.Options{Seed: o.Seed, Step: 2 * time.Millisecond},
		o.Played...)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		Running: running, t: t, recorders: map[string]*recorder{},
		intn: Random(o.Seed, 7),
	}
	t.Cleanup(func() { _ = running.Close() })
	front := httptest.NewServer(http.HandlerFunc(w.serveAny))
	front.Config.ErrorLog = worldtest.DiscardLog
	t.Cleanup(front.Close)
	w.PublicURL = front.URL
	base := cmp.Or(o.Database, os.Getenv(worldtest.PostgresVariable))
	schema := "replicas_" + hex.EncodeToString(uuid.New().NodeID()) + strconv.FormatInt(time.Now().UnixNano(), 36)
	if w.Store, err = worldtest.Schema(t.Context(), base, schema); err != nil {
		t.Fatal(err)
	}
	w.Store += "&application_name=" + schema
	t.Cleanup(func() { w.drop(base, schema) })
	dir := t.TempDir()
	for i := range cmp.Or(o.Replicas, 3) {
		w.add(o, filepath.Join(dir, strconv.Itoa(i+1)), w.blocks())
	}
	t.Cleanup(w.stop)
	var starting errgroup.Group
	for _, r := range w.Replicas {
		starting.Go(r.Start)
	}
	if err := starting.Wait(); err != nil {
		t.Fatal(err)
	}
	if w.Origin, err = w.origin(); err != nil {
		t.Fatal(err)
	}
	return w
}

// blocks are the providers, each behind a recorder.
func (w *World) blocks() []worldtest.Block {
	blocks := worldtest.Blocks(w.Running)
	for i, block := range blocks {
		if w.recorders[block.ID] == nil {
			w.recorders[block.ID] = newRecorder(w.t, block.Player)
		}
		blocks[i].URL = w.recorders[block.ID].server.URL
	}
	return blocks
}

// add writes the configuration of one more gateway.
func (w *World) add(o Options, dir string, blocks []worldtest.Block) {
	w.t.Helper()
	r := &Replica{Number: len(w.Replicas) + 1, Dir: dir, binary: o.Binary}
	address := w.Store
	if !o.Direct {
		at, err := url.Parse(address)
		if err != nil {
			w.t.Fatal(err)
		}
		if r.Line, err = NewLine(at.Host); err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(r.Line.Close)
		at.Host = r.Line.Address()
		address = at.String()
	}
	err := os.MkdirAll(dir, 0o700)
	if len(w.Replicas) > 0 && err == nil {
		const file = "store_key.secret"
		var key []byte
		if key, err = os.ReadFile(filepath.Join(w.Replicas[0].Dir, file)); err == nil {
			err = os.WriteFile(filepath.Join(dir, file), key, 0o600)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	polling := cmp.Or(o.Polling, "{min_interval: 200ms, max_interval: 2s}")
	r.env, err = worldtest.Config{
		PublicURL: w.PublicURL, Store: address,
		Tenants: []worldtest.Tenant{{ID: tenant, Redirects: "https://app.example.com/*", Providers: blocks}},
		Clients: []worldtest.Client{{ID: clientID, Tenant: tenant, Key: Key, Scopes: worldtest.Everything}},
		More: "heartbeat: 1s\nlimits: {requests_per_second: 100000, burst: 100000}\npolling: " + polling + "\n" +
			o.More,
	}.Write(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Replicas = append(w.Replicas, r)
}

// stop ends the gateways as an operator does, all at the same time.
func (w *World) stop() {
	var stopping sync.WaitGroup
	for _, r := range w.Replicas {
		stopping.Go(func() {
			if err := r.Stop(); err != nil {
				w.t.Errorf("gateway %d: %v", r.Number, err)
			}
			r.hangUp()
		})
	}
	stopping.Wait()
	if w.t.Failed() {
		for _, r := range w.Replicas {
			w.t.Logf("what gateway %d warns of, at last:\n%s", r.Number, r.warnings())
		}
	}
}

func (w *World) drop(base, schema string) {
	ctx, cancel := context.WithTimeout(context.Background(), worldtest.Patience)
	defer cancel()
	c, err := pgx.Connect(ctx, base)
	if err == nil {
		_, err = c.Exec(ctx, "DROP SCHEMA "+schema+" CASCADE")
		err = errors.Join(err, c.Close(ctx))
	}
	if err != nil {
		w.t.Error(err)
	}
}

// KillBackend has the server end one of the connections of the gateways, one that is at work rather than one that is
// not, and tells whether there was one.
func (w *World) KillBackend(ctx context.Context) (killed bool, err error) {
	c, err := pgx.Connect(ctx, w.Store)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	tag, err := c.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM (
		SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
		AND application_name = current_setting('application_name') ORDER BY state = 'idle', random() LIMIT 1
	) one`)
	return tag.RowsAffected() > 0, err
}

// Intn gives a number below n by the world's seed.
func (w *World) Intn(n int) int { return w.intn(n) }

// Random gives numbers below n, the same ones for a seed and a stream, for many at one time.
func Random(seed int64, stream uint64) func(n int) int {
	var mu sync.Mutex
	source := rand.New(rand.NewPCG(uint64(seed), stream)) //nolint:gosec // repeatable on purpose
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return source.IntN(n)
	}
}

// Any is one of the gateways at random, whether it runs or not.
func (w *World) Any() *Replica { return w.Replicas[w.Intn(len(w.Replicas))] }

// maxForwarded bounds a body that comes to the front.
const maxForwarded = 1 << 20

// serveAny hands a request on to the next gateway that takes it.
func (w *World) serveAny(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(io.LimitReader(in.Body, maxForwarded))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	first := int(w.turn.Add(1))
	for i := range w.Replicas {
		r := w.Replicas[(first+i)%len(w.Replicas)]
		if forward(out, in, body, r) {
			return
		}
	}
	http.Error(out, "no gateway answers", http.StatusBadGateway)
}

// forwardLimit is how long the front waits for a gateway.
const forwardLimit = 10 * time.Second

// forward hands a request on to a gateway, and tells whether that answered.
func forward(out http.ResponseWriter, in *http.Request, body []byte, r *Replica) bool {
	address := r.HTTP()
	if address == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(in.Context(), forwardLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, in.Method, address+in.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return false
	}
	request.Header = in.Header.Clone()
	response, err := worldtest.NoRedirects.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError {
		return false
	}
	for name, values := range response.Header {
		out.Header()[name] = values
	}
	out.WriteHeader(response.StatusCode)
	_, _ = io.Copy(out, response.Body)
	return true
}
