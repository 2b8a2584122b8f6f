package upstream

// setState puts a breaker into a state.
func setState(b *breaker, state BreakerState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch state {
	case BreakerOpen:
		b.cb.Open()
	case BreakerHalfOpen:
		b.cb.HalfOpen()
	default:
		b.cb.Close()
	}
}
