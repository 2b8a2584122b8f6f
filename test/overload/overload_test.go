package overload

import (
	"context"
	"fmt"
	"slices"
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
	var conns []*worldtest.Stubs
	for range (callers + callersPerConnection - 1) / callersPerConnection {
		conn, err := worldtest.Dial(w.gateway.GRPC, keyOf(client))
		if err != nil {
			t.Fatal(err)
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
			for i := n; time.Since(began) < during; i++ {
				begun := time.Now()
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
	return all
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

// TestRivals has one tenant take all that it gets, while another one calls now and then.
func TestRivals(t *testing.T) {
	w := newWorld(t, 100)
	during := time.Duration(float64(scaled(1000, 50)) * *seconds * float64(time.Millisecond))
	var busy sync.WaitGroup
	var greedy *outcome
	busy.Go(func() { greedy = w.load(t, owner, scaled(peakCallers, 10)*overload, during) })
	var modest outcome
	conn, err := worldtest.Dial(w.gateway.GRPC, keyOf(rival))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for began := time.Now(); time.Since(began) < during; {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), worldtest.Patience)
		_, err := conn.Customers.CreateCustomer(ctx, &customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{
			Type: customerv1.Customer_PERSON,
		}})
		cancel()
		if err != nil {
			t.Errorf("the other tenant: %v", err)
		}
		modest.good = append(modest.good, time.Since(begun))
	}
	busy.Wait()
	t.Logf("the greedy: %v; the modest: %d good, median %s", greedy.codes, len(modest.good), modest.median())
}
