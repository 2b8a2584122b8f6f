package upstream

import (
	"sync"
	"time"
)

// The fair time of an operation, after which a caller who leaves without an answer counts against the provider: four
// times as long as answers usually take, within two shares of Limits.Header. While nothing is known of the operation,
// it is a tenth of that limit. Answers that take longer make it longer, so a provider that has become slow is only cut
// off while nobody waits for its answers.
const (
	fairTimes   = 4
	fairLeast   = 40 // parts of Limits.Header, 250 ms by default
	fairUnknown = 10 // parts of Limits.Header, 1 s by default
	paceWeight  = 8  // an answer's weight is one part in so many
)

// pace knows how long a provider's answers usually take, for each operation.
type pace struct {
	mu    sync.Mutex
	usual map[string]time.Duration
}

// note takes in how long an answer took.
func (p *pace) note(operation string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.usual == nil {
		p.usual = map[string]time.Duration{}
	}
	if usual, ok := p.usual[operation]; ok {
		took = usual + (took-usual)/paceWeight
	}
	p.usual[operation] = took
}

// fair gives the fair time of an operation. Limit is Limits.Header.
func (p *pace) fair(operation string, limit time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	usual, ok := p.usual[operation]
	if !ok {
		return limit / fairUnknown
	}
	return min(max(fairTimes*usual, limit/fairLeast), limit)
}
