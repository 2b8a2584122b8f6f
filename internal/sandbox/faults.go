package sandbox

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// The values of Fault.HangUp.
const (
	HangUpBefore = "before" // the connection is closed and nothing happened
	HangUpAfter  = "after"  // it happened, and the connection is closed instead of a reply
)

// Fault is one way to misbehave. Its parts combine: tokens expire, then it is slow to start, then it hangs up, or
// answers by itself (Status, GzipBomb) without any effect, or lets the request have its effect and spoils the reply
// (Malformed, Truncate, BytesPerSecond).
type Fault struct {
	// which operation, OperationPage included; "" is every operation, but no page
	Operation string `json:"operation"`
	Status    int    `json:"status"` // answer with this status instead of doing anything
	// the Retry-After header, in seconds or as a date, as it stands
	RetryAfter     string        `json:"retryAfter"`
	Body           string        `json:"body"`           // the body for Status; "" is the provider's own error body
	Delay          time.Duration `json:"-"`              // in real time, before anything else is done
	BytesPerSecond int           `json:"bytesPerSecond"` // the reply's body trickles, in real time
	// the reply announces its whole length and ends after half of it
	Truncate     bool   `json:"truncate"`
	Malformed    bool   `json:"malformed"`    // the reply is complete and is no valid JSON
	HangUp       string `json:"hangUp"`       // HangUpBefore, HangUpAfter or ""
	ExpireTokens bool   `json:"expireTokens"` // all tokens issued so far become invalid first
	// answer with a gzip body that unpacks to this many bytes of valid JSON
	GzipBomb    int64   `json:"gzipBomb"`
	Times       int     `json:"times"`       // how often; 0 is for ever
	Probability float64 `json:"probability"` // in (0, 1]; 0 is always
}

// Check reports what is wrong with a fault.
func (f Fault) Check() error {
	switch {
	case f.HangUp != "" && f.HangUp != HangUpBefore && f.HangUp != HangUpAfter:
		return errors.New(`hangUp must be "before" or "after"`)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return errors.New("status must be between 200 and 599")
	case f.Probability < 0 || f.Probability > 1:
		return errors.New("probability must be between 0 and 1")
	case f.Delay < 0 || f.BytesPerSecond < 0 || f.GzipBomb < 0 || f.Times < 0:
		return errors.New("delay, bytesPerSecond, gzipBomb and times must not be negative")
	}
	return nil
}

// Faults are the faults in force. They are tried in the order they were added, and the first that applies is the
// only one that acts on a request. Safe for concurrent use.
type Faults struct {
	core *Core

	mu     sync.Mutex
	last   int
	active []*activeFault
}

type activeFault struct {
	id   string
	left int // uses left, when Times is set
	Fault
}

// Add puts a fault in force. It panics when the fault fails its Check, which is an error of the test that wrote it.
func (f *Faults) Add(fault Fault) (id string) {
	if err := fault.Check(); err != nil {
		panic("sandbox: fault: " + err.Error())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	id = strconv.Itoa(f.last)
	f.active = append(f.active, &activeFault{id: id, left: fault.Times, Fault: fault})
	return id
}

// Remove takes one fault back; an unknown id is no error.
func (f *Faults) Remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = slices.DeleteFunc(f.active, func(a *activeFault) bool { return a.id == id })
}

// Clear takes all faults back.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active = nil
}

// take finds the fault for one request and uses it up.
func (f *Faults) take(operation string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, a := range f.active {
		if a.Operation != operation && (a.Operation != "" || operation == OperationPage) {
			continue
		}
		if a.Probability > 0 && f.core.Rand.Float64() >= a.Probability {
			continue
		}
		if a.Times > 0 {
			if a.left--; a.left == 0 {
				f.active = slices.Delete(f.active, i, i+1)
			}
		}
		return a.Fault, true
	}
	return Fault{}, false
}

// Wrap applies the faults of an operation to a handler.
func (f *Faults) Wrap(operation string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, ok := f.take(operation)
		if !ok {
			h.ServeHTTP(w, r)
			return
		}
		fault.serve(f.core, w, r, h)
	})
}

func (f Fault) serve(core *Core, w http.ResponseWriter, r *http.Request, h http.Handler) {
	if f.ExpireTokens {
		core.ExpireTokens()
	}
	if !pause(r, f.Delay) || f.HangUp == HangUpBefore {
		panic(http.ErrAbortHandler) // net/http closes the connection without a word
	}
	reply := &bufferedReply{header: w.Header(), status: http.StatusOK}
	switch {
	case f.GzipBomb > 0:
		writeBomb(w, f.GzipBomb)
		return
	case f.Status != 0:
		f.refuse(core, reply)
	default:
		h.ServeHTTP(reply, r)
	}
	if f.HangUp == HangUpAfter {
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	body := reply.body.Bytes()
	if f.Malformed {
		body = append(bytes.Clone(body[:len(body)/2]), `"}]{,`...)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if f.Truncate {
		if len(body) == 0 { // nothing to cut: announce what never comes
			w.Header().Set("Content-Length", "2")
		}
		body = body[:len(body)/2]
	}
	w.WriteHeader(reply.status)
	f.send(w, r, body)
	if f.Truncate {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func (f Fault) refuse(core *Core, w http.ResponseWriter) {
	if f.Body == "" {
		core.writeError(w, f.Status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// send writes the body, a tenth of a second's worth at a time when it is to trickle.
func (f Fault) send(w http.ResponseWriter, r *http.Request, body []byte) {
	if f.BytesPerSecond <= 0 {
		_, _ = w.Write(body)
		return
	}
	chunk := max(f.BytesPerSecond/10, 1)
	every := time.Second * time.Duration(chunk) / time.Duration(f.BytesPerSecond)
	_ = http.NewResponseController(w).Flush() // the header comes at once
	for len(body) > 0 {
		if !pause(r, every) {
			panic(http.ErrAbortHandler)
		}
		n := min(chunk, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = http.NewResponseController(w).Flush()
		body = body[n:]
	}
}

// pause waits in real time and reports whether the client is still there.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// writeBomb sends {"message":"aaa..."}, packed, size bytes long when unpacked.
func writeBomb(w http.ResponseWriter, size int64) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(http.StatusOK)
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant of the package
	}
	const head, tail = `{"message":"`, `"}`
	if _, err := fmt.Fprint(zip, head); err != nil {
		return
	}
	block := bytes.Repeat([]byte("a"), 1<<16)
	for left := size - int64(len(head)+len(tail)); left > 0; left -= int64(len(block)) {
		if _, err := zip.Write(block[:min(left, int64(len(block)))]); err != nil {
			return // the client had enough
		}
	}
	_, _ = fmt.Fprint(zip, tail)
	_ = zip.Close()
}

// bufferedReply holds a reply back so that it can be spoilt.
type bufferedReply struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (b *bufferedReply) Header() http.Header { return b.header }

func (b *bufferedReply) WriteHeader(status int) {
	if !b.wrote {
		b.wrote, b.status = true, status
	}
}

func (b *bufferedReply) Write(p []byte) (int, error) {
	b.wrote = true
	return b.body.Write(p)
}
