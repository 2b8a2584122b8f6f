package guard

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// turns bound how many calls of one client are worked on at one time. More would not be done sooner: all of them would
// become late together. Those that wait for a provider, or for one another, have no turn.
//
// Whoever finds no turn waits in line, and is refused late: one that is refused at once comes again at once, and being
// refused is a third of the work of being served. A channel is the line, since nobody who waits in it holds up the
// others, as those do who wait for a lock.
type turns chan struct{}

// turnsEach is how many turns a client has for each processor, and leastTurns how many at least: changes wait for the
// disk together.
const turnsEach, leastTurns = 16, 32

func newTurns() turns { return make(turns, max(turnsEach*runtime.GOMAXPROCS(0), leastTurns)) }

const (
	// A call waits for its turn for three quarters of the time that it has left, since the work takes time, too; and
	// no longer than longestWait.
	waitOf, waitIn = 3, 4
	longestWait    = 15 * time.Second
	// longTurn is how long a turn lasts. A call that takes longer waits for something.
	longTurn = 250 * time.Millisecond
)

// take waits for a turn, which lasts until done is called, once or more. It tells whether the turn came in time.
func (t turns) take(ctx context.Context) (done func(), ok bool) {
	select {
	case t <- struct{}{}:
	default:
		if !t.wait(ctx) {
			return nil, false
		}
	}
	end := sync.OnceFunc(func() { <-t })
	over := time.AfterFunc(longTurn, end)
	return func() {
		over.Stop()
		end()
	}, true
}

// wait waits in line.
func (t turns) wait(ctx context.Context) bool {
	most := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline)*waitOf/waitIn)
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
	if ctx.Err() == nil {
		return true
	}
	<-t // Nobody waits for it any more, so it costs nothing.
	return false
}
