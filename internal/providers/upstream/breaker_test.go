package upstream

import "kontor.dev/kontor/internal/providers"

// setState puts a breaker into a state.
func setState(b *breaker, state providers.BreakerState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch state {
	case providers.BreakerOpen:
		b.cb.Open()
	case providers.BreakerHalfOpen:
		b.cb.HalfOpen()
	default:
		b.cb.Close()
	}
}
