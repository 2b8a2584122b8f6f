package overload

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kontor.dev/kontor/test/worldtest"
)

// levels are shares of the peak, in percent.
var levels = []int{25, 50, 75, 100, 150, 300}

// level is what came of calls that arrived at a rate, whether or not those before had ended.
type level struct {
	outcome

	percent int
	// due and sent are how many calls should have begun and did: who sends them shares the machine.
	due, sent int
	// refused are how long it took to be refused.
	refused []time.Duration
	// used is what the gateway used of the processors, and spent what the callers did, in cores.
	used, spent float64
}

// arrive has calls begin at a rate.
func (w *world) arrive(t *testing.T, rate float64, during time.Duration) *level {
	t.Helper()
	// As many wait at one time as arrive before their deadline.
	var conns []*worldtest.Stubs
	for range 1 + int(rate*deadline.Seconds())/callersPerConnection {
		conn, err := worldtest.Dial(w.gateway.GRPC, keyOf(owner))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := call(conn, 1); err != nil { // so that it is connected
			t.Logf("the first call: %v", err)
		}
		conns = append(conns, conn)
	}
	l := &level{outcome: outcome{codes: map[codes.Code]int{}}, due: int(rate * during.Seconds())}
	var mu sync.Mutex
	var under sync.WaitGroup
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began, used, spent := time.Now(), w.gateway.Used(), worldtest.Used(os.Getpid())
	for now := began; now.Sub(began) < during; now = <-tick.C {
		for ; l.sent < l.due && float64(l.sent) <= rate*now.Sub(began).Seconds(); l.sent++ {
			n := l.sent
			under.Go(func() {
				begun := time.Now()
				code := status.Code(call(conns[n%len(conns)], n))
				took := time.Since(begun)
				mu.Lock()
				defer mu.Unlock()
				l.codes[code]++
				switch code {
				case codes.OK:
					l.good = append(l.good, took)
				case codes.ResourceExhausted, codes.Unavailable:
					l.refused = append(l.refused, took)
				}
			})
		}
	}
	under.Wait()
	l.took = time.Since(began)
	l.used = (w.gateway.Used() - used).Seconds() / l.took.Seconds()
	l.spent = (worldtest.Used(os.Getpid()) - spent).Seconds() / l.took.Seconds()
	return l
}

// share is a part in percent.
func share(part, of int) string { return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(max(1, of))) }

// TestLevels finds out how many calls the gateway answers each second when callers wait for their turn, and then sends
// calls at shares of that rate that wait for nobody. Every call must come to an end: answered, refused, or given up by
// its caller.
//
// The gateway has one core, in all of it: who calls at three times the rate that it can serve needs more than it does.
func TestLevels(t *testing.T) {
	t.Setenv("GOMAXPROCS", "1")
	w := newWorld(t, 100)
	during := time.Duration(float64(scaled(1000, 30)) * *seconds * float64(time.Millisecond))
	peak := w.load(t, owner, scaled(peakCallers, 10), during)
	var all []*level
	for _, percent := range levels {
		l := w.arrive(t, peak.rate()*float64(percent)/100, during)
		l.percent = percent
		all = append(all, l)
		var ended int
		for code, count := range l.codes {
			ended += count
			switch code {
			case codes.OK, codes.ResourceExhausted, codes.DeadlineExceeded:
			default:
				t.Errorf("at %d%%: %d x %s", percent, count, code)
			}
		}
		if l.sent == 0 || ended != l.sent {
			t.Errorf("at %d%%: %d calls were sent, and %d came to an end", percent, l.sent, ended)
		}
		if len(l.good) == 0 {
			t.Errorf("at %d%%: no call was answered", percent)
		}
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintf(out, "peak: %.0f/s, %d callers\n", peak.rate(), scaled(peakCallers, 10))
	columns := []string{"of the peak", "sent", "answered", "p50", "p99", "refused", "p50", "p99", "given up", "cores", "callers' cores"}
	fmt.Fprintf(out, "| %s\t|\n%s\t|\n", strings.Join(columns, "\t| "), strings.Repeat("|---\t", len(columns)))
	for _, l := range all {
		fmt.Fprintf(out, "| %d%%\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %.2f\t| %.2f\t|\n", l.percent,
			share(l.sent, l.due), share(len(l.good), l.sent), quantile(l.good, 0.5), quantile(l.good, 0.99),
			share(len(l.refused), l.sent), quantile(l.refused, 0.5), quantile(l.refused, 0.99),
			share(l.codes[codes.DeadlineExceeded], l.sent), l.used, l.spent)
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
}
