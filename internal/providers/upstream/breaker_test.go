package upstream

// setState puts a breaker into a state.
func setState(b *breaker, state BreakerState) {
	b.mu.Lock()
	defer b.unlock()
	b.turn(state)
}
