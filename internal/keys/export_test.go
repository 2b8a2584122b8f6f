package keys

// Wrap wraps a working key.
func (s *StoreKey) Wrap(purpose Purpose, key []byte) ([]byte, error) { return s.wrap(purpose, key) }

// BoxesKept is the bound.
const BoxesKept = boxesKept

// BoxesKept is how many boxes are remembered.
func (k *Keys) BoxesKept() int {
	c := &k.boxes
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}
