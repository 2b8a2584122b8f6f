package overload

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/test/worldtest"
)

const (
	// deadline is what callers give each call.
	deadline = 500 * time.Millisecond
	// peakCallers are as many as the gateway serves best; overload is ten times so many.
	peakCallers, overload = 100, 10
	// leastGoodput is how much of the peak's good answers there must be under overload.
	leastGoodput = 0.9
	// mostBeside is how many times as long the slowest hundredth of one tenant's calls may take while another tenant
	// takes all that it gets.
	mostBeside = 2
	// greedyCount callers who call so often ask for 1,000 calls in a second.
	greedyCount, greedyEvery = 200, 200 * time.Millisecond
	// rounds are how often the two loads that are compared take turns.
	rounds = 5
	// callersPerConnection are fewer than the streams that a connection may have.
	callersPerConnection = 100
)

// outcome is what the callers of one load got.
type outcome struct {
	took  time.Duration
	good  []time.Duration
	codes map[codes.Code]int
}

// add adds what the callers of another load got.
func (o *outcome) add(other *outcome) {
	o.took += other.took
	o.good = append(o.good, other.good...)
	for code, count := range other.codes {
		o.codes[code] += count
	}
}

// rate is good answers for each second.
func (o *outcome) rate() float64 { return float64(len(o.good)) / o.took.Seconds() }

func (o *outcome) median() time.Duration {
	if len(o.good) == 0 {
		return 0
	}
	slices.Sort(o.good)
	return o.good[len(o.good)/2].Round(100 * time.Microsecond)
}

