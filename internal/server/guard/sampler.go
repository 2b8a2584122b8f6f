package guard

import (
	"log/slog"
	"sync"
	"time"
)

// strangersPerSecond is how many lines of the log are about requests whose sender nobody knows. Those requests cost
// their senders nothing, so their number is the senders' to choose.
const strangersPerSecond = 20

// Sampler bounds how many lines are written in a second, and says how many were left out.
type Sampler struct {
	log *slog.Logger

	mu    sync.Mutex
	until time.Time // end of the second that is counted
	lines int       // written in it
	left  int       // left out, and not said yet
}

func newSampler(log *slog.Logger) *Sampler { return &Sampler{log: log} }

// Take tells whether one more line may be written. Those that may not are counted, and their number is logged when the
// second is over. Metrics count all of them.
func (s *Sampler) Take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !now.Before(s.until) {
		s.until, s.lines = now.Add(time.Second), 0
	}
	if s.lines < strangersPerSecond {
		s.lines++
		return true
	}
	if s.left++; s.left == 1 {
		time.AfterFunc(s.until.Sub(now), s.say)
	}
	return false
}

// say logs how many lines were left out.
func (s *Sampler) say() {
	s.mu.Lock()
	left := s.left
	s.left = 0
	s.mu.Unlock()
	s.log.Info("lines about requests without authentication were left out", "lines", left)
}
