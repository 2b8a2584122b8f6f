package fimento

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"kontor.dev/kontor/internal/sandbox"
)

// A delivery that is not answered with a 2xx is tried again, up to three times in all, in real time.
const (
	webhookAttempts = 3
	webhookPause    = 200 * time.Millisecond
)

// webhooks delivers what happens to processes. Each URL has a queue of its own, so that one that does not answer
// holds up no other, and gets what is sent to it in order.
type webhooks struct {
	core   *sandbox.Core
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	targets []*target
	running sync.WaitGroup
	closed  bool
}

type target struct {
	url   string
	queue [][]byte
	busy  bool          // a goroutine works on the queue
	held  []byte        // waits for its successor, when out of order
	flush sandbox.Timer // sends held when there is no successor
}

func newWebhooks(core *sandbox.Core) *webhooks {
	ctx, cancel := context.WithCancel(context.Background())
	return &webhooks{core: core, ctx: ctx, cancel: cancel}
}

// add registers a URL; one that is known stays as it is.
func (h *webhooks) add(url string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.ContainsFunc(h.targets, func(t *target) bool { return t.url == url }) {
		h.targets = append(h.targets, &target{url: url})
	}
}

// send queues one event for every URL. payload is asked for only when there is one.
func (h *webhooks) send(b Webhooks, payload func() any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b.Drop || len(h.targets) == 0 {
		return
	}
	body, err := json.Marshal(payload())
	if err != nil {
		panic(err) // built here
	}
	for _, t := range h.targets {
		if b.OutOfOrder && t.held == nil {
			t.held = body
			t.flush = h.core.Clock.AfterFunc(3*h.core.Step, func() { h.release(t) })
			continue
		}
		for range 1 + b.Duplicates {
			h.enqueue(t, body)
		}
		if t.held != nil {
			t.flush.Stop()
			h.enqueue(t, t.held)
			t.held = nil
		}
	}
}

// release sends what no successor came for.
func (h *webhooks) release(t *target) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.held != nil {
		h.enqueue(t, t.held)
		t.held = nil
	}
}

// enqueue hands a body to the goroutine of its URL, which exists only while there is something to send.
func (h *webhooks) enqueue(t *target, body []byte) {
	if h.closed { // close may be waiting for the goroutines already
		return
	}
	t.queue = append(t.queue, body)
	if !t.busy {
		t.busy = true
		h.running.Go(func() { h.work(t) })
	}
}

func (h *webhooks) work(t *target) {
	for {
		h.mu.Lock()
		if len(t.queue) == 0 {
			t.busy = false
			h.mu.Unlock()
			return
		}
		body := t.queue[0]
		t.queue = t.queue[1:]
		h.mu.Unlock()
		h.deliver(t.url, body)
	}
}

func (h *webhooks) deliver(url string, body []byte) {
	for attempt := range webhookAttempts {
		if attempt > 0 {
			select {
			case <-time.After(webhookPause << (attempt - 1)):
			case <-h.ctx.Done():
				return
			}
		}
		if h.post(url, body) {
			return
		}
	}
	h.core.Log.Warn("webhook not delivered", "attempts", webhookAttempts)
}

func (h *webhooks) post(url string, body []byte) (delivered bool) {
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := h.core.Client.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode/100 == 2
}

// close cuts what is under way short, lets what is queued fail at once, and waits for it.
func (h *webhooks) close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	done := make(chan struct{})
	go func() {
		h.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