// load has callers call, each one time after the other, and a fifth of the calls write.
func (w *world) load(t *testing.T, client string, callers int, during time.Duration) *outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	got, err := flock(ctx, w.gateway.GRPC, client, callers, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// flock is the callers of a load, who call until the context ends, each so often or as soon as they are answered.
func flock(ctx context.Context, address, client string, callers int, every time.Duration) (*outcome, error) {
	var conns []*worldtest.Stubs
	for range (callers + callersPerConnection - 1) / callersPerConnection {
		conn, err := worldtest.Dial(address, keyOf(client))
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	all := &outcome{codes: map[codes.Code]int{}}
	var mu sync.Mutex
	var running sync.WaitGroup
	began := time.Now()
	for n := range callers {
		running.Go(func() {
			own := outcome{codes: map[codes.Code]int{}}
			next := time.Now().Add(every * time.Duration(n) / time.Duration(callers))
			for i := n; ctx.Err() == nil; i++ {
				time.Sleep(time.Until(next))
				begun := time.Now()
				next = next.Add(every)
				err := call(conns[n%len(conns)], i)
				code := status.Code(err)
				if own.codes[code]++; code == codes.OK {
					own.good = append(own.good, time.Since(begun))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(&own)
		})
	}
	running.Wait()
	all.took = time.Since(began)
	return all, nil
}

// call makes one call of a load.
func call(to *worldtest.Stubs, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if i%5 == 0 {
		_, err := to.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{
			Type: customerv1.Customer_PERSON,
		}})
		return err
	}
	_, err := to.Consents.GetConsent(ctx, &consentv1.GetConsentRequest{Name: fmt.Sprintf("consents/c%08d", i%100)})
	return err
}

// TestOverload sends ten times as many callers as the gateway serves best. What it cannot do in time it refuses, and
// does the rest as well as before.
func TestOverload(t *testing.T) {
	w := newWorld(t, 100)
	during := time.Duration(float64(scaled(1000, 50)) * *seconds * float64(time.Millisecond))
	calm := w.load(t, owner, 2, during/4)
	// The two take turns, so that what else the machine has to do is the same for both.
	peak, over := &outcome{codes: map[codes.Code]int{}}, &outcome{codes: map[codes.Code]int{}}
	for range rounds {
		peak.add(w.load(t, owner, scaled(peakCallers, 10), during/rounds))
		over.add(w.load(t, owner, scaled(peakCallers, 10)*overload, during/rounds))
	}
	after := w.load(t, owner, 2, during/4)
	for _, o := range []struct {
		name string
		*outcome
	}{{"calm", calm}, {"peak", peak}, {"overload", over}, {"calm again", after}} {
		t.Logf("%-10s %6.0f/s good, median %s, %v", o.name, o.rate(), o.median(), o.codes)
		for code, count := range o.codes {
			if !slices.Contains([]codes.Code{codes.OK, codes.ResourceExhausted, codes.DeadlineExceeded}, code) {
				t.Errorf("%s: %d x %s", o.name, count, code)
			}
		}
	}
	if after.codes[codes.OK] == 0 || len(after.codes) > 1 {
		t.Errorf("afterwards: %v", after.codes)
	}
	ratio := over.rate() / peak.rate()
	t.Logf("under overload %.0f%% of the peak", 100*ratio)
	if *full && ratio < leastGoodput {
		t.Errorf("at least %.0f%% are due", 100*leastGoodput)
	}
}

// TestRivals has one tenant ask for twice what its quota allows, while another one calls now and then. Who calls now
// and then is answered every time, and in full hardly later than when alone.
func TestRivals(t *testing.T) {
	w := newWorldOf(t, 100, "limits: {burst: 500}\n") // so that the quota is used up soon
	during := time.Duration(float64(scaled(1000, 50)) * *seconds * float64(time.Millisecond))
	conn, err := worldtest.Dial(w.gateway.GRPC, keyOf(rival))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	modest := func() []time.Duration {
		var took []time.Duration
		for began := time.Now(); time.Since(began) < during/rounds; {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), worldtest.Patience)
			_, err := conn.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{
				Customer: &customerv1.Customer{Type: customerv1.Customer_PERSON},
			})
			cancel()
			if err != nil {
				t.Errorf("the other tenant: %v", err)
			}
			took = append(took, time.Since(begun))
			time.Sleep(time.Millisecond)
		}
		return took
	}
	var alone, beside []time.Duration
	var codes []string
	for range rounds { // They take turns, so that what else the machine has to do is the same for both.
		alone = append(alone, modest()...)
		stop := w.greedy(t)
		beside = append(beside, modest()...)
		codes = append(codes, stop())
	}
	for _, code := range codes {
		t.Logf("the greedy: %s", code)
	}
	ratio := float64(quantile(beside, 0.99)) / float64(quantile(alone, 0.99))
	t.Logf("the modest alone: %d good, p50 %s, p99 %s; beside: %d good, p50 %s, p99 %s; ratio %.2f", len(alone),
		quantile(alone, 0.5), quantile(alone, 0.99), len(beside), quantile(beside, 0.5), quantile(beside, 0.99), ratio)
	if len(alone) == 0 || len(beside) == 0 {
		t.Error("the modest has not called")
	}
	if *full && ratio > mostBeside {
		t.Errorf("beside another tenant's flood p99 is %.2f times as long; at most %d times is allowed", ratio, mostBeside)
	}
}

// quantile gives how long it took at most for such a share of calls.
func quantile(took []time.Duration, share float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[int(float64(len(took)-1)*share)].Round(10 * time.Microsecond)
}

// greedy has a process of its own ask for too much for the first tenant, so that who measures need not share its time,
// until stop is called.
func (w *world) greedy(t *testing.T) (stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	process := exec.CommandContext(ctx, os.Args[0], "-greedy", w.gateway.GRPC, "-callers",
		strconv.Itoa(scaled(greedyCount, 20)))
	process.Cancel = func() error { return process.Process.Signal(os.Interrupt) }
	var out bytes.Buffer
	process.Stdout, process.Stderr = &out, os.Stderr
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		cancel()
		_ = process.Wait() // It was interrupted.
		return strings.TrimSpace(out.String())
	}
}

// beGreedy is that process.
func beGreedy() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	got, err := flock(ctx, *greedyAt, owner, *greedyCallers, greedyEvery)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(got.codes)
	return 0
}
