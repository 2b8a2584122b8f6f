package sandbox

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// The names under which calls are recorded that belong to no operation of a provider.
const (
	OperationPage    = "page"    // bank pages and the controls under /_sandbox/
	OperationUnknown = "unknown" // a path or method that the provider does not have
)

// maxBody bounds a request's body; above it the answer is 413.
const maxBody = 32 << 20

// Options describe a sandbox. The zero value is usable.
type Options struct {
	// Seed decides the people, their accounts, every id and every random fault. The same seed, the same start time
	// and the same requests in the same order give the same bytes.
	Seed int64
	// Clock defaults to RealClock.
	Clock Clock
	// Logger defaults to one that discards. Nothing a client sent is logged.
	Logger *slog.Logger
	// Step is the time between statuses that come by themselves; default 1 s.
	Step time.Duration
	// CallbackClient delivers webhooks and shipment callbacks. The default follows no redirect and waits 5 s.
	CallbackClient *http.Client
	// Population defaults to NewPopulation(Seed, Clock.Now()); give one to share it between cores.
	Population *Population
}

// Core is what the dialects share. Each dialect has a core of its own, so that the faults and calls of one provider
// are not those of another; clock and population may be the same.
type Core struct {
	Clock      Clock
	Population *Population
	Faults     *Faults
	Calls      *Calls
	Log        *slog.Logger
	Client     *http.Client // for webhooks and shipment callbacks
	Step       time.Duration
	Rand       *Rand

	// ErrorBody makes the provider's error body for a status. It is used where the core answers itself: for faults
	// with a status and no body, and for bodies that are too large. The dialect sets it before it serves.
	ErrorBody func(status int) (contentType string, body []byte)
	// ExpireTokens makes all tokens issued so far invalid. The dialect sets it before it serves.
	ExpireTokens func()
}

// NewCore fills in the defaults.
func NewCore(o Options) *Core {
	c := &Core{
		Clock:      o.Clock,
		Population: o.Population,
		Calls:      &Calls{},
		Log:        o.Logger,
		Client:     o.CallbackClient,
		Step:       o.Step,
		Rand:       NewRand(o.Seed),
		ErrorBody: func(status int) (string, []byte) {
			return "text/plain; charset=utf-8", []byte(http.StatusText(status) + "\n")
		},
		ExpireTokens: func() {},
	}
	if c.Clock == nil {
		c.Clock = RealClock()
	}
	if c.Population == nil {
		c.Population = NewPopulation(o.Seed, c.Clock.Now())
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Step <= 0 {
		c.Step = time.Second
	}
	if c.Client == nil {
		c.Client = &http.Client{
			Timeout:       5 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	c.Faults = &Faults{core: c}
	return c
}

// Handle serves an operation: it reads the body (at most 32 MiB, restored for h), records the call and applies the
// faults. The pattern is http.ServeMux's, as in "GET /process/{processId}". Bank pages are served with
// OperationPage; a dialect serves its own "not found" as Handle(mux, OperationUnknown, "/", ...).
func (c *Core) Handle(mux *http.ServeMux, operation, pattern string, h http.HandlerFunc) {
	mux.Handle(pattern, c.recorded(operation, c.Faults.Wrap(operation, h)))
}

// HandleControl serves a control endpoint: recorded as OperationPage and untouched by faults, so that faults can
// always be taken back.
func (c *Core) HandleControl(mux *http.ServeMux, pattern string, h http.HandlerFunc) {
	mux.Handle(pattern, c.recorded(OperationPage, h))
}

func (c *Core) recorded(operation string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		r.Body = io.NopCloser(bytes.NewReader(body))
		answered := c.Calls.begin(Call{
			Operation: operation,
			Method:    r.Method,
			Path:      r.URL.Path,
			Query:     r.URL.Query(),
			Header:    r.Header.Clone(),
			Body:      body,
			Time:      c.Clock.Now(),
		})
		rec := &statusWriter{ResponseWriter: w, answered: answered}
		switch {
		case errors.As(err, new(*http.MaxBytesError)):
			c.writeError(rec, http.StatusRequestEntityTooLarge)
		case err != nil: // the client went away in the middle of its request
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(rec, r)
			if !rec.wrote { // net/http answers 200 for a handler that wrote nothing
				answered(http.StatusOK)
			}
		}
	})
}

func (c *Core) writeError(w http.ResponseWriter, status int) {
	contentType, body := c.ErrorBody(status)
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// statusWriter notes the status before the client can see it.
type statusWriter struct {
	http.ResponseWriter
	answered func(status int)
	wrote    bool
}

func (w *statusWriter) WriteHeader(status int) {
	w.wrote = true
	w.answered(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Rand is the sandbox's randomness: decided by the seed and safe for concurrent use. It is no secret to anybody who
// knows the seed, which is fine for a fake and for nothing else.
type Rand struct {
	mu sync.Mutex
	r  *rand.Rand
}

// NewRand makes a source that the seed decides.
func NewRand(seed int64) *Rand {
	return &Rand{r: rand.New(rand.NewPCG(uint64(seed), 0x6b6f6e746f72))}
}

// Float64 is a number in [0, 1).
func (r *Rand) Float64() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.Float64()
}

// IntN is a number in [0, n).
func (r *Rand) IntN(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.IntN(n)
}

// Hex is a string of n lower-case hexadecimal digits, as in a 24-digit object id.
func (r *Rand) Hex(n int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw := make([]byte, (n+1)/2)
	for i := range raw {
		raw[i] = byte(r.r.UintN(256))
	}
	return hex.EncodeToString(raw)[:n]
}
