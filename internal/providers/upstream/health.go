package upstream

import (
	"errors"
	"math/bits"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/providers"
)

// Health is what the client knows about how its provider fares.
type Health = providers.Health

// Health tells how the provider fares. It sends nothing.
func (c *Client) Health() Health {
	h := c.health.get()
	switch c.breaker.state() {
	case providers.BreakerOpen:
		h.Breaker = providerv1.Breaker_OPEN
	case providers.BreakerHalfOpen:
		h.Breaker = providerv1.Breaker_HALF_OPEN
	default:
		h.Breaker = providerv1.Breaker_CLOSED
	}
	return h
}

const (
	// recentCalls is over how many calls the state is taken. One failure among them is a blip.
	recentCalls = 10
	// deadCalls is how many failures in a row make a provider unavailable.
	deadCalls = 3
)

type health struct {
	quota atomic.Pointer[int64]

	mu       sync.Mutex
	now      Health
	answered bool   // it ever did
	recent   uint64 // the latest calls from bit 0 up, 1 for each that failed
}

func (h *health) get() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now
	if now.State == providerv1.Provider_Health_STATE_UNSPECIFIED {
		now.State = providerv1.Provider_Health_UNKNOWN
	}
	now.RemainingQuota = h.quota.Load()
	return now
}

// note takes in how a call ended, retries included.
func (h *health) note(at time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	failed, refused := false, false
	if err != nil {
		var e *providers.Error
		if !errors.As(err, &e) {
			return
		}
		switch e.Kind {
		case providers.KindInternal, providers.KindInvalidField, providers.KindPSUIPRequired, providers.KindCanceled:
			return // says nothing about the provider
		case providers.KindCredentials:
			failed, refused = true, true
		case providers.KindUnavailable, providers.KindDeadline, providers.KindInvalidResponse:
			failed = true
		}
		// Answers about one consent say nothing about the provider.
		if e.Kind != providers.KindConsentEnded && e.Kind != providers.KindAccessExceeded {
			kind := e.Kind
			h.now.LastError, h.now.LastErrorTime = &kind, at
		}
	}
	h.recent <<= 1
	if failed {
		h.recent |= 1
	} else {
		h.answered = true
	}
	const dead, all = 1<<deadCalls - 1, 1<<recentCalls - 1
	state := providerv1.Provider_Health_DEGRADED
	switch {
	case refused, failed && !h.answered, h.recent&dead == dead:
		state = providerv1.Provider_Health_UNAVAILABLE
	case bits.OnesCount64(h.recent&all) <= 1:
		state = providerv1.Provider_Health_HEALTHY
	}
	if state != h.now.State {
		h.now.State, h.now.Since = state, at
	}
}

// noteQuota keeps how many calls the provider says it still takes.
func (h *health) noteQuota(header http.Header) {
	for _, name := range []string{"X-Ratelimit-Remaining", "Ratelimit-Remaining"} {
		if remaining, err := strconv.ParseInt(header.Get(name), 10, 64); err == nil && remaining >= 0 {
			h.quota.Store(&remaining)
			return
		}
	}
}
