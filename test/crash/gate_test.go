package crash

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"

	"kontor.dev/kontor/internal/sandbox/sandboxes"
	"kontor.dev/kontor/test/worldtest"
)

// moment is a point in the life of a request at a provider.
type moment string

// The moments.
const (
	passing  moment = "passing"  // it is on its way to the provider, and goes on
	received moment = "received" // the provider has the request and has done nothing
	done     moment = "done"     // it has done it and has not replied
	replied  moment = "replied"  // its reply is on its way
)

// moments are those at which a process can be killed.
var moments = []moment{received, done, replied}

// gate stands before a played provider. It counts what the provider did and springs a trap at a chosen moment.
type gate struct {
	*httptest.Server
	provider http.Handler
	base     string // of the API's paths

	mu      sync.Mutex
	trap    *trap
	open    int                 // connections of the gateway
	replies map[string][]string // the bodies of 2xx replies, by operation, as they were made, delivered or not
}

// trap fires once, at a moment of the next request of an operation. With received and done, the request's connection
// is cut then.
type trap struct {
	operation string
	at        moment
	fire      func()
}

func newGate(played *sandboxes.Played) *gate {
	base := strings.TrimPrefix(played.Player.Settings()["base_url"], played.URL)
	g := &gate{provider: played.Player, base: base, replies: map[string][]string{}}
	g.Server = httptest.NewUnstartedServer(g)
	g.Config.ErrorLog = worldtest.DiscardLog
	g.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		g.mu.Lock()
		defer g.mu.Unlock()
		switch state {
		case http.StateNew:
			g.open++
		case http.StateClosed, http.StateHijacked:
			g.open--
		case http.StateActive, http.StateIdle:
		}
	}
	g.Start()
	return g
}

// operationOf names a request by its method and its path without ids, such as "POST /users/*/banking/connect".
func (g *gate) operationOf(method string, u *url.URL) string {
	segments := strings.Split(strings.TrimPrefix(u.Path, g.base), "/")
	for i, segment := range segments {
		if strings.ContainsAny(segment, "0123456789") {
			segments[i] = "*"
		}
	}
	return method + " " + strings.Join(segments, "/")
}

// set arms the gate.
func (g *gate) set(operation string, at moment, fire func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trap = &trap{operation, at, fire}
}

// disarm takes the trap away, and tells whether it was still there.
func (g *gate) disarm() (armed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	armed = g.trap != nil
	g.trap = nil
	return armed
}

// quiet tells whether all is done that a gateway asked for before it was killed: its connections have ended.
func (g *gate) quiet() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open == 0
}

// spring fires the trap if it is for this operation and moment.
func (g *gate) spring(operation string, at moment) bool {
	g.mu.Lock()
	t := g.trap
	if t == nil || t.operation != operation || t.at != at {
		g.mu.Unlock()
		return false
	}
	g.trap = nil
	g.mu.Unlock()
	t.fire()
	return true
}

// did gives what the provider answered to an operation that it did.
func (g *gate) did(operation string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.replies[operation])
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := g.operationOf(r.Method, r.URL)
	g.spring(operation, passing)
	if g.spring(operation, received) {
		panic(http.ErrAbortHandler)
	}
	reply := httptest.NewRecorder()
	g.provider.ServeHTTP(reply, r)
	body := reply.Body.Bytes()
	if reply.Code < 300 {
		g.mu.Lock()
		g.replies[operation] = append(g.replies[operation], string(body))
		g.mu.Unlock()
	}
	if g.spring(operation, done) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range reply.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(reply.Code)
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
	g.spring(operation, replied)
}
