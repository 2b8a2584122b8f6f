package replicatest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"kontor.dev/kontor/test/worldtest"
)

// recorder stands before a played provider and keeps what it answered to POST when it did what it was asked for,
// whether the answer arrived or not.
type recorder struct {
	server   *httptest.Server
	provider http.Handler

	mu      sync.Mutex
	replies []reply
}

type reply struct {
	path string
	body []byte
}

func newRecorder(t *testing.T, provider http.Handler) *recorder {
	t.Helper()
	r := &recorder{provider: provider}
	r.server = httptest.NewServer(r)
	r.server.Config.ErrorLog = worldtest.DiscardLog
	t.Cleanup(r.server.Close)
	return r
}

func (r *recorder) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if in.Method != http.MethodPost {
		r.provider.ServeHTTP(out, in)
		return
	}
	kept := httptest.NewRecorder()
	r.provider.ServeHTTP(kept, in)
	if kept.Code < http.StatusMultipleChoices {
		r.mu.Lock()
		r.replies = append(r.replies, reply{in.URL.Path, kept.Body.Bytes()})
		r.mu.Unlock()
	}
	for name, values := range kept.Header() {
		out.Header()[name] = values
	}
	out.WriteHeader(kept.Code)
	_, _ = out.Write(kept.Body.Bytes())
}

// distinct counts what a provider made: by the different values that a field has in its answers to POST at paths with
// an ending.
func (w *World) distinct(provider, ending, field string) int {
	r := w.recorders[provider]
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for _, reply := range r.replies {
		var body map[string]any
		if strings.HasSuffix(reply.path, ending) && json.Unmarshal(reply.body, &body) == nil {
			if id, ok := body[field].(string); ok {
				seen[id] = true
			}
		}
	}
	return len(seen)
}
