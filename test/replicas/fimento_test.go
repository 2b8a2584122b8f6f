package replicas

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox/fimento"
	"kontor.dev/kontor/test/replicatest"
	"kontor.dev/kontor/test/worldtest"
)

var (
	_ = creates.Add(fimento.ID, fimento.OpCreateProcess)
	_ = polls.Add(fimento.ID, fimento.OpGetProcess)
)

// TestBurstOfWebhooks: however many hints come to however many gateways, a consent is read once in the shortest
// interval.
func TestBurstOfWebhooks(t *testing.T) {
	t.Parallel()
	const interval = 2 * time.Second
	w := newWorld(t, replicatest.Options{Polling: "{min_interval: 2s, max_interval: 1h}"})
	core := w.Played[fimento.ID].Core
	worldtest.Within(t, "a webhook to be registered", worldtest.Patience, func() bool {
		return core.Calls.Count(fimento.OpAddWebhook) > 0
	})
	var registered struct{ WebhookURL string }
	if err := json.Unmarshal(core.Calls.Of(fimento.OpAddWebhook)[0].Body, &registered); err != nil {
		t.Fatal(err)
	}
	consents := waiting(t, w, fimento.ID, 5)
	began := time.Now()
	for i := range scaled(3000, 400) {
		r := w.Replicas[i%len(w.Replicas)]
		address := r.HTTP() + strings.TrimPrefix(registered.WebhookURL, w.PublicURL)
		body := `{"_id": "` + consents[i%len(consents)].GetProviderReference() + `"}`
		response, err := worldtest.NoRedirects.Post(address, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode/100 != 2 {
			t.Fatalf("a webhook is answered with %s", http.StatusText(response.StatusCode))
		}
	}
	most := 2 + int(time.Since(began)/interval)
	for path, times := range polled(core, fimento.OpGetProcess, began) {
		if len(times) > most {
			t.Errorf("%s was read %d times in %s, want at most %d", path, len(times), time.Since(began), most)
		}
	}
}

// TestOneWebhook starts many gateways at the same time, on a database without tables: it is made once, they serve, and
// the provider is told one address.
func TestOneWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, replicatest.Options{Replicas: scaled(10, 4)})
	for _, r := range w.Replicas {
		e := w.Enter(replicatest.NewConsent(fimento.ID))
		if agreed(t, e, ask(e, r)); e.Err != nil {
			t.Errorf("gateway %d: %v", r.Number, e.Err)
		}
	}
	core := w.Played[fimento.ID].Core
	worldtest.Within(t, "a webhook to be registered", worldtest.Patience, func() bool {
		return core.Calls.Count(fimento.OpAddWebhook) > 0
	})
	if told := core.Calls.Count(fimento.OpAddWebhook); told != 1 {
		t.Errorf("%d gateways told %d addresses", len(w.Replicas), told)
	}
	w.Check(t)
}
