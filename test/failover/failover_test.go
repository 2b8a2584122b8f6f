//go:build failover

package failover

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

// loss is a way to lose a primary, and how it comes back.
type loss struct{ name, how, back string }

var (
	machine = loss{name: "primary and its Patroni killed", how: "kill", back: "start"}
	server  = loss{name: "primary killed", how: "kill-server"} // its Patroni brings it back
	frozen  = loss{name: "primary and its Patroni frozen", how: "freeze", back: "thaw"}
)

// TestPrimaryLost kills the primary under load, with and without its Patroni, and brings it back as a standby. Some
// gateways reach the database through HAProxy, others by an address with all nodes.
func TestPrimaryLost(t *testing.T) {
	lose(t, "PostgreSQL's primary killed", scaled(20, 2), []loss{machine, server}, "HAProxy", "several hosts")
}

// TestPrimaryFrozen freezes the primary and its Patroni for as long as it takes until another one serves, and then lets
// the server go on, and its Patroni begin anew, as after a watchdog: what the old primary has not passed on is undone.
// HAProxy ends the sessions with it; who has sessions of their own would keep them.
func TestPrimaryFrozen(t *testing.T) {
	lose(t, "PostgreSQL's primary frozen", scaled(5, 1), []loss{frozen}, "HAProxy")
}

// lose loses the primary a number of times.
func lose(t *testing.T, what string, times int, losses []loss, ways ...string) {
	t.Helper()
	c := newCluster(t)
	// Gateways find the primary by themselves (TestStandby); what makes the schema does not.
	address := map[string]string{"HAProxy": c.proxied, "several hosts": c.hosts + "&target_session_attrs=read-write"}
	intn := random(1)
	began := time.Now()
	worlds := map[string]*world{}
	for i, way := range ways {
		worlds[way] = newWorld(t, replicatest.Options{
			Binary: binary, Seed: *seed + int64(i), Database: address[way], Direct: true, Replicas: 3 - i,
		}, intn)
	}
	for i := range times {
		l := losses[i%len(losses)]
		for _, w := range worlds {
			w.goesOn(t)
		}
		primary, standby := c.whole()
		for _, w := range worlds {
			w.watchReadiness()
		}
		at := time.Now()
		c.do(l.how, primary.node())
		var took []string
		for _, way := range ways {
			took = append(took, fmt.Sprintf("%s %s", way, worlds[way].back(t, at)))
		}
		for way, w := range worlds {
			if told := w.told(); l.how != server.how && !strings.Contains(told, `"store":`) {
				t.Errorf("%s: /readyz did not tell that the store is away: %q", way, told)
			}
		}
		if l.back != "" {
			c.do(l.back, primary.node())
		}
		now, _ := c.whole()
		t.Logf("%d: %s, node %d: first success of each gateway after %s; node %d took over, a standby again after %s",
			i+1, l.name, primary.node(), strings.Join(took, "; "), now.node(), since(at))
		if now.node() != standby.node() {
			t.Logf("%d: the primary is node %d, and not %d, which was its standby", i+1, now.node(), standby.node())
		}
	}
	for _, w := range worlds {
		w.goesOn(t)
		w.load.Stop()
	}
	for way, w := range worlds {
		w.Check(t, w.watching...).Report(t, what+" ("+way+")", times, time.Since(began))
	}
}

// since is how long ago a time was, for people.
func since(at time.Time) time.Duration { return time.Since(at).Round(10 * time.Millisecond) }

// world is gateways at work.
type world struct {
	*replicatest.World
	load     *replicatest.Load
	watching []*replicatest.Watcher

	mu sync.Mutex
	// readiness is what /readyz told since watchReadiness; stop ends the watching.
	readiness []string
	stop      func()
}

func newWorld(t *testing.T, o replicatest.Options, intn func(int) int) *world {
	t.Helper()
	w := &world{World: replicatest.New(t, o), stop: func() {}}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	for i := range 4 {
		watcher, _ := w.Watch(ctx, replicatest.WatchOptions{SSE: i%2 == 1, HangUp: func() time.Duration {
			return time.Duration(500+intn(4000)) * time.Millisecond
		}})
		w.watching = append(w.watching, watcher)
	}
	// The database's nodes are on this machine, too: polling what was made must leave them room.
	w.load = w.Load(replicatest.LoadOptions{Callers: 4, Pause: 500 * time.Millisecond, End: true})
	return w
}

// goesOn waits until callers get further.
func (w *world) goesOn(t *testing.T) {
	t.Helper()
	before := w.Reasons()["OK"]
	worldtest.Within(t, "calls to go on", patience, func() bool { return w.Reasons()["OK"] >= before+20 })
}

// back waits until each gateway has done a write that it was asked for after a moment, and tells how long that took.
func (w *world) back(t *testing.T, since time.Time) string {
	t.Helper()
	took := make([]time.Duration, len(w.Replicas))
	var asking sync.WaitGroup
	for i, r := range w.Replicas {
		asking.Go(func() {
			for took[i] == 0 && time.Since(since) < patience {
				key := uuid.NewString()
				ctx, cancel := context.WithTimeout(worldtest.AsPSU(context.Background()), 20*time.Second)
				_, err := r.Stubs().Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
					Customer:  &customerv1.Customer{Type: customerv1.Customer_COMPANY, Reference: optional.Of(key)},
					RequestId: key,
				})
				cancel()
				if err == nil {
					took[i] = time.Since(since)
					return
				}
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	asking.Wait()
	var told []string
	for _, d := range took {
		if d == 0 {
			t.Fatal("a gateway does not write again")
		}
		told = append(told, d.Round(10*time.Millisecond).String())
	}
	return strings.Join(told, ", ")
}

// watchReadiness begins to note what /readyz of the first gateway tells.
func (w *world) watchReadiness() {
	w.readiness = nil
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			address := w.Replicas[0].Gateway().Admin + "/readyz"
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				return
			}
			if response, err := http.DefaultClient.Do(request); err == nil {
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				w.mu.Lock()
				if told := strings.TrimSpace(string(body)); !slices.Contains(w.readiness, told) {
					w.readiness = append(w.readiness, told)
				}
				w.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
}

// told ends that and gives what it was.
func (w *world) told() string {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.readiness, " ")
}
