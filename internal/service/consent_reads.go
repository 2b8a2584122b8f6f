package service

import (
	"sync"

	"kontor.dev/kontor/internal/store"
)

// consentReads lets those who want to know how a consent stands share reads at the provider. Nobody shares one that has begun: it might miss what
// they have just done there. They wait for its end and share the next. So a consent is read at most twice for any number of callers who come
// at one time, and never twice at once.
type consentReads struct {
	mu   sync.Mutex
	next map[string]*consentRead // not begun yet
	busy map[string]*consentRead // under way
}

// consentRead is one read; its result is there once done is closed.
type consentRead struct {
	done  chan struct{}
	fresh *store.Consent
	err   error
}

// share gives the next read of a consent, which it starts when nobody has yet.
func (r *consentReads) share(key string, read func() (*store.Consent, error)) *consentRead {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting, ok := r.next[key]; ok {
		return waiting
	}
	if r.next == nil {
		r.next, r.busy = make(map[string]*consentRead), make(map[string]*consentRead)
	}
	shared, before := &consentRead{done: make(chan struct{})}, r.busy[key]
	r.next[key] = shared
	go func() {
		if before != nil {
			<-before.done
		}
		r.begin(key, shared)
		defer r.end(key, shared)
		shared.fresh, shared.err = read()
	}()
	return shared
}

func (r *consentReads) begin(key string, shared *consentRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.next, key)
	r.busy[key] = shared
}

func (r *consentReads) end(key string, shared *consentRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[key] == shared { // the next one may have begun
		delete(r.busy, key)
	}
	close(shared.done)
}
